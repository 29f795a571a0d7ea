"""A table on its way in: cells to numbers, with every complaint naming column and row.

One rule decides what a column is, whatever it came from: text that reads as numbers in every
row is numeric, as it would be in a CSV file; text, booleans and pandas categories are
categorical; dates are refused unless their role is declared, because as a number they would be a
row number in disguise.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from autoreg.data.border import as_frame
from autoreg.data.dataset import Column, Dataset, Floats, Rows
from autoreg.data.parts import (
    DATE_FORMATS,
    MISSING,
    date_columns,
    gap_column,
    is_moment,
    parsed_dates,
    part_of,
)
from autoreg.data.schema import schema_lines
from autoreg.errors import DataError
from autoreg.spec import DataSpec

LARGEST = 1e100
MOSTLY_NUMBERS = 0.9
DATE = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[/.]\d{1,2}[/.]\d{2,4})(?:[ T].*)?"


@dataclass(frozen=True, eq=False)
class Table:
    """A frame with distinct text names, where it came from, and the file line of each row.

    ``before`` counts the rows of the source that came before it, where it is a part of one.

    >>> table = Table.build(pd.DataFrame({"age": [31, 45]}), "people.csv", np.array([2, 3]))
    >>> table.cell("age", 1)
    "people.csv: column 'age', row 2 (line 3)"
    """

    frame: pd.DataFrame
    place: str
    lines: Rows | None = None
    before: int = 0

    @classmethod
    def build(
        cls, frame: pd.DataFrame, place: str, lines: Rows | None = None, before: int = 0
    ) -> Table:
        """Check that there are rows and distinct column names; names become text."""
        names = [str(name) for name in frame.columns]
        repeated = pd.Index(names).duplicated()
        if repeated.any():
            twice = names[int(repeated.argmax())]
            raise DataError(f"{place}: two columns are named {twice!r}; rename or remove one")
        if not len(frame):
            raise DataError(f"{place}: the table has no rows")
        tidy = frame.reset_index(drop=True).infer_objects()
        tidy.columns = pd.Index(names)
        return cls(tidy, place, lines, before)

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return list(self.frame.columns)

    def row(self, position: int) -> str:
        """A row in words: rows count from 1, below the header."""
        line = "" if self.lines is None else f" (line {self.lines[position]})"
        return f"row {self.before + position + 1}{line}"

    def cell(self, name: str, position: int) -> str:
        """A cell in words: where from, column, row."""
        return f"{self.place}: column {name!r}, {self.row(position)}"

    def require(self, name: str, asked_by: str) -> None:
        """Raise DataError, with the nearest name, where there is no such column."""
        if name in self.frame.columns:
            return
        near = difflib.get_close_matches(name, self.names, n=1)
        some = ", ".join(self.names[:8]) + (", ..." if len(self.names) > 8 else "")
        hint = f"did you mean {near[0]!r}?" if near else f"the columns are {some}"
        raise DataError(f"{self.place}: there is no column {name!r} ({asked_by}); {hint}")


def marks(table: Table) -> NDArray[np.uint64]:
    """A number (n,) for each row, made of all its cells: equal rows have equal ones.

    Neither the order of the columns nor whether whole numbers are kept as floats matters.

    >>> whole = Table.build(pd.DataFrame({"a": [1, 1, 2], "b": ["x", "x", "x"]}), "t")
    >>> floats = Table.build(whole.frame[["b", "a"]].astype({"a": float}), "t")
    >>> len(set(marks(whole).tolist())), (marks(whole) == marks(floats)).all()
    (2, np.True_)
    """
    plain = {
        name: column.astype(np.float64) + 0.0
        if types.is_numeric_dtype(column) and not column.isna().any()
        else column.astype(str)
        for name, column in sorted(table.frame.items(), key=lambda one: str(one[0]))
    }
    hashed = pd.util.hash_pandas_object(pd.DataFrame(plain), index=False)
    return np.asarray(hashed, dtype=np.uint64)


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
        gaps = np.isnan(X).any(axis=0)
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
    declared = name in spec.categorical or name in spec.mean_target
    if kind_of(table, name, declared=declared) == "numeric":
        return [Column(name, "numeric", treated="fences" if spec.outliers == "pull_in" else "")]
    treated: Literal["", "target"] = "target" if name in spec.mean_target else ""
    return [Column(name, "categorical", levels_of(table, name), treated=treated)]


def kind_of(table: Table, name: str, declared: bool) -> Literal["numeric", "categorical"]:
    """What a column holds; ``declared`` says that the study calls it categorical.

    Raises DataError for dates, and for numbers with a few cells of text among them.
    """
    series = table.frame[name]
    if declared or types.is_bool_dtype(series.dtype) or _is_category(series):
        return "categorical"
    refuse_dates(table, name)
    if types.is_numeric_dtype(series.dtype):
        return "numeric"
    present = series.dropna()
    if types.infer_dtype(present) == "boolean":
        return "categorical"
    bad = not_numbers(series)
    if not bad.any():
        return "numeric"
    if bad.sum() <= (1 - MOSTLY_NUMBERS) * len(present):
        raise _text_among_numbers(table, name, int(bad.argmax()), int(bad.sum()))
    return "categorical"


def cells(table: Table, column: Column) -> Floats:
    """One column as floats (n,): measurements, or positions in the column's levels."""
    if column.part == MISSING:
        return np.asarray(table.frame[column.source].isna(), dtype=np.float64)
    if column.part:
        return part_of(dates(table, column.source), column.part)
    if not column.is_categorical:
        return numbers(table, column.name)
    codes, uniques = _factorized(table, column.name)
    where = {level: position for position, level in enumerate(column.levels)}
    # A missing cell has code -1 and so reads the last entry.
    lookup = np.array([*(float(where.get(label_text(one), -1)) for one in uniques), np.nan])
    return np.asarray(lookup[codes])


