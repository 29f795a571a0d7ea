"""What a study says beside its verdict: corrections and tests from what it has paid for already.

* BBC: what the best of many candidates loses, less the luck of being the best of many;
* the interval of nested cross-validation with a measured width (Bates), on request;
* a permutation test of the whole search, on request;
* calibration and conformal prediction, from the out-of-fold predictions of the outer refits.

Each is an answer or a reason why there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from autoreg.calibration import Calibration, OutOfFold
from autoreg.data.dataset import Floats
from autoreg.engines.base import Failure, Fit
from autoreg.folds import FINAL, Fold
from autoreg.judge import refit_job
from autoreg.metrics.base import row_losses
from autoreg.resampling import bates, bbc, permutation_p
from autoreg.scoring import Bench, featureless, job_for
from autoreg.search import run_searches
from autoreg.select import Selection, select
from autoreg.spec import seed_for
from autoreg.statistics import Interval, smoother
from autoreg.trial import Trial
from autoreg.verdict import Judgement

LARGEST = 20_000_000  # losses, rows times candidates, that BBC keeps
FEWEST_FOLDS = 4  # of Bates: two are left out, and two must remain


@dataclass(frozen=True)
class Permutation:
    """How often the whole search does as well where targets tell nothing."""

    p_value: float
    draws: int


@dataclass(frozen=True)
class Evidence:
    """Corrections and tests; ``reasons`` says, by name, why one of them is missing."""

    bbc: Interval | None = None
    bates: Interval | None = None
    permutation: Permutation | None = None
    calibration: Calibration | None = None
    reasons: Mapping[str, str] | None = None

    def to_data(self) -> dict[str, Any]:
        """The evidence as plain data."""
        return {
            "bbc": self.bbc.to_data() if self.bbc else None,
            "bates": self.bates.to_data() if self.bates else None,
            "permutation": vars(self.permutation) if self.permutation else None,
            "calibration": self.calibration.to_data() if self.calibration else None,
            "reasons": dict(self.reasons or {}),
        }


def gathered(
    bench: Bench,
    trials: Mapping[str, Sequence[Trial]],
    selections: Mapping[str, Selection],
    judgements: Sequence[Judgement],
    permuted: Sequence[float],
) -> Evidence:
    """All evidence about a finished search.

    ``permuted`` are nested losses on permuted targets, each by that of the featureless model;
    empty where no test was asked for.
    """
    reasons: dict[str, str] = {}
    found = None if (why := _no_rows(bench)) else out_of_fold(bench, selections)
    corrected = width = None
    if reason := why or _no_bbc(bench, trials.get(FINAL, ())):
        reasons["bbc"] = reason
    else:
        corrected = bbc_of(bench, trials[FINAL])
    if bench.spec.interval == "bates":
        if reason := why or _no_bates(bench):
            reasons["bates"] = reason
        elif found is not None:
            width = bates_of(bench, found)
    if found is None:
        reasons["calibration"] = why or "an outer refit failed"
    return Evidence(
        corrected,
        width,
        _permutation(bench, selections, judgements, permuted) if permuted else None,
        None if found is None else Calibration.of(found, bench.table),
        reasons,
    )


def _permutation(
    bench: Bench,
    selections: Mapping[str, Selection],
    judgements: Sequence[Judgement],
    permuted: Sequence[float],
) -> Permutation:
    """The procedure's loss by the featureless model's, among those of permuted targets."""
    folds = bench.plan.outer
    by_key = {(one.fold, one.candidate.key): one for one in judgements}
    mine = [by_key[fold.name, selections[fold.name].chosen.candidate.key] for fold in folds]
    weights = np.array([bench.table.weights[fold.test].sum() for fold in folds])
    loss = float(weights @ np.array([one.loss for one in mine]))
    baseline = float(weights @ np.array([one.baseline_loss for one in mine]))
    return Permutation(permutation_p(loss / baseline, permuted), len(permuted))


# ---- out-of-fold rows ------------------------------------------------------------------------


def _no_rows(bench: Bench) -> str | None:
    return (
        "a stream is known by its sums, not by its rows"
        if bench.table.streamed is not None
        else None
    )


def out_of_fold(bench: Bench, selections: Mapping[str, Selection]) -> OutOfFold | None:
    """The outer refits' predictions of their own folds; None where one of them failed."""
    folds = bench.plan.outer[: len(bench.plan.outer) // bench.plan.outer_repeats]
    jobs = [refit_job(bench, selections[fold.name].chosen, fold) for fold in folds]
    fits = bench.engine.run(jobs, bench.table, cells=bench.plan.cells, workers=bench.workers)
    if any(isinstance(one, Failure) for one in fits):
        return None
    predictions = [one.predictions[0] for one in fits if isinstance(one, Fit)]
    return OutOfFold(
        np.concatenate([fold.test for fold in folds]),
        np.concatenate(predictions),
        np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds]),
    )


