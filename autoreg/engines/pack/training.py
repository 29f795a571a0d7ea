"""A stack from epoch to epoch: models leave it when they stop, and others join."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from autoreg.engines.base import Failure, Fit, Job, Outcome
from autoreg.engines.fitting import at_rungs, is_known
from autoreg.engines.pack.crowd import Crowd
from autoreg.engines.pack.members import Member, Progress, Shelf
from autoreg.engines.pack.stack import Stack


def refilled(stacks: Sequence[Stack], newcomers: Sequence[Member], shelf: Shelf) -> Stack:
    """Those of some stacks that go on, and the newcomers behind them, as one stack.

    A stack that all stay in, and nobody joins, is left as it is.
    """
    if len(stacks) == 1 and not newcomers and len(staying(stacks[0])) == len(stacks[0].crowd):
        return stacks[0]
    crowds = [one.crowd.only(on) for one in stacks if (on := _on(one))]
    if newcomers:
        crowds.append(Crowd.of(newcomers, shelf.device))
    return Stack(crowds[0].joined_by(*crowds[1:]), shelf)


def staying(stack: Stack) -> list[Member]:
    """The models that are not over."""
    return [stack.crowd.members[m] for m in _on(stack)]


def _on(stack: Stack) -> list[int]:
    return [m for m, each in enumerate(stack.crowd.progress) if not each.has_left]


def advance(stack: Stack) -> int:
    """Train up to the next end of an epoch; the number of steps."""
    start = time.perf_counter()
    steps = _epoch(stack)
    share = (time.perf_counter() - start) / len(stack.crowd)
    for each in stack.crowd.progress:
        each.seconds += share
    return steps


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
        _report(members[m], progress[m])
    stops = stack.over([each.since for each in progress])
    for m in due:
        progress[m].is_over |= progress[m].steps >= members[m].limit
        progress[m].is_over |= stops[m] and len(members[m].ground.watched) > 0
    for member, each in zip(members, progress, strict=True):
        each.is_given_up = member.is_given_up
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


def _report(member: Member, each: Progress) -> None:
    """Tell a model's races of the end of an epoch."""
    epochs, rungs = len(each.curve["stop"]), member.job.rungs
    if epochs in rungs:
        for race in member.races:
            race.report(rungs.index(epochs), each.best_loss)


def outcomes(stack: Stack, m: int, jobs: Sequence[Job]) -> list[Outcome]:
    """What a model that has stopped amounts to, for each of some of its jobs."""
    member, each = stack.crowd.members[m], stack.crowd.progress[m]
    if each.is_given_up:
        rungs = at_rungs(member.job.rungs, each.curve["stop"])
        reason = "given up: behind earlier trials"
        return [Failure(reason, each.seconds, rungs, given_up=True) for _ in jobs]
    name, steps = ("best", each.best_steps) if each.best_steps else (stack.crowd.kept, each.steps)
    row: Tensor = stack.crowd.rows[name][m : m + 1].cpu()
    network = member.layout.single(row, member.width, member.front)
    found: dict[bytes, Outcome] = {}
    for job in jobs:
        start, key = time.perf_counter(), job.predict.tobytes()
        if key not in found:
            outcome = member.ground.outcome(job, network, steps, each.curve)
            found[key] = replace(outcome, seconds=each.seconds + time.perf_counter() - start)
        _tell(job, found[key])
    return [found[job.predict.tobytes()] for job in jobs]


def _tell(job: Job, outcome: Outcome) -> None:
    """Tell a race of the rungs that a model came to its end before."""
    if job.race is not None and isinstance(outcome, Fit):
        for rung, loss in enumerate(outcome.rungs):
            job.race.report(rung, loss)
