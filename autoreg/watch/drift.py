"""Has the world moved? Each column and the target, then and now: an index, and a test.

The population stability index says how much, over ten bins of the earlier rows (or over levels);
the test (Kolmogorov-Smirnov for numbers, chi-squared for levels) says whether that can be chance.
A column has moved where both say so: the index alone is large in few rows, the test alone finds
trifles in many. The level is shared out over the columns by Holm's rule.

Sources: Siddiqi 2006, Credit risk scorecards, Wiley (the index and its usual limits of 0.1 and
0.2); Holm 1979, Scandinavian Journal of Statistics 6(2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from autoreg.data.dataset import Dataset, Floats
from autoreg.watch.watching import DriftSpec

BINS = 10
TARGET = "target"
FLOOR = 0.5  # rows that an empty bin counts as, so that the index stays finite


@dataclass(frozen=True)
class Shift:
    """How far one column moved; ``missing`` is the change of the share of missing cells."""

    column: str
    psi: float
    statistic: float
    p: float
    missing: float
    moved: bool

    def __str__(self) -> str:
        """The shift in words."""
        return f"{self.column} (PSI {self.psi:.2f}, p {self.p:.2g})"

    def to_data(self) -> dict[str, Any]:
        """The shift as plain data."""
        return dict(vars(self))


def shifts(then: Dataset, now: Dataset, spec: DriftSpec) -> list[Shift]:
    """How far each column and the target moved, the farthest first.

    Both tables have the same columns and levels: :func:`autoreg.tracking.gate.as_seen_by`.
    """
    names = [column.name for column in then.columns]
    kinds = [column.is_categorical for column in then.columns]
    pairs = [(then.X[:, j], now.X[:, j]) for j in range(len(names))]
    found = [_shift(a, b, levels) for (a, b), levels in zip(pairs, kinds, strict=True)]
    found.append(_shift(then.y.astype(float), now.y.astype(float), bool(then.classes)))
    corrected = holm([one[2] for one in found])
    gaps = [float(np.isnan(b).mean() - np.isnan(a).mean()) for a, b in pairs] + [0.0]
    made = [
        Shift(name, psi, statistic, float(p), gap, psi > spec.psi and p < spec.level)
        for name, (psi, statistic, _), p, gap in zip(
            [*names, TARGET], found, corrected, gaps, strict=True
        )
    ]
    return sorted(made, key=lambda one: -one.psi)


def holm(values: Sequence[float]) -> list[float]:
    """P-values that hold for all of several tests together.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order, found, worst = np.argsort(values), [0.0] * len(values), 0.0
    for rank, k in enumerate(order):
        worst = max(worst, min(1.0, float(values[k]) * (len(values) - rank)))
        found[k] = worst
    return found


def psi(then: Sequence[int] | Floats, now: Sequence[int] | Floats) -> float:
    """The population stability index of two counts over the same bins.

    >>> round(psi([50, 50], [50, 50]), 6), round(psi([50, 50], [90, 10]), 2)
    (0.0, 0.88)
    """
    a, b = (np.maximum(np.asarray(one, dtype=float), FLOOR) for one in (then, now))
    p, q = a / a.sum(), b / b.sum()
    return float(((q - p) * np.log(q / p)).sum())


def _shift(then: Floats, now: Floats, levels: bool) -> tuple[float, float, float]:
    """Index, statistic and p of one column; missing cells are a bin of their own."""
    a, b = then[~np.isnan(then)], now[~np.isnan(now)]
    lost = [int(np.isnan(one).sum()) for one in (then, now)]
    if levels or len(np.unique(a)) <= BINS:
        known = np.union1d(a, b)
        counts = [np.array([(one == level).sum() for level in known]) for one in (a, b)]
        table = np.array([np.append(c, n) for c, n in zip(counts, lost, strict=True)])
        table = table[:, table.sum(axis=0) > 0]
        if table.shape[1] < 2:
            return 0.0, 0.0, 1.0
        test = stats.chi2_contingency(table, correction=False)
        return psi(table[0], table[1]), float(test.statistic), float(test.pvalue)
    if not len(b):
        return psi([len(a), lost[0]], [0, lost[1]]), 1.0, 0.0
    edges = np.unique(np.quantile(a, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, one), minlength=len(edges) + 1) for one in (a, b)]
    test = stats.ks_2samp(a, b, method="asymp")
    if not any(lost):
        return psi(*counts), float(test.statistic), float(test.pvalue)
    # Two tests, of values and of gaps: the smaller p counts twice.
    gaps = np.array([[len(a), lost[0]], [len(b), lost[1]]])
    gone = float(stats.chi2_contingency(gaps, correction=False).pvalue)
    whole = [np.append(c, n) for c, n in zip(counts, lost, strict=True)]
    return psi(*whole), float(test.statistic), min(1.0, 2 * min(float(test.pvalue), gone))
