"""What fits amount to: from an ask and the outcomes of its folds to a trial, and its metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from autoreg.candidate import Candidate
from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.engines.base import Engine, Failure, Fit, Job, Outcome, TrainingSet
from autoreg.folds import Fold, Plan
from autoreg.metrics import metric
from autoreg.metrics.base import Target, baseline_predictions, row_losses
from autoreg.progress import Progress
from autoreg.pruning import Bar, rungs
from autoreg.space import Space
from autoreg.spec import StudySpec
from autoreg.splitters import is_stratified
from autoreg.trial import Trial

Attack = Callable[[float], Floats]  # from how far rows may be moved to what is said of them


@dataclass(frozen=True, eq=False)
class Ask:
    """What a search wants tried next, on all its inner folds, unless it falls behind the bar."""

    search: str
    number: int
    candidate: Candidate
    origin: Literal["design", "sampler"]
    bar: Bar | None = None


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
    def rungs(self) -> tuple[int, ...]:
        """After how many epochs networks are looked at, to prune them."""
        return rungs(self.spec.prune, self.spec.training.longest)

    @property
    def monitored(self) -> tuple[str, ...]:
        """The metrics that need a model: measured where refits are judged, never in a search."""
        return tuple(name for name in self.metrics if metric(name).reach)

    @property
    def searches(self) -> tuple[str, ...]:
        """The names of the searches: one for each outer fold, and the final one."""
        return tuple(self.plan.inner)

    @property
    def fits_a_round(self) -> int:
        """How many fits one trial of every search takes."""
        return sum(len(folds) for folds in self.plan.inner.values())

    def fits_behind(self, trials: int) -> int:
        """About how many fits come behind searches of so many trials each: choices over time on
        their outer folds, what is set beside them, and the final model with its path."""
        choices = min(trials, 3 + math.ceil(math.log2(1 + trials)))
        draws = self.spec.permutations * self.fits_a_round * trials
        networks = self.spec.training.members if "network" in self.space.families else 1
        return networks * (len(self.plan.outer) * choices + 1) + 1 + draws

    def warm_up(self, listener: Progress) -> None:
        """Let the engine compile or load what fits need, so that later times are those of fits."""
        listener.begin("compiling or loading solvers", 1)
        self.engine.warm_up(self.space.design(), self.table.task, self.spec.linear)
        listener.advance(1)
        listener.end()


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
    folds, blank = bench.plan.inner[ask.search], blank_trial(bench, ask, outcomes)
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
        costs=_costs(bench, len(blank.losses), pairs),
    )
    read = _read(bench, trial, fits)
    return replace(trial, scores=_scores(bench, trial.best, pairs), **read)


def blank_trial(bench: Bench, ask: Ask, outcomes: Sequence[Outcome]) -> Trial:
    """A trial of which nothing is known but what was asked, and how long it took."""
    folds = bench.plan.inner[ask.search]
    strengths = bench.space.strengths(ask.candidate)
    nothing = np.zeros((max(1, len(strengths)), len(folds)))
    weights = fold_weights(bench, folds)
    baselines = [featureless_loss(bench.table, fold.train, fold.test) for fold in folds]
    return Trial(
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


def fold_weights(bench: Bench, folds: Sequence[Fold]) -> Floats:
    """The sum of the row weights of each fold's test rows, shape (F,)."""
    return np.array([bench.table.weights[fold.test].sum() for fold in folds])


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
    table: Dataset,
    names: Sequence[str],
    predicted: Floats,
    train: Rows,
    test: Rows,
    attack: Attack | None = None,
) -> dict[str, tuple[float, float]]:
    """Numerator and denominator of each metric on one set of rows.

    ``attack`` predicts them moved against the model; without one they cannot be moved.
    """
    y, weights, baseline = _facts(table, train, test)
    return {
        name: metric(name).parts(y, given, weights, baseline)
        for name, given in _given(names, predicted, attack).items()
    }


def class_parts(
    table: Dataset,
    names: Sequence[str],
    predicted: Floats,
    train: Rows,
    test: Rows,
    attack: Attack | None = None,
) -> dict[str, list[list[float]]]:
    """What each class adds to the parts of each metric, (C, 2).

    Empty where folds are not stratified.
    """
    if not is_stratified(table):
        return {}
    y, weights, baseline = _facts(table, train, test)
    return {
        name: metric(name).by_class(y, given, weights, baseline).tolist()
        for name, given in _given(names, predicted, attack).items()
    }


def _facts(table: Dataset, train: Rows, test: Rows) -> tuple[Target, Floats, Floats]:
    """Targets, weights and featureless predictions of the rows that are judged."""
    return table.y[test], table.weights[test], featureless(table, train, len(test))


def _given(names: Sequence[str], predicted: Floats, attack: Attack | None) -> dict[str, Floats]:
    """The predictions that each metric is about: of rows as they are, or moved."""
    reaches = {name: metric(name).reach for name in names}
    return {
        name: attack(reach) if attack and reach else predicted for name, reach in reaches.items()
    }


def _scores(bench: Bench, strength: int, pairs: Sequence[tuple[Fit, Fold]]) -> dict[str, float]:
    """The metrics at one strength of the path, pooled over the folds."""
    names = [name for name in bench.metrics if name not in bench.monitored]
    parts = [
        metric_parts(bench.table, names, fit.predictions[strength], fold.train, fold.test)
        for fit, fold in pairs
    ]
    return {name: metric(name).pooled([one[name] for one in parts]) for name in names}


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
