"""Judging selections once, on rows that their searches never saw: from folds to the verdict.

``outer_jobs`` says what has to be refitted, ``judgement`` scores one refit on its outer fold,
``verdict`` puts the judgements of all folds together. Nothing here chooses anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from autoreg.budget import Choices
from autoreg.candidate import Candidate
from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.engines.attack import attacked
from autoreg.engines.base import Failure, Job, Outcome
from autoreg.folds import FINAL, Fold
from autoreg.metrics import Metric, metric
from autoreg.metrics.base import row_losses
from autoreg.model import Parameters
from autoreg.resampling import corrected_p
from autoreg.scoring import (
    Attack,
    Bench,
    class_parts,
    featureless,
    featureless_loss,
    job_for,
    metric_parts,
    used_columns,
)
from autoreg.sealed import Opening
from autoreg.select import Contender, Selection
from autoreg.splitters import is_stratified
from autoreg.statistics import (
    Interval,
    Strata,
    mean_interval,
    nadeau_bengio,
    ratio_interval,
    widened,
)
from autoreg.verdict import FoldVerdict, HeldOut, Judgement, Margin, Standing, Verdict

COMPARED = 8
LOSS = "log_loss"  # of classes

Judged = Mapping[tuple[str, str], Mapping[str, Judgement]]  # by technique set, by outer fold


# ---- what is refitted ------------------------------------------------------------------------


def outer_work(
    bench: Bench, selections: Mapping[str, Selection], chosen_after: Choices
) -> list[tuple[Fold, Contender]]:
    """The refits that the verdict needs: each fold's choice, and what is compared with it.

    Compared are the technique sets of :func:`_compared`, each by its inner-best candidate of the
    fold's own search; and what the fold's search would have chosen after fewer trials.
    """
    compared = _compared(bench, selections)
    work = []
    for fold in bench.plan.outer:
        selection = selections[fold.name]
        others = [c for c in selection.contenders if c.candidate.technique_set in compared]
        earlier = [by_search[fold.name] for by_search in chosen_after.values()]
        unique = {one.candidate.key: one for one in (selection.chosen, *others, *earlier)}
        work += [(fold, contender) for contender in unique.values()]
    return work


def _compared(bench: Bench, selections: Mapping[str, Selection]) -> set[tuple[str, str]]:
    """The sets that did best in the final search, the incumbent, and ``none`` of each family."""
    final = selections[FINAL]
    best = {one.candidate.technique_set for one in final.contenders[:COMPARED]}
    none = {(family, "none") for family in bench.space.families}
    return best | none | {final.chosen.candidate.technique_set, bench.space.incumbent}


def refit_job(bench: Bench, contender: Contender, fold: Fold) -> Job:
    """The refit of a contender on all training rows of an outer fold, by the refit rule."""
    job = job_for(bench, contender.candidate, fold, steps=contender.steps)
    return replace(job, keep_model=bool(bench.monitored))


def final_job(bench: Bench, contender: Contender) -> Job:
    """The refit of the final selection on all development rows."""
    rows = np.arange(bench.table.n)
    fold = Fold(FINAL, rows, rows[:1], ())
    return replace(refit_job(bench, contender, fold), keep_model=True)


def judgement(bench: Bench, fold: Fold, candidate: Candidate, outcome: Outcome) -> Judgement:
    """Score one refit on its outer fold."""
    table = bench.table
    attack: Attack | None = None
    if isinstance(outcome, Failure):
        predicted = featureless(table, fold.train, len(fold.test))
        flags: tuple[str, ...] = (f"refit failed, scored as featureless: {outcome.reason}",)
        used: Sequence[str] | None = None
    else:
        predicted, flags = outcome.predictions[0], outcome.flags
        used = used_columns(bench, candidate, outcome, 0)
        if bench.monitored and outcome.model is not None:
            attack = attack_on(outcome.model, table, fold.test)
    y, weights = table.y[fold.test], table.weights[fold.test]
    baseline = featureless(table, fold.train, len(fold.test))
    names = list(dict.fromkeys((*bench.metrics, LOSS)))
    return Judgement(
        fold.name,
        candidate,
        float(np.average(row_losses(table.task, y, predicted), weights=weights)),
        featureless_loss(table, fold.train, fold.test),
        metric_parts(table, bench.metrics, predicted, fold.train, fold.test, attack),
        metric_parts(table, bench.metrics, baseline, fold.train, fold.test),
        flags,
        None if used is None else tuple(used),
        class_parts(table, names, predicted, fold.train, fold.test, attack),
        class_parts(table, names, baseline, fold.train, fold.test),
    )


def attack_on(model: Parameters, table: Dataset, rows: Rows) -> Attack:
    """What a model says of some rows of a table, moved against it; asked twice, told at once."""
    classes = table.y[rows].astype(np.int64)
    return cache(lambda reach: attacked(model, table.columns, table.X[rows], classes, reach))


# ---- the verdict -----------------------------------------------------------------------------


def verdict(
    bench: Bench,
    selections: Mapping[str, Selection],
    judgements: Sequence[Judgement],
    inner_scores: Mapping[str, float],
    held_out: HeldOut | None,
) -> Verdict:
    """Put the judgements of all outer folds together.

    ``inner_scores`` are the final search's scores of its best candidate, by metric.
    """
    folds, final = bench.plan.outer, selections[FINAL]
    by_key = {(one.fold, one.candidate.key): one for one in judgements}
    chosen = [by_key[f.name, selections[f.name].chosen.candidate.key] for f in folds]
    scale = _Scale.of(bench)
    baselines = [one.baseline for one in chosen]
    judged = _by_set(bench, selections, by_key)
    standings = [_standing(bench, key, own, scale) for key, own in judged.items()]
    standings.sort(key=_mean_loss)
    winner = final.chosen.candidate.technique_set
    return Verdict(
        metric=scale.shown.name,
        greater_is_better=scale.shown.greater_is_better,
        inner_best=inner_scores[scale.shown.name],
        inner_best_loss=final.best.loss,
        nested=scale.score(chosen),
        nested_loss=scale.loss(chosen),
        folds=tuple(
            _fold_verdict(bench, scale, selections[fold.name], one, fold)
            for fold, one in zip(folds, chosen, strict=True)
        ),
        standings=tuple(standings),
        none={s.family: s.score for s in standings if s.label == "none" and s.score},
        baseline=scale.score(baselines),
        baseline_loss=scale.loss(baselines),
        runner_up=_margin(judged, winner, final.runner_up, final.lead, scale),
        incumbent=_margin(judged, winner, final.incumbent, final.difference, scale),
        signal=scale.signal(chosen),
        agreement=sum(one.candidate.technique_set == winner for one in chosen),
        held_out=held_out,
        scores={name: scale.score(chosen, name) for name in bench.metrics},
        statement=_remarks(bench, chosen),
    )


def judge_held_out(bench: Bench, predicted: Any, rows: Dataset, opening: Opening) -> HeldOut:
    """Score the final model's predictions of the opened rows."""
    table = bench.table
    baseline = featureless(table, np.arange(table.n), rows.n)
    score = metric(bench.metrics[0]).score(rows.y, predicted, rows.weights, baseline)
    loss, featureless_loss = (
        mean_interval(row_losses(table.task, rows.y, one), rows.weights, rows.group)
        for one in (predicted, baseline)
    )
    return HeldOut(
        rows.size,
        opening.kind,
        score,
        loss.value,
        featureless_loss.value,
        None if rows.streamed is not None else widened(loss, opening.reused),
    )


