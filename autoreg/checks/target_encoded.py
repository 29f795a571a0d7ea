"""A column holds means of the target for each category, taken over all rows before the split."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import Look, TableCheck, listed
from autoreg.data.dataset import Floats

FEWEST_LEVELS = 5
SAME = 1e-7


class TargetEncoded(TableCheck):
    """A column holds means of the target for each category, taken over all rows."""

    title = "a column holds the mean target of each category, taken over all rows"
    severity = "error"
    remedy = "give autoreg the categories themselves; it encodes them in training rows only"
    references = ("Micci-Barreca 2001, SIGKDD Explorations 3(1) (target statistics)",)

    def seen(self, look: Look) -> str | None:
        """Compare each value with the mean target of the rows that hold it."""
        found = [look.names[j] for j in look.numeric if self._encodes(look, int(j))]
        return listed(found) if found else None

    @staticmethod
    def _encodes(look: Look, j: int) -> bool:
        if not FEWEST_LEVELS <= look.distinct[j] <= look.n / 2 or np.isnan(look.X[:, j]).any():
            return False
        values, level, counts = np.unique(look.X[:, j], return_inverse=True, return_counts=True)
        if (counts > 1).sum() < FEWEST_LEVELS:
            return False
        y = look.table.y
        targets = [y == k for k in range(len(look.table.classes))] if look.table.classes else [y]
        for target in targets[-1:] if len(targets) == 2 else targets:
            means = np.bincount(level, weights=target.astype(np.float64)) / counts
            if _line(values, means) or _shrunk(
                values, means, counts.astype(np.float64), float(target.mean())
            ):
                return True
        return False


def _line(values: Floats, means: Floats) -> bool:
    """Whether values are means, on whatever scale."""
    if np.ptp(means) == 0:
        return False
    slope, start = np.polyfit(means, values, 1)
    return bool(np.abs(values - start - slope * means).max() < SAME * np.ptp(values))


def _shrunk(values: Floats, means: Floats, counts: Floats, whole: float) -> bool:
    """Whether values are means drawn to the overall mean, all by one amount of smoothing."""
    apart = np.abs(values - whole) > SAME
    if apart.sum() < FEWEST_LEVELS:
        return False
    amount = (counts * (means - values))[apart] / (values - whole)[apart]
    return bool(amount.min() > 0 and np.ptp(amount) < 1e-4 * amount.max())
