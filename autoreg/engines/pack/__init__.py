"""The pack engine: many networks, of all configurations and folds, trained as one stack.

Models of one structure are stacked whatever their techniques, dials and training rows are: every
dial is one number for each model, and a technique that a model does not have is off for it. A
model that stops leaves its place to the next one that waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from autoreg.candidate import Candidate
from autoreg.data.dataset import Dataset, Rows, Task
from autoreg.engines.base import (
    Engine,
    Failure,
    Job,
    Outcome,
    Race,
    TrainingSet,
    identity,
    technique_refusal,
)
from autoreg.engines.committee import Committee
from autoreg.engines.path import made_up
from autoreg.errors import DataError, SpecError
from autoreg.spec import LinearSpec, Training

if TYPE_CHECKING:
    from autoreg.engines.fitting import Ground
    from autoreg.engines.pack.members import Member, Shelf

PLACES = 64  # models in a stack at most
NUMBERS = 1 << 20  # in a stack of more than one model: more would not stay in the caches
FEW = 16  # models that are not worth two stacks where other stacks wait


class PackEngine(Engine):
    """Fits networks, stacked; refuses linear models.

    >>> from autoreg.candidate import candidate
    >>> PackEngine().refuses(candidate("linear", [], {}), "binary")
    'the pack engine fits networks, not linear'
    """

    name = "pack"

    def refuses(self, candidate: Candidate, task: Task) -> str | None:
        """Name the first technique, and what about it does not fit; None where all do."""
        if candidate.family != "network":
            return f"the pack engine fits networks, not {candidate.family}"
        from autoreg.engines.training import SEAMS

        reasons = (
            technique_refusal(self.name, chosen, candidate.family, task, SEAMS)
            for chosen in candidate.techniques
        )
        return next((reason for reason in reasons if reason), None)

    def warm_up(self, candidates: Sequence[Candidate], task: Task, linear: LinearSpec) -> None:
        """Load torch and what is compiled, by fitting a few made-up rows."""
        table = made_up(task)
        rows = TrainingSet(np.arange(table.n), ())
        settings = Training(epochs=1)
        jobs = [Job(one, rows, rows.rows, 0, settings=settings) for one in candidates[:1]]
        self.run(jobs, table)

    def run(
        self,
        jobs: Sequence[Job],
        table: Dataset,
        *,
        cells: Rows | None = None,
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Outcome]:
        """Fit the jobs, those of one structure together, on ``workers`` threads.

        Jobs that ask for the same fit are fitted once and share the outcome.
        """
        committee = Committee(jobs)
        jobs = committee.jobs
        unique: dict[tuple[object, ...], list[int]] = {}
        for position, job in enumerate(jobs):
            unique.setdefault(identity(job), []).append(position)
        found: dict[int, Outcome] = {}
        lock = Lock()
        groups = list(unique.values())

        def done(number: int, outcome: Outcome) -> None:
            with lock:
                found.update(dict.fromkeys(groups[number], outcome))
                if on_done:
                    on_done(len(found))

        _fit_all([_one([jobs[p] for p in positions]) for positions in groups], table, workers, done)
        return committee.outcomes([found[position] for position in range(len(jobs))], table)


def _one(jobs: Sequence[Job]) -> Job:
    """One job for several that ask for the same fit; it runs until none of them needs it."""
    races = [job.race for job in jobs if job.race is not None]
    return replace(jobs[0], race=Races(races) if len(races) == len(jobs) else None)


@dataclass(frozen=True)
class Races:
    """The races that one fit takes part in."""

    races: Sequence[Race]

    def report(self, rung: int, loss: float) -> None:
        """Take note of the loss of the fit at one of the rungs."""
        for one in self.races:
            one.report(rung, loss)

    @property
    def is_lost(self) -> bool:
        """Whether the fit is not needed any more."""
        return all(one.is_lost for one in self.races)


def _fit_all(
    jobs: Sequence[Job], table: Dataset, workers: int, done: Callable[[int, Outcome], None]
) -> None:
    from autoreg.engines.network import one_thread
    from autoreg.engines.pack.training import Queue, train

    with np.errstate(all="ignore"):
        kinds: dict[object, list[Member]] = {}
        for member in _members(jobs, table, done):
            kinds.setdefault(member.kind, []).append(member)
        shelves = _shelves(kinds.values(), table)

    def work(task: tuple[Queue, int, Shelf]) -> None:
        queue, places, shelf = task
        with one_thread(), np.errstate(all="ignore"):
            train(queue, places, shelf, lambda one, outcome: done(one.position, outcome))

    tasks = []
    for members in sorted(kinds.values(), key=_work, reverse=True):  # the longest first
        most = len(members) if len(kinds) < workers else max(1, len(members) // FEW)
        queue, stacks = Queue(sorted(members, key=_patience)), min(workers, most)
        places = min(PLACES, max(1, NUMBERS // members[0].weight), -(-len(members) // stacks))
        tasks += [(queue, places, shelves[members[0].shelf])] * stacks
    if workers <= 1:
        for task in tasks:
            work(task)
        return
    with ThreadPoolExecutor(workers) as pool:
        try:
            list(pool.map(work, tasks))
        except BaseException:  # an interrupt: threads cannot be, so they are asked to leave
            for queue, *_ in tasks:
                queue.abandoned.set()
            raise


def _patience(member: Member) -> bool:
    """Models that cannot stop early come first, for they are the last to end."""
    return len(member.ground.watched) > 0


def _work(members: Sequence[Member]) -> int:
    """How much there is to do, about."""
    return sum(one.weight * one.limit for one in members)


def _shelves(kinds: Iterable[Sequence[Member]], table: Dataset) -> dict[tuple[int, str], Shelf]:
    """The rows of all models, once for all that are given the same inputs."""
    from autoreg.engines.pack.members import Shelf

    members = [one for some in kinds for one in some]
    grounds: dict[tuple[int, str], dict[Ground, None]] = {}
    for one in members:
        grounds.setdefault(one.shelf, {})[one.ground] = None
    devices = {one.shelf: device_for(one.job.settings.device) for one in members}
    return {key: Shelf(list(some), table, devices[key]) for key, some in grounds.items()}


def device_for(asked: str) -> str:
    """Where to train: what a study asks for; ``auto`` is a GPU where there is one."""
    import torch

    return "cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu"


def check_device(asked: str) -> None:
    """Raise SpecError where a study asks for a GPU and there is none.

    >>> check_device("auto")
    """
    if asked == "cuda" and device_for(asked) != "cuda":
        raise SpecError("training.device is cuda, but torch sees no GPU; write auto or cpu")


def _members(
    jobs: Sequence[Job], table: Dataset, done: Callable[[int, Outcome], None]
) -> list[Member]:
    """The models to train; jobs on which none can be trained are done already."""
    from autoreg.engines.pack.members import Grounds, Member

    grounds, members = Grounds(table), []
    for number, job in enumerate(jobs):
        start = time.perf_counter()
        share = job.settings.stop_share if job.stops_early else 0.0
        key = (job.training.excluded, job.training.rows.tobytes(), job.seed, share)
        try:
            members.append(Member.of(number, job, grounds.of(job, key)))
        except DataError as error:
            reason = f"no stop-set for early stopping: {error}"
            done(number, Failure(reason, time.perf_counter() - start))
    return members