def _strata(table: Dataset) -> Strata | None:
    """The classes of the rows, where the folds hide what their shares do."""
    if not is_stratified(table):
        return None
    return Strata(table.y.astype(np.int64), table.weights, table.group)


@dataclass(frozen=True, eq=False)
class _Scale:
    """How numbers of the outer folds become scores and intervals."""

    shown: Metric
    share: float
    weights: Floats
    strata: Strata | None

    @classmethod
    def of(cls, bench: Bench) -> _Scale:
        folds = bench.plan.outer
        units = [(bench.table.units(fold.test), bench.table.units(fold.train)) for fold in folds]
        share = float(np.mean([test / train for test, train in units]))
        weights = np.array([bench.table.weights[fold.test].sum() for fold in folds])
        return cls(metric(bench.metrics[0]), share, weights, _strata(bench.table))

    def score(self, judged: Sequence[Judgement], name: str | None = None) -> Interval:
        """A metric over all folds; the one that is shown unless another is named."""
        measure = metric(name) if name else self.shown
        pairs = np.array([one.parts[measure.name] for one in judged])
        between = self.between(measure.name, judged)
        return ratio_interval(
            pairs, measure.finish, self.share, ceiling=measure.ceiling, between=between
        )

    def fold_score(self, one: Judgement) -> float:
        """The shown metric on one fold."""
        return self.shown.pooled([one.parts[self.shown.name]])

    def loss(self, judged: Sequence[Judgement]) -> Interval:
        """The row-weighted mean loss over all folds."""
        losses, between = np.array([one.loss for one in judged]), self.between(LOSS, judged)
        return nadeau_bengio(losses, self.share, weights=self.weights, between=between)

    def signal(self, judged: Sequence[Judgement]) -> Interval:
        """How much less is lost than by the featureless model, over all folds."""
        gains, between = self.gains([one.baseline for one in judged], judged)
        return nadeau_bengio(gains, self.share, weights=self.weights, between=between)

    def gains(
        self, others: Sequence[Judgement], judged: Sequence[Judgement]
    ) -> tuple[Floats, float]:
        """How much more others lose on each fold, and the variance between classes of the mean."""
        pairs = zip(others, judged, strict=True)
        gains = np.array([theirs.loss - mine.loss for theirs, mine in pairs])
        return gains, self.between(LOSS, judged, others)

    def between(
        self, name: str, judged: Sequence[Judgement], others: Sequence[Judgement] = ()
    ) -> float:
        """The variance between classes of a metric, or of its difference from that of others."""
        if self.strata is None:
            return 0.0
        totals = np.sum([one.by_class[name] for one in judged], axis=0)
        if others:
            totals[:, 0] -= np.sum([one.by_class[name] for one in others], axis=0)[:, 0]
        return self.strata.variance(totals)


