"""The path engine: linear models of all techniques, whole strength paths at a time.

All jobs on one training set share a design: for squared error the Gram matrix of its inputs,
added up from the moments of cells of rows, so the rows are read once for the whole nested
scheme. Designs are solved on several threads; compiled solvers hold no lock.

What is remembered between calls are sums over cells of a table, which depend on the table and
the cells alone; so a fit's bits depend neither on its company nor on the calls before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from autoreg.candidate import Candidate
from autoreg.data.dataset import Column, Dataset, Floats, Rows, Task
from autoreg.engines.base import (
    Engine,
    Failure,
    Fit,
    Job,
    Outcome,
    TrainingSet,
    checked,
    technique_refusal,
)
from autoreg.engines.reading import selected_columns, with_model
from autoreg.model import linked
from autoreg.preprocess import Preprocessor
from autoreg.spec import LinearSpec

if TYPE_CHECKING:
    from autoreg.engines.path.cells import Cells
    from autoreg.engines.path.design import Design, Solutions
    from autoreg.engines.path.terms import Constraints

SEAMS = frozenset({"penalty", "prior", "components"})
WIDEST = 1500  # columns, or twice the rows: beyond, Gram matrices are larger than what they save
FEW_ROWS = 3  # rows in a cell on average, below which sums save nothing
LENIENT = 100  # times the tolerance: rounding may stop a solver before; beyond, it is flagged


class PathEngine(Engine):
    """Fits linear models; refuses networks.

    >>> from autoreg.candidate import candidate
    >>> PathEngine().refuses(candidate("network", [], {}), "binary")
    'the path engine fits linear models, not network'
    """

    name = "path"

    def __init__(self) -> None:
        self._remembered: WeakKeyDictionary[Dataset, _Sums] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[type[PathEngine], tuple[()]]:
        """In another process it starts anew: what is remembered belongs to tables of this one."""
        return PathEngine, ()

    def refuses(self, candidate: Candidate, task: Task) -> str | None:
        """Name the technique that does not fit, and why; None where all do."""
        if candidate.family != "linear":
            return f"the path engine fits linear models, not {candidate.family}"
        if len(candidate.techniques) != 1:
            return "the path engine fits one technique at a time"
        (chosen,) = candidate.techniques
        return technique_refusal(self.name, chosen, candidate.family, task, SEAMS)

    def warm_up(self, candidates: Sequence[Candidate], task: Task, linear: LinearSpec) -> None:
        """Compile the solvers, or load them from the cache, by fitting a few made-up rows."""
        table = made_up(task)
        rows = TrainingSet(np.arange(table.n), ())
        jobs = [Job(one, rows, rows.rows, 0, (0.1, 1.0), linear=linear) for one in candidates]
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
        """Fit the jobs, those of one training set together, on ``workers`` threads."""
        sets = _sets(jobs)
        sums = self._sums(table, cells)
        outcomes: dict[int, Outcome] = {}
        lock = Lock()

        def solve_set(positions: list[int]) -> None:
            with np.errstate(all="ignore"):  # which each thread has for itself
                design = sums.design(table, jobs[positions[0]].training.rows)
                known: _Known = {}
                for position in positions:
                    one = fit(jobs[position], design, known)
                    with lock:
                        outcomes[position] = one
                        if on_done:
                            on_done(len(outcomes))

        with _libraries().limit(limits=1), np.errstate(all="ignore"):
            sums.prepare(table)
            if workers <= 1 or len(sets) <= 1:
                for positions in sets:
                    solve_set(positions)
            else:
                with ThreadPoolExecutor(min(workers, len(sets))) as pool:
                    list(pool.map(solve_set, sets))
        return [outcomes[position] for position in range(len(jobs))]

    def _sums(self, table: Dataset, cells: Rows | None) -> _Sums:
        known = self._remembered.get(table)
        if known is None or known.numbers is not cells:
            known = self._remembered[table] = _Sums(table, cells)
        return known


def _sets(jobs: Sequence[Job]) -> list[list[int]]:
    """The positions of jobs with the same training rows, set by set."""
    sets: dict[tuple[tuple[str, ...], int], list[list[int]]] = {}
    for position, job in enumerate(jobs):
        rows = job.training.rows
        alike = sets.setdefault((job.training.excluded, len(rows)), [])
        for known in alike:
            first = jobs[known[0]].training.rows
            if rows is first or np.array_equal(rows, first):
                known.append(position)
                break
        else:
            alike.append([position])
    return [positions for alike in sets.values() for positions in alike]


def made_up(task: Task) -> Dataset:
    """A few rows of any task that mean nothing.

    >>> made_up("multiclass").y
    array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    """
    columns = (Column("a", "numeric"), Column("b", "numeric"))
    X = np.stack([np.arange(9.0), np.arange(9.0) % 2], axis=1)
    classes = {"binary": 2, "multiclass": 3}.get(task, 0)
    y = np.arange(9) % classes if classes else np.arange(9.0)
    return Dataset("made up", columns, X, y, task, "y", tuple(range(classes)))


@cache
def _libraries() -> ThreadpoolController:
    """The libraries with threads of their own; finding them takes as long as a small path."""
    import autoreg.engines.path.walk  # noqa: F401  loads those of the compiled solvers

    return ThreadpoolController()


class _Sums:
    """What is remembered of a table: sums over its cells, where they are worth it.

    Whether they are depends on the schema and the plan only, never on values.
    """

    def __init__(self, table: Dataset, numbers: Rows | None) -> None:
        self.numbers = numbers
        cells = table.n if numbers is None else int(numbers.max()) + 1
        self._summed = len(table.columns) <= min(WIDEST, 2 * table.n) and not any(
            column.is_learned for column in table.columns
        )
        self._worth = self._summed and cells * FEW_ROWS <= table.n
        # Where each column is an input, all training sets have the same ones.
        numeric = not any(column.is_categorical for column in table.columns)
        self._constraints: dict[LinearSpec, Constraints] | None = {} if numeric else None
        self._cells: Cells | None = None

    def prepare(self, table: Dataset) -> None:
        """Read the rows, once."""
        if self._worth and self._cells is None:
            from autoreg.engines.path.cells import Cells

            assert self.numbers is not None, "without numbers each row is a cell"
            self._cells = Cells(table, self.numbers)

    def design(self, table: Dataset, rows: Rows) -> Design:
        """The design of a training set."""
        from autoreg.engines.path.cells import Cells
        from autoreg.engines.path.design import Design

        cells = self._cells
        if cells is None and self._summed:
            # No cells are known: the training rows are one, and the others, if any, another.
            inside = np.ones(table.n, dtype=np.int64)
            inside[rows] = 0
            cells = Cells(table, inside)
        return Design(table, rows, cells, self._constraints)


class _Lazy:
    """Predictions (n, C) of a path, made for the strength that is asked for."""

    def __init__(self, path: _Path, scaling: Preprocessor, table: Dataset, rows: Rows) -> None:
        self._path, self._scaling, self._table, self._rows = path, scaling, table, rows

    def __len__(self) -> int:
        return len(self._path.train_loss)

    def __getitem__(self, position: int) -> Floats:
        return self._at(position, self._inputs())

    def __iter__(self) -> Iterator[Floats]:
        inputs = self._inputs()
        return (self._at(position, inputs) for position in range(len(self)))

    def _inputs(self) -> Floats:
        return self._scaling.transform(self._table.X[self._rows])

    def _at(self, position: int, inputs: Floats) -> Floats:
        W, b = self._path.original(position)
        return linked(inputs @ W + b, self._table.task)


class _Freedom:
    """Effective degrees of freedom, counted for the strength that is asked for."""

    def __init__(self, design: Design, kind: str, solutions: Solutions) -> None:
        self._design, self._kind, self._solutions = design, kind, solutions

    def __getitem__(self, position: int) -> float:
        found = self._solutions
        if found.freedom is not None:
            return float(found.freedom[position])
        return self._design.freedom(self._kind, found.whole(position), float(found.l2[position]))


@dataclass(frozen=True, eq=False)
class _Path:
    """What fits share that differ in nothing but the rows that they predict.

    In the symmetric nested scheme these are half of all fits. ``target`` is what the design's
    target was shifted and divided by.
    """

    solutions: Solutions
    target: tuple[float, float]
    train_loss: Floats
    selected: NDArray[np.bool_]
    flags: tuple[str, ...]

    def original(self, position: int | slice = slice(None)) -> tuple[Floats, Floats]:
        """Coefficients (..., q, K) and intercepts (..., K) in the target's units."""
        shift, scale = self.target
        W = self.solutions.whole(position) * scale
        return W, self.solutions.intercepts[position] * scale + shift


