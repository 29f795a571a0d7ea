"""Columns that rows alone decide: the parts of a date, and whether a number is missing.

Nothing is learned here: what a row becomes depends on its own cell. A date is no number (as one
it would be a row number in disguise), but its season, weekday, hour and year may tell something.
Season and hour come as a sine and a cosine, so that December is beside January.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from autoreg.data.dataset import Column, Floats
from autoreg.errors import DataError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
YEAR, DAY = 365.25, 24.0
MISSING = "missing"
MIDNIGHT = {"hour_sin": 0.0, "hour_cos": 1.0}  # where no moment has a clock
DATE_FORMATS = (
    "ISO8601",
    "%Y/%m/%d",
    *(
        day + clock
        for day in ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y")
        for clock in ("", " %H:%M", " %H:%M:%S")
    ),
)


def date_columns(name: str, moments: pd.Series[Any]) -> list[Column]:
    """The columns that a date becomes; the hour only where some moment has one.

    >>> days = pd.Series(pd.to_datetime(["2026-01-31", None]))
    >>> [column.name for column in date_columns("signed", days)]
    ['signed: year', 'signed: season_sin', 'signed: season_cos', 'signed: weekday']
    """
    clock = (moments.dropna() != moments.dropna().dt.normalize()).any()
    parts = [part for part in PARTS if clock or not part.startswith("hour")]
    return [
        Column(
            f"{name}: {part}",
            "categorical" if part == "weekday" else "numeric",
            DAYS if part == "weekday" else (),
            source=name,
            part=part,
        )
        for part in parts
    ]


def gap_column(name: str) -> Column:
    """The column that says where a number is missing."""
    return Column(f"{name} (missing)", "numeric", source=name, part=MISSING)


def part_of(moments: pd.Series[Any], part: str) -> Floats:
    """One part of dates (n,), NaN where a date is missing.

    >>> part_of(pd.Series(pd.to_datetime(["2026-02-01", None])), "weekday").tolist()
    [6.0, nan]
    """
    gone = moments.isna().to_numpy()
    values = np.asarray(PARTS[part](moments.dt), dtype=np.float64)
    return np.where(gone, np.nan, values)


def _turn(share: Any, wave: Callable[[Any], Any]) -> Any:
    return wave(2 * np.pi * np.asarray(share, dtype=np.float64))


def _hour(at: Any) -> Any:
    return (at.hour + at.minute / 60) / DAY


PARTS: dict[str, Callable[[Any], Any]] = {
    "year": lambda at: at.year,
    "season_sin": lambda at: _turn(at.day_of_year / YEAR, np.sin),
    "season_cos": lambda at: _turn(at.day_of_year / YEAR, np.cos),
    "weekday": lambda at: at.day_of_week,
    "hour_sin": lambda at: _turn(_hour(at), np.sin),
    "hour_cos": lambda at: _turn(_hour(at), np.cos),
}


def parsed_dates(series: pd.Series[Any], place: str, name: str) -> pd.Series[Any] | None:
    """Text as moments, missing cells as they are; None where some cell is no date.

    Raises DataError where day and month cannot be told apart.
    """
    there = series.dropna().map(str)
    read = [pd.to_datetime(there, format=f, utc=True, errors="coerce") for f in DATE_FORMATS]
    whole = [one for one in read if one.notna().all()]
    if not whole:
        return None
    if any(not (one == whole[0]).all() for one in whole[1:]):
        raise DataError(
            f"{place}: column {name!r}: day and month cannot be told apart; write dates "
            f"as YYYY-MM-DD"
        )
    return whole[0].dt.tz_localize(None).reindex(series.index)


def is_moment(series: pd.Series[Any]) -> bool:
    """Whether a column holds dates as such, with or without a time zone."""
    return bool(types.is_datetime64_any_dtype(series.dtype))