def levels_of(table: Table, name: str) -> tuple[str, ...]:
    """The sorted levels of a categorical column."""
    return tuple(sorted({label_text(one) for one in _factorized(table, name)[1]}))


def numbers(table: Table, name: str) -> Floats:
    """A numeric column as floats (n,), missing cells NaN.

    Raises DataError naming the row of the first cell that is text, infinite or absurdly large.
    """
    series = table.frame[name]
    if not types.is_numeric_dtype(series.dtype):
        bad = not_numbers(series)
        if bad.any():
            raise _text_among_numbers(table, name, int(bad.argmax()), int(bad.sum()))
        series = pd.to_numeric(series.astype(object), errors="coerce")
    if types.is_complex_dtype(series.dtype):
        raise DataError(f"{table.place}: column {name!r} holds complex numbers; drop it")
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    wild = np.abs(values) > LARGEST
    if wild.any():
        first = int(wild.argmax())
        raise DataError(
            f"{table.cell(name, first)}: {values[first]} is infinite or absurdly large; correct "
            f"the cell, or leave it empty"
        )
    return np.asarray(values)


def moments(table: Table, name: str) -> Rows:
    """A time column as dense ranks (n,): rows of the same moment share a rank.

    Numbers and dates are understood. Raises DataError naming the row that is neither, or the
    column where day and month cannot be told apart.
    """
    refuse_missing(table, name, "the time")
    series = table.frame[name]
    kind = series.dtype
    if isinstance(kind, pd.PeriodDtype):
        return _ranks(series.dt.start_time.to_numpy())
    if types.is_datetime64_any_dtype(kind) or types.is_timedelta64_dtype(kind):
        return _ranks(series.to_numpy())
    if types.is_numeric_dtype(series.dtype) or not not_numbers(series).any():
        return _ranks(numbers(table, name))
    return _date_ranks(table, name)


