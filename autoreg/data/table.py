"""A table on its way in: cells to numbers, with every complaint naming column and row.

One rule decides what a column is, whatever it came from: text that reads as numbers in every
row is numeric, as it would be in a CSV file; text, booleans and pandas categories are
categorical; dates are refused unless their role is declared, because as a number they would be a
row number in disguise.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from autoreg.data.dataset import Floats, Rows
from autoreg.errors import DataError

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


def levels_of(table: Table, name: str) -> tuple[str, ...]:
    """The sorted levels of a categorical column."""
    return tuple(sorted({label_text(one) for one in factorized(table, name)[1]}))


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


def factorized(table: Table, name: str) -> tuple[Rows, list[Any]]:
    """Codes (n,) of a column's cells, -1 for missing ones, and what they stand for."""
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
            f"(the past trains, the future judges), as data: dates: [{name}] (season, weekday and "
            f"year are features), or leave it out with data: drop: [{name}]"
        )
