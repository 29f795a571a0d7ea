"""This process and its helpers: who trains which models, and what follows from their outcomes.

Helpers are processes of their own. They are hired when work proves to be long, and get what comes
from then on; those that are hired are kept, and are at hand for the next call. A fit does not
depend on the company in which it is made, so who trains what changes nothing but the time.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from multiprocessing.connection import wait

import joblib

from autoreg.data.dataset import Dataset
from autoreg.engines.base import After, Job, Outcome, training_identity
from autoreg.engines.fitting import network_dials
from autoreg.engines.pack.device import device_for
from autoreg.engines.pack.helper import Helper, idle, release
from autoreg.engines.pack.members import Member
from autoreg.engines.pack.scheduler import Scheduler

LONG = 5.0  # seconds of work from which on helpers are hired: to start one takes two or three
LEAST = 4  # jobs under way for each process: who has fewer has poor stacks
SHORT = 0.5  # of a fair share: a helper that has less takes over what has not begun here
OVERHEAD = 2_000  # multiplications for each row that take as long as what surrounds them


class Team:
    """Trains the models of jobs, and of the jobs that follow from their outcomes.

    So many processes as there are ``workers``, this one among them; it also calls ``after`` and
    ``on_done``. ``room`` says how many models like one make a stack at most.
    """

    def __init__(
        self,
        table: Dataset,
        after: After,
        *,
        room: Callable[[Member], int],
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        self._table, self._after, self._on_done = table, after, on_done
        self._own = Scheduler(table, room)
        self._most, self._began = workers - 1, time.monotonic()
        self._leaving = ExitStack()
        self._helpers: list[Helper] = []
        self._loads: Counter[Scheduler | Helper] = Counter()
        self._homes: dict[object, Scheduler | Helper] = {}
        self._under_way: Counter[object] = Counter()
        self._done = 0

    def run(self, jobs: Iterable[Job]) -> None:
        """Train until no job is left. What ``after`` raises, or an interrupt, ends it."""
        known = list(jobs)
        with ExitStack() as leaving:
            self._leaving = leaving
            self._hire(len(known))
            self._hand_out(known)
            while self._under_way:
                for job, outcome in self._outcomes():
                    self._hand_out(self._taken(job, outcome))

    # ---- inside -------------------------------------------------------------------------------

    def _taken(self, job: Job, outcome: Outcome) -> Iterable[Job]:
        """What follows from an outcome."""
        key = _together(job)
        self._under_way[key] -= 1
        self._loads[self._homes[key]] -= self._effort(job)
        if not self._under_way[key]:
            del self._under_way[key], self._homes[key]
        self._done += 1
        if self._on_done:
            self._on_done(self._done)
        return self._after(job, outcome)

    def _outcomes(self) -> Iterator[tuple[Job, Outcome]]:
        """What a turn here brings, and what helpers have told meanwhile."""
        yield from self._own.turn()
        if self._own.is_idle and any(one.under_way for one in self._helpers):
            wait([one.news for one in self._helpers])
        for one in self._helpers:
            yield from one.hear()
        for one in [one for one in self._helpers if one.is_gone]:
            self._lose(one)
        self._hire(self._under_way.total())
        self._share()

    def _hand_out(self, jobs: Iterable[Job]) -> None:
        """Give jobs to those who have least to do; what shares models or races stays together."""
        shares: dict[Scheduler | Helper, list[Job]] = {}
        for job in jobs:
            key = _together(job)
            home = self._homes.setdefault(key, self._least_busy(job))
            self._under_way[key] += 1
            self._loads[home] += self._effort(job)
            shares.setdefault(home, []).append(job)
        for home, own in shares.items():
            home.line_up(own)

    def _least_busy(self, job: Job) -> Scheduler | Helper:
        able: list[Scheduler | Helper] = [self._own]
        if device_for(job.settings.device) == "cpu":
            able += [one for one in self._helpers if one.is_ready]
        return min(able, key=lambda one: self._loads[one])

    def _effort(self, job: Job) -> int:
        """About how much work a job is."""
        shape = network_dials(job)
        width, depth = int(shape["width"]), int(shape["depth"])
        inputs = len(self._table.columns) * width + (depth - 1) * width**2
        return job.longest * len(job.training.rows) * (OVERHEAD + inputs)

    # ---- helpers ------------------------------------------------------------------------------

    def _hire(self, jobs: int) -> None:
        """Take on as many helpers as so many jobs are worth."""
        worth = math.ceil(jobs / LEAST) - 1
        for _ in range(min(self._most, worth) - len(self._helpers)):
            is_long = time.monotonic() - self._began > LONG
            one = idle() or (Helper() if is_long else None)
            if one is None:
                return
            self._leaving.callback(release, one)
            try:
                one.open(self._file)
            except OSError:  # no room for a copy of the table: the work is done here, then
                self._most = 0
                return
            self._helpers.append(one)

    @cached_property
    def _file(self) -> str:
        """Where the table lies for helpers, until the work is over."""
        place = self._leaving.enter_context(tempfile.TemporaryDirectory())
        joblib.dump(self._table, f"{place}/table")
        return f"{place}/table"

    def _share(self) -> None:
        """Let helpers that have little to do take over what has not begun here, last come first."""
        for one in self._helpers:
            fair = (self._loads[self._own] + self._loads[one]) / 2
            is_short = one.is_ready and self._loads[one] < SHORT * fair
            if is_short and (jobs := self._not_begun(fair - self._loads[one])):
                self._own.withdraw(jobs)
                self._move(jobs, one)

    def _not_begun(self, most: float) -> list[Job]:
        """Jobs here of at most so much effort that can go elsewhere."""
        groups: dict[object, list[Job]] = {}
        for job in reversed(self._own.waiting):
            if device_for(job.settings.device) == "cpu":
                groups.setdefault(_together(job), []).append(job)
        found: list[Job] = []
        for key, jobs in groups.items():
            effort = sum(map(self._effort, jobs))
            if len(jobs) == self._under_way[key] and effort <= most:
                found += jobs
                most -= effort
        return found

    def _move(self, jobs: Sequence[Job], home: Scheduler | Helper) -> None:
        """Let somebody else have jobs that are under way."""
        for job in jobs:
            self._loads[self._homes[_together(job)]] -= self._effort(job)
            self._loads[home] += self._effort(job)
        self._homes |= {_together(job): home for job in jobs}
        home.line_up(jobs)

    def _lose(self, helper: Helper) -> None:
        """Train here what a helper that died had under way; another one is not hired."""
        self._helpers.remove(helper)
        self._most -= 1
        self._move(helper.under_way, self._own)


def _together(job: Job) -> object:
    """Equal for jobs that one process must have: they may train the same model, or race."""
    return training_identity(job) if job.steps is not None else job.candidate.key
