"""An engine whose fits are made elsewhere: on a Dask cluster, or by any backend of joblib.

    jobs -> packs (a training set's linear fits together, networks in stacks) -> other machines
      -> outcomes in the order of the jobs

Searches, ledger and selection stay where they are, so nothing else of a study changes; and a fit
is the same bit for bit in whatever company it is made, so the result is the same, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from autoreg.candidate import Candidate
from autoreg.data.dataset import Dataset, Rows, Task
from autoreg.engines.base import Engine, Job, Outcome
from autoreg.errors import BusyError, SpecError
from autoreg.spec import LinearSpec

PACKS = 3  # for each worker, so that the last one to end does not end long after the others
TRIES = 5  # with what is left, after machines were lost
PATIENCE = 20  # seconds, for a scheduler to answer
PAUSE = 1.0
DASK = "dask"


class Spread(Engine):
    """Hands packs of jobs to other processes; ``where`` is ``dask@ADDRESS`` or joblib's name."""

    def __init__(self, inner: Engine, where: str) -> None:
        self.inner = inner
        self.name = inner.name
        self.backend, _, self.address = where.partition("@")
        if self.backend == DASK and not self.address:
            raise SpecError("executor dask needs the scheduler's address: dask@tcp://host:8786")

    def refuses(self, candidate: Candidate, task: Task) -> str | None:
        """What the inner engine says."""
        return self.inner.refuses(candidate, task)

    def warm_up(self, candidates: Sequence[Candidate], task: Task, linear: LinearSpec) -> None:
        """Nothing here: the machines that fit compile for themselves."""

    def run(
        self,
        jobs: Sequence[Job],
        table: Dataset,
        *,
        cells: Rows | None = None,
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Outcome]:
        """Fit the jobs elsewhere; packs of machines that are lost are handed out again.

        Raises BusyError where no machine is left, or the cluster cannot be reached.
        """
        run = self._on_dask if self.backend == DASK else self._by_joblib
        found: dict[int, Outcome] = {}
        for pack, outcomes in run(jobs, table, cells, workers):
            found |= dict(zip(pack, outcomes, strict=True))
            if on_done:
                on_done(len(found))
        return [found[position] for position in range(len(jobs))]

    # ---- inside -------------------------------------------------------------------------------

    def _by_joblib(
        self, jobs: Sequence[Job], table: Dataset, cells: Rows | None, workers: int
    ) -> Any:
        from joblib import Parallel, delayed

        packs = packed(jobs, PACKS * workers)
        pool = Parallel(n_jobs=workers, backend=self.backend, return_as="generator")
        made = pool(
            delayed(fitted)(self.inner, [jobs[k] for k in pack], table, cells) for pack in packs
        )
        return zip(packs, made, strict=True)

    def _on_dask(self, jobs: Sequence[Job], table: Dataset, cells: Rows | None, _: int) -> Any:
        from distributed import Client, as_completed

        try:
            client = Client(self.address, timeout=PATIENCE, set_as_default=False)
        except OSError as error:
            raise BusyError(f"no Dask scheduler at {self.address} ({error})") from error
        with client:
            threads = max(1, sum(client.nthreads().values()))
            whole, left = (self.inner, table, cells), packed(jobs, PACKS * threads)
            for attempt in range(TRIES):
                data = client.scatter(whole, broadcast=attempt == 0, hash=False)
                tasks = {
                    client.submit(fitted_of, data, [jobs[k] for k in pack], pure=False): pack
                    for pack in left
                }
                for task in as_completed(tasks, loop=client.loop):
                    if task.status == "finished":
                        yield tasks[task], task.result()
                        left.remove(tasks[task])
                    elif task.status == "error" and not _is_lost(task.exception()):
                        raise task.exception()
                if not left:
                    return
                time.sleep(PAUSE * (attempt + 1))  # machines were lost: others may come
        raise BusyError(
            f"{len(left)} packs of fits were lost {TRIES} times on {self.address}; look at its "
            f"workers, and run the same command again"
        )


def packed(jobs: Sequence[Job], most: int) -> list[list[int]]:
    """The positions of jobs in at most so many packs; what shares a training set stays together.

    >>> packed([], 3)
    []
    """
    sets: dict[tuple[object, ...], list[int]] = {}
    for position, job in enumerate(jobs):
        own = (job.candidate.family, job.training.excluded, len(job.training.rows))
        sets.setdefault(own, []).append(position)
    packs: list[list[int]] = [[] for _ in range(min(most, len(sets)))]
    for alike in sorted(sets.values(), key=len, reverse=True):
        min(packs, key=len).extend(alike)
    return [pack for pack in packs if pack]


def fitted(
    engine: Engine, jobs: Sequence[Job], table: Dataset, cells: Rows | None
) -> list[Outcome]:
    """What a machine does with a pack: on one thread, for the others have packs of their own."""
    return engine.run(jobs, table, cells=cells, workers=1)


def fitted_of(data: tuple[Engine, Dataset, Rows | None], jobs: Sequence[Job]) -> list[Outcome]:
    """The same for data that lie there already."""
    engine, table, cells = data
    return fitted(engine, jobs, table, cells)


def _is_lost(error: BaseException | None) -> bool:
    """Whether a task failed because its machine, or the data on it, went away."""
    return type(error).__name__ in {"KilledWorker", "CancelledError", "FutureCancelledError"}
