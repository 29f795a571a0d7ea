"""The pack engine: many networks, of all configurations and folds, trained as one stack.

Models of one structure are stacked whatever their techniques, dials and training rows are: every
dial is one number for each model, and a technique that a model does not have is off for it. A
model that stops leaves its place to the next one that waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from autoreg.candidate import Candidate
from autoreg.data.dataset import Dataset, Rows, Task
from autoreg.engines.base import Engine, Failure, Job, Outcome, identity, technique_refusal
from autoreg.errors import DataError
from autoreg.spec import LinearSpec

if TYPE_CHECKING:
    from autoreg.engines.pack.members import Member

PLACES = 64  # models in a stack at most


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
        """Load torch and the generator of random numbers."""
        from autoreg.engines.draws import Streams, order_key, row_order

        Streams([0]).uniform(1, 1)
        row_order([order_key(0)], [0], [1], 1)

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

        _fit_all([jobs[positions[0]] for positions in groups], table, workers, done)
        return [found[position] for position in range(len(jobs))]


def _fit_all(
    jobs: Sequence[Job], table: Dataset, workers: int, done: Callable[[int, Outcome], None]
) -> None:
    from autoreg.engines.network import one_thread
    from autoreg.engines.pack.members import Shelf
    from autoreg.engines.pack.training import Queue, train

    with np.errstate(all="ignore"):
        kinds: dict[object, list[Member]] = {}
        for member in _members(jobs, table, done):
            kinds.setdefault(member.kind, []).append(member)

    def work(task: tuple[Queue, int, Shelf]) -> None:
        queue, places, shelf = task
        with one_thread(), np.errstate(all="ignore"):
            train(queue, places, shelf, table, lambda one, outcome: done(one.position, outcome))

    tasks = []
    for members in kinds.values():
        shelf = Shelf(list(dict.fromkeys(one.ground for one in members)), table)
        queue, stacks = Queue(members), min(workers, len(members))
        places = min(PLACES, -(-len(members) // stacks))
        tasks += [(queue, places, shelf)] * stacks
    if workers <= 1:
        for task in tasks:
            work(task)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, tasks))


def _members(
    jobs: Sequence[Job], table: Dataset, done: Callable[[int, Outcome], None]
) -> list[Member]:
    """The models to train; jobs on which none can be trained are done already."""
    from autoreg.engines.fitting import stops_early
    from autoreg.engines.pack.members import Grounds, Member

    grounds, members = Grounds(table), []
    for number, job in enumerate(jobs):
        start = time.perf_counter()
        share = job.settings.stop_share if stops_early(job) else 0.0
        key = (job.training.excluded, job.training.rows.tobytes(), job.seed, share)
        try:
            members.append(Member.of(number, job, grounds.of(job, key)))
        except DataError as error:
            reason = f"no stop-set for early stopping: {error}"
            done(number, Failure(reason, time.perf_counter() - start))
    return members
