"""The pack engine: many networks, of all configurations and folds, trained as one stack.

Models of one structure are stacked whatever their techniques, dials and training rows are: every
dial is one number for each model, and a technique that a model does not have is off for it. A
model that stops leaves its place to the next one that waits, or to one that its outcome makes
possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from autoreg.candidate import Candidate, candidate
from autoreg.data.dataset import Dataset, Rows, Task
from autoreg.engines.base import (
    After,
    Engine,
    Job,
    Outcome,
    TrainingSet,
    technique_refusal,
)
from autoreg.engines.committee import Committee
from autoreg.engines.pack.device import check_device, device_for
from autoreg.engines.path import made_up
from autoreg.spec import LinearSpec, Training
from autoreg.techniques import technique

if TYPE_CHECKING:
    from autoreg.engines.pack.members import Member

__all__ = ["PackEngine", "check_device", "device_for"]

PLACES = 64  # models in a stack at most
NUMBERS = 1 << 20  # in a stack of more than one model: more would not stay in the caches


class PackEngine(Engine):
    """Fits networks, stacked; refuses linear models.

    >>> PackEngine().refuses(candidate("linear", [], {}), "binary")
    'the pack engine fits networks, not linear'
    """

    name = "pack"
    is_steady = True

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
        clipped = candidate("network", [technique("gradient_clipping")()], {})
        # Whole steps are compiled apart from those whose gradient a technique sees.
        for one in (candidates[0], clipped) if candidates else ():
            self.run([Job(one, rows, rows.rows, 0, settings=settings)], table)

    def run(
        self,
        jobs: Sequence[Job],
        table: Dataset,
        *,
        cells: Rows | None = None,
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Outcome]:
        """Fit the jobs, those of one structure together, in ``workers`` processes.

        Jobs that train the same model train it once.
        """
        committee = Committee(jobs)
        found: dict[Job, Outcome] = {}
        fitted = committee.counting(on_done)

        def after(job: Job, outcome: Outcome) -> Iterable[Job]:
            found[job] = outcome
            fitted([job])
            return ()

        _train(dict.fromkeys(committee.jobs), table, after, workers, None)
        return committee.outcomes([found[job] for job in committee.jobs], table)

    def stream(
        self,
        jobs: Iterable[Job],
        table: Dataset,
        after: After,
        *,
        cells: Rows | None = None,
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        """Fit jobs, and each that follows from an outcome as soon as a stack has a place for it.

        A job is one network here: :meth:`run` takes refits that average several.
        """
        _train(jobs, table, after, workers, on_done)


def _train(
    jobs: Iterable[Job],
    table: Dataset,
    after: After,
    workers: int,
    on_done: Callable[[int], None] | None,
) -> None:
    from autoreg.engines.pack.team import Team  # which imports torch

    Team(table, after, room=room, workers=workers, on_done=on_done).run(jobs)


def room(member: Member) -> int:
    """How many models like one make a stack at most."""
    return min(PLACES, max(1, NUMBERS // member.weight))
