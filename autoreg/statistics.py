"""Intervals for fold-wise numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from autoreg.data.dataset import Floats, Rows

LEVEL = 0.90
ANSWERS = 100  # that a reader of two digits can tell apart
SMOOTHING = 0.1  # of a dial's whole scale, on either side


@dataclass(frozen=True)
class Interval:
    """A number with its two-sided confidence interval."""

    value: float
    low: float
    high: float
    level: float = LEVEL
    method: str = "nadeau-bengio"

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def to_data(self) -> dict[str, Any]:
        """The interval as plain data."""
        return dict(vars(self))

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Interval:
        """The inverse of :meth:`to_data`."""
        return cls(**data)


@lru_cache(maxsize=64)
def smoother(places: tuple[float, ...]) -> Floats:
    """The matrix (S, S) that smooths S numbers over their neighbours on a scale of [0, 1].

    Row i holds the weights of the mean at ``places[i]``: Epanechnikov's kernel, which ends 0.1
    away, so what lies farther has no part in it, however large it is. Source: Nadaraya 1964,
    Theory of Probability and its Applications 9(1); Epanechnikov 1969, ibid. 14(1).

    >>> smoother((0.0, 0.05, 1.0)).round(2).tolist()
    [[0.57, 0.43, 0.0], [0.43, 0.57, 0.0], [0.0, 0.0, 1.0]]
    """
    at = np.array(places)
    weights = np.maximum(0.0, 1 - ((at[:, None] - at) / SMOOTHING) ** 2)
    shares: Floats = weights / weights.sum(axis=1, keepdims=True)
    shares.flags.writeable = False
    return shares


def standard_error(values: Floats, repeats: int = 1) -> Floats:
    """The standard error of means over the last axis (F,), the folds; 0 with one fold.

    Folds of further cuts of the same rows bring no new rows, so F / ``repeats`` of them count.

    >>> float(standard_error(np.array([1.0, 2.0, 3.0])).round(3))
    0.577
    """
    folds = values.shape[-1]
    if folds < 2:
        return np.zeros(values.shape[:-1])
    return np.asarray(values.std(axis=-1, ddof=1) / math.sqrt(folds / repeats))


def nadeau_bengio(
    values: Floats,
    test_share: float,
    *,
    weights: Floats | None = None,
    between: float = 0.0,
    level: float = LEVEL,
) -> Interval:
    """The interval of a mean over folds whose training sets overlap.

    ``values`` (K,) are fold-wise numbers, ``test_share`` is n_test / n_train. The variance of
    the mean is ``(1/K + n_test/n_train) * s**2``, with s**2 the sample variance over the folds,
    plus ``between``, what no two folds can differ by (see :class:`Strata`), and the quantile is
    Student's t with K - 1 degrees of freedom. With one fold the interval is unbounded. Source:
    Nadeau & Bengio 2003, Machine Learning 52, equation (9).

    >>> interval = nadeau_bengio(np.array([1.0, 2.0, 3.0]), test_share=0.5)
    >>> interval.value, interval.low < 1 < 3 < interval.high
    (2.0, True)
    """
    from scipy.stats import t

    count = len(values)
    center = float(np.average(values, weights=weights))
    if count < 2:
        return Interval(center, -math.inf, math.inf, level)
    spread = math.sqrt((1 / count + test_share) * float(np.var(values, ddof=1)) + between)
    half = float(t.ppf(0.5 + level / 2, count - 1)) * spread
    return Interval(center, center - half, center + half, level)


@dataclass(frozen=True, eq=False)
class Strata:
    """The classes (n,) of rows whose folds all repeat the sample's shares of the classes.

    ``weights`` (n,) are those of the rows; ``groups`` (n,), where there are some, are the units.

    Why: the next sample has other shares by chance, and a number over all rows moves with them.
    Folds with equal shares cannot tell: how they differ is the variance WITHIN classes, and that
    between classes has to be added. It matters most where a model knows little more than which
    class is the larger one: it is right about all rows of one class and wrong about the others.
    Source: Cochran 1977, Sampling Techniques, sections 5.6 and 5A.9.
    """

    classes: Rows
    weights: Floats
    groups: Rows | None = None

    def variance(self, totals: Floats) -> float:
        """The variance of a ratio of sums over all rows that comes from the shares of classes.

        ``totals`` (C, 2) are what the rows of each class add to numerator and denominator. The
        slope of the ratio in the share of class c is ``m_c - m`` where the ratio is a mean m and
        that of the class is m_c; then, for equal weights and shares p_c, the result is
        ``sum p_c (m_c - m)**2 / (n - 1)``. Other ratios are linearized (delta method).

        >>> halves = Strata(np.repeat([0, 1], 8), np.ones(16))
        >>> knows_one = np.array([[8.0, 8.0], [0.0, 8.0]])  # right about one class, and no other
        >>> halves.variance(knows_one) == 0.5 * 0.5 / 15
        True
        """
        numerators, denominators = totals.T
        shares = np.bincount(self.classes, self.weights, len(totals)) / self.weights.sum()
        pooled = numerators.sum() / denominators.sum()
        slopes = (numerators - pooled * denominators) / denominators.sum() / shares
        return mean_variance(slopes[self.classes], self.weights, self.groups)


def mean_variance(values: Floats, weights: Floats, groups: Rows | None = None) -> float:
    """The variance of a weighted mean over independent rows, or ``groups`` (n,) of rows.

    It is that of a ratio of sums over these units, linearized; infinite for a single one. Source:
    Cochran 1977, Sampling Techniques, sections 6.3 and 9A.

    >>> round(mean_variance(np.array([1.0, 2.0, 3.0]), np.ones(3)), 3)  # 1 / 3
    0.333
    """
    parts = weights / weights.sum() * (values - np.average(values, weights=weights))
    if groups is not None:
        parts = np.bincount(np.unique(groups, return_inverse=True)[1], weights=parts)
    count = len(parts)
    return count / (count - 1) * float((parts**2).sum()) if count > 1 else math.inf


def one_sided_p(interval: Interval, count: int, bound: float = 0.0) -> float:
    """The p-value of a mean being no higher than a bound, of its t interval over ``count`` units.

    >>> interval = nadeau_bengio(np.array([1.0, 2.0, 3.0]), 0.0)
    >>> round(one_sided_p(interval, 3, interval.low), 4)  # the lower end of 90% two-sided
    0.05
    """
    from scipy.stats import t

    half = (interval.value - interval.low) / float(t.ppf(0.5 + interval.level / 2, count - 1))
    if half == 0:
        return 0.0 if interval.value > bound else 1.0
    return float(t.sf((interval.value - bound) / half, count - 1))


def mean_interval(
    values: Floats, weights: Floats, groups: Rows | None = None, *, level: float = LEVEL
) -> Interval:
    """The interval of a weighted mean over rows, values and weights (n,).

    The rows are independent, or the ``groups`` (n,) of rows are. The variance is that of
    :func:`mean_variance`, and the quantile is Student's t.

    >>> interval = mean_interval(np.array([1.0, 2.0, 3.0]), np.ones(3))
    >>> interval.value, round(interval.high, 2)  # 2 + 2.92 * 1 / sqrt(3)
    (2.0, 3.69)
    """
    from scipy.stats import t

    method = "rows" if groups is None else "groups"
    center = float(np.average(values, weights=weights))
    count = len(values) if groups is None else len(np.unique(groups))
    if count < 2:
        return Interval(center, -math.inf, math.inf, level, method)
    spread = math.sqrt(mean_variance(values, weights, groups))
    half = float(t.ppf(0.5 + level / 2, count - 1)) * spread
    return Interval(center, center - half, center + half, level, method)


def widened(
    interval: Interval, reused: int, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    """The interval of rows that ``reused`` earlier selections have seen, widened to match.

    It ends at ``bounds``, beyond which the number cannot lie.

    Who has seen an answer can choose the next question by it. An answer that is read to two
    digits is one of 100, so after k answers 100**k questions could have been asked, and the
    interval has to hold for all of them at once: its error is divided by 100**k (union bound),
    and its ends move out by the ratio of the normal quantiles. Source: Dwork et al. 2015,
    Generalization in adaptive data analysis and holdout reuse, section on description length.

    >>> twice = widened(Interval(0.5, 0.4, 0.6), 1)
    >>> round(twice.low, 3), round(twice.high, 3), twice.level
    (0.3, 0.7, 0.9)
    """
    from scipy.stats import norm

    if not reused:
        return interval
    error = (1 - interval.level) / 2
    factor = float(norm.isf(error / ANSWERS**reused) / norm.isf(error))
    low, high = (
        min(max(interval.value + factor * (end - interval.value), bounds[0]), bounds[1])
        for end in (interval.low, interval.high)
    )
    return Interval(
        interval.value, low, high, interval.level, f"{interval.method}, reused {reused}"
    )


def ratio_interval(
    parts: Floats,
    finish: Callable[[float], float],
    test_share: float,
    *,
    ceiling: float = math.inf,
    between: float = 0.0,
    level: float = LEVEL,
) -> Interval:
    """The interval of a metric that is a ratio of sums over folds, such as R2 or accuracy.

    ``parts`` (K, 2) are the folds' numerators and denominators; ``finish`` is the metric's
    monotone transform of the pooled ratio, which lies in [0, ``ceiling``]. The ratio is
    linearized around its pooled value,
    ``r_k = r + (numerator_k - r * denominator_k) / mean(denominator)``, whose mean over the
    folds is exactly the pooled ratio. Source: Cochran 1977, Sampling Techniques, section 6.3,
    with the variance of Nadeau & Bengio 2003 and, where folds are stratified, that ``between``
    classes.

    >>> ratio_interval(np.array([[8.0, 10.0], [9.0, 10.0]]), lambda r: r, 0.25).value
    0.85
    """
    numerators, denominators = parts.T
    pooled = float(numerators.sum() / denominators.sum())
    folds = pooled + (numerators - pooled * denominators) / denominators.mean()
    raw = nadeau_bengio(folds, test_share, between=between, level=level)
    ends = sorted(finish(min(max(end, 0.0), ceiling)) for end in (raw.low, raw.high))
    return Interval(finish(pooled), ends[0], ends[1], level)