def _fold_verdict(
    bench: Bench, scale: _Scale, selection: Selection, one: Judgement, fold: Fold
) -> FoldVerdict:
    return FoldVerdict(
        one.fold,
        one.candidate,
        one.loss,
        scale.fold_score(one),
        selection.chosen.loss,
        one.baseline_loss,
        bench.table.size_of(fold.test),
        one.flags,
        one.used,
        {name: metric(name).pooled([one.parts[name]]) for name in bench.monitored},
    )


def _by_set(
    bench: Bench,
    selections: Mapping[str, Selection],
    by_key: Mapping[tuple[str, str], Judgement],
) -> Judged:
    """The judgements of each technique set, by outer fold."""
    found: dict[tuple[str, str], dict[str, Judgement]] = {}
    compared = _compared(bench, selections)
    for fold in bench.plan.outer:
        selection = selections[fold.name]
        own = selection.chosen.candidate.technique_set
        # The set's inner-best; the chosen candidate speaks for its set where a rule moved it.
        for one in (selection.chosen, *selection.contenders):
            if one.candidate.technique_set in {*compared, own}:
                sets = found.setdefault(one.candidate.technique_set, {})
                sets.setdefault(fold.name, by_key[fold.name, one.candidate.key])
    return found


def _standing(
    bench: Bench, key: tuple[str, str], judged: Mapping[str, Judgement], scale: _Scale
) -> Standing:
    ordered = [judged.get(fold.name) for fold in bench.plan.outer]
    there = [one for one in ordered if one is not None]
    everywhere = len(there) == len(ordered)
    monitored = bench.monitored if everywhere else ()
    return Standing(
        *key,
        tuple(one.loss if one else None for one in ordered),
        tuple(scale.fold_score(one) if one else None for one in ordered),
        scale.score(there) if everywhere else None,
        scale.loss(there) if everywhere else None,
        {name: scale.score(there, name) for name in monitored},
    )


def _mean_loss(standing: Standing) -> tuple[bool, float]:
    losses = [loss for loss in standing.losses if loss is not None]
    return standing.score is None, float(np.mean(losses))


def _margin(
    judged: Judged,
    winner: tuple[str, str],
    other: Contender | None,
    inner: Interval | None,
    scale: _Scale,
) -> Margin | None:
    if other is None or other.candidate.technique_set == winner:
        return None
    family, label = other.candidate.technique_set
    theirs, mine = judged.get((family, label), {}), judged.get(winner, {})
    both = [fold for fold in mine if fold in theirs]
    if len(both) < 2:
        return Margin(family, label, inner, len(both), "inner")
    gains, between = scale.gains([theirs[fold] for fold in both], [mine[fold] for fold in both])
    gap = nadeau_bengio(gains, scale.share, between=between)
    p_value = corrected_p(gains, scale.share, between)
    return Margin(family, label, gap, len(both), p_value=p_value)


def _remarks(bench: Bench, chosen: Sequence[Judgement]) -> tuple[str, ...]:
    remarks = [f"{one.fold}: {flag}" for one in chosen for flag in one.flags]
    if bench.table.time is not None:
        remarks.append("time splits: the folds are not exchangeable, the interval is approximate")
        if bench.table.order.window == "both_sides":
            remarks.append("trained on rows after those that judge as well: no forecast does that")
    return tuple(remarks)
