"""A column has the same value in every row, so nothing can be learned from it."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import Look, TableCheck, listed


class ConstantColumn(TableCheck):
    """A column has the same value in every row, so nothing can be learned from it."""

    title = "a column has one value only"
    severity = "info"
    remedy = "it does no harm; data: drop makes reports shorter"
    references = ("Kuhn & Johnson 2013, Applied Predictive Modeling, section 3.5",)

    def seen(self, look: Look) -> str | None:
        """Name the columns."""
        gaps = np.isnan(look.X).any(axis=0)
        found = [look.names[j] for j in np.flatnonzero((look.distinct < 2) & ~gaps)]
        return listed(found) if found else None
