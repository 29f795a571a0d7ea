"""Judging selections once, on rows that their searches never saw: from folds to the verdict.

``outer_jobs`` says what has to be refitted, ``judgement`` scores one refit on its outer fold,
``verdict`` puts the judgements of all folds together. Nothing here chooses anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autoreg.data.dataset import Dataset
from autoreg.engines.base import Failure, Job, Outcome
from autoreg.folds import FINAL, Fold
from autoreg.metrics import metric
from autoreg.metrics.base import row_losses
from autoreg.search import Bench, featureless, featureless_loss, job_for, metric_parts
from autoreg.select import Contender, Selection
from autoreg.space import Candidate
from autoreg.statistics import Interval, nadeau_bengio, ratio_interval

COMPARED = 8
Parts = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Judgement:
    """One candidate refitted on the training rows of one outer fold and scored on its rows.

    ``parts`` are the numerators and denominators of the metrics. A failed refit is scored as
    the featureless model and flagged.
    """

    fold: str
    candidate: Candidate
    loss: float
    baseline_loss: float
    parts: Parts
    flags: tuple[str, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """The judgement as plain data."""
        return {**vars(self), "candidate": self.candidate.to_data()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Judgement:
        """The inverse of :meth:`to_data`."""
        parts = {name: (pair[0], pair[1]) for name, pair in data["parts"].items()}
        return cls(
            data["fold"],
            Candidate.from_data(data["candidate"]),
            data["loss"],
            data["baseline_loss"],
            parts,
            tuple(data["flags"]),
        )


@dataclass(frozen=True)
class FoldVerdict:
    """One outer fold: what its search chose and how that did on the fold's rows."""

    fold: str
    chosen: Candidate
    loss: float
    score: float
    inner_loss: float
    baseline_loss: float
    rows: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """One technique set over the outer folds: its inner-best of each search, judged there.

    ``losses`` and ``scores`` have one entry an outer fold, None where that search did not try
    the set. Descriptive: these numbers chose nothing.
    """

    family: str
    label: str
    losses: tuple[float | None, ...]
    scores: tuple[float | None, ...]
    score: Interval | None


@dataclass(frozen=True)
class Margin:
    """The winner against another technique set, paired over outer folds; descriptive.

    ``difference`` is loss(other) - loss(winner): positive means that the winner is better.
    None where fewer than two outer folds can compare them.
    """

    family: str
    label: str
    difference: Interval | None
    folds: int


@dataclass(frozen=True)
class HeldOut:
    """The final model on the rows that were opened once.

    ``opening`` is 'first' or 'reused k' (k earlier openings of some of these rows), or
    'sealed' where the rows were not opened; then score, loss and baseline_loss are None.
    """

    rows: int
    opening: str
    score: float | None = None
    loss: float | None = None
    baseline_loss: float | None = None


