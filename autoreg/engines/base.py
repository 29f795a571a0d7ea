"""The one door to all engines: many candidates, many training sets in; predictions out.

An engine is handed the development rows once and a batch of jobs. A job names a candidate, the
rows to fit on and the rows to predict; nothing else of the other rows may influence its fit.
Engines differ in speed only: the same job gives the same fit on each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autoreg.candidate import Candidate
from autoreg.data.dataset import Dataset, Floats, Rows, Task
from autoreg.metrics.base import row_losses
from autoreg.model import Parameters
from autoreg.spec import LinearSpec, Training, seed_for
from autoreg.techniques.base import Technique

CURVE_POINTS = 100


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The rows that one fit may see, and the names of the folds that it must not.

    Fits that exclude the same folds see the same rows, whichever search asks for them, so the
    excluded folds are what seeds are made of.
    """

    rows: Rows
    excluded: tuple[str, ...]


class Race(Protocol):
    """What one of the fits of a trial tells the others of its losses at the rungs."""

    def report(self, rung: int, loss: float) -> None:
        """Take note of the loss of this fit at one of the rungs."""

    @property
    def is_lost(self) -> bool:
        """Whether the fit is not needed any more."""


@dataclass(frozen=True, eq=False)
class Job:
    """One fit to do.

    A linear candidate whose strength is open is fitted on its whole ``strengths`` path.
    ``steps`` is None in the search; a refit gives the number of optimizer steps, and then
    no stop-set is cut. ``seed`` is the study's seed. ``rungs`` are numbers of epochs after which
    a network's loss on its stop-set is wanted; an engine may end a fit whose ``race`` is lost.
    ``member`` numbers the networks that a refit averages.
    """

    candidate: Candidate
    training: TrainingSet
    predict: Rows
    seed: int
    strengths: tuple[float, ...] = ()
    settings: Training = field(default_factory=Training)
    linear: LinearSpec = field(default_factory=LinearSpec)
    steps: int | None = None
    keep_model: bool = False
    rungs: tuple[int, ...] = ()
    race: Race | None = None
    member: int | None = None

    @property
    def networks(self) -> int:
        """How many networks the fit averages: of a refit as many as the study says, else one."""
        is_refit = self.steps is not None and self.candidate.family == "network"
        return self.settings.members if is_refit and self.member is None else 1

    @property
    def longest(self) -> int:
        """The longest training of its network, in passes over the rows."""
        return self.settings.lasting(self.candidate.training_length)

    @property
    def stops_early(self) -> bool:
        """Whether a fit needs a stop-set: a refit is told how many steps to take."""
        stops = any("stop" in chosen.seams() for chosen in self.candidate.techniques)
        return stops and self.steps is None

    @property
    def walked(self) -> tuple[float, ...]:
        """The strengths of a linear fit: the path, or the one that the candidate has chosen.

        A candidate without a path dial is fitted at 1, the strength that its penalty states.
        Raises ValueError where the candidate's path is open and the job gives no strengths.
        """
        if self.candidate.path is None:
            return self.candidate.chosen_strengths or (1.0,)
        if not self.strengths:
            label = self.candidate.label
            raise ValueError(f"the strength of {label} is open, and no path is given")
        return self.strengths

    @property
    def fit_seed(self) -> int:
        """The seed of everything random inside this fit."""
        member = ("member", self.member) if self.member else ()
        return seed_for(self.seed, "fit", self.candidate.key, *self.training.excluded, *member)

    @property
    def stop_seed(self) -> int:
        """The seed of the stop-set: the same for all candidates of one training set."""
        return seed_for(self.seed, "stop", *self.training.excluded)


class Predictions(Protocol):
    """Predictions at each of S strengths, (n_predict, C) each; an array (S, n_predict, C) is one.

    Why not always an array: a path of 100 strengths is scored by sums over rows, and the
    predictions are looked at for one strength only.
    """

    def __len__(self) -> int:
        """The number of strengths."""

    def __getitem__(self, position: int, /) -> Floats:
        """The predictions (n_predict, C) at one strength."""

    def __iter__(self) -> Iterator[Floats]:
        """The predictions at all strengths, one after another."""


class Freedom(Protocol):
    """Effective degrees of freedom at each of S strengths; an array (S,) is one.

    Why not always an array: counting them can cost more than the path itself.
    """

    def __getitem__(self, position: int, /) -> float:
        """The effective degrees of freedom at one strength."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What an engine gives back for one job.

    ``predictions`` holds (n_predict, C) for each of S strengths (S = 1 where there is no path):
    C = 1 with the mean for regression and counts, otherwise C class probabilities. ``losses``
    and ``train_loss`` (S,) are the weighted mean of the task's loss on the predicted and on the
    training rows. ``steps`` is the best number of optimizer steps (networks, 0 otherwise).
    ``curve`` holds learning curves by name, one number an epoch. ``rungs`` are the best losses on
    the stop-set up to each of the job's rungs. ``flags`` are remarks such as ``separable``.
    ``model`` is kept on request, for S = 1.

    Linear models also tell which raw columns each strength uses (``selected``, (S, p)), the
    effective degrees of freedom (``freedom``, (S,), the intercept not counted) and, on request,
    the ``coefficients`` (S, q, C) in the units of the raw columns with their ``intercepts``
    (S, C).
    """

    predictions: Predictions
    losses: Floats
    train_loss: Floats
    steps: int = 0
    curve: dict[str, list[float]] = field(default_factory=dict)
    rungs: tuple[float, ...] = ()
    flags: tuple[str, ...] = ()
    seconds: float = 0.0
    model: Parameters | None = None
    selected: NDArray[np.bool_] | None = None
    freedom: Freedom | None = None
    coefficients: Floats | None = None
    intercepts: Floats | None = None


