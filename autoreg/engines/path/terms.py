"""A penalty and the user's constraints in numbers, as compiled solvers read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Column, Floats, Rows
from autoreg.engines.path.kernels.quadratic import CONCAVE, Terms
from autoreg.spec import LinearSpec
from autoreg.techniques.base import Penalty

NO_STARTS, NO_HEIGHTS = np.zeros(1, dtype=np.int64), np.zeros(0)


@dataclass(frozen=True, eq=False)
class Constraints:
    """What is asked of the inputs of a design whatever their penalty; arrays are (q,).

    ``lowest`` is the lowest value of a coefficient, ``penalized`` and ``allowed`` say which may
    be penalized and which may be used at all. ``inputs`` (q,) are the raw columns that the inputs
    come from, ``labels`` (p,) names the feature group of each column.
    """

    lowest: Floats
    penalized: NDArray[np.bool_]
    allowed: NDArray[np.bool_]
    labels: tuple[str, ...]
    inputs: Rows

    @classmethod
    def of(cls, columns: Sequence[Column], inputs: Rows, linear: LinearSpec) -> Constraints:
        """From columns by name to inputs; ``inputs`` (q,) are the columns they come from."""

        def named(names: Sequence[str]) -> NDArray[np.bool_]:
            return np.array([column.name in names for column in columns], dtype=np.bool_)[inputs]

        if linear.non_negative == "all":
            bounded = np.array([not column.is_categorical for column in columns])[inputs]
        else:
            bounded = named(linear.non_negative)
        lowest = np.where(bounded, 0.0, -np.inf)
        penalized = ~named(linear.unpenalized)
        labels = tuple(column.group or column.name for column in columns)
        return cls(lowest, penalized, np.ones(len(inputs), dtype=np.bool_), labels, inputs)

    @cached_property
    def group(self) -> Rows:
        """The number of each input's feature group; one that no penalty touches has its own."""
        numbers: dict[str, int] = {}
        columns = [numbers.setdefault(label, len(numbers)) for label in self.labels]
        apart = len(numbers) + np.arange(len(self.inputs))
        return np.where(self.penalized, np.array(columns, dtype=np.int64)[self.inputs], apart)

    @cached_property
    def free(self) -> bool:
        """Whether nothing is asked for."""
        return bool(np.isinf(self.lowest).all() and self.penalized.all() and self.allowed.all())

    @cached_property
    def order(self) -> Rows | slice:
        """The inputs that are allowed, those of a group side by side; a slice where it is all."""
        order = np.flatnonzero(self.allowed)
        order = order[np.argsort(self.group[order], kind="stable")]
        return slice(None) if np.array_equal(order, np.arange(len(self.group))) else order

    @cached_property
    def bounds(self) -> Rows:
        """Where groups begin in that order, and where the last one ends."""
        return np.flatnonzero(np.diff(self.group[self.order], prepend=-1, append=-2))

    def only(self, allowed: NDArray[np.bool_]) -> Constraints:
        """The same with some inputs ruled out."""
        return replace(self, allowed=allowed)

    def terms(self, penalty: Penalty, bend: Floats | None) -> Terms:
        """The penalty in numbers, in this order; ``bend`` (q,) multiplies the L1 part."""
        touched, lowest = self._in_order
        starts, heights = NO_STARTS, NO_HEIGHTS
        if penalty.group > 0.0:
            starts = self.bounds.astype(np.int64)
            heights = np.sqrt(np.diff(starts)) * touched[starts[:-1]]
        bends = touched if bend is None else bend[self.order] * touched
        return _numbers(penalty, bends, touched, lowest, starts, heights)

    @cached_property
    def _in_order(self) -> tuple[Floats, Floats]:
        """Which inputs are penalized, as factors, and their lowest values."""
        touched = self.penalized[self.order].astype(np.float64)
        return touched, np.ascontiguousarray(self.lowest[self.order])


def plain_terms(penalty: Penalty, q: int) -> Terms:
    """A penalty on q inputs, without groups and constraints, in numbers."""
    ones = np.ones(q)
    return _numbers(penalty, ones, ones, np.full(q, -np.inf), NO_STARTS, NO_HEIGHTS)


def _numbers(
    penalty: Penalty, bend: Floats, shrink: Floats, lowest: Floats, starts: Rows, heights: Floats
) -> Terms:
    concave = CONCAVE[penalty.concave]
    return Terms(
        penalty.l1,
        penalty.l2,
        penalty.group,
        bend,
        shrink,
        lowest,
        starts,
        heights,
        concave,
        penalty.gamma,
        penalty.relax,
    )


def for_columns(terms: Terms, K: int) -> Terms:
    """The same penalty for K columns of scores, with the intercepts behind."""

    def each(values: Floats, intercept: float) -> Floats:
        return np.append(np.repeat(values, K), np.full(K, intercept))

    starts, heights = terms.starts * K, terms.heights
    if len(heights):
        starts, heights = np.append(starts, starts[-1] + K), np.append(heights, 0.0)
    return terms._replace(
        bend=each(terms.bend, 0.0),
        shrink=each(terms.shrink, 0.0),
        lowest=each(terms.lowest, -np.inf),
        starts=starts,
        heights=heights,
    )
