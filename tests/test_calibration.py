"""Calibration and conformal prediction: guarantees by simulation, and a study's own numbers."""

import json

import numpy as np
import pytest

from autoreg.calibration import (
    Calibration,
    OutOfFold,
    best_temperature,
    conformal_quantile,
    cooled,
    reliability,
)
from autoreg.data.dataset import Column, Dataset

COLUMNS = (Column("a", "numeric"),)


def table(y, task, classes=()):
    return Dataset("d", COLUMNS, np.zeros((len(y), 1)), y, task, "y", classes)


def learned(y, predictions, task, classes=(), level=0.9):
    found = OutOfFold(np.arange(len(y)), predictions, np.zeros(len(y), np.int64))
    return Calibration.of(found, table(y, task, classes), level=level)


def draws(task, n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    if task == "regression":
        return x + rng.standard_t(3, size=n), x[:, None]
    if task == "count":
        return rng.poisson(np.exp(x)).astype(float), np.exp(x)[:, None]
    scores = np.column_stack([x, -x, rng.normal(size=n)])
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return y, p


@pytest.mark.parametrize("task", ["regression", "count", "multiclass"])
@pytest.mark.parametrize("n", [30, 200])
def test_sets_and_intervals_cover_new_rows(task, n):
    classes = ("a", "b", "c") if task == "multiclass" else ()
    shares = []
    for seed in range(60):
        known = learned(*draws(task, n, seed), task, classes)
        y, predictions = draws(task, 400, 10_000 + seed)
        shares.append(known.covered(y, predictions).mean())
    # Exchangeable rows: at least 90 %; not much more, where scores have no ties.
    assert np.mean(shares) > 0.9 - 3 * np.std(shares) / 60**0.5
    assert np.mean(shares) < 0.9 + 1 / (n + 1) + 0.02 + 3 * np.std(shares) / 60**0.5


def test_the_quantile_has_the_rank_of_the_theorem():
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))
    assert conformal_quantile(scores, 0.9) == 18.0
    assert conformal_quantile(scores, 0.95) == 19.0
    assert np.isinf(conformal_quantile(scores, 0.96))


def test_too_few_rows_promise_nothing_and_say_so():
    known = learned(np.arange(5.0), np.zeros((5, 1)), "regression")
    assert np.isinf(known.intervals(np.zeros((1, 1)))).all()
    assert known.size(np.zeros((1, 1))) is None
    assert json.loads(json.dumps(known.to_data()))["radius"] is None
    assert np.isinf(Calibration.from_data(known.to_data()).radius)


def test_a_set_is_never_empty():
    y, p = draws("multiclass", 200, 0)
    known = learned(y, p, "multiclass", ("a", "b", "c"), level=0.05)
    assert known.sets(p).any(axis=1).all()


def test_an_overconfident_model_is_found_out_and_cooled():
    y, p = draws("multiclass", 4000, 0)
    sharp = cooled(p, 1 / 3)
    assert best_temperature(sharp, y) == pytest.approx(3, rel=0.1)
    assert best_temperature(p, y) == pytest.approx(1, rel=0.1)
    known = learned(y, sharp, "multiclass", ("a", "b", "c"))
    assert known.error > 0.1
    assert known.error_after < 0.03


def test_reliability_counts_all_rows_once():
    y, p = draws("multiclass", 103, 0)
    bins = reliability(p, y)
    assert sum(one.rows for one in bins) == 103
    assert np.average([one.right for one in bins], weights=[one.rows for one in bins]) == (
        pytest.approx((p.argmax(axis=1) == y).mean())
    )


def test_counts_have_no_negative_ends():
    y, means = draws("count", 100, 0)
    assert (learned(y, means, "count").intervals(means) >= 0).all()


def test_a_calibration_survives_json():
    known = learned(*draws("multiclass", 100, 0), "multiclass", ("a", "b", "c"))
    assert Calibration.from_data(json.loads(json.dumps(known.to_data()))) == known
