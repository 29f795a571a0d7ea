"""A column IS the target: the same numbers on another scale, or the same classes renamed."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import Look, TableCheck, listed

FEWEST_ROWS = 20
SAME = 1e-9


class TargetCopy(TableCheck):
    """A column IS the target: the same numbers on another scale, or the same classes renamed."""

    title = "a column is the target itself, on another scale or renamed"
    severity = "error"
    remedy = "leave it out with data: drop"
    references = ("Kapoor & Narayanan 2023, Patterns 4(9), L2",)

    def why_not(self, look: Look) -> str | None:
        """Of few rows nothing is certain."""
        return None if look.n >= FEWEST_ROWS else f"there are fewer than {FEWEST_ROWS} rows"

    def seen(self, look: Look) -> str | None:
        """Name the columns that map one to one onto the target."""
        same = _renamed if look.table.classes else _rescaled
        found = [look.names[j] for j in range(look.X.shape[1]) if same(look, j)]
        return listed(found) if found else None


def _rescaled(look: Look, j: int) -> bool:
    cells, y = look.X[:, j], look.table.y
    if look.table.columns[j].is_categorical or look.distinct[j] < 3 or np.isnan(cells).any():
        return False
    unit = (cells - cells.mean()) / cells.std()
    truth = (y - y.mean()) / y.std()
    sign = np.sign(unit @ truth) or 1.0
    return bool(np.abs(unit - sign * truth).max() < SAME)


def _renamed(look: Look, j: int) -> bool:
    if look.distinct[j] != len(look.table.classes) or np.isnan(look.X[:, j]).any():
        return False
    pairs = np.unique(np.column_stack([look.X[:, j], look.table.y]), axis=0)
    return len(pairs) == len(look.table.classes)
