"""Raw cells to standardized inputs; everything learned, is learned from training rows only.

Numeric cells: missing ones become the weighted mean. Categorical cells: one indicator for each
level that is frequent enough in the training rows, one for all rarer ones together, one for
missing cells. Then every column is standardized, indicators too, so that one strength means
the same for all of them (Hastie, Tibshirani & Friedman 2009, section 3.4).

Weights act as repeated rows: a row of weight 2 counts as two equal rows of weight 1. A weight
below 1 never makes a level rarer than its number of rows, or weights that add up to 1 would
pool every level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autoreg.data.dataset import Column, Dataset, Floats, Rows
from autoreg.learned import KINDS, Known, Learned, kind_of, names_of

FEWEST_ROWS = 3
SMALLEST_SHARE = 0.01
ROUNDING = 8 * np.finfo(np.float64).eps
NOWHERE = -1
# Where the cells of a categorical column are looked up: levels follow after these two.
MISSING, UNSEEN, FIRST_LEVEL = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """From raw rows (n, p) to standardized inputs (n, q).

    ``names`` (q) names each input, ``groups`` (q) the raw column that it comes from. ``lookups``
    holds, for the position of each categorical column, the input of a missing cell, of an
    unseen level and of each level (-1: no indicator is set). ``mean`` and ``scale`` are (q,);
    a scale of 0 marks an input that was constant in training and is always exactly 0.
    ``learned`` holds, by the position of a column, what ``autoreg.learned`` made of it, and
    ``levels`` what the positions of its cells point to. ``own`` are the learned inputs of the
    training rows themselves, which are not those of a new row: they are not stored.

    >>> columns = (Column("age", "numeric"), Column("city", "categorical", ("Bonn", "Rome")))
    >>> X = np.array([[20, 0], [40, 0], [np.nan, 0], [30, 1], [30, 1], [30, 1]])
    >>> scaler = Preprocessor.fit(X, columns)
    >>> scaler.names, scaler.transform(X)[:3].round(2).tolist()
    (('age', 'city=Rome'), [[-1.73, -1.0], [1.73, -1.0], [0.0, -1.0]])
    """

    names: tuple[str, ...]
    groups: Rows
    lookups: Mapping[int, Rows]
    mean: Floats
    scale: Floats
    learned: Mapping[int, Learned] = field(default_factory=dict)
    levels: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    own: Mapping[int, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Dataset, rows: Rows) -> Preprocessor:
        """Learn from the training rows of a table."""
        weights, known = table.weights[rows], None
        if (names := table.plain_names) is not None:
            return cls(names, np.arange(len(names)), {}, *_moments(table.X[rows], weights))
        if any_learned(table.columns):
            group = None if table.group is None else table.group[rows]
            known = Known(_targets(table, rows), weights, group)
        return cls.fit(table.X[rows], table.columns, weights, known)

    @classmethod
    def fit(
        cls,
        X: Floats,
        columns: Sequence[Column],
        weights: Floats | None = None,
        known: Known | None = None,
    ) -> Preprocessor:
        """Learn indicators, means and scales from training rows X (n, p), weights (n,).

        ``known`` is needed where a column is learned by more than its own cells.
        """
        weights = np.ones(len(X)) if weights is None else weights
        if any_learned(columns):
            return cls._with_learned(X, columns, weights, known)
        names, ids, lookups = cls._slots(X, columns, weights)
        raw = _expand(X, ids, lookups)
        return cls(names, ids, lookups, *_moments(raw, weights))

    @staticmethod
    def _slots(
        X: Floats, columns: Sequence[Column], weights: Floats
    ) -> tuple[tuple[str, ...], Rows, dict[int, Rows]]:
        """Names and raw columns (q,) of the inputs, and where kinds of cells are looked up."""
        names: list[str] = []
        groups: list[int] = []
        lookups: dict[int, Rows] = {}
        for position, column in enumerate(columns):
            new = [column.name]
            if column.is_categorical:
                counts = KindCounts.of(kinds_of(X[:, position]), weights, column)
                slots, new = slots_of(counts, column)
                lookups[position] = np.where(slots == NOWHERE, NOWHERE, slots + len(names))
            names += new
            groups += [position] * len(new)
        return tuple(names), np.array(groups, dtype=np.int64), lookups

    @classmethod
    def _with_learned(
        cls, X: Floats, columns: Sequence[Column], weights: Floats, known: Known | None
    ) -> Preprocessor:
        """The same with learned columns; ``known`` may be left out where none needs the target."""
        told = known or Known(np.zeros((len(X), 0)), weights)
        learned: dict[int, Learned] = {}
        own: dict[int, Floats] = {}
        for position, column in enumerate(columns):
            if kind := kind_of(column):
                learned[position], own[position] = KINDS[kind].fit(X[:, position], column, told)
        names: list[str] = []
        groups: list[int] = []
        lookups: dict[int, Rows] = {}
        for position, column in enumerate(columns):
            new = [column.name]
            if position in learned:
                new = names_of(column, learned[position].width)
            elif column.is_categorical:
                counts = KindCounts.of(kinds_of(X[:, position]), weights, column)
                slots, new = slots_of(counts, column)
                lookups[position] = np.where(slots == NOWHERE, NOWHERE, slots + len(names))
            names += new
            groups += [position] * len(new)
        ids = np.array(groups, dtype=np.int64)
        raw = _expand(X, ids, lookups)
        for position, values in own.items():
            raw[:, ids == position] = values
        levels = {position: columns[position].levels for position in learned}
        moments = _moments(raw, weights)
        return cls(tuple(names), ids, lookups, *moments, learned, levels, own)

    def reading(self, columns: Sequence[Column]) -> Preprocessor:
        """The same for a table whose text columns hold other documents."""
        levels = {position: columns[position].levels for position in self.learned}
        return replace(self, levels=levels, own={})

    def inputs(self, X: Floats) -> Floats:
        """Standardized inputs (n, q) of the training rows themselves, in their order."""
        return self.transform(X, self.own)

    def transform(self, X: Floats, own: Mapping[int, Floats] | None = None) -> Floats:
        """Standardized inputs (n, q) of raw rows (n, p); new rows are allowed new levels."""
        raw = _expand(X, self.groups, self.lookups, copied=bool(self.learned))
        for position, one in self.learned.items():
            known = own.get(position) if own else None
            values = (
                known if known is not None else one.values(X[:, position], self.levels[position])
            )
            raw[:, self.groups == position] = values
        varies = self.scale > 0
        out = raw - self.mean
        out /= np.where(varies, self.scale, 1.0)
        out[:, ~varies] = 0.0
        out[np.isnan(out)] = 0.0
        return out

    def original_units(self, coefficients: Floats, intercepts: Floats) -> tuple[Floats, Floats]:
        """A linear model of the standardized inputs, as one of the inputs in raw units.

        ``coefficients`` (..., q, C) and ``intercepts`` (..., C) come back in the same shapes. A
        coefficient is then the change of the score for one unit of a numeric column, or for a
        cell that sets an indicator; a missing numeric cell counts as the column's ``mean``. An
        input that was constant in training gets 0, whatever its coefficient was.

        >>> ones = np.ones((1, 1))
        >>> scaler = Preprocessor.fit(np.array([[0.0], [4.0]]), [Column("a", "numeric")])
        >>> scaler.original_units(ones, np.array([5.0]))
        (array([[0.5]]), array([4.]))
        """
        per_unit = np.divide(1.0, self.scale, out=np.zeros_like(self.scale), where=self.scale > 0)
        slopes = coefficients * per_unit[:, None] + 0.0  # no negative zeros
        return slopes, intercepts - self.mean @ slopes

    def to_data(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """What was learned, as JSON-ready data and as arrays."""
        statistics: dict[str, Any] = {
            "names": list(self.names),
            "groups": self.groups.tolist(),
            "lookups": {str(position): slots.tolist() for position, slots in self.lookups.items()},
        }
        arrays = {"mean": self.mean, "scale": self.scale}
        for position, one in self.learned.items():
            data, own = one.to_data()
            statistics.setdefault("learned", {})[str(position)] = data
            arrays |= {f"learned.{position}.{name}": values for name, values in own.items()}
        return statistics, arrays

    @classmethod
    def from_data(
        cls, statistics: Mapping[str, Any], arrays: Mapping[str, Floats], columns: Sequence[Column]
    ) -> Preprocessor:
        """The inverse of :meth:`to_data`.

        Raises ValueError where the statistics do not belong to the columns.
        """
        lookups = {
            int(position): np.array(slots, dtype=np.int64)
            for position, slots in statistics["lookups"].items()
        }
        expected = {
            position: len(column.levels) + FIRST_LEVEL
            for position, column in enumerate(columns)
            if column.is_categorical and not column.is_learned
        }
        if {position: len(slots) for position, slots in lookups.items()} != expected:
            raise ValueError("the preprocessing statistics do not fit the columns")
        groups = np.array(statistics["groups"], dtype=np.int64)
        learned, levels = {}, {}
        for position, column in enumerate(columns):
            if kind := kind_of(column):
                prefix = f"learned.{position}."
                own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
                data = statistics["learned"][str(position)]
                learned[position] = KINDS[kind].from_data(data, own)
                levels[position] = column.levels
        names = tuple(statistics["names"])
        return cls(names, groups, lookups, arrays["mean"], arrays["scale"], learned, levels)


def any_learned(columns: Sequence[Column]) -> bool:
    """Whether the inputs of some column are learned; quick, for there may be thousands.

    >>> any_learned([Column("a", "numeric"), Column("b", "numeric", treated="fences")])
    True
    """
    return any([column.kind == "text" or column.treated != "" for column in columns])


def _targets(table: Dataset, rows: Rows) -> Floats:
    """The target (n, 1), or one 0/1 column for each of more than two classes."""
    if table.task == "multiclass":
        return np.asarray(np.eye(len(table.classes))[table.y[rows].astype(np.int64)])
    return np.asarray(table.y[rows], dtype=np.float64)[:, None]


@dataclass(frozen=True, eq=False)
class KindCounts:
    """How often a categorical column's cells are missing, unseen, or of each level, in order.

    ``rows`` counts rows, ``weights`` sums their weights; both are (2 + levels,).
    """

    rows: Rows
    weights: Floats

    @classmethod
    def of(cls, where: Rows, weights: Floats, column: Column) -> KindCounts:
        """Count the kinds of cells, given by :func:`kinds_of`."""
        kinds = len(column.levels) + FIRST_LEVEL
        rows = np.bincount(where, minlength=kinds)
        sums = np.bincount(where, weights=weights, minlength=kinds)
        return cls(rows, np.asarray(sums, dtype=np.float64))

    @classmethod
    def sum(cls, parts: Iterable[KindCounts]) -> KindCounts:
        """The counts of several sets of rows together."""
        rows, weights = zip(*((part.rows, part.weights) for part in parts), strict=True)
        return cls(np.sum(rows, axis=0), np.sum(weights, axis=0))

    def extremes(self, slots: Rows, width: int) -> tuple[Floats, Floats]:
        """The lowest and highest value, 0 or 1, of each of ``width`` indicators."""
        held = slots != NOWHERE
        set_rows = np.bincount(slots[held], weights=self.rows[held], minlength=width)
        return (set_rows == self.rows.sum()).astype(float), (set_rows > 0).astype(float)


def slots_of(counts: KindCounts, column: Column) -> tuple[Rows, list[str]]:
    """Which indicator each kind of cell sets, and the indicators' names."""
    kinds, rows = len(counts.rows), counts.rows
    often = np.maximum(rows, counts.weights)
    enough = max(FEWEST_ROWS, SMALLEST_SHARE * max(rows.sum(), float(counts.weights.sum())))
    is_level = np.arange(kinds) >= FIRST_LEVEL
    frequent = np.flatnonzero(is_level & (often >= enough))
    rare = np.flatnonzero(is_level & (often < enough) & (rows > 0))

    slots = np.full(kinds, NOWHERE, dtype=np.int64)
    slots[frequent] = np.arange(len(frequent))
    names = [f"{column.name}={column.levels[kind - FIRST_LEVEL]}" for kind in frequent]
    if len(rare):
        # Levels that training never saw are as good as rare; so is a first missing cell.
        slots[slots == NOWHERE] = len(names)
        names.append(f"{column.name}=(rare)")
    if rows[MISSING]:
        slots[MISSING] = len(names)
        names.append(f"{column.name}=(missing)")
    if len(names) == 2:
        # Two indicators say the same thing twice; the second one is kept.
        return np.where(slots == 1, 0, NOWHERE), names[1:]
    return (slots, names) if names else (slots, [column.name])


