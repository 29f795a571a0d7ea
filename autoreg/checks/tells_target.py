"""One column alone nearly determines the target: often it was made from it, or after it."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import Look, TableCheck, listed
from autoreg.data.dataset import Floats

FEWEST_ROWS = 30
EXPLAINED = 0.95  # of the variation of a number
RIGHT = 0.995  # of the pairs of rows of two classes; of the rows, for categories
BINS = 20


class TellsTarget(TableCheck):
    """One column alone nearly determines the target: often it was made from it, or after it."""

    title = "a column alone nearly determines the target"
    severity = "warning"
    remedy = "make sure that it is known BEFORE the target is; if not, data: drop it"
    references = ("Kapoor & Narayanan 2023, Patterns 4(9), L2", "Kaufman et al. 2012, TKDD 6(4)")

    def why_not(self, look: Look) -> str | None:
        """With few rows chance determines a lot."""
        if look.n < FEWEST_ROWS:
            return f"there are fewer than {FEWEST_ROWS} rows"
        if look.table.classes and np.bincount(look.table.y).min() < FEWEST_ROWS / 3:
            return "a class has fewer than 10 rows"
        return None

    def seen(self, look: Look) -> str | None:
        """Name the columns, with how much of the target they tell."""
        told = {look.names[j]: _told(look, j) for j in range(look.X.shape[1])}
        limit = RIGHT if look.table.classes else EXPLAINED
        strong = {name: share for name, share in told.items() if share >= limit}
        what = "right" if look.table.classes else "R2"
        best = sorted(strong, key=lambda name: -strong[name])
        return f"{listed(best)} ({what} {strong[best[0]]:.3f})" if best else None


def _told(look: Look, j: int) -> float:
    """How much of the target a column tells by itself, 0 to 1."""
    cells, y = look.X[:, j], look.table.y
    here = ~np.isnan(cells)
    if here.sum() < FEWEST_ROWS or look.distinct[j] < 2:
        return 0.0
    if look.table.columns[j].is_categorical:
        return _of_levels(cells[here].astype(np.int64), look, here)
    if look.table.classes:
        # Several classes: each must be told from all others, so the hardest counts.
        return min(_ordered(cells[here], y[here] == k) for k in range(len(look.table.classes)))
    numbers = y[here].astype(np.float64)
    return max(_line(cells[here], numbers), _steps(cells[here], numbers))


def _line(cells: Floats, y: Floats) -> float:
    a, b = cells - cells.mean(), y - y.mean()
    spread = float(a @ a) * float(b @ b)
    return float(a @ b) ** 2 / spread if spread > 0 else 0.0


def _steps(cells: Floats, y: Floats) -> float:
    """The adjusted R2 of means in bins of equal numbers of rows."""
    edges = np.unique(np.quantile(cells, np.linspace(0, 1, BINS + 1)[1:-1]))
    return _adjusted(np.searchsorted(edges, cells, side="right"), y)


def _adjusted(kinds: np.ndarray[tuple[int], np.dtype[np.int64]], y: Floats) -> float:
    """The adjusted R2 of the means of each kind of row."""
    kinds = np.unique(kinds, return_inverse=True)[1]
    counts = np.bincount(kinds)
    within = float(((y - (np.bincount(kinds, y) / counts)[kinds]) ** 2).sum())
    free, total = len(y) - len(counts), float(((y - y.mean()) ** 2).sum())
    return 1 - within / free * (len(y) - 1) / total if free > 0 and total > 0 else 0.0


def _ordered(cells: Floats, inside: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """The area under the ROC curve of a column for one class, whichever way round."""
    from scipy.stats import rankdata

    ups = int(inside.sum())
    downs = len(cells) - ups
    if not ups or not downs:
        return 0.0
    area = (rankdata(cells)[inside].sum() - ups * (ups + 1) / 2) / (ups * downs)
    return float(max(area, 1 - area))


def _of_levels(
    codes: np.ndarray[tuple[int], np.dtype[np.int64]],
    look: Look,
    here: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> float:
    y = look.table.y[here]
    if not look.table.classes:
        return _adjusted(codes, y.astype(np.float64))
    width = len(look.table.classes)
    table = np.bincount(codes * width + y, minlength=(codes.max() + 1) * width).reshape(-1, width)
    usual = table.sum(axis=0).max()
    # A row does not vote for itself: a level of one row tells nothing.
    right = float(np.maximum(table.max(axis=1) - (table.sum(axis=1) < 2), 0).sum())
    return right / len(y) if usual < 0.9 * len(y) else 0.0
