"""Means and cross-products of rows, that can be added up from parts without losing digits.

Each part is centred on its own means before products are formed, and parts are merged about the
means of the whole, in the order in which they are given.

Source: Chan, Golub & LeVeque 1983, The American Statistician 37(3), equation 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Sum of weights, weighted means (a,), and weighted cross-products about them (a, a)."""

    weight: float
    mean: Floats
    cross: Floats

    @classmethod
    def of(cls, Z: Floats, weights: Floats) -> Moments:
        """The moments of the columns of Z (n, a)."""
        total = float(weights.sum())
        mean = weights @ Z / total
        centred = Z - mean
        if (weights != 1.0).any():
            centred *= np.sqrt(weights)[:, None]
        return cls(total, mean, centred.T @ centred)

    def mapped(self, T: Floats) -> Moments:
        """The moments of Z T' for a matrix T (b, a)."""
        return Moments(self.weight, T @ self.mean, T @ self.cross @ T.T)


def merged(parts: Sequence[Moments]) -> Moments:
    """The moments of all rows together.

    >>> rows, ones = np.array([[0.0], [2.0], [4.0]]), np.ones(3)
    >>> halves = merged([Moments.of(rows[:1], ones[:1]), Moments.of(rows[1:], ones[1:])])
    >>> halves.weight, halves.mean.tolist(), halves.cross.tolist()
    (3.0, [2.0], [[8.0]])
    """
    weights = np.array([part.weight for part in parts])
    means = np.array([part.mean for part in parts])
    weight = float(weights.sum())
    mean = weights @ means / weight
    away = (means - mean) * np.sqrt(weights)[:, None]
    cross = away.T @ away
    for part in parts:
        cross += part.cross
    return Moments(weight, mean, cross)
