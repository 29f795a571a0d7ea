"""Searches: ask, fit on the inner folds, score, tell; every trial goes to the ledger first.

A search is a generator: it yields what it wants tried and receives the trial back. So the
conductor can drive all K + 1 searches in lockstep, and ONE engine call serves all of them, while
no search ever sees another's losses: the only things that reach a generator are its own trials.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

import numpy as np

from autoreg.candidate import Candidate
from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.engines.base import Engine, Failure, Fit, Job, Outcome, TrainingSet
from autoreg.folds import Fold, Plan
from autoreg.metrics import metric
from autoreg.metrics.base import baseline_predictions, row_losses
from autoreg.progress import Progress
from autoreg.space import Space
from autoreg.spec import StudySpec
from autoreg.trial import Trial
from autoreg.tuner import Tuner


@dataclass(frozen=True)
class Ask:
    """What a search wants tried next, on all its inner folds."""

    search: str
    number: int
    candidate: Candidate
    origin: Literal["design", "sampler"]


@dataclass(frozen=True, eq=False)
class Bench:
    """What every search of a study shares: rows, folds, space, engine. No losses."""

    table: Dataset
    plan: Plan
    space: Space
    spec: StudySpec
    engine: Engine
    metrics: tuple[str, ...]
    workers: int = 1

    @property
    def searches(self) -> tuple[str, ...]:
        """The names of the searches: one for each outer fold, and the final one."""
        return tuple(self.plan.inner)

    @property
    def fits_a_round(self) -> int:
        """How many fits one trial of every search takes."""
        return sum(len(folds) for folds in self.plan.inner.values())

    @property
    def fits_behind(self) -> int:
        """About how many fits come behind the search: choices over time on their outer folds,
        what is set beside them, and the final model with its path."""
        choices = 3 + math.ceil(math.log2(1 + self.spec.trials))
        draws = self.spec.permutations * self.fits_a_round * self.spec.trials
        return len(self.plan.outer) * choices + self.space.path_points + draws

    def warm_up(self, listener: Progress) -> None:
        """Let the engine compile or load what fits need, so that later times are those of fits."""
        listener.begin("compiling or loading solvers", 1)
        self.engine.warm_up(self.space.design(), self.table.task, self.spec.linear)
        listener.advance(1)
        listener.end()


Search = Generator[list[Ask], list[Trial], None]


def search(name: str, tuner: Tuner, past: Sequence[Trial], ahead: int = 1) -> Search:
    """One search: yields asks, receives their trials; trials of the past are not tried again.

    Ask n learns from trials up to n - ``ahead``, whatever else is known by then, so ``ahead``
    settings can be tried at once. They are asked up to the next multiple of ``ahead``.
    """
    trials: list[Trial] = list(past[: tuner.trials])
    while len(trials) < tuner.trials:
        last = min((len(trials) // ahead + 1) * ahead, tuner.trials)
        asks = _asks(name, tuner, trials, range(len(trials), last), ahead)
        if not asks:
            return
        trials += yield asks


def _asks(
    name: str, tuner: Tuner, trials: Sequence[Trial], numbers: range, ahead: int
) -> list[Ask]:
    design = len(tuner.space.design())
    asked, asks = [trial.candidate for trial in trials], []
    for number in numbers:
        known = max(0, number - ahead + 1)
        history = [(trial.candidate, trial.told) for trial in trials[:known]]
        candidate = tuner.ask(history, asked[known:])
        if candidate is None:
            break
        origin: Literal["design", "sampler"] = "design" if number < design else "sampler"
        asks.append(Ask(name, number, candidate, origin))
        asked.append(candidate)
    return asks


def run_searches(
    bench: Bench,
    past: Mapping[str, Sequence[Trial]],
    *,
    record: Callable[[Trial], None],
    round_done: Callable[[int], bool],
    last_round: int | None = None,
    on_fit: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, list[Trial]]:
    """Drive all searches in lockstep to their budget; returns the trials of each.

    A round is one trial of every search, or as many as the study asks ahead; ``round_done`` is
    told the number of the last one. ``record`` makes a trial durable before its search is told.
    ``round_done`` may end all searches after a complete common round by returning False;
    ``last_round`` repeats such an end from an earlier run.
    """
    trials = {name: list(past.get(name, ())) for name in bench.searches}
    running: dict[str, Search] = {}
    asks: dict[str, list[Ask]] = {}
    spec, ahead = bench.spec, bench.spec.asks_ahead
    for name in bench.searches:
        tuner = Tuner(bench.space, spec.sampler, spec.trials, spec.seed, name)
        running[name] = search(name, tuner, trials[name], ahead)
        if first := next(running[name], None):
            asks[name] = first
    while asks:
        round_number = min(ask[0].number // ahead for ask in asks.values())
        if last_round is not None and round_number * ahead > last_round:
            break
        due = [
            asks.pop(name) for name in list(asks) if asks[name][0].number // ahead == round_number
        ]
        made = evaluate(bench, [ask for some in due for ask in some], on_fit)
        for trial in sorted(made, key=lambda trial: trial.number):
            record(trial)
            trials[trial.search].append(trial)
        for name in dict.fromkeys(some[0].search for some in due):
            answers = [trial for trial in made if trial.search == name]
            if more := _told(running[name], answers):
                asks[name] = more
        if not round_done(max(trial.number for trial in made)):
            break
    return trials


def up_to(
    trials: Mapping[str, Sequence[Trial]], stops: Sequence[Mapping[str, Any]]
) -> dict[str, list[Trial]]:
    """The trials up to the round at which a study was stopped, if it was: the same number of each
    search, whatever a later round had begun."""
    last = stops[0]["round"] if stops else math.inf
    return {name: [one for one in own if one.number <= last] for name, own in trials.items()}


def _told(running: Search, answers: list[Trial]) -> list[Ask]:
    """What a search asks next, once it knows; nothing where it is over."""
    try:
        return running.send(answers)
    except StopIteration:
        return []


def evaluate(bench: Bench, asks: Sequence[Ask], on_fit: Callable[[int, int], None]) -> list[Trial]:
    """Fit all asked settings on the inner folds of their searches, in one engine call."""
    work = [(ask, fold) for ask in asks for fold in bench.plan.inner[ask.search]]
    jobs = [job_for(bench, ask.candidate, fold) for ask, fold in work]
    outcomes = bench.engine.run(
        jobs,
        bench.table,
        cells=bench.plan.cells,
        workers=bench.workers,
        on_done=lambda done: on_fit(done, len(jobs)),
    )
    paired = zip(work, outcomes, strict=True)
    return [
        score(bench, ask, [outcome for _, outcome in group])
        for ask, group in groupby(paired, key=lambda pair: pair[0][0])
    ]


def job_for(bench: Bench, candidate: Candidate, fold: Fold, *, steps: int | None = None) -> Job:
    """The fit of a candidate on a fold's training rows, predicting the fold's other rows."""
    return Job(
        candidate,
        TrainingSet(fold.train, fold.excluded),
        fold.test,
        bench.spec.seed,
        bench.space.strengths(candidate),
        bench.spec.training,
        bench.spec.linear,
        steps,
    )


def score(bench: Bench, ask: Ask, outcomes: Sequence[Outcome]) -> Trial:
    """The trial that an ask's outcomes, one an inner fold, amount to."""
    folds = bench.plan.inner[ask.search]
    strengths = bench.space.strengths(ask.candidate)
    nothing = np.zeros((max(1, len(strengths)), len(folds)))
    weights = np.array([bench.table.weights[fold.test].sum() for fold in folds])
    baselines = [featureless_loss(bench.table, fold.train, fold.test) for fold in folds]
    blank = Trial(
        ask.search,
        ask.number,
        ask.candidate,
        ask.origin,
        strengths,
        losses=nothing,
        weights=weights,
        train_losses=nothing,
        baseline=float(np.average(baselines, weights=weights)),
        seconds=sum(outcome.seconds for outcome in outcomes),
        repeats=bench.plan.repeats,
    )
    fits = [outcome for outcome in outcomes if isinstance(outcome, Fit)]
    if len(fits) < len(folds):
        return replace(blank, failure=_reasons(outcomes))
    pairs = list(zip(fits, folds, strict=True))
    trial = replace(
        blank,
        losses=np.array([fit.losses for fit in fits]).T,
        train_losses=np.array([fit.train_loss for fit in fits]).T,
        steps=tuple(fit.steps for fit in fits) if any(fit.steps for fit in fits) else (),
        curve=_mean_curves(fits),
        flags=tuple(sorted({flag for fit in fits for flag in fit.flags})),
        costs=_costs(bench, len(nothing), pairs),
    )
    read = _read(bench, trial, fits)
    return replace(trial, scores=_scores(bench, trial.best, pairs), **read)


