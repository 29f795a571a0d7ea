"""Predict a file of any length, piece by piece: rows in, a CSV or Parquet file of answers out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from autoreg.calibration import ranges
from autoreg.data.files import read_pieces
from autoreg.errors import DataError
from autoreg.model import Model
from autoreg.progress import Progress, listening

if TYPE_CHECKING:
    import pandas as pd

    from autoreg.data.table import Table

PIECE = 50_000  # rows in memory at once
WRITTEN = (".csv", ".parquet")


def predict_file(
    model: Model,
    source: Path | str,
    out: Path | TextIO,
    *,
    proba: bool = False,
    with_ranges: bool = False,
    rows: int = PIECE,
    progress: Progress | bool = False,
) -> int:
    """Predict every row of a CSV or Parquet file; how many there were.

    ``out`` is a CSV or Parquet file, or an open text stream that gets CSV. A file is put in its
    place when it is whole. Memory depends on ``rows``, not on the length of the file.
    Raises DataError naming file, column and row of a cell that cannot be read.
    """
    if proba and not model.classes:
        raise DataError(f"a {model.task} model predicts means, not class probabilities")
    if isinstance(out, Path) and out.suffix.lower() not in WRITTEN:
        raise DataError(f"{out}: unknown kind of file to write; known are {' and '.join(WRITTEN)}")
    total, pieces = read_pieces(source, model.columns, rows)
    if not total:
        raise DataError(f"{source}: the table has no rows")
    listener = listening(progress)
    listener.begin("predict", total)
    frames = (answered(model, piece, proba=proba, with_ranges=with_ranges) for piece in pieces)
    done = 0
    for count in _written(frames, out):
        done += count
        listener.advance(done)
    listener.end()
    return done


def answered(
    model: Model, piece: pd.DataFrame | Table, *, proba: bool, with_ranges: bool
) -> pd.DataFrame:
    """The column ``prediction``; with ``proba`` one for each class; with ranges theirs."""
    import pandas as pd

    raw = model.raw(piece)
    found: dict[str, Any] = {"prediction": model.decided(raw)}
    if proba:
        found |= {f"probability_{label}": raw[:, k] for k, label in enumerate(model.classes)}
    if with_ranges:
        found |= ranges(model, raw)
    return pd.DataFrame(found)


def _written(frames: Iterator[pd.DataFrame], out: Path | TextIO) -> Iterator[int]:
    """Write frames one after the other; how many rows each had."""
    if not isinstance(out, Path):
        yield from _as_csv(frames, out)
        return
    partial = out.with_name(out.name + ".new")
    try:
        if out.suffix.lower() == ".parquet":
            yield from _as_parquet(frames, partial)
        else:
            with partial.open("w", encoding="utf-8", newline="") as stream:
                yield from _as_csv(frames, stream)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _as_csv(frames: Iterator[pd.DataFrame], stream: TextIO) -> Iterator[int]:
    for number, frame in enumerate(frames):
        frame.to_csv(stream, index=False, header=number == 0)
        yield len(frame)


def _as_parquet(frames: Iterator[pd.DataFrame], path: Path) -> Iterator[int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = pa.Table.from_pandas(next(frames), preserve_index=False)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        yield first.num_rows
        for frame in frames:
            piece = pa.Table.from_pandas(frame, schema=first.schema, preserve_index=False)
            writer.write_table(piece)
            yield piece.num_rows
