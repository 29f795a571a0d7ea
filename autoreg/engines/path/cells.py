"""Moments of cells of rows, from which every training set of a study is added up.

A cell's rows are always in the same training sets, so its sums are taken once. What a training
set needs follows from them exactly: which indicators exist, means and scales, the Gram matrix of
the standardized inputs, and the products with the target.

Why added and never subtracted: taking a block off a total would leave its rounding behind, and
with it a trace of rows that a fit must not see. Each cell is centred on its own means before
products are formed; cells are merged in the order of their numbers.

Missing cells: a cell fills them with its own mean of the column and keeps an indicator beside
it. The mean of the training set is known only later; adding its difference times the indicator
turns one filling into the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Column, Dataset, Floats, Rows
from autoreg.engines.path.kernels.sums import extend, gather, merge
from autoreg.moments import Moments, merged
from autoreg.preprocess import NOWHERE, KindCounts, Preprocessor, kinds_of, slots_of, spread


@dataclass(frozen=True, eq=False)
class Cell:
    """What is known of the rows of one cell.

    ``moments`` are of its atoms: every numeric column, filled; an indicator for each column in
    ``absent`` (positions of numeric columns with missing cells here); one for each (column,
    kind) pair of ``levels``; then the target, or one 0/1 column for each class. ``low`` and
    ``high``, ``fill`` and ``observed`` (sum of weights of cells that are there) are (p,), read
    for numeric columns only; ``kinds`` counts the kinds of cells of each categorical column.
    """

    rows: int
    moments: Moments
    low: Floats
    high: Floats
    fill: Floats
    observed: Floats
    absent: tuple[int, ...]
    levels: tuple[tuple[int, int], ...]
    kinds: dict[int, KindCounts]

    @classmethod
    def full(cls, table: Dataset, rows: Rows) -> Cell | None:
        """Sum over some rows of numeric columns in one pass; None where a cell is missing."""
        targets, weights = targets_of(table, rows), table.weights[rows]
        p = table.X.shape[1]
        atoms, mean = np.empty((len(rows), p + targets.shape[1])), np.empty(p + targets.shape[1])
        low, high = np.empty(p), np.empty(p)
        if not gather(table.X, rows, weights, targets, atoms, mean, low, high):
            return None
        weight = float(weights.sum())
        moments = Moments(weight, mean, atoms.T @ atoms)
        return cls(len(rows), moments, low, high, mean[:p], np.full(p, weight), (), (), {})

    @classmethod
    def of(cls, X: Floats, columns: Sequence[Column], weights: Floats, targets: Floats) -> Cell:
        """Sum over rows X (n, p) with targets (n, t)."""
        numeric = [j for j, column in enumerate(columns) if not column.is_categorical]
        seen = ~np.isnan(X)
        gaps = not seen.all()
        low, high, fill, observed = _numeric_summary(X, seen, weights, gaps)
        filled = np.where(seen, X, fill) if gaps else X
        absent = tuple(j for j in numeric if gaps and not seen[:, j].all())
        kinds, levels, indicators = _level_atoms(X, columns, weights)
        inputs = filled if len(numeric) == len(columns) else filled[:, numeric]
        gone = [~seen[:, list(absent)]] if absent else []
        moments = Moments.of(np.concatenate([inputs, *gone, *indicators, targets], axis=1), weights)
        return cls(len(X), moments, low, high, fill, observed, absent, levels, kinds)


def _numeric_summary(
    X: Floats, seen: Floats, weights: Floats, gaps: bool
) -> tuple[Floats, Floats, Floats, Floats]:
    """Lowest, highest, weighted mean and observed weight of each column, gaps aside."""
    if not gaps:
        total = np.full(X.shape[1], weights.sum())
        return X.min(axis=0), X.max(axis=0), weights @ X / weights.sum(), total
    low = np.where(seen, X, np.inf).min(axis=0)
    high = np.where(seen, X, -np.inf).max(axis=0)
    observed = weights @ seen
    total = weights @ np.where(seen, X, 0.0)
    fill = np.divide(total, observed, out=np.zeros_like(total), where=observed > 0)
    return low, high, fill, observed


def _level_atoms(
    X: Floats, columns: Sequence[Column], weights: Floats
) -> tuple[dict[int, KindCounts], tuple[tuple[int, int], ...], list[Floats]]:
    kinds: dict[int, KindCounts] = {}
    levels: list[tuple[int, int]] = []
    indicators: list[Floats] = []
    for j, column in enumerate(columns):
        if column.is_categorical:
            where = kinds_of(X[:, j])
            kinds[j] = KindCounts.of(where, weights, column)
            present = np.flatnonzero(kinds[j].rows)
            levels += [(j, int(kind)) for kind in present]
            indicators.append((where[:, None] == present).astype(np.float64))
    return kinds, tuple(levels), indicators


@dataclass(frozen=True, eq=False)
class Layout:
    """How the atoms of any cell become the inputs of one training set.

    ``lookups`` as in :class:`autoreg.preprocess.Preprocessor`; ``means`` (p,) fill the gaps of
    numeric columns; ``starts`` (p,) is the first input of each column, ``q`` the number of all.
    """

    lookups: dict[int, Rows]
    means: Floats
    starts: Rows
    q: int
    targets: int

    def matrix(self, cell: Cell, columns: Sequence[Column]) -> Floats | None:
        """The map (q + t, a) from a cell's atoms; None where it is the identity."""
        if not cell.absent and not cell.levels:
            return None
        numeric = [j for j, column in enumerate(columns) if not column.is_categorical]
        a = len(cell.moments.mean)
        T = np.zeros((self.q + self.targets, a))
        T[self.starts[numeric], np.arange(len(numeric))] = 1.0
        for position, j in enumerate(cell.absent, start=len(numeric)):
            T[self.starts[j], position] = self.means[j] - cell.fill[j]
        first = len(numeric) + len(cell.absent)
        for position, (j, kind) in enumerate(cell.levels, start=first):
            slot = self.lookups[j][kind]
            if slot != NOWHERE:
                T[slot, position] = 1.0
        T[np.arange(self.q, self.q + self.targets), np.arange(a - self.targets, a)] = 1.0
        return T


