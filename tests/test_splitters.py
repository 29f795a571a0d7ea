"""Laws of the index algebra, on random tables with random roles; and splitters that break them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoreg.data.dataset import Column, Dataset
from autoreg.errors import DataError
from autoreg.splitters import broken_laws, holdout, split, splitter_name, stop_rows

LAWS = settings(max_examples=60, deadline=None)


def table(n, classes=0, groups=0, times=0, seed=0):
    """A data set of n rows; every class, group and time asked for occurs if n allows it."""
    rng = np.random.default_rng(seed)

    def codes(count):
        return rng.permutation(np.arange(n) % count).astype(np.int64) if count else None

    y = codes(classes) if classes else rng.normal(size=n)
    task = {0: "regression", 2: "binary"}.get(classes, "multiclass")
    labels = tuple(f"class {k}" for k in range(classes))
    columns = (Column("a", "numeric"), Column("b", "numeric"))
    return Dataset(
        "random", columns, rng.normal(size=(n, 2)), y, task, "y", labels,
        group=codes(groups), time=codes(times),
    )  # fmt: skip


@st.composite
def tables(draw, roles=("none", "group", "time")):
    role = draw(st.sampled_from(roles))
    n = draw(st.integers(30, 90))
    return table(
        n,
        classes=draw(st.sampled_from([0, 2, 3])),
        groups=draw(st.integers(8, 12)) if role == "group" else 0,
        times=draw(st.integers(8, 20)) if role == "time" else 0,
        seed=draw(st.integers(0, 99)),
    )


def split_or_none(data, k, seed):
    """The splits, or None where a class happens to be absent from an early or small part."""
    try:
        return split(data, k, seed)
    except DataError as error:
        if "no training row" not in str(error):
            raise
        return None


def same(mine, theirs):
    return all(
        np.array_equal(a, b)
        for one, other in zip(mine, theirs, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@given(tables(), st.integers(2, 6), st.integers(0, 5))
@LAWS
def test_every_split_keeps_the_laws(data, k, seed):
    splits = split_or_none(data, k, seed)
    if splits is None:
        return
    assert len(splits) == k
    assert broken_laws(data, splits) == []
    assert all(part.dtype == np.int64 for pair in splits for part in pair)


@given(tables(("none", "group")), st.integers(2, 6), st.integers(0, 5))
@LAWS
def test_without_time_each_row_is_tested_once_and_trained_on_otherwise(data, k, seed):
    splits = split_or_none(data, k, seed) or []
    tested = [row for _, test in splits for row in test.tolist()]
    assert not splits or sorted(tested) == list(range(data.n))
    for train, test in splits:
        assert set(train.tolist()) | set(test.tolist()) == set(range(data.n))


@given(st.integers(30, 90), st.sampled_from([0, 2, 3, 5]), st.integers(2, 6), st.integers(0, 9))
@LAWS
def test_fold_sizes_and_class_counts_agree_within_one_row(n, classes, k, seed):
    data = table(n, classes, seed=seed)
    tests = [test for _, test in split(data, k, seed)]
    assert np.ptp([len(test) for test in tests]) <= 1
    if classes:
        counts = np.array([np.bincount(data.y[test], minlength=classes) for test in tests])
        assert np.ptp(counts, axis=0).max() <= 1


@given(tables(("time",)), st.integers(2, 6))
@LAWS
def test_time_windows_expand_and_never_cut_a_moment(data, k):
    splits = split_or_none(data, k, 0)
    if splits is None:
        return
    for train, test in splits:
        assert data.time[train].max() < data.time[test].min()
        for part in (train, test):
            whole = np.isin(data.time, data.time[part])
            assert np.array_equal(np.flatnonzero(whole), part)
    for (train, test), (later, _) in zip(splits, splits[1:], strict=False):
        assert np.array_equal(np.union1d(train, test), later)
    assert set(range(data.n)) == set(np.concatenate(splits[-1]).tolist())


@given(tables(("none", "group")), st.integers(2, 5))
@LAWS
def test_the_seed_decides(data, k):
    first = split_or_none(data, k, 1)
    if first is None:
        return
    assert same(first, split(data, k, 1))
    others = [split_or_none(data, k, seed) for seed in range(2, 8)]
    assert any(other is not None and not same(first, other) for other in others)


@given(tables(), st.integers(2, 5), st.integers(0, 5))
@LAWS
def test_cells_do_not_move_the_splits(data, k, seed):
    garbled = replace(data, X=np.full_like(data.X, np.nan))
    mine = split_or_none(data, k, seed)
    assert mine is None or same(mine, split(garbled, k, seed))
    assert same([holdout(data, 0.2, seed)], [holdout(garbled, 0.2, seed)])


@given(tables(), st.floats(0.1, 0.5), st.integers(0, 5))
@LAWS
def test_held_out_rows_obey_the_roles(data, share, seed):
    rest, held = holdout(data, share, seed)
    assert broken_laws(data, [(rest, held)]) == []
    assert np.array_equal(np.union1d(rest, held), np.arange(data.n))
    unit = 1 if data.group is None and data.time is None else data.n / 8 + 1
    assert abs(len(held) - share * data.n) <= unit + 1
    if data.time is not None:
        assert data.time[held].max() == data.time.max()


@given(st.integers(30, 90), st.sampled_from([2, 3]), st.floats(0.1, 0.5), st.integers(0, 5))
@LAWS
def test_held_out_rows_are_stratified(n, classes, share, seed):
    data = table(n, classes, seed=seed)
    _, held = holdout(data, share, seed)
    expected = np.bincount(data.y) * len(held) / n
    assert np.abs(np.bincount(data.y[held], minlength=classes) - expected).max() <= 1


@given(tables(), st.integers(0, 5))
@LAWS
def test_the_stop_set_obeys_the_roles_inside_the_training_rows(data, seed):
    rows = np.sort(np.random.default_rng(seed).permutation(data.n)[:25])
    fit, stop = stop_rows(data, rows, 0.2, seed)
    assert broken_laws(data, [(fit, stop)]) == []
    assert np.array_equal(np.union1d(fit, stop), rows)


def test_the_stop_set_depends_on_its_training_rows_only():
    data = table(60, classes=2)
    rows = np.arange(0, 60, 2)
    y = data.y.copy()
    y[1::2] = 1 - y[1::2]
    assert same([stop_rows(data, rows, 0.2, 3)], [stop_rows(replace(data, y=y), rows, 0.2, 3)])


def test_a_class_of_one_row_stays_among_the_fit_rows():
    y = np.array([0] * 20 + [1] * 19 + [2])
    data = replace(table(40, classes=3), y=y)
    for seed in range(20):
        fit, _ = stop_rows(data, np.arange(40), 0.4, seed)
        assert 39 in fit


def test_group_folds_are_balanced_and_stratified():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 60, 600)
    y = ((group % 3 == 0) ^ (rng.random(600) < 0.1)).astype(np.int64)
    data = replace(table(600, classes=2), group=group, y=y)
    tests = [test for _, test in split(data, 5, 0)]
    assert np.ptp([len(test) for test in tests]) <= 12
    assert np.ptp([data.y[test].mean() for test in tests]) < 0.05


def test_one_huge_group_still_leaves_both_parts_with_rows():
    data = replace(table(40), group=np.array([0] * 38 + [1, 1]))
    for share in (0.05, 0.2, 0.5):
        rest, held = holdout(data, share, 0)
        assert (len(rest), len(held)) == (38, 2)


def test_time_and_group_together_keep_returning_groups_out_of_training():
    time = np.arange(40)
    group = np.where(time % 4 == 0, 0, 1 + time // 10)
    data = replace(table(40), time=time, group=group)
    for splits in (split(data, 3, 0), [holdout(data, 0.2, 0)]):
        assert broken_laws(data, splits) == []
    train, test = split(data, 3, 0)[0]
    assert set(train) == {row for row in range(10) if row % 4}
    assert test.tolist() == list(range(10, 20))


@pytest.mark.parametrize(
    ("roles", "name"),
    [
        ({}, "shuffled k-fold"),
        ({"classes": 2}, "stratified k-fold"),
        ({"groups": 9}, "group k-fold"),
        ({"groups": 9, "classes": 2}, "stratified group k-fold"),
        ({"times": 9}, "expanding window over time"),
        ({"times": 9, "groups": 9}, "expanding window over time, groups kept apart"),
    ],
)
def test_the_splitter_has_a_name(roles, name):
    assert splitter_name(table(40, **roles)) == name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (table(4), "4 rows cannot be cut into 5 folds"),
        (table(40, groups=3), "3 groups cannot be cut into 5 folds; ask for at most 3"),
        (table(40, times=5), "5 distinct times cannot be cut into 6 blocks.*at most 4 folds"),
        (
            replace(table(40, classes=2), y=np.array([0] * 37 + [1] * 3)),
            "class 'class 1' of 'y' has 3 row.*fewer than 5 folds.*merge",
        ),
        (
            replace(table(40, classes=2, groups=10), y=np.arange(40) // 39, group=np.arange(40)),
            "class 'class 1' of 'y' has no training row in fold",
        ),
        (
            replace(table(40, classes=2), y=np.arange(40) // 30, time=np.arange(40)),
            "class 'class 1' of 'y' has no training row in fold 0",
        ),
        (replace(table(40, times=8), group=np.zeros(40, int)), "time and group leave no"),
    ],
)
def test_splits_that_cannot_be_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        split(data, 5, 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (table(1), "cannot be cut"),
        (table(9, groups=1), "one group"),
        (table(9, times=1), "same time"),
    ],
)
def test_rows_that_cannot_be_cut_off_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        holdout(data, 0.2, 0)


# ---- planted faults --------------------------------------------------------------------------


def ignoring(role):
    """A splitter that does not look at one role."""
    return lambda data: split(replace(data, **{role: None}), 4, 0)


def overlapping(data):
    return [(train, np.sort(np.append(test, train[0]))) for train, test in split(data, 4, 0)]


def training_on_the_future(data):
    return [(test, train) for train, test in split(data, 4, 0)]


def cutting_a_moment(data):
    order = np.argsort(data.time, kind="stable")
    return [(np.sort(order[:21]), np.sort(order[21:]))]


@pytest.mark.parametrize(
    ("fault", "roles", "law"),
    [
        (ignoring("group"), {"groups": 9}, "group is split apart"),
        (ignoring("time"), {"times": 9}, "not all earlier"),
        (training_on_the_future, {"times": 9}, "not all earlier"),
        (cutting_a_moment, {"times": 9}, "not all earlier"),
        (ignoring("group"), {"times": 9, "groups": 20}, "group is split apart"),
        (overlapping, {}, "overlap"),
        (lambda data: [(np.arange(40)[::-1], np.arange(0))], {}, "empty"),
        (lambda data: [(np.arange(30)[::-1], np.arange(30, 40))], {}, "not sorted"),
        (lambda data: [(np.arange(30), np.arange(30, 41))], {}, "outside"),
    ],
)
def test_a_splitter_that_breaks_a_law_is_caught(fault, roles, law):
    data = table(40, **roles)
    assert any(law in words for words in broken_laws(data, fault(data)))
