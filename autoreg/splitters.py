"""Pure index algebra: rows are cut by their roles, and by nothing else.

A declared role is obeyed at every level (held-out rows, outer folds, inner folds, stop-set):

* time: train on the past, judge on the future; rows of one moment are never cut, and moments
  whose target could not be known in time are left out (``data: order``). Only ``both_sides``,
  which has to be asked for, trains on later rows, too;
* group: rows of one group are never split apart;
* fold: rows of one value of a column are judged together;
* classes: each fold gets its share of each class.

Cells of X are never read, so the splits are known before anything is learned. Row ids are
sorted int64. :func:`broken_laws` says in words which law a split breaks; it is the oracle of
the tests, and ``folds.plan`` asks it about every split before the first fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.errors import DataError
from autoreg.order import WINDOWS, forbidden, left_out, too_near
from autoreg.spec import OrderSpec

Split = tuple[Rows, Rows]


@dataclass(frozen=True, eq=False)
class _Roles:
    """What a splitter may know of n rows: classes (all 0 for regression), groups, times.

    Groups, times and folds are dense ranks of these rows; ``moment`` counts the distinct times of
    the whole table, so that distances do not shrink where rows are taken out in between.
    """

    target: str
    strata: Rows
    labels: tuple[Any, ...]
    group: Rows | None
    time: Rows | None
    moment: Rows | None
    fold: Rows | None
    order: OrderSpec

    @classmethod
    def of(cls, data: Dataset, rows: Rows | None = None) -> _Roles:
        ids = np.arange(data.n) if rows is None else rows
        return cls(
            data.target,
            data.y[ids].astype(np.int64) if data.classes else np.zeros(len(ids), np.int64),
            data.classes,
            None if data.group is None else _dense(data.group[ids]),
            None if data.time is None else _dense(data.time[ids]),
            None if data.time is None else data.time[ids],
            None if data.fold is None else _dense(data.fold[ids]),
            data.order,
        )

    @property
    def n(self) -> int:
        return len(self.strata)


def splitter_name(data: Dataset) -> str:
    """How the rows of a data set are cut, in words.

    >>> from autoreg.data import load
    >>> from autoreg.spec import DataSpec
    >>> splitter_name(load(DataSpec(source="wine")))
    'stratified k-fold'
    """
    if data.block is not None:
        return "blocks cut while streaming" + (
            ", groups kept apart" if data.roles.get("group") else ""
        )
    if data.time is not None:
        apart = ", groups kept apart" if data.group is not None else ""
        return f"{WINDOWS[data.order.window]}{left_out(data.order)}{apart}"
    if data.fold is not None:
        groups = data.roles.get("group")
        return (
            "leave one group out"
            if groups and groups == data.roles.get("fold")
            else "predefined folds"
        )
    if data.group is not None:
        return "stratified group k-fold" if data.classes else "group k-fold"
    return "stratified k-fold" if data.classes else "shuffled k-fold"


def is_stratified(data: Dataset) -> bool:
    """Whether each fold gets its share of each class: where no other role says who goes where.

    >>> from autoreg.data import load
    >>> from autoreg.spec import DataSpec
    >>> is_stratified(load(DataSpec(source="wine")))
    True
    """
    is_free = data.block is None and data.time is None and data.fold is None
    return bool(data.classes) and is_free


def natural_folds(data: Dataset) -> int | None:
    """How many outer folds the table itself asks for; None where it leaves the number open."""
    return None if data.fold is None else len(np.unique(data.fold))


def split(data: Dataset, k: int, seed: int) -> list[Split]:
    """Cut all rows into k pairs (training rows, test rows), as the roles demand.

    Without a time role each row is tested exactly once. With one, the distinct times are cut
    into k + 1 blocks; fold i trains on blocks 0..i and tests block i + 1. A rolling window
    tests k blocks of the later half and trains on as many moments as the first half has;
    ``both_sides`` tests k blocks of all moments. A fold column has k values, or it is an error.
    Raises DataError where there are too few rows, groups, times or members of a class.

    >>> import numpy as np
    >>> from autoreg.data.dataset import Column
    >>> columns = (Column("a", "numeric"),)
    >>> data = Dataset("tiny", columns, np.zeros((6, 1)), np.arange(6.0), "regression", "y")
    >>> [len(test) for train, test in split(data, 3, seed=0)]
    [2, 2, 2]
    """
    if data.block is not None:
        cuts = [data.block == i for i in range(k)]
        return [(np.flatnonzero(~inside), np.flatnonzero(inside)) for inside in cuts]
    roles = _Roles.of(data)
    if roles.n < k:
        raise DataError(f"{roles.n} rows cannot be cut into {k} folds; ask for fewer folds")
    if roles.time is not None:
        splits = _over_time(roles, roles.time, k)
    else:
        block = _blocks(roles, k, np.random.default_rng(seed))
        splits = [(np.flatnonzero(block != i), np.flatnonzero(block == i)) for i in range(k)]
    _check_classes(data, splits)
    return splits


def holdout(data: Dataset, share: float, seed: int) -> Split:
    """Cut about a share of the rows off: (the rest, the rows cut off).

    With a time role the last rows are cut off; if groups are declared as well, earlier rows of
    the groups among them are in neither part. Each class keeps a row in the rest if it can.
    Raises DataError where nothing can be cut.
    """
    if data.block is not None:
        return np.flatnonzero(data.block >= 0), np.flatnonzero(data.block < 0)
    return _cut(_Roles.of(data), share, seed)


def stop_rows(data: Dataset, rows: Rows, share: float, seed: int) -> Split:
    """Cut the stop-set of early stopping out of training rows: (fit rows, stop rows)."""
    fit, stop = _cut(_Roles.of(data, rows), share, seed)
    return rows[fit], rows[stop]


def broken_laws(data: Dataset, splits: Sequence[Split]) -> list[str]:
    """What is wrong with splits of a data set, in words; empty where every law holds.

    >>> from autoreg.data import load
    >>> from autoreg.spec import DataSpec
    >>> data, rows = load(DataSpec(source="wine")), np.arange(178)
    >>> broken_laws(data, [(rows[:100], rows[90:])])
    ['split 0: training and test rows overlap']
    """
    laws: dict[str, Callable[[Rows, Rows], bool]] = {
        "a part is empty": lambda train, test: bool(len(train) and len(test)),
        "row ids are not sorted or repeat": lambda train, test: _rises(train) and _rises(test),
        "row ids lie outside the table": lambda train, test: _inside(data.n, train, test),
        "training and test rows overlap": lambda train, test: not np.isin(test, train).any(),
        "a group is split apart": lambda train, test: (
            data.group is None or not np.isin(data.group[test], data.group[train]).any()
        ),
        "training rows are not all earlier than test rows": lambda train, test: (
            data.time is None or not too_near(data.time, train, test, data.order)
        ),
    }
    broken = []
    for position, (train, test) in enumerate(splits):
        # The first broken law is told; the later ones take the earlier for granted.
        law = next((words for words, holds in laws.items() if not holds(train, test)), None)
        broken += [f"split {position}: {law}"] if law else []
    return broken


def require_classes(data: Dataset, train: Rows, fold: str) -> None:
    """Raise DataError where a class has no training row, so that nobody could learn it."""
    present = data.y[train] if data.classes else data.y[:0]
    absent = np.setdiff1d(np.arange(len(data.classes)), present)
    if len(absent):
        raise DataError(
            f"class {data.classes[int(absent[0])]!r} of {data.target!r} has no training row in "
            f"{fold} ({splitter_name(data)}); ask for fewer folds, merge the class with another, "
            f"or leave its rows out"
        )


# ---- k parts -----------------------------------------------------------------------------------


def _blocks(roles: _Roles, k: int, rng: Generator) -> Rows:
    """The block (n,) in 0..k-1 that tests each row."""
    if roles.fold is not None:
        return _given(roles, roles.fold, k)
    if roles.group is not None:
        count = int(roles.group.max()) + 1
        if count < k:
            raise DataError(
                f"{count} groups cannot be cut into {k} folds; ask for at most {count} folds"
            )
        return _deal_groups(roles.group, roles.strata, np.full(k, 1 / k), rng)
    _check_members(roles, k)
    block = np.empty(roles.n, dtype=np.int64)
    # Dealt class after class like cards, so sizes and class counts agree within one row.
    block[_shuffled_by_class(roles.strata, rng)] = np.arange(roles.n) % k
    return block


def _given(roles: _Roles, fold: Rows, k: int) -> Rows:
    """The blocks that a fold column names; they must not cut a group."""
    count = int(fold.max()) + 1
    if count != k:
        raise DataError(
            f"the fold column has {count} value(s) among these rows, so they cannot be cut into "
            f"{k} folds; leave out data: fold, or the number of folds"
        )
    if roles.group is not None and len(np.unique(fold * (roles.group.max() + 1) + roles.group)) > (
        int(roles.group.max()) + 1
    ):
        raise DataError(
            "the fold column splits a group apart; correct the column, or declare one of data: "
            "fold and data: group only"
        )
    return fold


def _shuffled_by_class(strata: Rows, rng: Generator) -> Rows:
    """Row ids, class after class, in random order within each class."""
    order = rng.permutation(len(strata))
    return order[np.argsort(strata[order], kind="stable")]


def _deal_groups(group: Rows, strata: Rows, capacities: Floats, rng: Generator) -> Rows:
    """The part of each row; whole groups, large ones first, each to where it fits best.

    A part f should hold ``capacities[f]`` of the rows and of each class c. The sum of
    ``load[f, c]**2 / capacities[f]``, with loads as shares, is smallest exactly then, so each
    group goes where this sum grows least.
    """
    classes = int(strata.max()) + 1
    counts = np.bincount(group * classes + strata, minlength=(int(group.max()) + 1) * classes)
    sizes = counts.reshape(-1, classes).astype(np.float64)
    sizes = np.column_stack([sizes.sum(axis=1), sizes]) if classes > 1 else sizes
    shares = sizes / np.maximum(sizes.sum(axis=0), 1.0)
    shuffled = rng.permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled].max(axis=1), kind="stable")]
    load = np.zeros((len(capacities), shares.shape[1]))
    part = np.empty(len(sizes), dtype=np.int64)
    for one in order:
        growth = ((2 * load + shares[one]) * shares[one]).sum(axis=1) / capacities
        part[one] = growth.argmin()
        load[part[one]] += shares[one]
    for empty in np.setdiff1d(np.arange(len(capacities)), part):
        part[_smallest_spare(part, order)] = empty
    return part[group]


def _smallest_spare(part: Rows, order: Rows) -> int:
    """The smallest group that does not leave its own part empty."""
    held = np.bincount(part)
    return int(next(one for one in order[::-1] if held[part[one]] > 1))


def _over_time(roles: _Roles, time: Rows, k: int) -> list[Split]:
    count = int(time.max()) + 1
    if count < k + 1:
        raise DataError(
            f"{count} distinct times cannot be cut into {k + 1} blocks (one to start with and "
            f"{k} to test); ask for at most {count - 1} folds"
        )
    match roles.order.window:
        case "expanding":
            first, width = len(np.array_split(np.arange(count), k + 1)[0]), count
        case "rolling":
            first = width = min(-(-count // 2), count - k)
        case "both_sides":
            first, width = 0, count
    # The start is a block as well: it is the longest where the moments do not divide.
    parts = np.array_split(np.arange(first, count), k)
    return [_around(roles, time, int(part[0]), int(part[-1]), width) for part in parts]


def _around(roles: _Roles, time: Rows, start: int, end: int, width: int) -> Split:
    """Test the times from start to end; train on at most ``width`` before it (or around it)."""
    test = (time >= start) & (time <= end)
    train = ~test & (time >= start - width)
    if roles.order.window != "both_sides":
        train &= time < start
    return _kept_apart(roles, train, test)


def _kept_apart(roles: _Roles, train: NDArray[np.bool_], test: NDArray[np.bool_]) -> Split:
    """The rows of both parts, less training rows that are too near or of a group in the test."""
    assert roles.moment is not None
    low, high = forbidden(roles.moment[test], roles.order)
    apart = train & ((roles.moment < low) | (roles.moment > high))
    if not apart.any():
        raise DataError(
            f"no training rows are left beside the test rows{left_out(roles.order)}; ask for "
            f"fewer folds, or leave fewer moments out (data: order)"
        )
    if roles.group is not None:
        apart &= ~np.isin(roles.group, roles.group[test])
        if not apart.any():
            raise DataError(
                "every earlier row belongs to a group that comes again in the test rows, so time "
                "and group leave no training rows; declare one of them only"
            )
    return np.flatnonzero(apart), np.flatnonzero(test)


# ---- two parts ---------------------------------------------------------------------------------


def _cut(roles: _Roles, share: float, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    if roles.time is not None:
        last = roles.time >= _start_of_last(roles.time, share)
        return _kept_apart(roles, ~last, last)
    if roles.group is not None:
        if not roles.group.any():
            raise DataError("all rows belong to one group, so no rows can be cut off")
        capacities = np.array([1 - share, share])
        off = _deal_groups(roles.group, roles.strata, capacities, rng) == 1
    else:
        off = _some_of_each_class(roles, share, rng)
    return np.flatnonzero(~off), np.flatnonzero(off)


def _start_of_last(time: Rows, share: float) -> int:
    """The time from which on the rows are nearest to a share of all."""
    later = np.cumsum(np.bincount(time)[::-1])[::-1]
    if len(later) < 2:
        raise DataError("all rows have the same time, so no later rows can be cut off")
    return 1 + int(np.abs(later[1:] - share * len(time)).argmin())


def _some_of_each_class(roles: _Roles, share: float, rng: Generator) -> NDArray[np.bool_]:
    """Every 1/share-th row along the classes: each class within one row of its share."""
    n = roles.n
    if n < 2:
        raise DataError(f"{n} row cannot be cut in two")
    target = min(max(1, round(share * n)), n - 1)
    order = _shuffled_by_class(roles.strata, rng)
    steps = np.arange(n + 1) * target // n
    off = np.zeros(n, dtype=np.bool_)
    off[order] = steps[1:] > steps[:-1]
    kept = np.bincount(roles.strata[~off], minlength=int(roles.strata.max()) + 1)
    trimmed = off & (kept[roles.strata] > 0)
    return trimmed if trimmed.any() else off


# ---- checks ------------------------------------------------------------------------------------


def _dense(codes: Rows) -> Rows:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _rises(rows: Rows) -> bool:
    return bool((np.diff(rows) > 0).all())


def _inside(n: int, train: Rows, test: Rows) -> bool:
    return bool(min(train[0], test[0]) >= 0 and max(train[-1], test[-1]) < n)


def _check_members(roles: _Roles, k: int) -> None:
    members = np.bincount(roles.strata, minlength=len(roles.labels))
    if roles.labels and members.min() < k:
        few = int(members.argmin())
        raise DataError(
            f"class {roles.labels[few]!r} of {roles.target!r} has {members[few]} row(s), fewer "
            f"than {k} folds; ask for fewer folds, merge the class with another, or leave its "
            f"rows out"
        )


def _check_classes(data: Dataset, splits: Sequence[Split]) -> None:
    for position, (train, _) in enumerate(splits):
        require_classes(data, train, f"fold {position}")
