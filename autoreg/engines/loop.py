"""The loop engine: one fit after the other, plain and obviously right; the judge of all others.

Why one BLAS thread for each fit: the bits of a matrix product may depend on the number of
threads, and a study must give the same result with any number of workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from autoreg.candidate import FAMILY_TASKS, Candidate
from autoreg.data.dataset import Dataset, Rows, Task
from autoreg.engines.base import (
    Engine,
    Failure,
    Job,
    Outcome,
    identity,
    listed,
    technique_refusal,
)
from autoreg.engines.committee import Committee
from autoreg.own_spec import EstimatorSpec, ModuleSpec, OwnSpec
from autoreg.spec import LinearSpec

Fitter = Callable[[Job, Dataset], Outcome]


def _linear() -> tuple[frozenset[str], Fitter]:
    from autoreg.engines.loop_linear import SEAMS, fit_linear

    return SEAMS, fit_linear


def _network() -> tuple[frozenset[str], Fitter]:
    from autoreg.engines.loop_network import SEAMS, fit_network

    return SEAMS, fit_network


def _factorization() -> tuple[frozenset[str], Fitter]:
    from autoreg.engines.loop_factorization import SEAMS, fit_factorization

    return SEAMS, fit_factorization


# Imported on use: only networks need torch.
FAMILIES = {"linear": _linear, "factorization": _factorization, "network": _network}
OURS = (ValueError, ArithmeticError, RuntimeError)  # LinAlgError is a ValueError


def _own(spec: OwnSpec) -> tuple[frozenset[str], Fitter]:
    if isinstance(spec, ModuleSpec):
        from autoreg.engines.loop_module import SEAMS, fit_module

        return SEAMS, partial(fit_module, spec)
    from autoreg.engines.loop_estimator import fit_estimator

    assert isinstance(spec, EstimatorSpec), "there are two kinds of own families"
    return frozenset(), partial(fit_estimator, spec)


def problem(spec: OwnSpec, table: Dataset) -> str | None:
    """Why an own family cannot be part of a study of this table, in words; None where it can."""
    if isinstance(spec, ModuleSpec):
        from autoreg.engines import loop_module

        return loop_module.problem(spec, table)
    from autoreg.engines import loop_estimator

    assert isinstance(spec, EstimatorSpec), "there are two kinds of own families"
    return loop_estimator.problem(spec, table)


class LoopEngine(Engine):
    """Fits every job on its own, on one or several processes: of all of autoreg's families, and of
    those of the user.

    >>> from autoreg.candidate import candidate
    >>> LoopEngine().refuses(candidate("forest", [], {}), "binary")
    'the loop engine fits linear, factorization and network models, not forest'
    """

    name = "loop"

    def __init__(self, own: Mapping[str, OwnSpec] | None = None) -> None:
        self._own = dict(own or {})

    def refuses(self, candidate: Candidate, task: Task) -> str | None:
        """Name the first technique, and what about it does not fit; None where all do."""
        family = candidate.family
        if family in self._own:
            return self._refuses_own(candidate, task)
        if family not in FAMILIES:
            return f"the loop engine fits {listed(FAMILIES)} models, not {family}"
        if family == "linear" and len(candidate.techniques) != 1:
            return "the loop engine fits one technique of linear models at a time"
        opened, _ = FAMILIES[family]()
        reasons = (
            technique_refusal(self.name, chosen, family, task, opened)
            for chosen in candidate.techniques
        )
        if (found := next((reason for reason in reasons if reason), None)) is not None:
            return found
        if task not in (own := FAMILY_TASKS.get(family, (task,))):
            return f"{family} models are for {listed(own)} targets, not {task}"
        return None

    def _refuses_own(self, candidate: Candidate, task: Task) -> str | None:
        opened, _ = _own(self._own[candidate.family])
        reasons = (
            technique_refusal(self.name, chosen, "network", task, opened)
            for chosen in candidate.techniques
        )
        return next((reason for reason in reasons if reason), None)

    def warm_up(self, candidates: Sequence[Candidate], task: Task, linear: LinearSpec) -> None:
        """Nothing: what fits need is imported with the first of them, and that is quick."""

    def run(
        self,
        jobs: Sequence[Job],
        table: Dataset,
        *,
        cells: Rows | None = None,
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Outcome]:
        """Fit each job; jobs that ask for the same fit are fitted once and share the outcome."""
        committee = Committee(jobs)
        jobs = committee.jobs
        unique: dict[tuple[Any, ...], list[int]] = {}
        for position, job in enumerate(jobs):
            unique.setdefault(identity(job), []).append(position)
        # Fits run to their end: what others think of a race does not reach another process.
        different = [replace(jobs[positions[0]], race=None) for positions in unique.values()]
        found: dict[int, Outcome] = {}
        outcomes = _outcomes(different, table, min(workers, len(different)), self._own)
        fitted = committee.counting(on_done)
        for positions, outcome in zip(unique.values(), outcomes, strict=True):
            found |= dict.fromkeys(positions, outcome)
            fitted({jobs[position] for position in positions})
        return committee.outcomes([found[position] for position in range(len(jobs))], table)


def fit(job: Job, table: Dataset, own: Mapping[str, OwnSpec] | None = None) -> Outcome:
    """One fit, on one thread; what goes wrong in it becomes a Failure that says what.

    Errors that are autoreg's own, and those of no fit (no memory, an interrupt), are raised. In a
    family of the user's any error may come up, and is a reason like another.
    """
    family, known = job.candidate.family, own or {}
    # Imported before the limit, which must find its BLAS.
    _, fitter = _own(known[family]) if family in known else FAMILIES[family]()
    start = time.perf_counter()
    try:
        with threadpool_limits(limits=1), np.errstate(all="ignore"):  # a Fit is checked at the end
            return fitter(job, table)
    except Exception as error:
        if not isinstance(error, OURS) and (family not in known or isinstance(error, MemoryError)):
            raise
        reason = f"{type(error).__name__}: {error}"
        return Failure(reason, time.perf_counter() - start)


def _outcomes(
    jobs: Sequence[Job], table: Dataset, workers: int, own: Mapping[str, OwnSpec]
) -> Iterator[Outcome]:
    """The outcomes in the order of the jobs, each as soon as it is there.

    Worker processes are kept for the next call, and read large tables from shared memory.
    """
    if workers <= 1:
        return (fit(job, table, own) for job in jobs)
    pool = Parallel(n_jobs=workers, backend="loky", return_as="generator")
    outcomes: Iterable[Outcome] = pool(delayed(fit)(job, table, own) for job in jobs)
    return iter(outcomes)
