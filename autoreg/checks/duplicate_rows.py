"""Equal rows stand on both sides of a split, and are predicted from their twins."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import Look, TableCheck
from autoreg.data.dataset import Floats, Rows


class DuplicateRows(TableCheck):
    """Equal rows stand on both sides of a split, and are predicted from their twins."""

    title = "rows are equal in all feature columns"
    severity = "warning"
    remedy = "remove the repetitions, or declare what they share as data: group"
    references = ("Kapoor & Narayanan 2023, Patterns 4(9), L1.4",)

    def seen(self, look: Look) -> str | None:
        """Count equal pairs, unless tables of so few values have them by chance."""
        kinds = _kinds(look.X)
        sizes = np.bincount(kinds)
        if look.table.group is not None:
            # Equal rows of one group are never split apart: they count as one.
            together = np.unique(np.column_stack([kinds, look.table.group]), axis=0)[:, 0]
            sizes = np.bincount(together)
        pairs = float((sizes * (sizes - 1) / 2).sum())
        expected = look.n**2 / 2 * float(np.prod([_agreement(column) for column in look.X.T]))
        rich = len(look.continuous) > 0 or expected < 1e-3
        if not rich or pairs <= max(10 * expected, 0.5):
            return None
        repeated = int(sizes[sizes > 1].sum())
        return f"{repeated} of {look.n} rows have a twin"


def _kinds(X: Floats) -> Rows:
    """A number for each distinct row, (n,)."""
    cells = np.ascontiguousarray(np.nan_to_num(X + 0.0, nan=1e308))
    rows = cells.view(np.dtype((np.void, cells.dtype.itemsize * cells.shape[1]))).ravel()
    return np.unique(rows, return_inverse=True)[1].astype(np.int64)


def _agreement(column: Floats) -> float:
    """The chance that two rows agree in a column."""
    counts = np.unique(np.nan_to_num(column, nan=1e308), return_counts=True)[1]
    return float(((counts / len(column)) ** 2).sum())
