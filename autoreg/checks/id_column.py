"""A column numbers or names the rows: it can be learned by heart, and means nothing in new rows."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import Look, TableCheck, listed
from autoreg.data.dataset import Floats

FEWEST_ROWS = 20


class IdColumn(TableCheck):
    """A column numbers or names the rows: it can be learned by heart, and means nothing later."""

    title = "a column numbers or names the rows"
    severity = "warning"
    remedy = "leave it out with data: drop; if it tells the order of time, declare it as data: time"
    references = ("Kapoor & Narayanan 2023, Patterns 4(9), L2",)

    def why_not(self, look: Look) -> str | None:
        """A handful of rows may well have a handful of levels."""
        return None if look.n >= FEWEST_ROWS else f"there are fewer than {FEWEST_ROWS} rows"

    def seen(self, look: Look) -> str | None:
        """Name the columns with (almost) a value of its own for each row."""
        found = [
            column.name
            for j, column in enumerate(look.table.columns)
            if column.kind != "text"  # every document may be one of its kind
            and (look.distinct[j] > look.n / 2 if column.is_categorical else _counts(look.X[:, j]))
        ]
        return f"{listed(found)}" if found else None


def _counts(cells: Floats) -> bool:
    """Whether whole numbers count the rows: all differ, and few are left out in between."""
    if np.isnan(cells).any() or (cells != np.floor(cells)).any():
        return False
    reach = float(cells.max() - cells.min()) + 1
    return reach <= 1.5 * len(cells) and len(np.unique(cells)) == len(cells)
