"""Verify a study: rows that something must not see become garbage, and it must not notice.

Statistics cannot prove that nothing leaked; equality of bits can. An outer block is garbled, and
the search that is judged on it (its asks, its losses, its selection, its refit, the refit's
predictions of clean rows) must stay equal bit for bit. The other searches train on the block and
must change, or the check sees nothing. The same one level down: every fit that excludes an inner
validation block stays, every fit that trains on it moves. Garbling the held-out rows at the
source must leave the development rows and their plan as they are. And a search that runs alone
does what it does in company.

The rule behind all of it: what touches no garbled row stays, what touches one moves. For time
splits, too, where a block of the future touches only the searches that come after it.

The plan (row ids, task, classes) is frozen before anything is garbled. Trials and epochs are cut
short by default, which spares time and no code path; the certificate says by how much.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoreg.certificate import Check, Level
from autoreg.data.dataset import Dataset, Rows
from autoreg.engines.base import Failure, Job, Outcome
from autoreg.folds import Fold
from autoreg.garbage import Garbage, kinds_for
from autoreg.judge import refit_job
from autoreg.progress import Progress
from autoreg.scoring import Bench, job_for
from autoreg.search import run_searches
from autoreg.select import select
from autoreg.trial import Trial

MORE_THAN_DESIGN = 2  # asks of the sampler, so that what a search learned shows in what it asks
EPOCHS = 2

# What was seen under a name: its bytes as a hash, and how many they are.
Seen = tuple[bytes, int]
Transcript = dict[str, Seen]


@dataclass(frozen=True, eq=False)
class Run:
    """All searches of a bench, run once: what each did, thing by thing."""

    trials: Mapping[str, Sequence[Trial]]
    searches: Mapping[str, Transcript]
    refits: Mapping[str, Transcript]

    @property
    def longest(self) -> int:
        """The number of trials of the longest search."""
        return max(map(len, self.trials.values()))

    @property
    def recorded(self) -> dict[tuple[str, int], dict[str, Any]]:
        """What each trial found, by search and number, as a ledger records it."""
        return {
            (trial.search, trial.number): trial.essence
            for trials in self.trials.values()
            for trial in trials
        }


def shortened(bench: Bench, trials: int | None, *, full: bool = False) -> tuple[Bench, int]:
    """The bench with trainings of few epochs, and how many trials each search is to run.

    Left open, it is the fixed design and a few asks of the sampler.
    """
    if full:
        return bench, bench.spec.trials
    wanted = trials or len(bench.space.design()) + MORE_THAN_DESIGN
    training = bench.spec.training
    short = training.model_copy(update={"epochs": min(EPOCHS, training.longest)})
    spec = bench.spec.model_copy(update={"training": short})
    return replace(bench, spec=spec), min(wanted, bench.spec.trials)


def proven(bench: Bench, trials: int, listener: Progress) -> tuple[Run, list[Check]]:
    """Run all checks below the held-out rows; returns the clean run, too.

    ``trials`` is how many trials each search runs.
    """
    kinds = list(kinds_for(bench.table))
    counter = _Counter(listener, (len(kinds) + 2) * trials + len(kinds))
    clean = searched(bench, trials, counter)
    checks = [outer_check(bench, trials, clean, *one, counter) for one in enumerate(kinds)]
    checks.append(alone_check(bench, trials, clean, counter))
    checks += inner_checks(bench, kinds, counter)
    counter.end()
    return clean, checks


class _Counter:
    """Counts steps of unequal parts for one listener."""

    def __init__(self, listener: Progress, steps: int) -> None:
        self.listener, self.done = listener, 0
        listener.begin("verifying", steps)

    def to(self, done: int, note: str) -> None:
        """So many steps are done."""
        self.done = done
        self.listener.advance(done, note)

    def end(self) -> None:
        """All is done."""
        self.listener.end()


# ---- outer blocks ------------------------------------------------------------------------------


def searched(bench: Bench, trials: int, counter: _Counter, note: str = "clean rows") -> Run:
    """Run all searches for so many trials, the last round whole, and write down what they do."""
    before = counter.done

    def round_done(number: int) -> bool:
        counter.to(before + min(number + 1, trials), note)
        return number + 1 < trials

    found = run_searches(bench, {}, record=lambda trial: None, round_done=round_done)
    counter.to(before + trials, note)
    folds = {fold.name: fold for fold in bench.plan.outer}
    return Run(
        found,
        {name: search_transcript(trials) for name, trials in found.items()},
        {
            name: refit_transcript(bench, trials, folds[name])
            for name, trials in found.items()
            if name in folds
        },
    )


def outer_check(
    bench: Bench, trials: int, clean: Run, turn: int, garbage: Garbage, counter: _Counter
) -> Check:
    """Garble one outer block; the kinds take turns, so that each block has its own."""
    block = bench.plan.outer[turn % len(bench.plan.outer)]
    spoilt = replace(bench, table=garbage.on(bench.table, block.test))
    dirty = searched(spoilt, trials, counter, f"{block.name}: {garbage.kind}")
    found = _Findings()
    for name in bench.searches:
        if any(_touches(fold, block.test) for fold in bench.plan.inner[name]):
            found.must_move(name, clean.searches[name], dirty.searches[name])
        else:
            found.must_stay(f"search {name}", clean.searches[name], dirty.searches[name])
    for fold in bench.plan.outer:
        if not np.isin(block.test, fold.train).any():
            refits = clean.refits[fold.name], dirty.refits[fold.name]
            found.must_stay(f"search {fold.name}, refit", *refits)
    return found.check("outer", garbage, block.name, len(block.test))


def alone_check(bench: Bench, trials: int, clean: Run, counter: _Counter) -> Check:
    """Run one search without the others: nothing that it does may need them."""
    name = bench.searches[0]
    alone = replace(bench, plan=bench.plan.only(name))
    run = searched(alone, trials, counter, f"{name} alone")
    found = _Findings()
    found.must_stay(f"search {name} alone", clean.searches[name], run.searches[name])
    return found.check("alone", None, name, 0)


def _touches(fold: Fold, rows: Rows) -> bool:
    return bool(np.isin(rows, fold.train).any() or np.isin(rows, fold.test).any())


def search_transcript(trials: Sequence[Trial]) -> Transcript:
    """Every field of every trial but the clock."""
    return {
        f"trial {trial.number + 1}, {field.replace('_', ' ')}": _of_data(value)
        for trial in trials
        for field, value in trial.essence.items()
    }


def refit_transcript(bench: Bench, trials: Sequence[Trial], fold: Fold) -> Transcript:
    """A search's selection, and what its refit learned and predicts for its training rows."""
    if not any(trial.is_valid for trial in trials):
        return {"selection": _of_data("nothing is valid")}
    selection = select(trials, bench.spec.select, bench.space.incumbent)
    job = refit_job(bench, selection.chosen, fold)
    job = replace(job, predict=fold.train, keep_model=True)
    (outcome,) = bench.engine.run([job], bench.table, cells=bench.plan.cells, workers=bench.workers)
    return {"selection": _of_data(selection.to_data())} | fit_transcript(outcome)


