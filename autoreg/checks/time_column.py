"""A column tells the time, and the rows are split as if they came in no order."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import (
    COUNTS_OF_GROUPS,
    COUNTS_OF_TIME,
    Look,
    TableCheck,
    is_called,
    listed,
)
from autoreg.data.dataset import Floats

FEWEST_ROWS = 30
CALENDAR = ((1800, 2200), (18_000_101, 22_001_231), (10**8, 10**10), (10**11, 10**13))


class TimeColumn(TableCheck):
    """A column tells the time, and the rows are split as if they came in no order."""

    title = "a column tells the time, and rows are shuffled over the folds"
    severity = "warning"
    remedy = "if the model will predict the future, declare it as data: time"
    references = ("Kapoor & Narayanan 2023, Patterns 4(9), L3.1",)

    def why_not(self, look: Look) -> str | None:
        """A declared time is obeyed."""
        if look.table.time is not None or look.table.fold is not None:
            return "time or folds are declared"
        return None if look.n >= FEWEST_ROWS else f"there are fewer than {FEWEST_ROWS} rows"

    def seen(self, look: Look) -> str | None:
        """Name numeric columns that never fall (or never rise) from row to row, or hold dates."""
        rising = [
            look.names[j]
            for j in look.numeric
            if look.distinct[j] > 2
            and _goes_one_way(look.X[:, j])
            and not look.is_by_target
            and not is_called(look.table.columns[j], COUNTS_OF_GROUPS)
        ]
        dated = [
            look.names[j]
            for j in look.numeric
            if look.distinct[j] > 2
            and is_called(look.table.columns[j], COUNTS_OF_TIME)
            and _is_calendar(look.X[:, j])
        ]
        found = dict.fromkeys([*rising, *dated])
        return listed(found) if found else None


def _goes_one_way(cells: Floats) -> bool:
    steps = np.diff(cells)
    return bool((steps >= 0).all() or (steps <= 0).all())


def _is_calendar(cells: Floats) -> bool:
    """Whether all cells are years, dates written as numbers, or seconds since 1970."""
    known = cells[~np.isnan(cells)]
    whole = bool((known == np.floor(known)).all())
    return whole and any(low <= known.min() and known.max() <= high for low, high in CALENDAR)
