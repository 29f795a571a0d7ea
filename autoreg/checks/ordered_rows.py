"""Neighbouring rows are alike: they come in the order of time, or person by person."""

from __future__ import annotations

import math

import numpy as np

from autoreg.checks.base import CHANCE, Look, TableCheck, listed, ranks
from autoreg.data.dataset import Floats

FEWEST_ROWS = 30
WEAKEST = 0.2  # correlation of neighbours that matters
MOST_COLUMNS = 400
COPIED = 0.99


class OrderedRows(TableCheck):
    """Neighbouring rows are alike: they come in the order of time, or person by person."""

    title = "neighbouring rows are alike, and rows are shuffled over the folds"
    severity = "warning"
    remedy = (
        "if rows follow each other in time, declare data: time (number them if need be); if they "
        "come person by person, declare data: group"
    )
    references = ("von Neumann 1941, Annals of Mathematical Statistics 12(4)",)

    def why_not(self, look: Look) -> str | None:
        """A declared order or group is obeyed; a table sorted by its target looks ordered."""
        if not look.is_independent:
            return "group, time or folds are declared"
        if look.n < FEWEST_ROWS:
            return f"there are fewer than {FEWEST_ROWS} rows"
        if not look.table.classes and look.is_by_target:
            return "the rows are sorted by the target"
        return None

    def seen(self, look: Look) -> str | None:
        """Correlate each column with itself one row later, within classes where there are some."""
        numeric = look.numeric[:MOST_COLUMNS]
        if copied := _copied(look, numeric):
            return f"{listed(copied)} (repeated from another column of the row before)"
        named = [look.names[j] for j in numeric]
        cells = _within_classes(look, np.nan_to_num(look.X[:, numeric]))
        if not look.table.classes:
            cells = np.column_stack([cells, look.table.y])
            named.append(look.table.target)
        if not named:
            return None
        ranked = ranks(cells)
        together = (ranked[1:] * ranked[:-1]).sum(axis=0) / look.n
        limit = max(_limit(look.n, len(named)), WEAKEST)
        strong = sorted(np.flatnonzero(together > limit), key=lambda j: -together[j])
        if not strong:
            return None
        words = listed(named[j] for j in strong)
        return f"{words} (correlation with the row before: {together[strong[0]]:.2f})"


def _within_classes(look: Look, cells: Floats) -> Floats:
    """The cells less the mean of their class, so that rows sorted by class are not alike."""
    if not look.table.classes:
        return cells
    y = look.table.y.astype(np.int64)
    counts = np.maximum(np.bincount(y, minlength=len(look.table.classes)), 1)
    means = np.stack([cells[y == k].sum(axis=0) for k in range(len(counts))]) / counts[:, None]
    return np.asarray(cells - means[y])


def _limit(n: int, columns: int) -> float:
    """What the correlation of neighbours exceeds by chance in few tables: it is N(-1/n, 1/n)."""
    from scipy.stats import norm

    return float(norm.isf(CHANCE / columns)) / math.sqrt(n) - 1 / n


def _copied(look: Look, numeric: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[str]:
    """Columns that repeat another column of the row before, such as lags of a series."""
    rich = [int(j) for j in numeric if look.distinct[j] > look.n / 2]
    rich = [j for j in rich if not np.isnan(look.X[:, j]).any()]
    if len(rich) < 2:
        return []
    cells = ranks(look.X[:, rich])
    alike = cells[1:].T @ cells[:-1] / (look.n - 1)
    np.fill_diagonal(alike, 0.0)
    return [look.names[rich[j]] for j in np.flatnonzero((alike > COPIED).any(axis=1))]
