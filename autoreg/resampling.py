"""Intervals and corrections beside the default one: held-out rows, nested CV, many candidates.

All of them are pure functions of numbers that a study has paid for already.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from autoreg.data.dataset import Floats, Rows
from autoreg.statistics import LEVEL, Interval

Units = Rows | None

TOGETHER = 50  # bags whose means are one product of matrices


def wilson(hits: float, n: int, *, level: float = LEVEL) -> Interval:
    """The interval of a share of n independent rows, ``hits`` of which are right.

    Source: Wilson 1927, JASA 22(158), equation (5).

    >>> interval = wilson(9, 10)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.652, 0.977)
    """
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + level / 2))
    share = hits / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(share, middle - half, middle + half, level, "Wilson")


def bootstrap(
    score: Callable[[Rows], float],
    n: int,
    rng: Generator,
    *,
    groups: Units = None,
    draws: int = 1000,
    level: float = LEVEL,
) -> Interval:
    """The percentile interval of a score of n rows; whole groups are drawn where there are some.

    ``score`` is given row ids, with repetitions; draws on which it is undefined (NaN) count for
    nothing. Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13;
    Davison & Hinkley 1997, section 3.8, for groups.

    >>> values = np.arange(100.0)
    >>> interval = bootstrap(lambda rows: float(values[rows].mean()), 100, np.random.default_rng(0))
    >>> interval.value, 43 < interval.low < 46, 53 < interval.high < 56
    (49.5, True, True)
    """
    members = None if groups is None else _members(groups)
    scores = np.array([score(_drawn(n, members, rng)) for _ in range(draws)])
    known = scores[~np.isnan(scores)]
    value = score(np.arange(n))
    if not len(known):
        return Interval(value, -math.inf, math.inf, level, "bootstrap")
    low, high = np.quantile(known, [0.5 - level / 2, 0.5 + level / 2])
    method = "bootstrap" if groups is None else "bootstrap of groups"
    return Interval(value, float(low), float(high), level, method)


def _members(groups: Rows) -> list[Rows]:
    codes = np.unique(groups, return_inverse=True)[1]
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])


def _drawn(n: int, members: list[Rows] | None, rng: Generator) -> Rows:
    if members is None:
        return rng.integers(0, n, n)
    return np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])


def bates(inner: Floats, outer: Floats, noise: Floats, *, level: float = LEVEL) -> Interval:
    """The interval of nested cross-validation, whose width is measured and not assumed.

    ``outer`` (K,) are losses of the procedure on each fold, ``noise`` (K,) the squared standard
    errors of these means over the fold's own rows, and ``inner`` (K, K) the losses on fold j of
    the procedure run without the folds i and j (the diagonal is not read). How far the mean of
    row i lies from ``outer[i]``, beyond noise, measures how far a cross-validated number lies from
    the truth. The factor (K - 1)/K brings the error down to all folds, and the centre is moved
    from the inner training size to the outer one. The width is kept between that of independent
    rows and sqrt(K) times it. Source: Bates, Hastie & Tibshirani 2024, JASA 119(546),
    algorithm 1 and section 4.3.

    >>> same = bates(np.full((5, 5), 2.0), np.full(5, 2.0), np.full(5, 0.5))
    >>> same.value, round(same.high, 2)  # 2 + 1.645 * sqrt(0.5 / 5)
    (2.0, 2.52)
    """
    from scipy.stats import norm

    count = len(outer)
    off = ~np.eye(count, dtype=bool)
    means = np.array([inner[i][off[i]].mean() for i in range(count)])
    naive = float(noise.mean()) / count
    measured = float(np.mean((means - outer) ** 2) - np.mean(noise)) * (count - 1) / count
    error = math.sqrt(min(max(measured, naive), count * naive))
    half = float(norm.ppf(0.5 + level / 2)) * error
    shift = (1 + (count - 2) / count) * (float(outer.mean()) - float(means.mean()))
    center = float(means.mean()) + shift
    return Interval(center, center - half, center + half, level, "bates")


def bbc(
    losses: Floats,
    weights: Floats,
    rng: Generator,
    *,
    compared: Floats | None = None,
    groups: Units = None,
    draws: int = 500,
    level: float = LEVEL,
) -> tuple[Interval, Rows]:
    """What the best of many candidates loses, less the luck of being the best of many.

    ``losses`` (n, C) are out-of-fold losses of n rows for C candidates. In each bootstrap draw the
    candidate with the lowest in-bag mean of ``compared`` (the losses, unless given) is scored
    on the rows outside the bag; the mean of that is the corrected number. Groups are drawn whole
    where there are some. Also returns how often each candidate was chosen, (C,). Source:
    Tsamardinos, Greasidou & Borboudakis 2018, Machine Learning 107, algorithm 4 (BBC-CV).

    >>> rng = np.random.default_rng(0)
    >>> luck = rng.random((40, 200))  # 200 candidates, all alike: the truth is 0.5
    >>> bool(luck.mean(axis=0).min() < 0.42)
    True
    >>> abs(bbc(luck, np.ones(40), rng)[0].value - 0.5) < 0.03
    True
    """
    n = len(losses)
    judge = losses if compared is None else compared
    members = None if groups is None else _members(groups)
    values, chosen = [], np.zeros(losses.shape[1], dtype=np.int64)
    for first in range(0, draws, TOGETHER):
        count = min(TOGETHER, draws - first)
        bags = np.array([np.bincount(_drawn(n, members, rng), minlength=n) for _ in range(count)])
        for bag, best in zip(bags, ((bags * weights) @ judge).argmin(axis=1), strict=True):
            out = bag == 0
            if not out.any():
                continue
            chosen[best] += 1
            values.append(float(np.average(losses[out, best], weights=weights[out])))
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(np.mean(values)), float(low), float(high), level, "bbc"), chosen


def corrected_p(differences: Floats, test_share: float, between: float = 0.0) -> float:
    """The two-sided p-value of a paired difference over folds: the corrected resampled t-test.

    1 where nothing differs at all; ``between`` is as in ``statistics.nadeau_bengio``. Source:
    Nadeau & Bengio 2003, section 3; Bouckaert & Frank 2004, PAKDD, for repeated cross-validation.

    >>> round(corrected_p(np.array([1.0, 2.0, 3.0]), 0.5), 2)
    0.16
    """
    from scipy.stats import t

    count = len(differences)
    spread = (1 / count + test_share) * float(np.var(differences, ddof=1)) if count > 1 else 0.0
    spread += between
    if spread == 0:
        return float(differences.mean() == 0)
    return float(2 * t.sf(abs(float(differences.mean())) / math.sqrt(spread), count - 1))


def permutation_p(observed: float, permuted: Sequence[float]) -> float:
    """How often chance alone would lose as little as was observed; never below 1 / (B + 1).

    Source: Phipson & Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9(1).

    >>> permutation_p(0.2, [0.5, 0.6, 0.4, 0.7])
    0.2
    """
    return (1 + sum(one <= observed for one in permuted)) / (1 + len(permuted))
