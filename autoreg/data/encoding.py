"""Tables to numbers: the schema is inferred once, and every later table is read by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from autoreg.data.border import as_frame
from autoreg.data.dataset import Column, Dataset, Floats
from autoreg.data.dates import dates
from autoreg.data.parts import MISSING, date_columns, gap_column, part_of
from autoreg.data.schema import schema_lines
from autoreg.data.table import Table, factorized, kind_of, label_text, levels_of, numbers
from autoreg.errors import DataError
from autoreg.spec import DataSpec


def encode(frame: pd.DataFrame | Table, columns: Sequence[Column]) -> Floats:
    """The float matrix (n, p) of a table at predict time; columns are found by name.

    Missing cells are NaN, levels never seen before -1.0; further columns are ignored. Raises
    DataError naming the columns that are missing, or a numeric column's cell that is text.

    >>> columns = (Column("age", "numeric"), Column("city", "categorical", ("Paris", "Rome")))
    >>> encode(pd.DataFrame({"city": ["Rome", "Oslo"], "age": [30, None]}), columns)
    array([[30.,  1.],
           [nan, -1.]])
    """
    return encode_open(frame, columns)[0]


def encode_open(
    frame: pd.DataFrame | Table, columns: Sequence[Column]
) -> tuple[Floats, tuple[Column, ...]]:
    """The same, and the columns with the documents of this table as levels of text."""
    table = frame if isinstance(frame, Table) else Table.build(_pandas(frame), "the table")
    present = set(table.names)
    wanted = dict.fromkeys(column.read_from for column in columns)
    if absent := [name for name in wanted if name not in present]:
        raise DataError(
            f"{table.place} lacks {len(absent)} column(s) that the model was trained on: "
            f"{', '.join(absent[:8])}{', ...' if len(absent) > 8 else ''}; add them"
        )
    own = tuple(
        replace(column, levels=levels_of(table, column.name)) if column.kind == "text" else column
        for column in columns
    )
    X = np.empty((len(table.frame), len(own)))
    for position, column in enumerate(own):
        X[:, position] = cells(table, column)
    return X, own


def _pandas(frame: Any) -> pd.DataFrame:
    if (known := as_frame(frame)) is None:
        raise DataError(
            f"the table: expected a table (pandas, polars, Arrow, ...), not {type(frame).__name__}"
        )
    return known


def describe(dataset: Dataset) -> dict[str, Any]:
    """Plain facts about a data set, ready for JSON."""
    categorical = sum(column.is_categorical for column in dataset.columns)
    counts = [int((dataset.y == position).sum()) for position in range(len(dataset.classes))]
    return {
        "name": dataset.name,
        "source": dataset.source,
        "digest": dataset.digest,
        "rows": dataset.size,
        "columns": len(dataset.columns),
        "numeric": len(dataset.columns) - categorical,
        "categorical": categorical,
        "schema": list(schema_lines(dataset.columns)),
        "feature_groups": len({column.group for column in dataset.columns if column.group}),
        "missing_cells": int(np.isnan(dataset.X).sum()),
        "task": dataset.task,
        "target": dataset.target,
        "classes": dict(zip(map(str, dataset.classes), counts, strict=True)),
        "roles": dict(dataset.roles),
    }


def features(
    table: Table, names: Sequence[str], spec: DataSpec
) -> tuple[tuple[Column, ...], Floats]:
    """The feature columns and their matrix (n, p); columns without a single value are refused."""
    columns = [column for name in names for column in _columns_of(table, name, spec)]
    X = np.empty((len(table.frame), len(columns)))
    for position, column in enumerate(columns):
        X[:, position] = cells(table, column)
    if spec.gaps == "mark":
        gaps = [bool(np.isnan(values).any()) for values in X.T]
        marked = [
            gap_column(column.name)
            for column, gap in zip(columns, gaps, strict=True)
            if gap and column.kind == "numeric" and not column.part
        ]
        X = np.column_stack([X, *(cells(table, column) for column in marked)])
        columns += marked
    if empty := [columns[int(k)].name for k in np.flatnonzero(np.isnan(X).all(axis=0))]:
        raise DataError(
            f"{table.place}: no row has a value in column {empty[0]!r}"
            f"{f' (nor in {empty[1:]})' if empty[1:] else ''}; leave it out with "
            f"data: drop: [{', '.join(empty)}]"
        )
    return tuple(columns), X


def _columns_of(table: Table, name: str, spec: DataSpec) -> list[Column]:
    """The columns that a column of the table becomes."""
    if name in spec.dates:
        return date_columns(name, dates(table, name))
    if name in spec.text:
        return [Column(name, "text", levels_of(table, name))]
    declared = name in {*spec.categorical, *spec.mean_target, spec.user, spec.item}
    if kind_of(table, name, declared=declared) == "numeric":
        return [Column(name, "numeric", treated="fences" if spec.outliers == "pull_in" else "")]
    treated: Literal["", "target"] = "target" if name in spec.mean_target else ""
    return [Column(name, "categorical", levels_of(table, name), treated=treated)]


def cells(table: Table, column: Column) -> Floats:
    """One column as floats (n,): measurements, or positions in the column's levels."""
    if column.part == MISSING:
        return np.asarray(table.frame[column.source].isna(), dtype=np.float64)
    if column.part:
        return part_of(dates(table, column.source), column.part)
    if not column.is_categorical:
        return numbers(table, column.name)
    codes, uniques = factorized(table, column.name)
    where = {level: position for position, level in enumerate(column.levels)}
    # A missing cell has code -1 and so reads the last entry.
    lookup = np.array([*(float(where.get(label_text(one), -1)) for one in uniques), np.nan])
    return np.asarray(lookup[codes])
