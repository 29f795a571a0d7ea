"""Intervals against hand computation and a simulation of overlapping folds."""

import math

import numpy as np
import pytest
from scipy.stats import t

from autoreg.statistics import nadeau_bengio, ratio_interval, smoother, standard_error


def test_the_formula_of_nadeau_and_bengio():
    values = np.array([0.1, 0.4, 0.35, 0.2, 0.3])
    interval = nadeau_bengio(values, 0.25, level=0.9)
    spread = np.sqrt((1 / 5 + 0.25) * values.var(ddof=1))
    assert interval.value == pytest.approx(values.mean())
    assert interval.high - interval.value == pytest.approx(t.ppf(0.95, 4) * spread)
    assert interval.value - interval.low == pytest.approx(t.ppf(0.95, 4) * spread)


def test_it_is_wider_than_the_naive_interval_and_unbounded_for_one_fold():
    values = np.array([0.1, 0.4, 0.35, 0.2, 0.3])
    naive = nadeau_bengio(values, 0.0)
    honest = nadeau_bengio(values, 0.25)
    assert honest.low < naive.low < naive.high < honest.high
    assert math.isinf(nadeau_bengio(values[:1], 0.25).high)


def test_weights_move_the_centre():
    interval = nadeau_bengio(np.array([0.0, 1.0]), 1.0, weights=np.array([3.0, 1.0]))
    assert interval.value == 0.25


def test_a_ratio_is_pooled_not_averaged():
    parts = np.array([[1.0, 2.0], [30.0, 40.0]])
    interval = ratio_interval(parts, lambda ratio: 1 - ratio, 0.25)
    assert interval.value == pytest.approx(1 - 31 / 42)
    assert interval.low <= interval.value <= interval.high


def test_equal_denominators_give_the_plain_interval():
    values = np.array([0.3, 0.4, 0.35])
    plain = nadeau_bengio(values, 0.5)
    ratio = ratio_interval(np.column_stack([values, np.ones(3)]), float, 0.5)
    assert (ratio.low, ratio.high) == pytest.approx((plain.low, plain.high))


def test_an_interval_never_leaves_what_the_metric_can_be():
    parts = np.column_stack([[0.99, 0.9, 1.0], np.ones(3)])
    assert ratio_interval(parts, float, 0.5, ceiling=1.0).high == 1.0
    worse = np.column_stack([[0.01, 0.1, 0.0], np.ones(3)])
    assert ratio_interval(worse, float, 0.5).low == 0.0


# ---- smoothing --------------------------------------------------------------------------------


def test_smoothing_is_the_weighted_mean_of_neighbours():
    places = (0.0, 0.02, 0.06, 0.5, 0.61)
    values = np.array([3.0, 1.0, 2.0, 7.0, 5.0])
    for at, smooth in zip(places, smoother(places) @ values, strict=True):
        weights = [max(0.0, 1 - ((at - one) / 0.1) ** 2) for one in places]
        assert smooth == pytest.approx(np.average(values, weights=weights))


def test_smoothing_keeps_constants_and_what_is_far_away_has_no_part():
    places = tuple(np.linspace(0, 1, 100))
    assert smoother(places) @ np.full(100, 2.5) == pytest.approx(2.5)
    huge = np.where(np.array(places) < 0.3, 1e12, 1.0)
    assert (smoother(places) @ huge)[np.array(places) > 0.41] == pytest.approx(1.0)


def test_further_cuts_do_not_make_an_error_smaller():
    folds = np.array([[0.1, 0.4, 0.35, 0.2, 0.3]])
    plain = folds.std(ddof=1) / np.sqrt(5)
    assert standard_error(folds) == pytest.approx(plain)
    twice = np.tile(folds, 2)
    assert standard_error(twice, 2) == pytest.approx(twice.std(ddof=1) / np.sqrt(5))
    assert standard_error(folds[:, :1]).tolist() == [0.0]