def leaves_out(bench: Bench, candidate: Candidate) -> bool:
    """Whether a linear candidate's fits can have coefficients that are exactly zero."""
    known = bench.spec.linear
    constrained = known.at_most is not None or len(known.non_negative) > 0
    return constrained or any(chosen.penalty().zeroes for chosen in candidate.techniques)


def used_columns(bench: Bench, candidate: Candidate, fit: Fit, position: int) -> list[str] | None:
    """The names of the columns that a fit uses at one strength of its path.

    None where nothing can leave columns out, so that which ones are used says nothing.
    """
    if fit.selected is None or not leaves_out(bench, candidate):
        return None
    return [bench.table.columns[j].name for j in np.flatnonzero(fit.selected[position])]


def _read(bench: Bench, trial: Trial, fits: Sequence[Fit]) -> dict[str, Any]:
    """What the folds' coefficients tell; empty where they are not those of linear models."""
    selected = [fit.selected.sum(axis=1) for fit in fits if fit.selected is not None]
    freedom = [fit.freedom[trial.best] for fit in fits if fit.freedom is not None]
    if len(selected) < len(fits) or len(freedom) < len(fits):
        return {}
    used = [used_columns(bench, trial.candidate, fit, trial.best) or () for fit in fits]
    counts = Counter(name for names in used for name in names)
    return {
        "sparsity": np.mean(selected, axis=0),
        "freedom": float(np.mean(freedom)),
        "stability": {name: count / len(fits) for name, count in counts.items()},
    }