_Known = dict[tuple[int, int, int], _Path]


def fit(job: Job, design: Design, known: _Known) -> Outcome:
    """One fit; what goes wrong in it becomes a Failure that says what.

    ``known`` holds the paths that were solved on this design before.
    """
    start = time.perf_counter()
    try:
        # Jobs of one call share these and keep them alive; comparing them would cost more.
        asked = id(job.candidate), id(job.strengths), id(job.linear)
        path = known.get(asked)
        if path is None:
            path = known[asked] = _solved(job, design)
        return checked(_read(job, design, path, start))
    except (ValueError, ArithmeticError, RuntimeError) as error:  # LinAlgError is a ValueError
        return Failure(f"{type(error).__name__}: {error}", time.perf_counter() - start)


def _solved(job: Job, design: Design) -> _Path:
    from autoreg.engines.path.walk import solve

    found = solve(design, job.candidate, job.walked, job.linear)
    if found.losses is None:
        losses = design.losses(design.rows, found)
    else:
        losses = found.losses * design.target[1] ** 2
    groups, columns = design.preprocessor.groups, len(design.table.columns)
    selected = selected_columns(found.coefficients, groups, columns, found.axes)
    return _Path(found, design.target, losses, selected, _flags(found))


def _flags(solutions: Solutions) -> tuple[str, ...]:
    stopped = (solutions.left > LENIENT * solutions.allowed).any()
    if stopped and "separable" not in solutions.flags:
        return (*solutions.flags, "not converged")
    return solutions.flags


def _read(job: Job, design: Design, path: _Path, start: float) -> Fit:
    from autoreg.engines.path.walk import kind_of

    solutions = path.solutions
    fit = Fit(
        predictions=_Lazy(path, design.preprocessor, design.table, job.predict),
        losses=design.losses(job.predict, solutions),
        train_loss=path.train_loss,
        flags=path.flags,
        seconds=time.perf_counter() - start,
        selected=path.selected,
        freedom=_Freedom(design, kind_of(design, job.linear), solutions),
    )
    if not job.keep_model:
        return fit
    return with_model(fit, design.preprocessor, *path.original())