@dataclass(frozen=True)
class Failure:
    """A job that gave no usable fit, with the reason in words.

    ``rungs`` are the losses at the rungs that it came to; ``given_up``: its race was lost.
    """

    reason: str
    seconds: float = 0.0
    rungs: tuple[float, ...] = ()
    given_up: bool = False


Outcome = Fit | Failure


def no_stop_set(error: Exception, seconds: float = 0.0) -> Failure:
    """The failure of a fit of whose training rows no stop-set can be cut."""
    return Failure(f"no stop-set for early stopping: {error}", seconds)


After = Callable[[Job, Outcome], Iterable[Job]]


class Engine(ABC):
    """Fits jobs. Engines hold no state between calls.

    ``is_steady``: a stream's jobs begin as soon as they are known, whatever else is under way.
    """

    name: str
    is_steady = False

    @abstractmethod
    def refuses(self, candidate: Candidate, task: Task) -> str | None:
        """Why this engine cannot fit the candidate, in words; None where it can."""

    @abstractmethod
    def warm_up(self, candidates: Sequence[Candidate], task: Task, linear: LinearSpec) -> None:
        """Load what fits of these candidates need, where that takes long."""

    @abstractmethod
    def run(
        self,
        jobs: Sequence[Job],
        table: Dataset,
        *,
        cells: Rows | None = None,
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Outcome]:
        """Fit all jobs, in any order, and return their outcomes in the order of the jobs.

        ``cells`` (n,) numbers the rows so that every training set and every set of predicted
        rows is a union of cells; an engine may sum over the rows of a cell once for all of them.
        ``on_done`` is told, while it runs, how many of the jobs are done. The outcomes do not
        depend on ``workers``, the number of processes.
        """

    def stream(
        self,
        jobs: Iterable[Job],
        table: Dataset,
        after: After,
        *,
        cells: Rows | None = None,
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        """Fit jobs and those that follow from their outcomes, until none follows.

        ``after`` is given one outcome at a time, in any order, and returns the jobs that it makes
        possible. Each outcome is what :meth:`run` gives. What ``after`` raises ends the stream.
        Unless an engine is steady, it fits all jobs that are known, then all that follow.
        """
        waiting, before = list(jobs), 0
        while waiting:
            told = None if on_done is None else counting_from(before, on_done)
            outcomes = self.run(waiting, table, cells=cells, workers=workers, on_done=told)
            before += len(waiting)
            pairs = zip(waiting, outcomes, strict=True)
            waiting = [new for job, outcome in pairs for new in after(job, outcome)]


def counting_from(before: int, on_done: Callable[[int], None]) -> Callable[[int], None]:
    """What hears of fits, for the fits of a call before which so many were done."""
    return lambda done: on_done(before + done)


def identity(job: Job) -> tuple[object, ...]:
    """Equal for two jobs exactly when they ask for the same fit."""
    return (*training_identity(job), job.predict.tobytes())


def training_identity(job: Job) -> tuple[object, ...]:
    """Equal for two jobs exactly when they train the same model, whatever it is to predict."""
    return (
        job.candidate.key,
        job.training.excluded,
        job.training.rows.tobytes(),
        job.seed,
        job.strengths,
        job.settings,
        job.linear,
        job.steps,
        job.keep_model,
        job.rungs,
        job.member,
    )


def is_given_up(outcome: Outcome) -> bool:
    """Whether a fit was ended because its race was lost."""
    return isinstance(outcome, Failure) and outcome.given_up


def technique_refusal(
    engine: str, chosen: Technique, family: str, task: Task, opened: frozenset[str]
) -> str | None:
    """Why an engine that opens some seams cannot fit a technique, in words; None where it can."""
    if family not in chosen.families:
        return f"{chosen.key} is for {listed(chosen.families)} models, not {family}"
    if task not in chosen.tasks:
        return f"{chosen.key} is for {listed(chosen.tasks)} targets, not {task}"
    if missing := sorted(chosen.seams() - opened):
        return (
            f"{chosen.key} acts through {', '.join(missing)}, which the {engine} engine does not "
            f"open for {family} models"
        )
    return None


def listed(names: Iterable[str]) -> str:
    """Names in a sentence.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def thinned(values: list[float]) -> list[float]:
    """At most 100 of the values of a learning curve, evenly spread, first and last among them.

    >>> len(thinned([0.5] * 1000)), thinned([1.0, 2.0])
    (100, [1.0, 2.0])
    """
    if len(values) <= CURVE_POINTS:
        return values
    return [values[round(i)] for i in np.linspace(0, len(values) - 1, CURVE_POINTS)]


def checked(fit: Fit) -> Outcome:
    """The fit, or a Failure where a loss is not a finite number."""
    if np.isfinite(fit.losses).all() and np.isfinite(fit.train_loss).all():
        return fit
    reason = "the fit diverged: predictions are not finite"
    return Failure(reason, fit.seconds, fit.rungs)


def mean_losses(table: Dataset, rows: Rows, predictions: Predictions) -> Floats:
    """The weighted mean of the task's loss on some rows at each strength, shape (S,)."""
    y, weights = table.y[rows], table.weights[rows]
    losses = [row_losses(table.task, y, one) for one in predictions]
    return np.array([np.average(one, weights=weights) for one in losses])