# ---- the best of many ------------------------------------------------------------------------


def _no_bbc(bench: Bench, trials: Sequence[Trial]) -> str | None:
    size = sum(trial.losses.shape[0] for trial in trials if trial.is_valid) * bench.table.n
    reasons = {
        "there was no final search": not trials,
        "trials were pruned, so that their rows are not known": bench.spec.prune.is_on,
        "networks are fitted in the search, and their row losses are not kept": (
            "network" in bench.space.families
        ),
        "families of your own are fitted in the search, and their row losses are not kept": (
            bench.spec.own
        ),
        "folds in time do not judge every row": bench.table.time is not None,
        "candidates were chosen by a metric and not by row losses": bench.spec.select.metric,
        "only the rule min can be repeated on bootstrapped rows at this size": (
            bench.spec.select.rule != "min" or bench.spec.select.guard == "strict"
        ),
        "rows times candidates are too many to keep": size > LARGEST,
    }
    return next((words for words, holds in reasons.items() if holds), None)


def bbc_of(bench: Bench, trials: Sequence[Trial]) -> Interval:
    """The corrected loss of the final search's choice, from the losses of all its candidates."""
    losses, compared = row_loss_matrix(bench, trials)
    rng = np.random.default_rng(seed_for(bench.spec.seed, "bbc"))
    table = bench.table
    return bbc(losses, table.weights, rng, compared=compared, groups=table.group)[0]


def row_loss_matrix(bench: Bench, trials: Sequence[Trial]) -> tuple[Floats, Floats]:
    """Out-of-fold losses (n, C) of all candidates of the final search, raw and smoothed.

    The fits are done once more: that they are the same, bit for bit, is what determinism means.
    Where rows are cut several times, a row's loss is the mean over the cuts.
    """
    table, folds = bench.table, bench.plan.inner[FINAL]
    valid = [trial for trial in trials if trial.is_valid]
    jobs = [job_for(bench, trial.candidate, fold) for trial in valid for fold in folds]
    fits = iter(bench.engine.run(jobs, table, cells=bench.plan.cells, workers=bench.workers))
    raw, smooth = [], []
    for trial in valid:
        sums = np.zeros((table.n, len(trial.losses)))
        for fold in folds:
            fit = next(fits)
            assert isinstance(fit, Fit), "a fit that was valid once is valid again"
            y = table.y[fold.test]
            for s, predicted in enumerate(fit.predictions):
                sums[fold.test, s] += row_losses(table.task, y, predicted)
        raw.append(sums / bench.plan.repeats)
        dial = trial.candidate.path
        places = smoother(tuple(map(dial.strength, trial.strengths))) if dial else np.eye(1)
        smooth.append(raw[-1] @ places.T)
    return np.hstack(raw), np.hstack(smooth)


# ---- nested cross-validation with a measured width --------------------------------------------


