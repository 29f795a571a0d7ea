"""Garbage for rows that a fit must not see: several kinds, each cruel in its own way.

A leak can be deaf to one kind: a mean over all rows does not notice that rows were permuted, a
rank does not notice huge values, and nothing but a missing cell wakes an imputer. So every kind
is tried. Row ids, groups, times, the task and the class list stay as they are: they belong to
the plan, which is frozen before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.spec import seed_for

HUGE = 1e9
GAPS = 0.5  # the share of the cells that go missing
NEW_LEVEL = "\x00garbage"  # sorts before every other, so that the codes of all levels move


@dataclass(frozen=True)
class Garbage:
    """One kind of garbage: its name, what it does in words, and how it spoils some rows."""

    kind: str
    about: str
    spoil: Callable[[Dataset, Rows, Generator], Dataset]

    def on(self, table: Dataset, rows: Rows) -> Dataset:
        """A copy of the table in which the given rows are garbage; the others are equal.

        >>> from autoreg.data import load
        >>> from autoreg.spec import DataSpec
        >>> wine = load(DataSpec(source="wine"))
        >>> spoilt = KINDS["huge"].on(wine, np.array([3]))
        >>> np.flatnonzero((spoilt.X != wine.X).any(axis=1))
        array([3])
        """
        return self.spoil(table, rows, np.random.default_rng(seed_for("garbage", self.kind)))


def kinds_for(table: Dataset) -> Iterator[Garbage]:
    """The kinds that a table's schema allows.

    Rows that stand for sums of a stream have no missing cells, and only categorical columns can
    meet a category that nobody has seen.
    """
    for one in KINDS.values():
        if one.kind == "missing" and table.streamed is not None:
            continue
        if one.kind == "categories" and not any(c.is_categorical for c in table.columns):
            continue
        yield one


def _permuted(table: Dataset, rows: Rows, rng: Generator) -> Dataset:
    """Every column shuffled for itself, targets and weights too: plausible, and meaningless."""
    X = table.X.copy()
    for column in range(X.shape[1]):
        X[rows, column] = table.X[rng.permutation(rows), column]
    return _with(table, rows, X, table.y[rng.permutation(rows)], rng.permutation(rows))


def _constant(table: Dataset, rows: Rows, rng: Generator) -> Dataset:
    X = table.X.copy()
    X[np.ix_(rows, _numeric(table))] = 1.0
    X[np.ix_(rows, _categorical(table))] = 0.0
    return _with(table, rows, X, np.full(len(rows), table.y[rows].max()))


def _huge(table: Dataset, rows: Rows, rng: Generator) -> Dataset:
    X = table.X.copy()
    cells = np.ix_(rows, _numeric(table))
    X[cells] = HUGE * (X[cells] + rng.choice([-1.0, 1.0], X[cells].shape))
    y = table.y[rng.permutation(rows)]
    return _with(table, rows, X, y if table.classes else np.round(1e3 * y))


def _missing(table: Dataset, rows: Rows, rng: Generator) -> Dataset:
    X = table.X.copy()
    X[rows] = np.where(rng.random(X[rows].shape) < GAPS, np.nan, X[rows])
    return _with(table, rows, X, table.y[rng.permutation(rows)])


def _flipped(table: Dataset, rows: Rows, rng: Generator) -> Dataset:
    """Inputs stay; each class becomes the next one, each number is mirrored in its range."""
    y = table.y[rows]
    flipped = (y + 1) % len(table.classes) if table.classes else y.min() + y.max() - y
    return _with(table, rows, table.X, flipped)


def _categories(table: Dataset, rows: Rows, rng: Generator) -> Dataset:
    """A category that nobody has seen, in every categorical column."""
    columns = tuple(
        replace(one, levels=(NEW_LEVEL, *one.levels)) if one.is_categorical else one
        for one in table.columns
    )
    X = table.X.copy()
    X[:, _categorical(table)] += 1.0
    X[np.ix_(rows, _categorical(table))] = 0.0
    return _with(replace(table, columns=columns), rows, X, table.y[rng.permutation(rows)])


KINDS = {
    one.kind: one
    for one in (
        Garbage("permuted", "cells, targets and weights permuted, column by column", _permuted),
        Garbage("constant", "all cells and targets the same", _constant),
        Garbage("huge", "cells a billion times as large, targets permuted", _huge),
        Garbage("missing", "half of the cells missing, targets permuted", _missing),
        Garbage("flipped", "targets flipped", _flipped),
        Garbage("categories", "categories that no other row has", _categories),
    )
}


def _with(
    table: Dataset, rows: Rows, X: Floats, targets: Floats | Rows, weights: Rows | None = None
) -> Dataset:
    """The table with other cells, and other targets and weights in some rows."""
    y = table.y.copy()
    y[rows] = targets
    weight = table.weight
    if weight is not None and weights is not None:
        weight = weight.copy()
        weight[rows] = weight[weights]
    return replace(table, X=X, y=y, weight=weight)


def _numeric(table: Dataset) -> Rows:
    kinds = [column.is_categorical for column in table.columns]
    return np.flatnonzero(~np.array(kinds, dtype=np.bool_))


def _categorical(table: Dataset) -> Rows:
    return np.flatnonzero([column.is_categorical for column in table.columns])
