"""Values repeat that should not: several rows come from one person, site or batch."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import COUNTS_OF_GROUPS, Look, TableCheck, is_called, listed
from autoreg.data.dataset import Floats, Rows

FEWEST_ROWS = 40
SHARE = 0.3  # of the rows that share their value with others
TIMES = 10.0  # more often than chance
SPIKES = 3  # most frequent values that are left out: zeros, limits of a scale
BINS = 12


class RepeatedMeasures(TableCheck):
    """Values repeat that should not: several rows come from one person, site or batch."""

    title = "several rows seem to come from one person, site or batch, and no group is declared"
    severity = "warning"
    remedy = "declare what they share as data: group, so that it is never split apart"
    references = (
        "Kapoor & Narayanan 2023, Patterns 4(9), L3.2",
        "Saeb et al. 2017, GigaScience 6(5) (record-wise splits of subjects)",
    )

    def why_not(self, look: Look) -> str | None:
        """Declared groups are kept together."""
        if look.table.group is not None or look.table.fold is not None:
            return "groups or folds are declared"
        return None if look.n >= FEWEST_ROWS else f"there are fewer than {FEWEST_ROWS} rows"

    def seen(self, look: Look) -> str | None:
        """Name columns called like groups, and columns of fine values that repeat."""
        called = [
            column.name
            for j, column in enumerate(look.table.columns)
            if is_called(column, COUNTS_OF_GROUPS) and 5 <= look.distinct[j] <= look.n / 2
        ]
        if called:
            return f"{listed(called)} is called like a group, and its values repeat"
        found = [look.names[j] for j in look.numeric if _repeats(look.X[:, j])]
        return f"values of {listed(found)} repeat more often than chance allows" if found else None


def _repeats(cells: Floats) -> bool:
    """Whether the values of a column on a fine scale coincide far more often than by chance."""
    known = cells[~np.isnan(cells)]
    values, counts = np.unique(known, return_counts=True)
    kept = counts <= np.sort(counts)[-min(SPIKES + 1, len(counts))]
    values, counts = values[kept], counts[kept]
    n = int(counts.sum())
    if len(values) < 5 or n < FEWEST_ROWS or counts[counts > 1].sum() < SHARE * n:
        return False
    pairs = float((counts * (counts - 1.0) / 2).sum())
    return pairs > TIMES * (_expected(values, counts) + 1)


def _expected(values: Floats, counts: Rows) -> float:
    """The pairs of equal cells to be expected where rows scatter over the scale's smallest steps.

    The step is that of the decimals that values are written with, or their smallest distance
    where that is larger (quarters of an inch); the density of the rows is taken from bins of
    equal numbers of rows.
    """
    step = max(_step(values), float(np.diff(values).min()))
    edges = np.quantile(np.repeat(values, counts), np.linspace(0, 1, BINS + 1))
    expected = 0.0
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = float(counts[(values >= low) & (values <= high)].sum())
        expected += inside**2 / 2 / ((high - low) / step + 1)
    return expected


def _step(values: Floats) -> float:
    """The smallest decimal step on which all values lie; tiny where there is none."""
    scale = float(np.abs(values).max()) or 1.0
    for digits in range(-9, 16):
        step = 10.0**-digits
        if step > scale:
            continue
        places = values / step
        if (np.abs(places - np.round(places)) < 1e-6 * np.maximum(np.abs(places), 1)).all():
            return step
    return scale * 1e-15
