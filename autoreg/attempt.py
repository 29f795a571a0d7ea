"""A setting on its way to a trial: which of its folds are to be fitted next, and what came of them.

Fits end in any order, and those of many attempts are under way at the same time; what a trial
amounts to depends on none of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from autoreg.data.dataset import Floats
from autoreg.engines.base import Failure, Fit, Job, Outcome
from autoreg.pruning import Bar, Heat, heats
from autoreg.scoring import Ask, Bench, blank_trial, fold_weights, job_for, score
from autoreg.trial import Pruned, Trial


class Attempt:
    """The fits of a setting, heat after heat: all folds at once, unless it is pruned by folds."""

    def __init__(self, bench: Bench, ask: Ask) -> None:
        self._bench, self._ask = bench, ask
        self._folds = bench.plan.inner[ask.search]
        self._weights = fold_weights(bench, self._folds)
        is_raced = ask.bar is not None and math.isfinite(ask.bar.worst)
        self._heats = heats(len(self._folds)) if is_raced else [range(len(self._folds))]
        self._under_way: dict[Job, Outcome | None] = {}
        self._outcomes: list[Outcome] = []
        self._pruned: Pruned | None = None

    @property
    def is_open(self) -> bool:
        """Whether there are folds to fit still, or fits under way."""
        is_over = any(isinstance(one, Failure) for one in self._outcomes)
        return not (is_over or self._pruned) and len(self._outcomes) < len(self._folds)

    def _heat_of(self, fold: int) -> range:
        return next(one for one in self._heats if fold in one)

    def next_jobs(self) -> list[Job]:
        """The fits of the next heat."""
        jobs = self._jobs_of(self._heat_of(len(self._outcomes)))
        self._under_way = dict.fromkeys(jobs)
        return jobs

    def _jobs_of(self, heat: range) -> list[Job]:
        bench, bar = self._bench, self._ask.bar
        jobs = [job_for(bench, self._ask.candidate, self._folds[f]) for f in heat]
        if not bench.rungs or self._ask.candidate.family != "network":
            return jobs
        jobs = [replace(job, rungs=bench.rungs) for job in jobs]
        if bar is None:
            return jobs
        race = Heat(bar, heat, self._weights[heat.start : heat.stop])
        return [replace(job, race=race.lane(k)) for k, job in enumerate(jobs)]

    def take(self, job: Job, outcome: Outcome) -> bool:
        """Take the outcome of a fit; whether it was the last one of its heat."""
        self._under_way[job] = outcome
        found = [one for one in self._under_way.values() if one is not None]
        if len(found) < len(self._under_way):
            return False
        heat = self._heat_of(len(self._outcomes))
        self._outcomes += found
        if self._ask.bar is not None:
            self._pruned = self._fallen_behind(self._ask.bar, heat)
        return True

    def _fallen_behind(self, bar: Bar, heat: range) -> Pruned | None:
        own = slice(heat.start, heat.stop)
        if pruned := bar.lost_epochs(self._rungs[:, own], heat, self._weights[own]):
            return pruned
        fits = [one for one in self._outcomes if isinstance(one, Fit)]
        if len(fits) < len(self._outcomes) or len(fits) == len(self._folds):
            return None
        losses = np.array([one.losses[0] for one in fits])
        return bar.lost_folds(losses, self._weights[: len(losses)])

    @property
    def _rungs(self) -> Floats:
        """The losses (R, F) at the rungs, NaN where a fold did not come so far."""
        table = np.full((len(self._bench.rungs), len(self._folds)), np.nan)
        for f, outcome in enumerate(self._outcomes):
            table[: len(outcome.rungs), f] = outcome.rungs
        return table

    def trial(self) -> Trial:
        """The trial that it amounts to."""
        rungs, pruned = self._rungs, self._pruned
        if pruned is None:
            trial = score(self._bench, self._ask, self._outcomes)
            return trial if trial.failure else replace(trial, rungs=rungs)
        if pruned.by == "epochs":  # how much further fits came is up to the engine
            heat = self._heat_of(len(self._outcomes) - 1)
            rungs[self._bench.rungs.index(pruned.at) + 1 :, heat.start :] = np.nan
        blank = blank_trial(self._bench, self._ask, self._outcomes)
        return replace(blank, rungs=rungs, pruned=pruned)


class Attempts:
    """Attempts under way: who asked for which fit."""

    def __init__(self) -> None:
        self._asked: dict[Job, Attempt] = {}

    def begin(self, attempts: Iterable[Attempt]) -> list[Job]:
        """The next fits of some attempts."""
        jobs = []
        for one in attempts:
            own = one.next_jobs()
            self._asked |= dict.fromkeys(own, one)
            jobs += own
        return jobs

    def take(self, job: Job, outcome: Outcome) -> tuple[list[Job], Trial | None]:
        """The fits that follow from an outcome, and the trial that is complete with it."""
        attempt = self._asked.pop(job)
        if not attempt.take(job, outcome):
            return [], None
        return (self.begin([attempt]), None) if attempt.is_open else ([], attempt.trial())