# ---- inner blocks ------------------------------------------------------------------------------


def inner_checks(bench: Bench, kinds: Sequence[Garbage], counter: _Counter) -> Iterator[Check]:
    """Garble one inner validation block after the other; each kind has another block.

    Two training sets are enough: the one that excludes the block, and the next, which does not.
    """
    for turn, garbage in enumerate(kinds):
        own = bench.plan.inner[bench.searches[turn % len(bench.searches)]]
        block, other = (own[(turn + step) % len(own)] for step in (0, 1))
        yield inner_check(bench, garbage, block, (block, other))
        counter.to(counter.done + 1, f"{block.name}: {garbage.kind}")


def inner_check(bench: Bench, garbage: Garbage, block: Fold, folds: Sequence[Fold]) -> Check:
    """Garble one inner block, and fit the fixed design on the training rows of some folds."""
    design = bench.space.design()
    work = [(one, fold) for one in design for fold in folds]
    jobs = [replace(job_for(bench, one, fold), predict=fold.train) for one, fold in work]
    spoilt = garbage.on(bench.table, block.test)
    clean, dirty = (_run(bench, jobs, table) for table in (bench.table, spoilt))
    found = _Findings()
    for (one, fold), mine, theirs in zip(work, clean, dirty, strict=True):
        name = f"{one.family} {one.label} on {fold.name}"
        if not np.isin(block.test, fold.train).any():
            found.must_stay(f"fit of {name}", fit_transcript(mine), fit_transcript(theirs))
        elif not isinstance(mine, Failure):  # what fails on clean rows cannot be made to move
            found.must_move(name, fit_transcript(mine), fit_transcript(theirs))
    return found.check("inner", garbage, block.name, len(block.test))


