"""Who is trained next: stacks of all kinds in turns, an epoch each, who came first goes first.

Jobs may come at any time: a model that is done leaves its place at the end of its epoch, and what
its outcome makes possible lines up for the next free place in a stack of its kind.

Why the oldest model decides whose turn it is: searches wait for their oldest trials before they
ask for more, and the more models are under way, the fuller are stacks; meanwhile others gather
behind stacks that are set aside. And why not always: a stack of which little is left costs about
as much a step as a full one, so it waits for company while others are much fuller.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from autoreg.data.dataset import Dataset
from autoreg.engines.base import Failure, Job, Outcome, no_stop_set, training_identity
from autoreg.engines.network import one_thread
from autoreg.engines.pack.device import device_for
from autoreg.engines.pack.members import Grounds, Member, Progress, Shelf
from autoreg.engines.pack.memory import keep_freed_memory
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

    def take(self) -> Bay:
        """The next stack, with others that have room in it, and joined by those who wait."""
        self.aside.sort(key=lambda one: one.oldest)
        bay = self.aside.pop(0) if self.aside else Bay(self)
        while self.aside and len(bay.members) + len(self.aside[0].members) <= self.room:
            bay.joined_by(self.aside.pop(0))
        free = min(self.room - len(bay.members), len(self.waiting))
        bay.newcomers = [self.waiting.popleft() for _ in range(free)]
        bay.members += bay.newcomers
        return bay


class Scheduler:
    """Trains the models of jobs, an epoch of one stack at each turn.

    ``room`` says how many models like one make a stack at most.
    """

    def __init__(self, table: Dataset, room: Callable[[Member], int]) -> None:
        keep_freed_memory()
        self._table, self._room = table, room
        self._grounds = Grounds(table)
        self._shelves: dict[tuple[int, str], Shelf] = {}
        self._lines: dict[object, Line] = {}
        self._open: dict[tuple[object, ...], Member] = {}
        self._failed: list[tuple[Job, Outcome]] = []
        self._numbers = itertools.count()
        self._last: Bay | None = None

    @property
    def is_idle(self) -> bool:
        """Whether a turn would bring nothing."""
        return not (self._failed or self._offers())

    def line_up(self, jobs: Iterable[Job]) -> None:
        """Let the models of jobs wait; a job for which none can be trained has failed already."""
        newcomers = []
        for job in jobs:
            if (known := self._open.get(training_identity(job))) is not None:
                known.jobs.append(job)
                continue
            try:
                member = Member.of(next(self._numbers), job, self._grounds.of(job))
            except DataError as error:
                self._failed.append((job, no_stop_set(error)))
                continue
            self._open[training_identity(job)] = member
            newcomers.append(member)
        self._shelve(newcomers)
        for member in sorted(newcomers, key=_patience):
            self._line(member).waiting.append(member)

    @property
    def waiting(self) -> list[Job]:
        """The jobs of models that have not begun, in the order in which they came."""
        members = [one for line in self._lines.values() for one in line.waiting]
        return [job for one in sorted(members, key=lambda one: one.number) for job in one.jobs]

    def withdraw(self, jobs: Sequence[Job]) -> None:
        """Forget jobs of models that have not begun: of each model all or none."""
        gone = {training_identity(job) for job in jobs}
        for line in self._lines.values():
            kept = [one for one in line.waiting if training_identity(one.job) not in gone]
            line.waiting = deque(kept)
        for identity in gone:
            del self._open[identity]

    def turn(self) -> list[tuple[Job, Outcome]]:
        """Train the stack whose turn it is for an epoch; the outcomes of those who are over."""
        found, self._failed = self._failed, []
        offers = self._offers()
        if not offers:
            return found
        most = max(line.offer for line in offers)
        offering = (line for line in offers if line.offer >= LEAST * most)
        bay = min(offering, key=lambda one: one.oldest).take()
        bay.places = max(bay.places if bay is self._last else 0, len(bay.members))
        self._last = bay
        return found + self._train(bay)

    # ---- inside -------------------------------------------------------------------------------

    def _offers(self) -> list[Line]:
        return [line for line in self._lines.values() if line.offer]

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

    def _train(self, bay: Bay) -> list[tuple[Job, Outcome]]:
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
        bay.left_with(stacks)
        if bay.members:
            bay.line.aside.append(bay)
        return found

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
        del self._open[training_identity(member.job)]
        return member.jobs

    def _broken(self, bay: Bay, failure: Failure) -> list[tuple[Job, Outcome]]:
        """Let a stack begin anew in halves, until a model that breaks alone has failed."""
        line, members = bay.line, bay.members
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