@dataclass(frozen=True, eq=False)
class Plain:
    """The cells of a numeric table; of those that are ``full`` (k,), nothing is to be laid out.

    Weights (k,), means (k, a) and cross-products (k, a, a) of k cells; the lowest and highest
    value (k, p) of each column; all 0 where a cell has gaps. Whether a training set is added up
    from here depends on its own cells: gaps in other rows must not change its bits.
    """

    full: NDArray[np.bool_]
    weights: Floats
    means: Floats
    crosses: Floats
    lows: Floats
    highs: Floats

    @classmethod
    def of(cls, cells: Sequence[Cell], p: int, targets: int) -> Plain:
        """Put the sums of cells one behind the other."""
        k, a = len(cells), p + targets
        made = cls(
            np.array([not cell.absent for cell in cells]),
            np.array([cell.moments.weight for cell in cells]),
            np.zeros((k, a)),
            np.zeros((k, a, a)),
            np.zeros((k, p)),
            np.zeros((k, p)),
        )
        for number, cell in enumerate(cells):
            if made.full[number]:
                made.means[number], made.crosses[number] = cell.moments.mean, cell.moments.cross
                made.lows[number], made.highs[number] = cell.low, cell.high
        return made

    def moments(self, numbers: Rows) -> Moments:
        """Of some cells together."""
        mean, cross = np.empty_like(self.means[0]), np.empty_like(self.crosses[0])
        weight = merge(numbers, self.weights, self.means, self.crosses, mean, cross)
        return Moments(weight, mean, cross)

    def extremes(self, numbers: Rows) -> tuple[Floats, Floats]:
        """The lowest and the highest value of each column."""
        low, high = np.empty_like(self.lows[0]), np.empty_like(self.highs[0])
        extend(numbers, self.lows, self.highs, low, high)
        return low, high