def dates(table: Table, name: str) -> pd.Series[Any]:
    """A column of dates as moments, missing ones NaT.

    Raises DataError naming the row of a cell that is no date.
    """
    series = table.frame[name]
    if isinstance(series.dtype, pd.PeriodDtype):
        return series.dt.start_time
    if is_moment(series):
        return series.dt.tz_localize(None) if series.dt.tz is not None else series
    found = parsed_dates(series, table.place, name)
    if found is None:
        read = pd.to_datetime(series.map(str), format="ISO8601", utc=True, errors="coerce")
        first = int((read.isna() & series.notna()).to_numpy().argmax())
        raise DataError(
            f"{table.cell(name, first)}: {series.iloc[first]!r} is no date; write dates as "
            f"YYYY-MM-DD"
        )
    return found


def refuse_missing(table: Table, name: str, what: str) -> None:
    """Raise DataError naming the first row where a cell that must be there is not."""
    missing = table.frame[name].isna().to_numpy()
    if missing.any():
        raise DataError(
            f"{table.cell(name, int(missing.argmax()))}: {what} is missing "
            f"({missing.sum()} such row(s)); fill it in or remove the row"
        )


def label_text(value: Any) -> str:
    """The text of a level: 1 and 1.0 are the same level, whatever the column's type.

    >>> label_text(1.0), label_text(True), label_text("1.0")
    ('1', 'True', '1.0')
    """
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _is_category(series: pd.Series[Any]) -> bool:
    return isinstance(series.dtype, pd.CategoricalDtype)


def _factorized(table: Table, name: str) -> tuple[Rows, list[Any]]:
    try:
        codes, uniques = pd.factorize(table.frame[name])
    except TypeError as error:
        raise DataError(
            f"{table.place}: column {name!r} holds lists or objects; drop it or make it text"
        ) from error
    return np.asarray(codes, dtype=np.int64), list(uniques)


def not_numbers(series: pd.Series[Any]) -> NDArray[np.bool_]:
    """Which cells are there and do not read as a number."""
    parsed = pd.to_numeric(series.astype(object), errors="coerce")
    return np.asarray(series.notna() & parsed.isna(), dtype=np.bool_)


def _text_among_numbers(table: Table, name: str, first: int, count: int) -> DataError:
    return DataError(
        f"{table.cell(name, first)}: {table.frame[name].iloc[first]!r} is not a number "
        f"({count} such cell(s)); correct it, leave the cell empty, or declare the column under "
        f"data: categorical"
    )


def refuse_dates(table: Table, name: str) -> None:
    """Raise DataError where a column holds dates, as dates or as text."""
    series = table.frame[name]
    kind = types.infer_dtype(series, skipna=True)
    dated = kind in {"datetime", "datetime64", "date", "timedelta", "timedelta64", "period"}
    if kind == "string":
        seen = pd.Series(series.dropna().unique(), dtype=str)
        dated = bool(len(seen)) and bool(seen.str.fullmatch(DATE).all())
    if dated:
        raise DataError(
            f"{table.place}: column {name!r} holds dates; declare it as data: time: {name} "
            f"(the past trains, the future judges), as data: dates: [{name}] (season, weekday, hour "
            f"and year are features), or leave it out with data: drop: [{name}]"
        )


def _date_ranks(table: Table, name: str) -> Rows:
    series = table.frame[name].map(str)
    parsed = [pd.to_datetime(series, format=f, utc=True, errors="coerce") for f in DATE_FORMATS]
    ranks = [_ranks(one.to_numpy()) for one in parsed if one.notna().all()]
    if not ranks:
        unread = [not_numbers(series), *(one.isna().to_numpy() for one in parsed)]
        first = int(min(unread, key=lambda bad: int(bad.sum())).argmax())
        raise DataError(
            f"{table.cell(name, first)}: {series.iloc[first]!r} is neither a number nor a date; "
            f"write dates as YYYY-MM-DD"
        )
    if any(not np.array_equal(ranks[0], other) for other in ranks[1:]):
        raise DataError(
            f"{table.place}: column {name!r}: day and month cannot be told apart; write dates "
            f"as YYYY-MM-DD"
        )
    return ranks[0]


def _ranks(values: NDArray[Any]) -> Rows:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
