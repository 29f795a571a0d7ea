"""Rows of one table under the columns of another: what a model, or an earlier look, would see.

Today's table need not become the columns of yesterday's: it may have no gap to mark, no clock in
its dates, other levels, other documents. What follows from the cells is filled in here; a column
that is not there, or cannot be read as what it was, is an error that names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autoreg.data.dataset import Column, Dataset, Floats, Rows
from autoreg.data.parts import MIDNIGHT, MISSING
from autoreg.data.table import label_text
from autoreg.errors import DataError


def viewed(rows: Dataset, columns: Sequence[Column]) -> Dataset:
    """The rows with those columns, in that order; X is (n, p).

    Levels that the columns do not know are -1, missing cells NaN; columns of text bring the
    documents of these rows. Further columns are left out. Raises DataError naming the columns
    that are gone, or one whose cells are no numbers any more.

    >>> city = Column("city", "categorical", ("Bonn", "Rome"))
    >>> X = np.array([[1.0], [0.0], [np.nan]])
    >>> rows = Dataset("now", (city,), X, np.zeros(3), "regression", "y")
    >>> viewed(rows, [replace(city, levels=("Rome",))]).X.ravel().tolist()
    [0.0, -1.0, nan]
    """
    here = {column.name: place for place, column in enumerate(rows.columns)}
    if absent := [one.name for one in columns if _basis(one, here) is None]:
        raise DataError(
            f"{rows.source or rows.name} lacks {len(absent)} column(s) that an earlier table had: "
            f"{', '.join(absent[:8])}{', ...' if len(absent) > 8 else ''}; add them"
        )
    own = tuple(
        replace(one, levels=_texts(rows, here[one.name])[0]) if one.kind == "text" else one
        for one in columns
    )
    X = np.empty((rows.n, len(own)))
    for place, column in enumerate(own):
        X[:, place] = _cells(rows, here, column)
    return replace(rows, X=X, columns=own)


def _basis(column: Column, here: dict[str, int]) -> int | None:
    """Where the cells lie that a column follows from; None where there are none."""
    if column.name in here:
        return here[column.name]
    if column.part == MISSING:
        return here.get(column.source)
    return here.get(f"{column.source}: year") if column.part in MIDNIGHT else None


def _cells(rows: Dataset, here: dict[str, int], column: Column) -> Floats:
    place = _basis(column, here)
    assert place is not None
    given = rows.X[:, place]
    if column.name not in here:
        gone = np.isnan(given)
        if column.part == MISSING:
            return gone.astype(np.float64)
        return np.where(gone, np.nan, MIDNIGHT[column.part])
    if not column.is_categorical and not rows.columns[place].is_categorical:
        return given
    texts, codes = _texts(rows, place)
    if column.is_categorical:
        where = {level: float(k) for k, level in enumerate(column.levels)}
        found = [where.get(text, -1.0) for text in texts]
    else:
        found = [_number(text, column.name) for text in texts]
    # A missing cell reads the last entry but one, an unknown level (-1) the last.
    return np.asarray(np.array([*found, np.nan, -1.0])[codes])


def _texts(rows: Dataset, place: int) -> tuple[tuple[str, ...], Rows]:
    """The texts that a column's cells stand for, and each cell's position; missing: their count."""
    given, column = rows.X[:, place], rows.columns[place]
    if column.is_categorical:
        return column.levels, np.where(np.isnan(given), len(column.levels), given).astype(int)
    values, codes = np.unique(given, return_inverse=True)
    known = values[~np.isnan(values)]
    return tuple(label_text(one) for one in known.tolist()), np.minimum(codes, len(known))


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(
            f"column {name!r} was numeric and holds {text!r} now; correct the cell, or declare the "
            f"column under data: categorical"
        ) from error
