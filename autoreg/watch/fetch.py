"""The rows of a tick: read from where they come, cut to the window, frozen in a snapshot.

The snapshot is what drift is measured on, what the study reads and what the gate compares on; so
a tick that was cut off goes on with the same rows, whatever has happened to the source meanwhile.
"""

from __future__ import annotations

import glob
import io
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from autoreg.data import files
from autoreg.data.dates import moments
from autoreg.data.table import Table
from autoreg.disk import made, write_whole
from autoreg.errors import BusyError, DataError
from autoreg.watch.agreement import agreed, joined, storable
from autoreg.watch.watching import ParquetSpec, SourceSpec, SqlSpec, from_environment

if TYPE_CHECKING:
    import pyarrow as pa

NO_ROW = "no row passes the filters; check source: parquet: filters"


def fetch(source: SourceSpec, beside: Path, as_text: Collection[str] = ()) -> pd.DataFrame:
    """All rows that a source has now; columns named in ``as_text`` as they are written there.

    Raises DataError where they cannot be read as one table, BusyError where a database is away.
    """
    if source.file:
        return storable(files.read(beside / source.file, as_text).frame, source.place, as_text)
    if source.glob:
        paths = sorted(glob.glob(str(beside / source.glob)))
        if not paths:
            raise DataError(
                f"{source.glob}: no file matches; check the pattern, or wait for a first file"
            )
        frames = {path: files.read(path, as_text).frame for path in paths}
        parts = {path: storable(frame, path, as_text) for path, frame in frames.items()}
        return joined(parts, source.glob)
    if source.sql:
        return storable(_queried(source.sql), source.place, as_text)
    assert source.parquet is not None
    return storable(_partitions(source.parquet, beside), source.place, as_text)


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
    """Write a snapshot; one that is there already is kept.

    Raises DataError naming a column whose cells no Parquet file can hold.
    """
    import pyarrow as pa

    if path.exists():
        return path
    made(path.parent)
    content = io.BytesIO()
    try:
        frame.to_parquet(content, index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"the source: {_unkept(frame) or error}") from error
    write_whole(path, content.getvalue())
    return path


def _unkept(frame: pd.DataFrame) -> str | None:
    """Which column cannot be written, in words; None where it is none alone."""
    for name in frame:
        try:
            frame[[name]].to_parquet(io.BytesIO(), index=False)
        except Exception:  # whatever it is, it is this column
            kind = type(frame[name].dropna().iloc[0]).__name__
            return (
                f"column {name!r} holds {kind} objects, which no snapshot can hold; make them text "
                f"or numbers, or leave the column out of the source"
            )
    return None


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
    """The rows of a folder of Parquet files that pass the filters; hive partitions are columns."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    folder = beside / parquet.folder
    if not folder.exists():
        raise DataError(f"{folder}: there is no such folder; check the path")
    chosen = pq.filters_to_expression(list(parquet.filters)) if parquet.filters else None
    try:
        first = ds.dataset(folder, format="parquet", partitioning="hive")
        found = {one.path: one.physical_schema for one in first.get_fragments(chosen)}
        if not found:
            raise DataError(f"{folder}: {NO_ROW}")
        kinds = {file: {one.name: _kind(one.type) for one in own} for file, own in found.items()}
        names = agreed(kinds, parquet.folder)
        # Whole numbers in one file and fractions in another are numbers.
        whole = pa.unify_schemas(list(found.values()), promote_options="permissive")
        parted = [one for one in first.schema if one.name not in names]
        schema = pa.schema([*whole, *parted], whole.metadata)
        rows = ds.dataset(folder, schema, format="parquet", partitioning="hive")
        frame: pd.DataFrame = rows.to_table(filter=chosen).to_pandas().reset_index(drop=True)
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{folder}: cannot be read ({str(error).splitlines()[0]})") from error
    if not len(frame):
        raise DataError(f"{folder}: {NO_ROW}")
    return frame


def _kind(type_: pa.DataType) -> str | None:
    """What the cells of a Parquet column are, in words; None where all are missing."""
    import pyarrow.types as known

    if known.is_dictionary(type_):
        return _kind(type_.value_type)
    if known.is_null(type_):
        return None
    if known.is_boolean(type_):
        return "yes or no"
    if known.is_integer(type_) or known.is_floating(type_) or known.is_decimal(type_):
        return "numbers"
    if known.is_timestamp(type_) and type_.tz is not None:
        return "dates with a time zone"
    return "dates" if known.is_temporal(type_) else "text"
