"""Rows are copies of other rows but for a little noise: augmented, or measured twice."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import CHANCE, Look, TableCheck
from autoreg.data.dataset import Floats

LARGEST = 0.03  # root mean square distance in standard units that still counts as near
FEWEST_DIRECTIONS = 4.0
PROJECTED = 6
NEIGHBOURS = 3


class NearDuplicates(TableCheck):
    """Rows are copies of other rows but for a little noise: augmented, or measured twice."""

    title = "rows are nearly equal in all numeric columns"
    severity = "warning"
    remedy = "keep copies together: declare what they share as data: group, or augment in training"
    references = ("Barz & Denzler 2020, Journal of Imaging 6(6) (near duplicates in test sets)",)

    def why_not(self, look: Look) -> str | None:
        """Few directions in which rows could differ make near rows by chance."""
        if len(look.continuous) < FEWEST_DIRECTIONS:
            return "there are fewer than 4 continuous columns"
        if _directions(_scaled(look)) < FEWEST_DIRECTIONS:
            return "the columns vary in fewer than 4 directions"
        if look.table.group is not None:
            return "groups are declared"
        return None

    def seen(self, look: Look) -> str | None:
        """Find each row's neighbour in a few random directions, and measure in all of them."""
        from scipy.spatial import cKDTree

        Z = _scaled(look)
        rng = np.random.default_rng(0)
        turned = Z @ rng.normal(size=(Z.shape[1], min(PROJECTED, Z.shape[1])))
        turned /= turned.std(axis=0)
        _, near = cKDTree(turned).query(turned, k=NEIGHBOURS)
        apart = np.stack([((Z - Z[near[:, k]]) ** 2).mean(axis=1) for k in range(1, NEIGHBOURS)])
        distance = np.sqrt(apart.min(axis=0))
        # Small enough that chance makes no pair: n**2 / 2 * distance**directions.
        chance = (2 * CHANCE / look.n**2) ** (1 / min(_directions(Z), 50.0))
        count = int(((distance > 0) & (distance <= min(LARGEST, chance))).sum())
        return f"{count} of {look.n} rows have a near twin" if count >= 3 else None


def _scaled(look: Look) -> Floats:
    """The continuous columns in units of their interquartile ranges, far cells drawn in."""
    X = look.X[:, look.continuous]
    low, middle, high = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
    spread = np.where(high > low, (high - low) / 1.35, X.std(axis=0))
    return np.asarray(np.clip((X - middle) / spread, -5, 5))


def _directions(Z: Floats) -> float:
    """In how many directions rows vary: (sum of eigenvalues)**2 / sum of their squares."""
    Z = Z - Z.mean(axis=0)
    products = Z.T @ Z if Z.shape[1] < len(Z) else Z @ Z.T
    return float(np.trace(products) ** 2 / (products**2).sum())
