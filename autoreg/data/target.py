"""What is predicted: the target column, its task and its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from autoreg.data.dataset import Floats, Label, Task
from autoreg.data.table import Table, not_numbers, numbers, refuse_dates, refuse_missing
from autoreg.errors import DataError

FEW_CLASSES = 20
ROWS_PER_CLASS = 3
Targets = NDArray[np.float64] | NDArray[np.int64]


def read_target(
    table: Table, name: str, asked: Task | None
) -> tuple[Targets, Task, tuple[Label, ...]]:
    """The target as numbers (n,), the task, and the classes that integers point to.

    Raises DataError for a missing, infinite, constant or unfitting target.
    """
    refuse_missing(table, name, "the target")
    refuse_dates(table, name)
    labels = table.frame[name]
    if _is_number(labels):
        numbers(table, name)
    distinct = labels.nunique()
    if distinct < 2:
        raise DataError(
            f"{table.place}: the target {name!r} is {labels.iloc[0]!r} in every row, so there is "
            f"nothing to learn; choose another target"
        )
    task = asked or infer_task(table, name)
    if task in ("regression", "count"):
        y = _measured(table, name, task)
        return (_counted(table, name, y) if task == "count" else y), task, ()
    _check_classes(table, name, task, distinct)
    codes, classes = _classes(labels)
    return codes, task, classes


def infer_task(table: Table, name: str) -> Task:
    """The task that a target suggests.

    Two values: binary. Text, booleans, pandas categories, and integers of at most 20 values
    with 3 rows each on average: multiclass. Other numbers: regression. Counts are never inferred.

    >>> infer_task(Table.build(pd.DataFrame({"y": [0.5, 1.5, 2.0]}), "here"), "y")
    'regression'
    """
    labels = table.frame[name]
    distinct = labels.nunique()
    if distinct == 2:
        return "binary"
    if _is_number(labels):
        few = distinct <= FEW_CLASSES and ROWS_PER_CLASS * distinct <= len(labels)
        return "multiclass" if few and types.is_integer_dtype(labels.dtype) else "regression"
    _refuse_numbers_as_text(table, name, distinct)
    return "multiclass"


def _is_number(labels: pd.Series[Any]) -> bool:
    return types.is_numeric_dtype(labels.dtype) and not types.is_bool_dtype(labels.dtype)


def _refuse_numbers_as_text(table: Table, name: str, distinct: int) -> None:
    """Text such as "12.5" in most rows is a number that went wrong, not a class."""
    labels = table.frame[name]
    bad = not_numbers(labels)
    if distinct <= FEW_CLASSES or bad.mean() > 0.1 or isinstance(labels.dtype, pd.CategoricalDtype):
        return
    first = int(bad.argmax())
    raise DataError(
        f"{table.cell(name, first)}: most of the target reads as numbers but {labels.iloc[first]!r}"
        f" is text; correct such cells, or set data: task"
    )


def _measured(table: Table, name: str, task: Task) -> Floats:
    labels = table.frame[name]
    bad = not_numbers(labels)
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"{table.cell(name, first)}: task {task} needs a numeric target, not "
            f"{labels.iloc[first]!r}; correct the cell, or set data: task to binary or multiclass"
        )
    return numbers(table, name)


def _counted(table: Table, name: str, y: Floats) -> Floats:
    """The target as it is, where every cell is 0, 1, 2, ..."""
    bad = (y < 0) | (y != np.floor(y))
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"{table.cell(name, first)}: {y[first]:g} is no count, which is 0, 1, 2, ... "
            f"({bad.sum()} such row(s)); correct the cell, or set data: task to regression"
        )
    return y


def _check_classes(table: Table, name: str, task: Task, distinct: int) -> None:
    place, target = table.place, f"the target {name!r}"
    if task == "binary" and distinct != 2:
        raise DataError(f"{place}: task binary needs two values, {target} has {distinct}")
    if task == "multiclass" and distinct == 2:
        raise DataError(f"{place}: {target} has two values; set data: task to binary")
    if distinct > 2 and 2 * distinct > len(table.frame):
        raise DataError(
            f"{place}: {target} has {distinct} classes in {len(table.frame)} rows; is it the "
            f"right column? for a number to predict set data: task to regression"
        )


def _classes(labels: pd.Series[Any]) -> tuple[NDArray[np.int64], tuple[Label, ...]]:
    codes, uniques = pd.factorize(labels)
    plain = [_plain(one) for one in uniques]
    # Labels of several types cannot be compared, so types are sorted first.
    order = sorted(range(len(plain)), key=lambda k: (type(plain[k]).__name__, plain[k]))
    position = np.empty(len(plain), dtype=np.int64)
    position[order] = np.arange(len(plain))
    return position[codes], tuple(plain[k] for k in order)


def _plain(label: Any) -> Label:
    """A label as one of Python's own types, which JSON keeps."""
    own = label.item() if isinstance(label, np.generic) else label
    return own if isinstance(own, str | int | float | bool) else str(own)
