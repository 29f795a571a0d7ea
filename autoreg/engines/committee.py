"""Refits that average several networks: one job becomes several, and their fits become one.

Networks that began elsewhere err elsewhere, so the mean of their predictions is better than most
of them (Lakshminarayanan, Pritzel & Blundell 2017, NIPS; Caruana et al. 2004 for the average of
what a search has found). In a stack the others cost little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from autoreg.data.dataset import Dataset
from autoreg.engines.base import Failure, Fit, Job, Outcome, checked, mean_losses
from autoreg.model import Parameters


class Committee:
    """The fits that jobs ask for, one for each network, and what becomes of their outcomes.

    >>> from autoreg.candidate import candidate
    >>> from autoreg.engines.base import TrainingSet
    >>> from autoreg.spec import Training
    >>> rows = TrainingSet(np.arange(4), ())
    >>> job = Job(candidate("network", [], {}), rows, rows.rows, 0, settings=Training(members=3))
    >>> len(Committee([job]).jobs), len(Committee([replace(job, steps=5)]).jobs)
    (1, 3)
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._asked = jobs
        self._asking: dict[Job, list[int]] = {}  # the positions of the jobs that want a network
        self.jobs: list[Job] = []
        for position, job in enumerate(jobs):
            for one in _members(job):
                self.jobs.append(one)
                self._asking.setdefault(one, []).append(position)

    def counting(self, on_done: Callable[[int], None] | None) -> Callable[[Iterable[Job]], None]:
        """What is told of each network once, and tells how many of the jobs are done by then."""
        left, done = [job.networks for job in self._asked], 0

        def fitted(networks: Iterable[Job]) -> None:
            nonlocal done
            for position in chain.from_iterable(self._asking[one] for one in networks):
                left[position] -= 1
                done += left[position] == 0
            if on_done:
                on_done(done)

        return fitted

    def outcomes(self, outcomes: Sequence[Outcome], table: Dataset) -> list[Outcome]:
        """The outcomes of the jobs, from those of all networks."""
        rest = iter(outcomes)
        return [
            _averaged(job, [next(rest) for _ in range(job.networks)], table) for job in self._asked
        ]


def _members(job: Job) -> list[Job]:
    if job.networks == 1:
        return [job]
    return [replace(job, member=k) for k in range(job.networks)]


def _averaged(job: Job, outcomes: Sequence[Outcome], table: Dataset) -> Outcome:
    """One fit for those of all members; the first failure where one of them failed."""
    failed = [one for one in outcomes if isinstance(one, Failure)]
    fits = [one for one in outcomes if isinstance(one, Fit)]
    if len(outcomes) == 1 or failed:
        return failed[0] if failed else outcomes[0]
    # By differences, so that equal members have an exact mean.
    first = fits[0].predictions[0]
    predictions = first + np.mean([one.predictions[0] - first for one in fits], axis=0)
    models = [one.model for one in fits if one.model is not None]
    return checked(
        replace(
            fits[0],
            predictions=predictions[None],
            losses=mean_losses(table, job.predict, predictions[None]),
            train_loss=np.mean([one.train_loss for one in fits], axis=0),
            flags=tuple(sorted({flag for one in fits for flag in one.flags})),
            seconds=sum(one.seconds for one in fits),
            model=Parameters.averaged(models) if models else None,
        )
    )