def _run(bench: Bench, jobs: Sequence[Job], table: Dataset) -> list[Outcome]:
    return bench.engine.run(jobs, table, cells=bench.plan.cells, workers=bench.workers)


def fit_transcript(outcome: Outcome) -> Transcript:
    """Everything that a fit gives back, part by part."""
    if isinstance(outcome, Failure):
        return {"failure": _of_data(outcome.reason)}
    count = len(outcome.predictions)
    shown = sorted({0, count // 2, count - 1})  # the losses tell of every strength
    found = {f"predictions at strength {k}": _of_array(outcome.predictions[k]) for k in shown}
    found |= {
        "losses": _of_array(outcome.losses),
        "training losses": _of_array(outcome.train_loss),
        "steps": _of_data(outcome.steps),
        "learning curves": _of_data(outcome.curve),
        "flags": _of_data(outcome.flags),
    }
    if outcome.selected is not None:
        found["columns"] = _of_array(outcome.selected)
    if outcome.model is not None:
        scaler = outcome.model.preprocessor
        arrays = {**outcome.model.arrays, "scaling mean": scaler.mean, "scaling": scaler.scale}
        found |= {name: _of_array(array) for name, array in arrays.items()}
    return found


# ---- held-out rows -----------------------------------------------------------------------------


def held_out_check(table: Dataset, held: Rows, rest: Rows, bench: Bench) -> Iterator[Check]:
    """Garble the held-out rows where they come from: the development rows must not notice.

    Which rows those are is frozen. New categories are left out: the levels of a column are part
    of the schema, and those of held-out rows belong to it.
    """
    mine = table_transcript(bench.table)
    for garbage in kinds_for(table):
        if garbage.kind != "categories":
            spoilt = garbage.on(table, held)
            found = _Findings()
            theirs = table_transcript(spoilt.rows(rest))
            found.must_stay("the development rows", mine, theirs)
            found.must_move("the source", table_transcript(table), table_transcript(spoilt))
            yield found.check("held-out", garbage, "held-out rows", len(held))


def table_transcript(table: Dataset) -> Transcript:
    """All that a table holds."""
    schema = [[repr(column) for column in table.columns], list(map(str, table.classes))]
    arrays = {
        "cells": table.X,
        "targets": table.y,
        "weights": table.weights,
        "groups": table.group,
        "times": table.time,
    }
    there = {name: array for name, array in arrays.items() if array is not None}
    return {"schema": _of_data(schema)} | {name: _of_array(one) for name, one in there.items()}


# ---- bytes -------------------------------------------------------------------------------------


class _Findings:
    """Collects what stayed, what moved and should not have, and what should have moved."""

    def __init__(self) -> None:
        self.compared = self.bytes = self.seen = 0
        self.leaks: list[str] = []
        self.blind: list[str] = []

    def must_stay(self, name: str, clean: Transcript, dirty: Transcript) -> None:
        """What sees no garbled row; the first thing that moved is named, the others counted."""
        self.compared += len(clean)
        self.bytes += sum(size for _, size in clean.values())
        moved = [one for one in {**clean, **dirty} if clean.get(one) != dirty.get(one)]
        if moved:
            self.leaks.append(f"{name}: {moved[0]} ({len(moved)} of {len(clean)} values)")

    def must_move(self, name: str, clean: Transcript, dirty: Transcript) -> None:
        """What does see garbled rows."""
        self.seen += 1
        if clean == dirty:
            self.blind.append(name)

    def check(self, level: Level, garbage: Garbage | None, block: str, rows: int) -> Check:
        """The check that all of this amounts to."""
        kind = garbage.kind if garbage else ""
        about = f" when {block} got {garbage.about}" if garbage else ""
        return Check(
            level,
            kind,
            block,
            rows,
            self.compared,
            self.bytes,
            tuple(f"{leak}{about}" for leak in self.leaks),
            self.seen,
            tuple(self.blind),
        )


def _of_array(array: NDArray[Any]) -> Seen:
    content = np.ascontiguousarray(array).tobytes()
    return hashlib.blake2b(content, digest_size=16).digest(), len(content)


def _of_data(value: Any) -> Seen:
    """Plain data as JSON, in which every float is written out to its last bit."""
    content = json.dumps(value).encode()
    return hashlib.blake2b(content, digest_size=16).digest(), len(content)