def _no_bates(bench: Bench) -> str | None:
    folds = bench.plan.outer
    own = bench.spec.folds.inner is not None or bench.table.time is not None
    if own or bench.plan.outer_repeats > 1:
        return "it needs outer folds that serve as inner folds, cut once"
    return None if len(folds) >= FEWEST_FOLDS else f"it needs at least {FEWEST_FOLDS} outer folds"


def bates_of(bench: Bench, found: OutOfFold) -> Interval:
    """The interval of the nested loss by Bates et al.: a search without each PAIR of blocks."""
    blocks = [fold.test for fold in bench.plan.outer]
    pairs = list(combinations(range(len(blocks)), 2))
    inner = {_pair(i, j): _inner_of(bench, i, j) for i, j in pairs}
    wider = replace(bench, plan=replace(bench.plan, inner=inner, repeats=1))
    trials = run_searches(wider, {}, record=lambda one: None, round_done=lambda number: True)
    rule, incumbent = bench.spec.select, bench.space.incumbent
    work = [(i, j, select(trials[_pair(i, j)], rule, incumbent).chosen) for i, j in pairs]
    jobs = [
        refit_job(wider, chosen, _without(bench, f"{_pair(i, j)}/judged", (i, j), judged))
        for i, j, chosen in work
        for judged in (i, j)
    ]
    fits = bench.engine.run(jobs, bench.table, workers=bench.workers)
    losses = np.zeros((len(blocks), len(blocks)))
    for position, fit in enumerate(fits):
        i, j, _ = work[position // 2]
        judged, other = (i, j) if position % 2 == 0 else (j, i)
        losses[other, judged] = _block_loss(bench, fit, judged, (i, j))
    return bates(losses, *_block_means(bench, found))


def _pair(i: int, j: int) -> str:
    return f"pair-{i}-{j}"


def _inner_of(bench: Bench, i: int, j: int) -> tuple[Fold, ...]:
    """Every other block validates a search that spares the blocks i and j."""
    others = [k for k in range(len(bench.plan.outer)) if k not in (i, j)]
    return tuple(_without(bench, f"{_pair(i, j)}/block-{k}", (i, j, k), k) for k in others)


def _without(bench: Bench, name: str, spared: tuple[int, ...], test: int) -> Fold:
    inside = np.ones(bench.table.n, dtype=np.bool_)
    for block in spared:
        inside[bench.plan.outer[block].test] = False
    excluded = tuple(sorted(f"block-{block}" for block in spared))
    return Fold(name, np.flatnonzero(inside), bench.plan.outer[test].test, excluded)


def _block_loss(bench: Bench, fit: Fit | Failure, judged: int, spared: tuple[int, int]) -> float:
    fold = _without(bench, "", spared, judged)
    table, rows = bench.table, fold.test
    if isinstance(fit, Failure):
        predicted = featureless(table, fold.train, len(rows))
    else:
        predicted = fit.predictions[0]
    losses = row_losses(table.task, table.y[rows], predicted)
    return float(np.average(losses, weights=table.weights[rows]))


def _block_means(bench: Bench, found: OutOfFold) -> tuple[Floats, Floats]:
    """The mean loss of each outer fold, and its squared standard error over units."""
    table = bench.table
    losses = row_losses(table.task, found.target(table), found.predictions)
    weights = table.weights[found.rows]
    means, noise = [], []
    for fold in range(int(found.fold.max()) + 1):
        own = found.fold == fold
        share = weights[own] / weights[own].sum()
        mean = float(share @ losses[own])
        parts = share * (losses[own] - mean)
        if table.group is not None:
            units = np.unique(table.group[found.rows[own]], return_inverse=True)[1]
            parts = np.bincount(units, weights=parts)
        means.append(mean)
        noise.append(float((parts**2).sum()) * len(parts) / max(len(parts) - 1, 1))
    return np.array(means), np.array(noise)
