"""From a queue of models to outcomes: stacks that models leave when they stop, and others join."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event, Lock

from torch import Tensor

from autoreg.engines.base import Failure, Fit, Job, Outcome
from autoreg.engines.fitting import at_rungs, is_known
from autoreg.engines.pack.crowd import Crowd
from autoreg.engines.pack.members import Member, Progress, Shelf
from autoreg.engines.pack.occupancy import count
from autoreg.engines.pack.stack import Stack

Done = Callable[[Member, Outcome], None]


class Queue:
    """Models of one kind that wait for a place in a stack; several threads may take from it."""

    def __init__(self, members: Sequence[Member], abandoned: Event | None = None) -> None:
        self._waiting = list(members)[::-1]
        self._lock = Lock()
        self.abandoned = abandoned or Event()  # set where nobody waits for outcomes any more

    def take(self, places: int) -> list[Member]:
        """At most so many of the models, the first ones first."""
        with self._lock:
            return [self._waiting.pop() for _ in range(min(places, len(self._waiting)))]


def train(queue: Queue, places: int, shelf: Shelf, done: Done) -> None:
    """Train models from a queue, in a stack of so many places, until none is left.

    An abandoned queue is left at the end of an epoch. A stack that breaks, for want of memory or by
    the fault of a model, is halved and both halves begin anew, until a model that breaks alone has
    failed.
    """
    while not queue.abandoned.is_set() and (newcomers := queue.take(places)):
        stacked = dict.fromkeys(newcomers)
        try:
            _train(stacked, queue, shelf, done)
        except (ValueError, ArithmeticError, RuntimeError) as error:  # no memory is the last
            places = max(1, len(stacked) // 2)
            if len(stacked) == 1:
                done(next(iter(stacked)), Failure(f"{type(error).__name__}: {error}"))
            else:
                train(Queue(list(stacked), queue.abandoned), places, shelf, done)


def _train(stacked: dict[Member, None], queue: Queue, shelf: Shelf, done: Done) -> None:
    """Train the models that are ``stacked``, and those that take their places as they leave."""
    stack = Stack(Crowd.of(list(stacked), shelf.device), shelf)
    places = len(stacked)
    while stacked and not queue.abandoned.is_set():
        start = time.perf_counter()
        count(len(stack.crowd), places, _epoch(stack))
        share = (time.perf_counter() - start) / len(stack.crowd)
        for each in stack.crowd.progress:
            each.seconds += share
        left = [m for m, each in enumerate(stack.crowd.progress) if each.is_over]
        for m in left:
            member = stack.crowd.members[m]
            done(member, _told(member, finished(stack, m)))
            del stacked[member]
        newcomers = queue.take(len(left))
        stacked.update(dict.fromkeys(newcomers))
        if left and stacked:
            stack = Stack(_refilled(stack.crowd, newcomers, shelf.device), shelf)


def _refilled(crowd: Crowd, newcomers: Sequence[Member], device: str) -> Crowd:
    """Those that go on, and the newcomers behind them."""
    on = [m for m, each in enumerate(crowd.progress) if not each.is_over]
    if not newcomers:
        return crowd.only(on)
    fresh = Crowd.of(newcomers, device)
    return crowd.only(on).joined_by(fresh) if on else fresh


def _epoch(stack: Stack) -> int:
    """Train up to the next end of an epoch of some model, and look at the models it is one for.

    Returns the number of steps.
    """
    members, progress = stack.crowd.members, stack.crowd.progress
    ends = [_next_end(one, each) for one, each in zip(members, progress, strict=True)]
    steps = min(end - each.steps for end, each in zip(ends, progress, strict=True))
    stack.advance(steps)
    for each in progress:
        each.steps += steps
    due = [m for m, each in enumerate(progress) if each.steps == ends[m]]
    norms = stack.norms(due)
    for m, seen, watched, norm in zip(due, *stack.look(due), norms, strict=True):
        if _note(members[m], progress[m], float(seen), float(watched), norm):
            stack.remember(m)
        _report(members[m].job, progress[m])
    stops = stack.over([each.since for each in progress])
    for m in due:
        progress[m].is_over |= progress[m].steps >= members[m].limit
        progress[m].is_over |= stops[m] and len(members[m].ground.watched) > 0
    for member, each in zip(members, progress, strict=True):
        each.is_given_up = member.job.race is not None and member.job.race.is_lost
        each.is_over |= each.is_given_up
    return steps


def _next_end(member: Member, each: Progress) -> int:
    epochs = each.steps // member.pace.steps + 1
    return min(epochs * member.pace.steps, member.limit)


def _note(member: Member, each: Progress, seen: float, watched: float, norm: float) -> bool:
    """Take note of the end of an epoch; whether it is the best so far."""
    watches = len(member.ground.watched) > 0
    if not is_known([seen, watched] if watches else [seen]):
        each.is_over = True
        return False
    each.curve["train"].append(seen)
    each.curve["norm"].append(norm)
    if not watches:
        return False
    each.curve["stop"].append(watched)
    each.since += 1
    is_best = watched < each.best_loss
    if is_best:
        each.best_loss, each.best_steps, each.since = watched, each.steps, 0
    return is_best


def _report(job: Job, each: Progress) -> None:
    """Tell a model's race of the end of an epoch."""
    epochs = len(each.curve["stop"])
    if job.race is not None and epochs in job.rungs:
        job.race.report(job.rungs.index(epochs), each.best_loss)


def _told(member: Member, outcome: Outcome) -> Outcome:
    """Tell a model's race of the rungs that it came to its end before."""
    if member.job.race is not None and isinstance(outcome, Fit):
        for rung, loss in enumerate(outcome.rungs):
            member.job.race.report(rung, loss)
    return outcome


def finished(stack: Stack, m: int) -> Outcome:
    """What a model that has stopped amounts to."""
    start = time.perf_counter()
    member, each = stack.crowd.members[m], stack.crowd.progress[m]
    if each.is_given_up:
        rungs = at_rungs(member.job.rungs, each.curve["stop"])
        return Failure("given up: behind earlier trials", each.seconds, rungs, given_up=True)
    name, steps = ("best", each.best_steps) if each.best_steps else (stack.crowd.kept, each.steps)
    row: Tensor = stack.crowd.rows[name][m : m + 1].cpu()
    network = member.layout.single(row, member.width, member.front)
    outcome = member.ground.outcome(member.job, network, steps, each.curve)
    return replace(outcome, seconds=each.seconds + time.perf_counter() - start)
