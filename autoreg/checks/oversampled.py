"""Rows lie exactly between two others of their class: synthetic rows, made before the split."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import Look, TableCheck
from autoreg.data.dataset import Floats, Rows

NEIGHBOURS = 12
FEWEST_COLUMNS = 3
MOST_COLUMNS = 30
MOST_ROWS = 2_000
STRAIGHT = 1e-9  # one plus the cosine of the directions to two neighbours
SHARE = 0.05


class Oversampled(TableCheck):
    """Rows lie exactly between two others of their class: synthetic, made before the split."""

    title = "rows lie exactly between two others of their class, as oversampling makes them"
    severity = "warning"
    remedy = "give autoreg the real rows; weight rare classes with data: weight instead"
    references = (
        "Chawla et al. 2002, JAIR 16 (SMOTE)",
        "Santos et al. 2018, IEEE Computational Intelligence Magazine 13(4) (before the split)",
    )

    def why_not(self, look: Look) -> str | None:
        """Interpolation needs classes, and columns that hardly repeat a value."""
        if not look.table.classes:
            return "the target has no classes"
        if len(look.continuous) < FEWEST_COLUMNS:
            return f"there are fewer than {FEWEST_COLUMNS} continuous columns"
        return None

    def seen(self, look: Look) -> str | None:
        """Count such rows in each class."""
        X = look.X[:, look.continuous[:MOST_COLUMNS]]
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        for k, label in enumerate(look.table.classes):
            rows = np.flatnonzero(look.table.y == k)[:MOST_ROWS]
            between = _between(X[rows])
            if len(between) >= max(3, SHARE * len(rows)):
                return f"{len(between)} of {len(rows)} rows of class {label!r}"
        return None


def _between(X: Floats) -> Rows:
    """The rows with two neighbours in exactly opposite directions."""
    from scipy.spatial import cKDTree

    if len(X) <= NEIGHBOURS:
        return np.empty(0, dtype=np.int64)
    near = cKDTree(X).query(X, k=NEIGHBOURS + 1)[1][:, 1:]
    steps = X[near] - X[:, None, :]
    lengths = np.linalg.norm(steps, axis=2, keepdims=True)
    steps = np.divide(steps, lengths, out=np.zeros_like(steps), where=lengths > 0)
    cosines = np.einsum("nap,nbp->nab", steps, steps)
    return np.flatnonzero(cosines.min(axis=(1, 2)) < STRAIGHT - 1)
