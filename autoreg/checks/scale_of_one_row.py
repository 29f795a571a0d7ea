"""One row alone makes the scale of a column, and so decides how hard it is penalized."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import Look, TableCheck, listed

FEWEST_ROWS = 20
FEWEST_VALUES = 10
SHARE = 0.5


class ScaleOfOneRow(TableCheck):
    """One row alone makes the scale of a column, and so decides how hard it is penalized."""

    title = "one row makes more than half of a column's spread, on which its penalty rests"
    severity = "info"
    remedy = "columns are standardized before they are penalized: correct the cell, or take logs"
    references = ("Hastie, Tibshirani & Friedman 2009, section 3.4 (penalties are not invariant)",)

    def why_not(self, look: Look) -> str | None:
        """Of few rows each makes a good part of the spread."""
        return None if look.n >= FEWEST_ROWS else f"there are fewer than {FEWEST_ROWS} rows"

    def seen(self, look: Look) -> str | None:
        """Name the columns."""
        rich = [j for j in look.numeric if look.distinct[j] >= FEWEST_VALUES]
        if not rich:
            return None
        squares = (look.X[:, rich] - np.nanmedian(look.X[:, rich], axis=0)) ** 2
        share = np.nanmax(squares, axis=0) / np.nansum(squares, axis=0)
        found = [look.names[rich[k]] for k in np.flatnonzero(share > SHARE)]
        return listed(found) if found else None