@dataclass(frozen=True)
class Verdict:
    """How well the procedure and the final model do on unseen rows.

    ``metric`` is the metric shown; ``greater_is_better`` its direction. ``inner_best`` is the
    optimistic score of the final search. ``nested`` estimates the procedure's expected score at
    the outer training size; ``nested_loss`` the same in the task's loss. ``none`` holds the
    unregularized candidate's nested score by family. ``signal`` is the paired outer-fold
    difference baseline loss - procedure loss. ``agreement`` counts the outer folds that chose
    the final technique set. ``statement`` holds remarks in words.
    """

    metric: str
    greater_is_better: bool
    inner_best: float
    inner_best_loss: float
    nested: Interval
    nested_loss: Interval
    folds: tuple[FoldVerdict, ...]
    standings: tuple[Standing, ...]
    none: Mapping[str, Interval]
    runner_up: Margin | None
    incumbent: Margin | None
    signal: Interval
    agreement: int
    held_out: HeldOut | None
    scores: Mapping[str, Interval]
    statement: tuple[str, ...] = ()

    @property
    def has_signal(self) -> bool:
        """Whether the procedure beats the featureless model beyond its interval."""
        return self.signal.low > 0

    def to_data(self) -> dict[str, Any]:
        """The verdict as plain data."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain


# ---- what is refitted ------------------------------------------------------------------------


def outer_work(bench: Bench, selections: Mapping[str, Selection]) -> list[tuple[Fold, Contender]]:
    """The refits that the verdict needs: each fold's choice, and the sets compared with it.

    Compared are the sets that did best in the final search, the incumbent and ``none`` of each
    family, each by its inner-best candidate of the fold's own search.
    """
    final = selections[FINAL]
    compared = {one.candidate.technique_set for one in final.contenders[:COMPARED]}
    compared |= {final.chosen.candidate.technique_set, bench.space.incumbent}
    compared |= {(family, "none") for family in bench.space.families}
    work = []
    for fold in bench.plan.outer:
        selection = selections[fold.name]
        others = [c for c in selection.contenders if c.candidate.technique_set in compared]
        unique = {one.candidate.key: one for one in (selection.chosen, *others)}
        work += [(fold, contender) for contender in unique.values()]
    return work


def refit_job(bench: Bench, contender: Contender, fold: Fold) -> Job:
    """The refit of a contender on all training rows of an outer fold, by the refit rule."""
    return job_for(bench, contender.candidate, fold, steps=contender.steps)


def final_job(bench: Bench, contender: Contender) -> Job:
    """The refit of the final selection on all development rows."""
    rows = np.arange(bench.table.n)
    fold = Fold(FINAL, rows, rows[:1], ())
    return replace(refit_job(bench, contender, fold), keep_model=True)


def judgement(bench: Bench, fold: Fold, candidate: Candidate, outcome: Outcome) -> Judgement:
    """Score one refit on its outer fold."""
    table = bench.table
    if isinstance(outcome, Failure):
        predicted = featureless(table, fold.train, len(fold.test))
        flags: tuple[str, ...] = (f"refit failed, scored as featureless: {outcome.reason}",)
    else:
        predicted, flags = outcome.predictions[0], outcome.flags
    y, weights = table.y[fold.test], table.weights[fold.test]
    return Judgement(
        fold.name,
        candidate,
        float(np.average(row_losses(table.task, y, predicted), weights=weights)),
        featureless_loss(table, fold.train, fold.test),
        metric_parts(table, bench.metrics, predicted, fold.train, fold.test),
        flags,
    )


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
    folds = bench.plan.outer
    final = selections[FINAL]
    by_key = {(one.fold, one.candidate.key): one for one in judgements}
    chosen = [by_key[f.name, selections[f.name].chosen.candidate.key] for f in folds]
    shown = metric(bench.metrics[0])
    share = _test_share(folds)
    weights = np.array([bench.table.weights[fold.test].sum() for fold in folds])
    losses = np.array([one.loss for one in chosen])
    baselines = np.array([one.baseline_loss for one in chosen])
    standings = _standings(bench, selections, by_key, share)
    winner = final.chosen.candidate.technique_set
    runner_up = final.runner_up
    return Verdict(
        metric=shown.name,
        greater_is_better=shown.greater_is_better,
        inner_best=inner_scores[shown.name],
        inner_best_loss=final.best.loss,
        nested=_score(shown.name, chosen, share),
        nested_loss=nadeau_bengio(losses, share, weights=weights),
        folds=tuple(
            _fold_verdict(bench, selections[fold.name], one, fold)
            for fold, one in zip(folds, chosen, strict=True)
        ),
        standings=standings,
        none={s.family: s.score for s in standings if s.label == "none" and s.score},
        runner_up=_margin(standings, winner, runner_up, share),
        incumbent=_margin(standings, winner, final.incumbent, share),
        signal=nadeau_bengio(baselines - losses, share, weights=weights),
        agreement=sum(one.candidate.technique_set == winner for one in chosen),
        held_out=held_out,
        scores={name: _score(name, chosen, share) for name in bench.metrics},
        statement=_remarks(bench, chosen),
    )


def judge_held_out(bench: Bench, predicted: Any, rows: Dataset, opening: str) -> HeldOut:
    """Score the final model's predictions of the opened rows."""
    table = bench.table
    baseline = featureless(table, np.arange(table.n), rows.n)
    shown = metric(bench.metrics[0])

    def loss(predictions: Any) -> float:
        losses = row_losses(table.task, rows.y, predictions)
        return float(np.average(losses, weights=rows.weights))

    score = shown.score(rows.y, predicted, rows.weights, baseline)
    return HeldOut(rows.n, opening, score, loss(predicted), loss(baseline))


