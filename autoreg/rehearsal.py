"""The whole procedure on a table, in memory: searches, selections, outer refits, a verdict.

Nothing is written and no held-out row is opened, so it can be repeated: on permuted targets, for
the permutation test of the whole search, and on made-up tables, to see whether intervals cover.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from autoreg.data.dataset import Dataset
from autoreg.folds import FINAL
from autoreg.judge import judgement, outer_work, refit_job, verdict
from autoreg.scoring import Bench
from autoreg.search import run_searches
from autoreg.select import select
from autoreg.spec import seed_for
from autoreg.verdict import Verdict


def rehearsed(bench: Bench) -> Verdict:
    """The verdict that a study on this bench would come to, without held-out rows.

    Raises NoValidTrialError where every trial of a search failed.

    """
    trials = run_searches(bench, {}, record=lambda one: None, round_done=lambda number: True)
    rule, incumbent = bench.spec.select, bench.space.incumbent
    selections = {name: select(trials[name], rule, incumbent) for name in bench.searches}
    work = outer_work(bench, selections, {})
    jobs = [refit_job(bench, contender, fold) for fold, contender in work]
    outcomes = bench.engine.run(jobs, bench.table, cells=bench.plan.cells, workers=bench.workers)
    judgements = [
        judgement(bench, fold, contender.candidate, outcome)
        for (fold, contender), outcome in zip(work, outcomes, strict=True)
    ]
    best = selections[FINAL].best
    inner = next(trial for trial in trials[FINAL] if trial.number == best.trial).scores
    return verdict(bench, selections, judgements, inner, None)


def permuted_losses(
    bench: Bench,
    draws: Iterable[int],
    on_draw: Callable[[int, float], None] = lambda draw, loss: None,
) -> list[float]:
    """The nested loss of the whole procedure on tables whose targets tell nothing, for each draw.

    Each loss is the ratio to that of the featureless model on the same permuted table.
    """
    losses = []
    for draw in draws:
        rng = np.random.default_rng(seed_for(bench.spec.seed, "permutation", draw))
        found = rehearsed(replace(bench, table=with_permuted_target(bench.table, rng)))
        losses.append(loss_ratio(found))
        on_draw(draw, losses[-1])
    return losses


def loss_ratio(found: Verdict) -> float:
    """The nested loss by that of the featureless model."""
    return found.nested_loss.value / found.baseline_loss.value


def with_permuted_target(table: Dataset, rng: Generator) -> Dataset:
    """The same table with its targets dealt out anew.

    Where groups are declared, the groups' targets are laid end to end in another order, so that
    the rows of one group stay (almost) as alike as they were: chance must not look easier.
    """
    if table.group is None:
        return replace(table, y=table.y[rng.permutation(table.n)])
    order = np.argsort(table.group, kind="stable")
    codes = np.unique(table.group, return_inverse=True)[1]
    parts = np.split(table.y[order], np.cumsum(np.bincount(codes))[:-1])
    dealt = np.concatenate([parts[k] for k in rng.permutation(len(parts))])
    y = np.empty_like(table.y)
    y[order] = dealt
    return replace(table, y=y)
