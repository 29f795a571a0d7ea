"""Outliers of a column of numbers pulled in to fences that training rows set.

A cell beyond the outer fences, three interquartile ranges beyond the quartiles, becomes the
fence (Tukey 1977, Exploratory Data Analysis, section 2D). So one wild cell neither stretches the
scale of its column nor drags a line after it; the cells inside stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Column, Floats

REACH = 3.0


@dataclass(frozen=True, eq=False)
class Fences:
    """The lowest and highest value that a cell may keep; infinite where quartiles are equal."""

    low: float
    high: float

    @classmethod
    def fit(cls, cells: Floats, column: Column, known: Any) -> tuple[Fences, Floats]:
        """Learn fences from training cells (n,); and what these cells become.

        >>> cells, age = np.array([1.0, 2.0, 3.0, 4.0, 99.0]), Column("age", "numeric")
        >>> Fences.fit(cells, age, None)[1].ravel().tolist()
        [1.0, 2.0, 3.0, 4.0, 10.0]
        """
        weights = np.ones(len(cells)) if known is None else known.weights
        first, third = quantiles(cells, weights, (0.25, 0.75))
        reach = REACH * (third - first)
        made = cls(first - reach, third + reach) if reach > 0 else cls(-np.inf, np.inf)
        return made, made.values(cells, ())

    @property
    def width(self) -> int:
        """One input."""
        return 1

    def values(self, cells: Floats, levels: Sequence[str]) -> Floats:
        """The cells inside the fences, (n, 1); missing ones stay missing."""
        return np.clip(cells, self.low, self.high)[:, None]

    def to_data(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What was learned, as JSON-ready data and as arrays."""
        return {}, {"fences": np.array([self.low, self.high])}

    @classmethod
    def from_data(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Fences:
        """The inverse of :meth:`to_data`."""
        low, high = arrays["fences"].tolist()
        return cls(low, high)


def quantiles(cells: Floats, weights: Floats, shares: Sequence[float]) -> list[float]:
    """The lowest cells up to which shares of the weight lie; 0 where no cell is there.

    >>> quantiles(np.array([3.0, 1.0, np.nan]), np.array([1.0, 3.0, 1.0]), (0.5, 0.9))
    [1.0, 3.0]
    """
    seen = ~np.isnan(cells)
    if not seen.any():
        return [0.0 for _ in shares]
    order = np.argsort(cells[seen], kind="stable")
    values, sums = cells[seen][order], np.cumsum(weights[seen][order])
    places = np.searchsorted(sums, np.array(shares) * sums[-1] * (1 - 1e-12))
    return [float(values[place]) for place in places]