def kinds_of(cells: Floats) -> Rows:
    """Where each cell of a categorical column is looked up."""
    return np.where(np.isnan(cells), MISSING, np.nan_to_num(cells) + FIRST_LEVEL).astype(np.int64)


def _expand(
    X: Floats, groups: Rows, lookups: Mapping[int, Rows], *, copied: bool = False
) -> Floats:
    """Unscaled inputs (n, q): numeric columns as they are, indicators as 0 and 1.

    ``copied``: an array of its own even where nothing changes.
    """
    if not lookups and not copied:
        return np.ascontiguousarray(X)
    out = X[:, groups]
    for position, slots in lookups.items():
        out[:, groups == position] = 0.0
        target = slots[kinds_of(X[:, position])]
        rows = np.flatnonzero(target != NOWHERE)
        out[rows, target[rows]] = 1.0
    return np.ascontiguousarray(out)


def _moments(raw: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation (ddof 0) after mean imputation.

    Constant inputs are told by their values: the mean of n equal numbers can differ from them
    in the last bit, and their computed deviation is then not 0.
    """
    share = weights / weights.sum()
    mean = share @ raw
    if not np.isnan(mean).any():
        away = raw - mean
        away *= away
        return spread(mean, np.sqrt(share @ away), raw.min(axis=0), raw.max(axis=0))
    seen = ~np.isnan(raw)
    low = np.where(seen, raw, np.inf).min(axis=0)
    high = np.where(seen, raw, -np.inf).max(axis=0)
    share = share[:, None]
    observed = (share * seen).sum(axis=0)
    total = (share * np.where(seen, raw, 0.0)).sum(axis=0)
    mean = np.divide(total, observed, out=np.zeros_like(total), where=observed > 0)
    deviations = np.where(seen, raw - mean, 0.0)
    scale = np.sqrt((share * deviations**2).sum(axis=0))
    return spread(mean, scale, np.where(observed > 0, low, 0.0), high)


def spread(mean: Floats, scale: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Means and scales with constant inputs, told by their lowest and highest value, at scale 0."""
    magnitude = np.maximum(np.abs(low), np.abs(high))
    varies = (high > low) & (scale > ROUNDING * magnitude)
    return np.where(high > low, mean, low), np.where(varies, scale, 0.0)