def featureless(table: Dataset, train: Rows, n: int) -> Floats:
    """The predictions of the featureless model for n rows: training mean or class shares."""
    y, weights = table.y[train], table.weights[train]
    return baseline_predictions(table.task, y, weights, len(table.classes), n)


def featureless_loss(table: Dataset, train: Rows, test: Rows) -> float:
    """The weighted mean loss of the featureless model on a fold's test rows."""
    predicted = featureless(table, train, len(test))
    losses = row_losses(table.task, table.y[test], predicted)
    return float(np.average(losses, weights=table.weights[test]))


def metric_parts(
    table: Dataset, names: Sequence[str], predicted: Floats, train: Rows, test: Rows
) -> dict[str, tuple[float, float]]:
    """Numerator and denominator of each metric on one set of rows."""
    baseline = featureless(table, train, len(test))
    y, weights = table.y[test], table.weights[test]
    return {name: metric(name).parts(y, predicted, weights, baseline) for name in names}


def _scores(bench: Bench, strength: int, pairs: Sequence[tuple[Fit, Fold]]) -> dict[str, float]:
    """The metrics at one strength of the path, pooled over the folds."""
    parts = [
        metric_parts(bench.table, bench.metrics, fit.predictions[strength], fold.train, fold.test)
        for fit, fold in pairs
    ]
    return {name: metric(name).pooled([one[name] for one in parts]) for name in bench.metrics}


def _costs(bench: Bench, strengths: int, pairs: Sequence[tuple[Fit, Fold]]) -> Floats:
    """The metric that the study chooses by, (S, F), lower is better; empty where it is the loss."""
    name = bench.spec.select.metric
    if name is None:
        return np.empty(0)
    measure = metric(name)
    costs = np.empty((strengths, len(pairs)))
    for f, (fit, fold) in enumerate(pairs):
        for s in range(strengths):
            parts = metric_parts(bench.table, [name], fit.predictions[s], fold.train, fold.test)
            costs[s, f] = measure.cost(measure.pooled([parts[name]]))
    return costs


def _reasons(outcomes: Sequence[Outcome]) -> str:
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    reasons = dict.fromkeys(failure.reason for failure in failed)
    return f"{len(failed)} of {len(outcomes)} folds failed: {'; '.join(reasons)}"


def _mean_curves(fits: Sequence[Fit]) -> dict[str, list[float]]:
    """The folds' mean learning curves, as far as at least half of the folds trained.

    Beyond that the mean would be of the few slowest folds, and would seem to jump.
    """
    curves: dict[str, list[float]] = {}
    for name in fits[0].curve:
        lengths = sorted(len(fit.curve[name]) for fit in fits)
        length = lengths[len(lengths) // 2]
        table = np.full((len(fits), length), np.nan)
        for row, fit in zip(table, fits, strict=True):
            values = fit.curve[name][:length]
            row[: len(values)] = values
        curves[name] = np.nanmean(table, axis=0).tolist()
    return curves
