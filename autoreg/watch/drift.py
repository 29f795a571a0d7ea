"""Has the world moved? Each column and the target, then and now: an index, and a test.

The population stability index says how much, over ten bins of the earlier rows (or over levels);
the test (Kolmogorov-Smirnov for numbers, chi-squared for levels) says whether that can be chance.
A column has moved where both say so: the index alone is large in few rows, the test alone finds
trifles in many. The level is shared out over all tests by Holm's rule.

What is to be expected is no drift. Levels that were seen once foretell how many new ones will
come (Good's estimate), so they count as unseen themselves; rare levels are one bin. Dates go on, so
only dates that lie earlier than before are a move. New documents have new words, so text is
compared by its length, and by the share of its words that other documents of then have, too.

Sources: Siddiqi 2006, Credit risk scorecards, Wiley (the index and its usual limits of 0.1 and
0.2); Holm 1979, Scandinavian Journal of Statistics 6(2); Good 1953, Biometrika 40(3/4); Cochran
1954, Biometrics 10(4) (five expected rows in each bin of a chi-squared test).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from autoreg.data.dataset import Column, Dataset, Floats
from autoreg.learned.words import WORD
from autoreg.watch.watching import DriftSpec

BINS = 10
TARGET = "target"
FLOOR = 0.5  # rows that an empty bin counts as, so that the index stays finite
EXPECTED = 5  # rows, that a level needs for a bin of its own
UNSEEN = -1.0
YEAR = "year"
DAY_ONE = 0.99 / 365.25


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


@dataclass(frozen=True)
class _Found:
    """Index, statistic and p of one test, before the level is shared out."""

    psi: float
    statistic: float
    p: float


NOTHING = _Found(0.0, 0.0, 1.0)


def shifts(then: Dataset, now: Dataset, spec: DriftSpec) -> list[Shift]:
    """How far each column and the target moved, the farthest first.

    Both tables have the same columns: :func:`autoreg.data.view.viewed`. Of text there are two
    entries, ``NAME: length`` and ``NAME: known words``; of a date one, ``NAME: earlier dates``.
    """
    named: list[tuple[str, _Found, float]] = []
    for place, column in enumerate(then.columns):
        a, b = then.X[:, place], now.X[:, place]
        for name, found in _of_column(column, now.columns[place], then, now, place):
            named.append((name, found, float(np.isnan(b).mean() - np.isnan(a).mean())))
    targets = (then.y.astype(float), now.y.astype(float))
    named.append((TARGET, _levels(*targets) if then.classes else _numbers(*targets), 0.0))
    corrected = holm([found.p for _, found, _ in named])
    made = [
        Shift(name, one.psi, one.statistic, p, gap, one.psi > spec.psi and p < spec.level)
        for (name, one, gap), p in zip(named, corrected, strict=True)
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


def _of_column(
    then: Column, now: Column, a: Dataset, b: Dataset, place: int
) -> Iterator[tuple[str, _Found]]:
    """The tests of one column; a mark of gaps, and most parts of a date, are tested elsewhere."""
    before, after = a.X[:, place], b.X[:, place]
    if then.part == YEAR:
        yield f"{then.source}: earlier dates", _earlier(_moments(a, then), _moments(b, then))
    elif then.kind == "text":
        old, new = _documents(before, then), _documents(after, now)
        yield f"{then.name}: length", _numbers(_lengths(old), _lengths(new))
        yield f"{then.name}: known words", _numbers(*_familiar(old, new))
    elif not then.part:
        yield then.name, (_levels if then.is_categorical else _numbers)(before, after)


# ---- numbers and levels ------------------------------------------------------------------------


def _numbers(then: Floats, now: Floats) -> _Found:
    """Numbers over the tenths of then; few distinct ones are levels."""
    a, b = then[~np.isnan(then)], now[~np.isnan(now)]
    if len(np.unique(a)) <= BINS:
        return _levels(then, now)
    lost = [len(then) - len(a), len(now) - len(b)]
    if not len(b):
        return _Found(psi([len(a), lost[0]], [0, lost[1]]), 1.0, 0.0)
    edges = np.unique(np.quantile(a, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, one), minlength=len(edges) + 1) for one in (a, b)]
    test = stats.ks_2samp(a, b, method="asymp")
    return _with_gaps(counts, lost, float(test.statistic), float(test.pvalue))


def _levels(then: Floats, now: Floats) -> _Found:
    """Levels, rare ones together; missing cells are one of their own."""
    known, seen = np.unique(then[~np.isnan(then)], return_counts=True)
    a = np.where(np.isin(then, known[seen == 1]), UNSEEN, then)
    b = np.where(np.isin(now, known) | np.isnan(now), now, UNSEEN)
    values = np.unique(np.append(a, b))
    table = np.array([[_same(one, level).sum() for level in values] for one in (a, b)])
    smaller = min(len(then), len(now)) / (len(then) + len(now))
    rare = (table.sum(axis=0) * smaller < EXPECTED) & ~np.isnan(values)
    if rare.sum() > 1:
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return NOTHING
    test = stats.chi2_contingency(table, correction=False)
    return _Found(psi(table[0], table[1]), float(test.statistic), float(test.pvalue))


def _same(values: Floats, level: float) -> Any:
    return np.isnan(values) if np.isnan(level) else values == level


def _with_gaps(counts: Sequence[Any], lost: Sequence[int], statistic: float, p: float) -> _Found:
    """The test of values, and where there are gaps one of their share: the smaller p, doubled."""
    if not any(lost):
        return _Found(psi(*counts), statistic, p)
    gaps = np.array([[c.sum(), n] for c, n in zip(counts, lost, strict=True)])
    gone = float(stats.chi2_contingency(gaps, correction=False).pvalue)
    whole = [np.append(c, n) for c, n in zip(counts, lost, strict=True)]
    return _Found(psi(*whole), statistic, min(1.0, 2 * min(p, gone)))


# ---- dates and text ----------------------------------------------------------------------------


def _moments(rows: Dataset, year: Column) -> Floats:
    """Dates as years with a fraction (n,), put together from their parts."""
    place = {column.name: k for k, column in enumerate(rows.columns)}
    sine, cosine = (rows.X[:, place[f"{year.source}: season_{one}"]] for one in ("sin", "cos"))
    season = np.arctan2(sine, cosine) / (2 * np.pi) % 1
    # Day 366 lies beyond the turn of the year, before day 1.
    return rows.X[:, place[year.name]] + season + (season < DAY_ONE)


def _earlier(then: Floats, now: Floats) -> _Found:
    """Whether dates lie earlier than before: cut where the share before it has grown most."""
    a, b = then[~np.isnan(then)], now[~np.isnan(now)]
    lost = [len(then) - len(a), len(now) - len(b)]
    if not len(b):
        return _Found(psi([len(a), lost[0]], [0, lost[1]]), 1.0, 0.0)
    test = stats.ks_2samp(b, a, alternative="greater", method="asymp")
    cut = test.statistic_location
    counts = [np.array([(one <= cut).sum(), (one > cut).sum()]) for one in (a, b)]
    grown = counts[1][0] / len(b) > counts[0][0] / len(a)
    if not grown:
        counts = [np.array([len(a), 0]), np.array([len(b), 0])]
    return _with_gaps(counts, lost, float(test.statistic), float(test.pvalue))


def _documents(cells: Floats, column: Column) -> list[list[str] | None]:
    """The words of each row's document; None where there is no document."""
    words = [WORD.findall(one.lower()) for one in column.levels]
    return [None if np.isnan(cell) else words[int(cell)] for cell in cells]


def _lengths(documents: Sequence[list[str] | None]) -> Floats:
    return np.array([np.nan if one is None else len(one) for one in documents], dtype=float)


def _familiar(then: list[list[str] | None], now: list[list[str] | None]) -> tuple[Floats, Floats]:
    """Of each document with words the share of them that other documents of then have."""
    known = Counter(word for one in then for word in set(one or ()))
    return (
        np.array([np.mean([known[word] > 1 for word in one]) for one in then if one]),
        np.array([np.mean([known[word] > 0 for word in one]) for one in now if one]),
    )
