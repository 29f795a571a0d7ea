"""Several files as one table: do their columns agree, and can a column be kept as it is?

pandas joins numbers and text without a word, and what comes of it is neither; so kinds are
compared before, and whatever differs is named by file and column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from pandas.api import types

from autoreg.data.table import Table, label_text
from autoreg.errors import DataError

MIXED = {"mixed", "mixed-integer"}
REMEDY = "mend it, or declare the column under data: categorical"


def kind_of(series: pd.Series) -> str | None:
    """What the cells of a column are, in words; None where all are missing.

    >>> kind_of(pd.Series([1, 2])), kind_of(pd.Series([True, None])), kind_of(pd.Series(["a"]))
    ('numbers', 'yes or no', 'text')
    """
    there = series.dropna()
    if there.empty:
        return None
    if types.is_bool_dtype(there.dtype):
        return "yes or no"
    if types.is_numeric_dtype(there.dtype):
        return "numbers"
    if isinstance(there.dtype, pd.DatetimeTZDtype):
        return "dates with a time zone"
    known = {"boolean": "yes or no", "decimal": "numbers", "date": "dates", "datetime": "dates"}
    known |= {"datetime64": "dates", "integer": "numbers", "floating": "numbers"}
    return known.get(types.infer_dtype(there), "text")


def agreed(kinds: Mapping[str, Mapping[str, str | None]], pattern: str) -> list[str]:
    """The columns, where all files have the same ones, of the same kinds.

    ``kinds`` are those of each file's columns, None where nothing is known. Raises DataError
    naming all columns of the first file that differs.

    >>> agreed({"a": {"x": "text"}, "b": {"x": None}}, "*")
    ['x']
    """
    first, names = next((file, list(columns)) for file, columns in kinds.items())
    seen: dict[str, tuple[str, str]] = {}
    for file, columns in kinds.items():
        if different := sorted(set(names) ^ set(columns)):
            some = ", ".join(map(repr, different))
            raise DataError(
                f"{file}: column {some} is in this file or in {first}, but not in both; all files "
                f"of {pattern} need the same columns"
            )
        for name, kind in columns.items():
            if kind is None:
                continue
            other, before = seen.setdefault(name, (file, kind))
            if before != kind:
                raise DataError(
                    f"{file}: column {name!r} is {kind} here and {before} in {other}; all files "
                    f"of {pattern} need the same kinds: {REMEDY}"
                )
    return names


def joined(frames: Mapping[str, pd.DataFrame], pattern: str) -> pd.DataFrame:
    """The rows of several files, one below the other. Raises DataError like :func:`agreed`."""
    kinds = {
        file: {str(name): kind_of(frame[name]) for name in frame} for file, frame in frames.items()
    }
    names = agreed(kinds, pattern)
    # A column without a single cell has no kind that could spoil the others'.
    parts = [frame.dropna(axis="columns", how="all") for frame in frames.values()]
    return pd.concat(parts, ignore_index=True).reindex(columns=names)


def storable(frame: pd.DataFrame, place: str, as_text: Collection[str]) -> pd.DataFrame:
    """The frame, where its names are distinct and each column holds cells of one kind.

    Mixed cells of the columns named in ``as_text`` become text. Raises DataError naming a column
    of others, and the row where another kind begins.
    """
    table = Table.build(frame, place)
    changes = {}
    for name in _objects(table.frame):
        series = table.frame[name]
        if types.infer_dtype(series.dropna()) not in MIXED:
            continue
        if name in as_text:
            changes[name] = series.map(label_text, na_action="ignore")
        elif (row := _first_other(series.tolist())) is not None:
            raise DataError(
                f"{table.cell(name, row)}: {series.iloc[row]!r} is of another kind than the cells "
                f"before it; {REMEDY}"
            )
    return table.frame.assign(**changes)


def _objects(frame: pd.DataFrame) -> Iterable[str]:
    return (str(name) for name in frame if frame[name].dtype == object)


def _first_other(cells: Sequence[object]) -> int | None:
    """The first row whose cell is of another type than the first one that is there."""
    there = [(row, type(cell)) for row, cell in enumerate(cells) if not _missing(cell)]
    return next((row for row, kind in there if kind is not there[0][1]), None)


def _missing(cell: object) -> bool:
    return cell is None or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell))