def _test_share(folds: Sequence[Fold]) -> float:
    return float(np.mean([len(fold.test) / len(fold.train) for fold in folds]))


def _score(name: str, judgements: Sequence[Judgement], share: float) -> Interval:
    parts = np.array([one.parts[name] for one in judgements])
    measure = metric(name)
    return ratio_interval(parts, measure.finish, share, ceiling=measure.ceiling)


def _fold_score(name: str, one: Judgement) -> float:
    return metric(name).pooled([one.parts[name]])


def _fold_verdict(bench: Bench, selection: Selection, one: Judgement, fold: Fold) -> FoldVerdict:
    return FoldVerdict(
        fold.name,
        one.candidate,
        one.loss,
        _fold_score(bench.metrics[0], one),
        selection.chosen.loss,
        one.baseline_loss,
        len(fold.test),
        one.flags,
    )


def _standings(
    bench: Bench,
    selections: Mapping[str, Selection],
    by_key: Mapping[tuple[str, str], Judgement],
    share: float,
) -> tuple[Standing, ...]:
    """One standing for each technique set, best mean loss first."""
    found: dict[tuple[str, str], dict[str, Judgement]] = {}
    for fold in bench.plan.outer:
        selection = selections[fold.name]
        # The set's inner-best; the chosen candidate speaks for its set where a rule moved it.
        for one in (selection.chosen, *selection.contenders):
            if (fold.name, one.candidate.key) in by_key:
                sets = found.setdefault(one.candidate.technique_set, {})
                sets.setdefault(fold.name, by_key[fold.name, one.candidate.key])
    standings = [
        _standing(bench, family, label, judged, share) for (family, label), judged in found.items()
    ]
    return tuple(sorted(standings, key=_mean_loss))


def _standing(
    bench: Bench, family: str, label: str, judged: Mapping[str, Judgement], share: float
) -> Standing:
    shown = bench.metrics[0]
    ordered = [judged.get(fold.name) for fold in bench.plan.outer]
    there = [one for one in ordered if one is not None]
    return Standing(
        family,
        label,
        tuple(one.loss if one else None for one in ordered),
        tuple(_fold_score(shown, one) if one else None for one in ordered),
        _score(shown, there, share) if len(there) == len(ordered) else None,
    )


def _mean_loss(standing: Standing) -> tuple[bool, float]:
    losses = [loss for loss in standing.losses if loss is not None]
    return standing.score is None, float(np.mean(losses))


def _margin(
    standings: Sequence[Standing],
    winner: tuple[str, str],
    other: Contender | None,
    share: float,
) -> Margin | None:
    if other is None or other.candidate.technique_set == winner:
        return None
    by_set = {(one.family, one.label): one for one in standings}
    family, label = other.candidate.technique_set
    both = [
        (theirs, mine)
        for theirs, mine in zip(
            by_set[family, label].losses if (family, label) in by_set else (),
            by_set[winner].losses if winner in by_set else (),
            strict=False,
        )
        if theirs is not None and mine is not None
    ]
    differences = np.array([theirs - mine for theirs, mine in both])
    interval = nadeau_bengio(differences, share) if len(both) > 1 else None
    return Margin(family, label, interval, len(both))


def _remarks(bench: Bench, chosen: Sequence[Judgement]) -> tuple[str, ...]:
    remarks = [f"{one.fold}: {flag}" for one in chosen for flag in one.flags]
    if bench.table.time is not None:
        remarks.append("time splits: the folds are not exchangeable, the interval is approximate")
    return tuple(remarks)


def _plain(value: Any) -> Any:
    """Nested dataclasses as dictionaries; candidates by their own data form."""
    if isinstance(value, Candidate):
        return value.to_data()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