class Cells:
    """The cells of a table, and what training sets made of them need.

    Cells are named by their numbers, in rising order.
    """

    def __init__(self, table: Dataset, numbers: Rows) -> None:
        self.columns = table.columns
        self.task = table.task
        self.classes = len(table.classes)
        names = table.plain_names  # each is one input, whose number is the column's
        self._names = None if names is None else (names, np.arange(len(names)))
        order = np.argsort(numbers, kind="stable")
        bounds = np.flatnonzero(np.diff(numbers[order])) + 1
        self.numbers = numbers
        self.cells = [self._cell(table, rows) for rows in np.split(order, bounds)]
        self.rows = np.array([cell.rows for cell in self.cells])
        self._numeric: Plain | None = None
        if self._names is not None:
            self._numeric = Plain.of(self.cells, len(self.columns), self.targets)

    def _cell(self, table: Dataset, rows: Rows) -> Cell:
        full = Cell.full(table, rows) if self._names is not None else None
        if full is not None:
            return full
        targets = targets_of(table, rows)
        return Cell.of(table.X[rows], self.columns, table.weights[rows], targets)

    def of(self, rows: Rows) -> Rows | None:
        """The cells that the rows are made of; None where they are no union of cells."""
        found = np.flatnonzero(np.bincount(self.numbers[rows], minlength=len(self.rows)))
        return found if self.rows[found].sum() == len(rows) else None

    def plain(self, numbers: Rows) -> Plain | None:
        """Where some cells are added up quickly; None where columns or gaps forbid it."""
        numeric = self._numeric
        return numeric if numeric is not None and numeric.full[numbers].all() else None

    @property
    def targets(self) -> int:
        """The number of columns that targets take."""
        return max(self.classes, 1) if self.task == "multiclass" else 1

    def layout(self, numbers: Rows) -> tuple[Layout, tuple[str, ...], Rows]:
        """The inputs of a training set made of some cells; their names and raw columns."""
        cells = [self.cells[number] for number in numbers]
        p = len(self.columns)
        observed = np.array([cell.observed for cell in cells])
        total = (observed * np.array([cell.fill for cell in cells])).sum(axis=0)
        weight = observed.sum(axis=0)
        means = np.divide(total, weight, out=np.zeros(p), where=weight > 0)
        if self._names is not None:
            names, each = self._names
            return Layout({}, means, each, p, self.targets), names, each
        names, groups, lookups, starts = self._slots(cells)
        return Layout(lookups, means, starts, len(names), self.targets), names, groups

    def _slots(self, cells: Sequence[Cell]) -> tuple[tuple[str, ...], Rows, dict[int, Rows], Rows]:
        """Names and columns (q,) of inputs; lookups by column; the first input of a column."""
        names: list[str] = []
        groups: list[int] = []
        lookups: dict[int, Rows] = {}
        starts = np.empty(len(self.columns), dtype=np.int64)
        for j, column in enumerate(self.columns):
            starts[j] = len(names)
            new = [column.name]
            if column.is_categorical:
                slots, new = slots_of(KindCounts.sum(cell.kinds[j] for cell in cells), column)
                lookups[j] = np.where(slots == NOWHERE, NOWHERE, slots + len(names))
            names += new
            groups += [j] * len(new)
        return tuple(names), np.array(groups, dtype=np.int64), lookups, starts

    def moments(self, numbers: Rows, layout: Layout) -> Moments:
        """The moments of inputs and targets, in the layout of a training set."""
        if (plain := self.plain(numbers)) is not None:
            return plain.moments(numbers)
        parts = []
        for cell in (self.cells[number] for number in numbers):
            T = layout.matrix(cell, self.columns)
            parts.append(cell.moments if T is None else cell.moments.mapped(T))
        return merged(parts)

    def preprocessor(self, numbers: Rows) -> tuple[Preprocessor, Layout, Moments]:
        """What :meth:`Preprocessor.fit` learns from the rows of some cells, from sums alone."""
        if self._names is not None and (plain := self.plain(numbers)) is not None:
            names, groups = self._names
            moments = plain.moments(numbers)
            layout = Layout({}, moments.mean[: len(names)], groups, len(names), self.targets)
            low, high = plain.extremes(numbers)
        else:
            layout, names, groups = self.layout(numbers)
            moments = self.moments(numbers, layout)
            low, high = self._extremes(numbers, layout, groups)
        mean = moments.mean[: layout.q]
        scale = np.sqrt(moments.cross.diagonal()[: layout.q] / moments.weight)
        mean, scale = spread(mean, scale, low, high)
        return Preprocessor(names, groups, layout.lookups, mean, scale), layout, moments

    def _extremes(self, numbers: Rows, layout: Layout, groups: Rows) -> tuple[Floats, Floats]:
        """The lowest and highest value of each input over some cells."""
        cells = [self.cells[number] for number in numbers]
        low, high = (side[groups] for side in extremes(cells))
        for j, lookup in layout.lookups.items():
            mine = groups == j
            slots = np.where(lookup == NOWHERE, NOWHERE, lookup - layout.starts[j])
            counts = KindCounts.sum(cell.kinds[j] for cell in cells)
            low[mine], high[mine] = counts.extremes(slots, int(mine.sum()))
        return low, high


def extremes(cells: Iterable[Cell]) -> tuple[Floats, Floats]:
    """The lowest and highest value of each column over some cells."""
    lows, highs = zip(*((cell.low, cell.high) for cell in cells), strict=True)
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    return np.where(low > high, 0.0, low), np.where(low > high, 0.0, high)  # nothing observed


def targets_of(table: Dataset, rows: Rows) -> Floats:
    """The target (n, 1), or one 0/1 column for each of more than two classes."""
    if table.task == "multiclass":
        return np.asarray(np.eye(len(table.classes))[table.y[rows].astype(np.int64)])
    return np.asarray(table.y[rows], dtype=np.float64)[:, None]
