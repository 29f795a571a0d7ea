"""The one door to all engines: many candidates, many training sets in; predictions out.

An engine is handed the development rows once and a batch of jobs. A job names a candidate, the
rows to fit on and the rows to predict; nothing else of the other rows may influence its fit.
Engines differ in speed only: the same job gives the same fit on each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from autoreg.data.dataset import Dataset, Floats, Rows, Task
from autoreg.model import Parameters
from autoreg.space import Candidate
from autoreg.spec import Training, seed_for


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The rows that one fit may see, and the names of the folds that it must not.

    Fits that exclude the same folds see the same rows, whichever search asks for them, so the
    excluded folds are what seeds are made of.
    """

    rows: Rows
    excluded: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Job:
    """One fit to do.

    A linear candidate whose strength is open is fitted on its whole ``strengths`` path.
    ``steps`` is None in the search; a refit gives the number of optimizer steps, and then
    no stop-set is cut. ``seed`` is the study's seed.
    """

    candidate: Candidate
    training: TrainingSet
    predict: Rows
    seed: int
    strengths: tuple[float, ...] = ()
    settings: Training = field(default_factory=Training)
    steps: int | None = None
    keep_model: bool = False

    @property
    def fit_seed(self) -> int:
        """The seed of everything random inside this fit."""
        return seed_for(self.seed, "fit", self.candidate.key, *self.training.excluded)

    @property
    def stop_seed(self) -> int:
        """The seed of the stop-set: the same for all candidates of one training set."""
        return seed_for(self.seed, "stop", *self.training.excluded)


@dataclass(frozen=True, eq=False)
class Fit:
    """What an engine gives back for one job.

    ``predictions`` is (S, n_predict, C): one slice per strength (S = 1 where there is no
    path), C = 1 with the mean for regression, otherwise C class probabilities. ``train_loss``
    is (S,) in the task's loss. ``steps`` is the best number of optimizer steps (networks, 0
    otherwise). ``curve`` holds learning curves by name, one number an epoch. ``flags`` are
    remarks such as ``separable``. ``model`` is kept on request, for S = 1.
    """

    predictions: Floats
    train_loss: Floats
    steps: int = 0
    curve: dict[str, list[float]] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    seconds: float = 0.0
    model: Parameters | None = None


@dataclass(frozen=True)
class Failure:
    """A job that gave no usable fit, with the reason in words."""

    reason: str
    seconds: float = 0.0


Outcome = Fit | Failure


class Engine(ABC):
    """Fits jobs. Engines hold no state between calls."""

    name: str

    @abstractmethod
    def refuses(self, candidate: Candidate, task: Task) -> str | None:
        """Why this engine cannot fit the candidate, in words; None where it can."""

    @abstractmethod
    def run(
        self,
        jobs: Sequence[Job],
        table: Dataset,
        *,
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Outcome]:
        """Fit all jobs, in any order, and return their outcomes in the order of the jobs.

        ``on_done`` is told, while it runs, how many of the jobs are done. The outcomes do not
        depend on ``workers``, the number of processes.
        """


def checked(fit: Fit) -> Outcome:
    """The fit, or a Failure where a prediction or a loss is not a finite number."""
    if np.isfinite(fit.predictions).all() and np.isfinite(fit.train_loss).all():
        return fit
    return Failure("the fit diverged: predictions are not finite", fit.seconds)
