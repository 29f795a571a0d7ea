"""Intervals and corrections against other libraries, slow definitions and simulations."""

import numpy as np
import pytest
from scipy.stats import binomtest, t
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from autoreg.resampling import bates, bbc, bootstrap, corrected_p, permutation_p, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 9), (5, 9), (9, 9), (371, 400)])
def test_wilson_equals_scipy(hits, n):
    expected = binomtest(hits, n).proportion_ci(0.9, method="wilson")
    assert wilson(hits, n).low == pytest.approx(expected.low, abs=1e-12)
    assert wilson(hits, n).high == pytest.approx(expected.high, abs=1e-12)


def test_the_bootstrap_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(0).normal(size=200)
    mean = lambda rows: float(values[rows].mean())  # noqa: E731
    interval = bootstrap(mean, 200, np.random.default_rng(1), draws=4000)
    assert interval.high - interval.low == pytest.approx(
        2 * 1.645 * values.std() / 200**0.5, rel=0.05
    )
    assert interval.value == values.mean()


def test_rows_of_one_group_are_drawn_together():
    # 20 groups of 10 equal rows: as sure as 20 rows, not as 200.
    group = np.repeat(np.arange(20), 10)
    values = np.random.default_rng(0).normal(size=20)[group]
    mean = lambda rows: float(values[rows].mean())  # noqa: E731
    plain = bootstrap(mean, 200, np.random.default_rng(1))
    grouped = bootstrap(mean, 200, np.random.default_rng(1), groups=group + 100)
    ratio = (grouped.high - grouped.low) / (plain.high - plain.low)
    assert ratio == pytest.approx(10**0.5, rel=0.1)


def test_draws_on_which_a_score_is_undefined_do_not_count():
    y = np.array([0.0] * 6 + [1.0])
    has_both = lambda rows: float(y[rows].mean()) if y[rows].any() else np.nan  # noqa: E731
    interval = bootstrap(has_both, 7, np.random.default_rng(0))
    assert interval.low >= 1 / 7
    assert np.isinf(bootstrap(lambda rows: np.nan, 7, np.random.default_rng(0)).high)


# ---- nested cross-validation ---------------------------------------------------------------


def by_the_book(X, y, k):
    """Algorithm 1 of Bates et al. for least squares, loops and all; one repetition."""
    folds = [test for _, test in KFold(k).split(X)]
    a, b, es, outer = [], [], [], []
    inner = np.zeros((k, k))

    def errors(train, test):
        return (LinearRegression().fit(X[train], y[train]).predict(X[test]) - y[test]) ** 2

    for i in range(k):
        e_in = []
        for j in range(k):
            if j != i:
                train = np.setdiff1d(np.arange(len(y)), np.concatenate([folds[i], folds[j]]))
                found = errors(train, folds[j])
                inner[i, j] = found.mean()
                e_in.append(found)
        e_out = errors(np.setdiff1d(np.arange(len(y)), folds[i]), folds[i])
        outer.append(e_out)
        a.append((np.mean(np.concatenate(e_in)) - e_out.mean()) ** 2)
        b.append(e_out.var(ddof=1) / len(e_out))
        es += e_in
    mse = np.mean(a) - np.mean(b)
    ncv, cv = np.mean(np.concatenate(es)), np.mean(np.concatenate(outer))
    se = np.sqrt(max(mse, 0) * (k - 1) / k)
    naive = np.concatenate(outer).std(ddof=1) / np.sqrt(len(y))
    centre = ncv - (1 + (k - 2) / k) * (ncv - cv)
    noise = np.array([one.var(ddof=1) / len(one) for one in outer])
    return inner, np.array([one.mean() for one in outer]), noise, centre, se, naive


def test_bates_is_the_algorithm_of_the_paper():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(100, 20))
    y = X[:, 0] + rng.normal(size=100)
    inner, outer, noise, centre, se, naive = by_the_book(X, y, 5)
    interval = bates(inner, outer, noise)
    width = 1.6449 * min(max(se, naive), np.sqrt(5) * naive)
    assert interval.value == pytest.approx(centre)
    assert interval.high - interval.value == pytest.approx(width, rel=0.02)


def test_bates_covers_where_the_naive_interval_does_not():
    """Least squares with p near n: the truth is the error of the fit at the outer size."""
    hits = naive_hits = 0
    truth = 1 + 20 / (80 - 20 - 1)  # of least squares on 80 rows of 20 normal columns
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(100, 20)), rng.normal(size=100)
        inner, outer, noise, _, _, naive = by_the_book(X, y, 5)
        interval = bates(inner, outer, noise)
        hits += interval.low <= truth <= interval.high
        naive_hits += abs(outer.mean() - truth) < 1.6449 * naive
    assert naive_hits < hits
    assert hits / 60 > 0.9 - 3 * np.sqrt(0.09 / 60)


# ---- the best of many -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [40, 100, 500])
def test_the_best_of_many_is_corrected(n):
    """H10: 200 classifiers of accuracies Beta(9, 6); how well does the chosen one really do?"""
    corrected, naive = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        accuracy = rng.beta(9, 6, 200)
        losses = (rng.random((n, 200)) > accuracy).astype(float)
        best = int(losses.mean(axis=0).argmin())
        corrected.append(bbc(losses, np.ones(n), rng, draws=120)[0].value - (1 - accuracy[best]))
        naive.append(losses[:, best].mean() - (1 - accuracy[best]))
    assert abs(np.mean(corrected)) <= 0.02
    assert np.mean(naive) < -0.09 or n > 40


def test_the_choice_may_be_made_by_other_numbers_than_the_losses():
    rng = np.random.default_rng(0)
    losses = rng.random((50, 3))
    compared = np.tile([1.0, 0.0, 2.0], (50, 1))
    interval, chosen = bbc(losses, np.ones(50), rng, compared=compared)
    assert chosen[0] == chosen[2] == 0
    assert interval.value == pytest.approx(losses[:, 1].mean(), abs=0.02)


def test_bbc_draws_whole_groups():
    group = np.repeat(np.arange(8), 10)
    losses = np.repeat(np.random.default_rng(0).random((8, 1)), 10, axis=0)
    wide = bbc(losses, np.ones(80), np.random.default_rng(1), groups=group)[0]
    plain = bbc(losses, np.ones(80), np.random.default_rng(1))[0]
    assert wide.high - wide.low > 2 * (plain.high - plain.low)


# ---- tests -----------------------------------------------------------------------------------


def test_the_corrected_t_test_is_the_interval_turned_round():
    values = np.array([0.1, 0.4, 0.35, 0.2, 0.3])
    spread = np.sqrt((1 / 5 + 0.25) * values.var(ddof=1))
    assert corrected_p(values, 0.25) == pytest.approx(2 * t.sf(values.mean() / spread, 4))
    assert corrected_p(np.zeros(5), 0.25) == 1.0
    assert corrected_p(-values, 0.25) == corrected_p(values, 0.25)


def test_a_permutation_p_value_is_valid_under_the_null():
    rng = np.random.default_rng(0)
    values = [permutation_p(draw[0], draw[1:]) for draw in rng.random((4000, 20))]
    for level in (0.05, 0.25, 0.5):
        share = np.mean(np.array(values) <= level)
        assert share <= level + 3 * np.sqrt(level * (1 - level) / 4000)
