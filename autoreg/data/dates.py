"""Columns of dates: as the order of time, and as the parts that are features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from autoreg.data.dataset import Rows
from autoreg.data.parts import DATE_FORMATS, is_moment, parsed_dates
from autoreg.data.table import Table, not_numbers, numbers, refuse_missing
from autoreg.errors import DataError


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
        started: pd.Series[Any] = series.dt.start_time
        return started
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
