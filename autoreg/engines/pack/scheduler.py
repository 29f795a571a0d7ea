"""Who is trained next: stacks of all kinds in turns, an epoch each, who came first goes first.

Jobs may come at any time: a model that is done leaves its place at the end of its epoch, and what
its outcome makes possible lines up at once, for the next free place in a stack of its kind.

Why the oldest model decides whose turn it is: searches wait for their oldest trials before they
ask for more, and the more models are under way, the fuller are stacks; meanwhile others gather
behind stacks that are set aside. And why not always: a stack of which little is left costs about
as much a step as a full one, so it waits for company while others are much fuller.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Condition

import numpy as np

from autoreg.data.dataset import Dataset
from autoreg.engines.base import After, Failure, Job, Outcome, no_stop_set, training_identity
from autoreg.engines.network import one_thread
from autoreg.engines.pack.device import device_for
from autoreg.engines.pack.members import Grounds, Member, Progress, Shelf
from autoreg.engines.pack.occupancy import count
from autoreg.engines.pack.stack import Stack
from autoreg.engines.pack.training import advance, outcomes, refilled, staying
from autoreg.errors import DataError

LEAST = 0.2  # of what the fullest stack has: who has less waits
BREAKING = (ValueError, ArithmeticError, RuntimeError)  # no memory is the last


@dataclass(eq=False)
class Bay:
    """A stack between two epochs: what it is made of, those who join it, and all its models.

    ``places`` is how many models it had at most since it was last taken up.
    """

    line: Line
    stacks: list[Stack] = field(default_factory=list)
    newcomers: list[Member] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    places: int = 0

    @property
    def oldest(self) -> int:
        """The number of the model that came first."""
        return min(one.number for one in self.members)

    def joined_by(self, other: Bay) -> None:
        """Take in another stack."""
        self.stacks += other.stacks
        self.members += other.members

    def left_with(self, stacks: list[Stack]) -> None:
        """Become what is left of some stacks after an epoch."""
        self.stacks, self.newcomers = stacks, []
        self.members = [m for one in stacks for m in staying(one)]


@dataclass(eq=False)
class Line:
    """The models of one kind: those that wait, and stacks that are set aside.

    A stack has room for so many models; for fewer than ``most`` after one broke.
    """

    most: int
    room: int
    waiting: deque[Member] = field(default_factory=deque)
    aside: list[Bay] = field(default_factory=list)

    @property
    def offer(self) -> int:
        """How many models the next stack can have; 0 where there is none."""
        ready = [len(one.members) for one in self.aside]
        return max(min(self.room, sum(ready) + len(self.waiting)), *ready, 0)

    @property
    def oldest(self) -> int:
        """The number of the model that came first."""
        return min([one.oldest for one in self.aside] + [one.number for one in self.waiting])

    def take(self, sharers: int) -> Bay:
        """The next stack, with others that have room in it, and joined by those who wait.

        So many threads share those who wait.
        """
        self.aside.sort(key=lambda one: one.oldest)
        bay = self.aside.pop(0) if self.aside else Bay(self)
        while self.aside and len(bay.members) + len(self.aside[0].members) <= self.room:
            bay.joined_by(self.aside.pop(0))
        free = min(self.room - len(bay.members), -(-len(self.waiting) // sharers))
        bay.newcomers = [self.waiting.popleft() for _ in range(free)]
        bay.members += bay.newcomers
        return bay


class Scheduler:
    """Trains the models of jobs, and of the jobs that follow from their outcomes.

    The thread that runs it calls ``after`` and ``on_done``; where several ``workers`` are asked
    for, so many others train. ``room`` says how many models like one make a stack at most.
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
        self._room, self._workers = room, workers
        self._grounds = Grounds(table)
        self._shelves: dict[tuple[int, str], Shelf] = {}
        self._lines: dict[object, Line] = {}
        self._open: dict[tuple[object, ...], Member] = {}
        self._arrived: deque[tuple[Job, Outcome]] = deque()
        self._changed = Condition()
        self._numbers = itertools.count()
        self._busy, self._done, self._is_over = 0, 0, False

    def run(self, jobs: Iterable[Job]) -> None:
        """Train until no job is left. What ``after`` raises, or an interrupt, ends it."""
        self._line_up(jobs)
        if self._workers > 1:
            self._by_others()
            return
        bay = None
        while self._hear() and (bay := self._next(bay)) is not None:
            self._train(bay)

    def _by_others(self) -> None:
        with ThreadPoolExecutor(self._workers) as pool:
            threads = [pool.submit(self._work) for _ in range(self._workers)]
            try:
                while self._hear():
                    self._wait()
            finally:  # threads cannot be interrupted, so they are asked to leave
                self._leave()
        for thread in threads:
            thread.result()

    # ---- the thread that runs it ------------------------------------------------------------

    def _hear(self) -> bool:
        """Tell of all outcomes that have arrived, and line up what follows; whether to go on."""
        while self._arrived:
            job, outcome = self._arrived.popleft()
            self._done += 1
            if self._on_done:
                self._on_done(self._done)
            self._line_up(self._after(job, outcome))
        with self._changed:
            is_idle = not (self._busy or self._arrived or self._offers())
            self._is_over |= is_idle
            return not self._is_over

    def _wait(self) -> None:
        with self._changed:
            while not (self._arrived or self._is_over) and (self._busy or self._offers()):
                self._changed.wait()

    def _line_up(self, jobs: Iterable[Job]) -> None:
        """Let the models of jobs wait; a job for which none can be trained has failed already."""
        newcomers = []
        for job in jobs:
            with self._changed:  # so that no model is done while a job joins it
                if (known := self._open.get(training_identity(job))) is not None:
                    known.jobs.append(job)
                    continue
            try:
                member = Member.of(next(self._numbers), job, self._grounds.of(job))
            except DataError as error:
                self._arrived.append((job, no_stop_set(error)))
                continue
            self._open[training_identity(job)] = member
            newcomers.append(member)
        self._shelve(newcomers)
        with self._changed:
            for member in sorted(newcomers, key=_patience):
                self._line(member).waiting.append(member)
            self._changed.notify_all()

    def _line(self, member: Member) -> Line:
        if member.kind not in self._lines:
            room = self._room(member)
            self._lines[member.kind] = Line(room, room)
        return self._lines[member.kind]

    def _shelve(self, newcomers: Sequence[Member]) -> None:
        """Put the rows of grounds that come for the first time on the shelf of their kind."""
        fresh: dict[tuple[int, str], dict[object, Shelf]] = {}
        for one in newcomers:
            known = self._shelves.get(one.shelf)
            if known is None or one.ground not in known.base:
                found = fresh.setdefault(one.shelf, {})
                device = device_for(one.job.settings.device)
                if one.ground not in found:
                    found[one.ground] = Shelf.of(one.ground, self._table, device)
        for key, shelves in fresh.items():
            before = [self._shelves[key]] if key in self._shelves else []
            self._shelves[key] = Shelf.joined([*before, *shelves.values()])

    # ---- the threads that train ---------------------------------------------------------------

    def _work(self) -> None:
        bay = None
        try:
            while (bay := self._next(bay)) is not None:
                self._train(bay)
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _offers(self) -> list[Line]:
        return [line for line in self._lines.values() if line.offer]

    def _next(self, last: Bay | None) -> Bay | None:
        """The stack whose turn it is; None when all is over."""
        with self._changed:
            while not self._is_over and not self._offers():
                self._changed.wait()
            if self._is_over:
                return None
            offers = self._offers()
            idle = self._workers - self._busy
            self._busy += 1
            most = max(line.offer for line in offers)
            turn = min(
                (line for line in offers if line.offer >= LEAST * most), key=lambda one: one.oldest
            )
            bay = turn.take(max(1, idle - len(offers) + 1))
        bay.places = max(bay.places if bay is last else 0, len(bay.members))
        return bay

    def _train(self, bay: Bay) -> None:
        """Train a stack for an epoch; those who are over leave."""
        stacks: list[Stack] = []
        try:
            with one_thread(), np.errstate(all="ignore"):
                shelf = self._shelves[bay.members[0].shelf]
                stack = refilled(bay.stacks, bay.newcomers, shelf)
                count(len(bay.members), bay.places, advance(stack))
                found, stacks = self._outcomes(stack), [stack]
        except BREAKING as error:
            found = self._broken(bay, _failure(error))
        with self._changed:
            self._busy -= 1
            self._arrived += found
            bay.left_with(stacks)
            if bay.members:
                bay.line.aside.append(bay)
            self._changed.notify_all()

    def _outcomes(self, stack: Stack) -> list[tuple[Job, Outcome]]:
        """What the models that leave amount to, for each of their jobs."""
        found: list[tuple[Job, Outcome]] = []
        for m, member in enumerate(stack.crowd.members):
            if not (jobs := self._closed(member, stack.crowd.progress[m])):
                continue
            try:
                found += zip(jobs, outcomes(stack, m, jobs), strict=True)
            except BREAKING as error:
                found += [(job, _failure(error)) for job in jobs]
        return found

    def _closed(self, member: Member, each: Progress) -> list[Job]:
        """The jobs of a model that leaves, which no other can join from now on; none otherwise."""
        if not each.has_left:
            return []
        with self._changed:
            each.is_given_up = member.is_given_up  # unless somebody has joined meanwhile
            if each.has_left:
                del self._open[training_identity(member.job)]
            return member.jobs if each.has_left else []

    def _broken(self, bay: Bay, failure: Failure) -> list[tuple[Job, Outcome]]:
        """Let a stack begin anew in halves, until a model that breaks alone has failed."""
        line, members = bay.line, bay.members
        with self._changed:
            if len(members) > 1:
                line.room = len(members) // 2
                line.waiting.extendleft(reversed(members))
                return []
            line.room = line.most  # it was the model's fault, and not for want of memory
            del self._open[training_identity(members[0].job)]
            return [(job, failure) for job in members[0].jobs]


def _failure(error: Exception) -> Failure:
    return Failure(f"{type(error).__name__}: {error}")


def _patience(member: Member) -> bool:
    """Models that cannot stop early come first, for they are the last to end."""
    return len(member.ground.watched) > 0
