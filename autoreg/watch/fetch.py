"""The rows of a tick: read from where they come, cut to the window, frozen in a snapshot.

The snapshot is what drift is measured on, what the study reads and what the gate compares on; so
a tick that was cut off goes on with the same rows, whatever has happened to the source meanwhile.
"""

from __future__ import annotations

import glob
import io
from pathlib import Path

import numpy as np
import pandas as pd

from autoreg.data import files
from autoreg.data.dates import moments
from autoreg.data.table import Table
from autoreg.disk import made, write_whole
from autoreg.errors import BusyError, DataError
from autoreg.watch.watching import ParquetSpec, SourceSpec, SqlSpec, from_environment


def fetch(source: SourceSpec, beside: Path) -> pd.DataFrame:
    """All rows that a source has now.

    Raises DataError where they cannot be read as one table, BusyError where a database is away.
    """
    if source.file:
        return files.read(beside / source.file).frame
    if source.glob:
        return _joined(sorted(glob.glob(str(beside / source.glob))), source.glob)
    if source.sql:
        return _queried(source.sql)
    assert source.parquet is not None
    return _partitions(source.parquet, beside)


def windowed(frame: pd.DataFrame, time: str | None, rows: int | None) -> pd.DataFrame:
    """The latest rows: by the time column where there is one, else the last ones.

    Moments are kept whole: one that would be cut is left out.

    >>> frame = pd.DataFrame({"day": [3, 1, 2, 3], "x": [1, 2, 3, 4]})
    >>> windowed(frame, "day", 3).x.tolist()
    [3, 1, 4]
    """
    if time is None:
        return frame if rows is None else frame.tail(rows).reset_index(drop=True)
    ranks = moments(Table.build(frame, "the source"), time)
    order = np.argsort(ranks, kind="stable")
    if rows is not None and len(frame) > rows:
        first = ranks[order[-rows]] + (ranks[order[-rows]] == ranks[order[-rows - 1]])
        order = order[ranks[order] >= first]
    return frame.iloc[order].reset_index(drop=True)


def frozen(frame: pd.DataFrame, path: Path) -> Path:
    """Write a snapshot; one that is there already is kept."""
    if not path.exists():
        made(path.parent)
        content = io.BytesIO()
        frame.to_parquet(content, index=False)
        write_whole(path, content.getvalue())
    return path


def _joined(paths: list[str], pattern: str) -> pd.DataFrame:
    if not paths:
        raise DataError(f"{pattern}: no file matches; check the pattern, or wait for a first file")
    frames = [files.read(path).frame for path in paths]
    names = list(frames[0].columns)
    for path, frame in zip(paths, frames, strict=True):
        if different := sorted(set(names) ^ set(frame.columns)):
            raise DataError(
                f"{path}: column {different[0]!r} is in this file or in {paths[0]}, but not in "
                f"both; all files of {pattern} need the same columns"
            )
    return pd.concat([frame[names] for frame in frames], ignore_index=True)


def _queried(sql: SqlSpec) -> pd.DataFrame:
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

    from autoreg.tracking.store import without_secrets

    url = from_environment(sql.url)
    try:
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            return pd.read_sql_query(sqlalchemy.text(sql.query), connection)
    except OperationalError as error:
        # A wrong query and a server that is away look alike; the first line tells people.
        first = without_secrets(str(error).splitlines()[0])
        raise BusyError(
            f"{without_secrets(url)} gave no rows ({first}); try again later"
        ) from error
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise DataError(
            f"{without_secrets(url)} is no address that SQLAlchemy knows here ({error}); "
            f"PostgreSQL needs pip install 'autoreg[postgresql]'"
        ) from error
    except SQLAlchemyError as error:
        raise DataError(f"source: sql: query: {str(error).splitlines()[0]}") from error


def _partitions(parquet: ParquetSpec, beside: Path) -> pd.DataFrame:
    folder = beside / parquet.folder
    if not folder.exists():
        raise DataError(f"{folder}: there is no such folder; check the path")
    chosen = list(parquet.filters)
    try:
        frame = pd.read_parquet(folder, filters=chosen or None)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{folder}: cannot be read ({error})") from error
    if not len(frame):
        raise DataError(f"{folder}: no row passes the filters; check source: parquet: filters")
    # Partition columns come as categories; what they hold decides what they are.
    parted = [name for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    return frame.astype({name: frame[name].cat.categories.dtype for name in parted})
