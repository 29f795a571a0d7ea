"""Laws of the index algebra, on random tables with random roles; and splitters that break them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoreg.data.dataset import Column, Dataset
from autoreg.errors import DataError
from autoreg.spec import OrderSpec
from autoreg.splitters import (
    broken_laws,
    holdout,
    natural_folds,
    split,
    splitter_name,
    stop_rows,
)

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
        if "no training row" not in str(error) and "leave no training" not in str(error):
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
        (
            {"times": 9, "order": OrderSpec(window="rolling", gap=2, purge=1)},
            "rolling window over time (gap 2, purge 1)",
        ),
        (
            {"times": 9, "order": OrderSpec(window="both_sides", embargo=1)},
            "blocks of time, trained on both sides (embargo 1)",
        ),
        ({"fold": np.arange(40) % 4}, "predefined folds"),
    ],
)
def test_the_splitter_has_a_name(roles, name):
    fields = {key: roles.pop(key) for key in ("order", "fold") if key in roles}
    assert splitter_name(replace(table(40, **roles), **fields)) == name


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


# ---- distances in time, folds by a column -----------------------------------------------------

orders = st.builds(
    OrderSpec,
    window=st.sampled_from(["expanding", "rolling", "both_sides"]),
    gap=st.integers(0, 2),
    purge=st.integers(0, 2),
    embargo=st.integers(0, 2),
)


@st.composite
def ordered(draw):
    """A table in the order of time, sometimes in groups, with some moments taken out."""
    data = table(
        draw(st.integers(60, 120)),
        classes=draw(st.sampled_from([0, 2])),
        groups=draw(st.sampled_from([0, 40])),
        times=draw(st.integers(25, 40)),
        seed=draw(st.integers(0, 99)),
    )
    hole = draw(st.integers(5, 15))
    kept = np.flatnonzero((data.time < hole) | (data.time > hole + 3))
    return replace(data, order=draw(orders)).rows(kept)


def distances_hold(data, train, test):
    """The law of distances, row by row: slow and obvious."""
    order = data.order
    ahead = order.gap + order.purge
    behind = order.purge + order.embargo if order.window == "both_sides" else np.inf
    first, last = data.time[test].min(), data.time[test].max()
    return all(
        first - moment > ahead or moment - last > behind for moment in data.time[train].tolist()
    )


@given(ordered(), st.integers(2, 4), st.integers(0, 3))
@LAWS
def test_moments_too_near_in_time_are_left_out_at_every_level(data, k, seed):
    splits = split_or_none(data, k, seed)
    if splits is None:
        return
    cuts = [*splits, holdout(data, 0.2, seed)]
    assert broken_laws(data, cuts) == []
    assert all(distances_hold(data, train, test) for train, test in cuts)
    for _, test in splits:
        if data.group is None:
            inside = (data.time >= data.time[test].min()) & (data.time <= data.time[test].max())
            assert np.array_equal(np.flatnonzero(inside), test)
    tested = np.concatenate([test for _, test in splits])
    assert len(np.unique(tested)) == len(tested)
    if data.order.window == "both_sides":
        assert len(tested) == data.n


def test_a_rolling_window_keeps_its_width_and_an_expanding_one_grows():
    data = table(80, times=80)
    sizes = {
        window: [
            len(train) for train, _ in split(replace(data, order=OrderSpec(window=window)), 4, 0)
        ]
        for window in ("expanding", "rolling", "both_sides")
    }
    assert sizes == {
        "expanding": [16, 32, 48, 64],
        "rolling": [40, 40, 40, 40],
        "both_sides": [60, 60, 60, 60],
    }


def test_distances_count_moments_of_the_whole_table_and_not_of_the_rows_at_hand():
    data = replace(table(40), time=np.arange(40), order=OrderSpec(gap=3))
    sparse = data.rows(np.flatnonzero(data.time % 2 == 0))
    for train, test in split(sparse, 3, 0):
        # Of moments 2 apart, a gap of 3 leaves out one: the test minus 4 may train.
        assert sparse.time[test].min() - sparse.time[train].max() == 4


def test_what_is_left_out_can_be_everything():
    data = replace(table(20), time=np.arange(20), order=OrderSpec(gap=6))
    with pytest.raises(DataError, match=r"no training rows are left .*\(gap 6\)"):
        split(data, 4, 0)


@given(st.integers(30, 90), st.sampled_from([0, 2]), st.integers(2, 6), st.integers(0, 9))
@LAWS
def test_a_fold_column_decides(n, classes, k, seed):
    data = table(n, classes, seed=seed)
    data = replace(data, fold=np.random.default_rng(seed).permutation(np.arange(n) % k) * 10)
    splits = split_or_none(data, k, seed) or []
    assert broken_laws(data, splits) == []
    for number, (train, test) in enumerate(splits):
        assert np.array_equal(test, np.flatnonzero(data.fold == 10 * number))
        assert np.array_equal(train, np.flatnonzero(data.fold != 10 * number))


def test_leaving_one_group_out_is_a_fold_column_that_is_the_group():
    group = np.array([3, 3, 1, 1, 1, 7, 7, 7, 7, 1])
    roles = {"group": "site", "fold": "site"}
    data = replace(table(10), group=group, fold=group, roles=roles)
    assert natural_folds(data) == 3
    assert splitter_name(data) == "leave one group out"
    assert [test.tolist() for _, test in split(data, 3, 0)] == [[2, 3, 4, 9], [0, 1], [5, 6, 7, 8]]


def test_a_fold_column_that_cuts_a_group_or_has_other_folds_is_refused():
    group = np.repeat(np.arange(5), 4)
    data = replace(table(20), group=group, fold=np.arange(20) % 2)
    with pytest.raises(DataError, match="fold column splits a group apart"):
        split(data, 2, 0)
    with pytest.raises(DataError, match="has 2 value"):
        split(data, 4, 0)


# ---- planted faults --------------------------------------------------------------------------


def ignoring(role):
    """A splitter that does not look at one role."""
    return lambda data: split(replace(data, **{role: None}), 4, 0)


def overlapping(data):
    return [(train, np.sort(np.append(test, train[0]))) for train, test in split(data, 4, 0)]


def training_on_the_future(data):
    return [(test, train) for train, test in split(data, 4, 0)]


def too_near(data):
    return split(replace(data, order=OrderSpec()), 4, 0)


def far_from_the_past_only(data):
    """Forgets the embargo after the test rows."""
    order = data.order.model_copy(update={"embargo": 0})
    return split(replace(data, order=order), 4, 0)


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
        (too_near, {"times": 20, "order": OrderSpec(gap=1)}, "not all earlier"),
        (too_near, {"times": 20, "order": OrderSpec(purge=1)}, "not all earlier"),
        (
            far_from_the_past_only,
            {"times": 20, "order": OrderSpec(window="both_sides", embargo=2)},
            "not all earlier",
        ),
        (overlapping, {}, "overlap"),
        (lambda data: [(np.arange(40)[::-1], np.arange(0))], {}, "empty"),
        (lambda data: [(np.arange(30)[::-1], np.arange(30, 40))], {}, "not sorted"),
        (lambda data: [(np.arange(30), np.arange(30, 41))], {}, "outside"),
    ],
)
def test_a_splitter_that_breaks_a_law_is_caught(fault, roles, law):
    order = roles.pop("order", OrderSpec())
    data = replace(table(40, **roles), order=order)
    assert any(law in words for words in broken_laws(data, fault(data)))
