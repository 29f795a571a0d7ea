"""CSV and Parquet files in, tables out; a broken file is refused with its line.

Why CSV files are read twice: pandas fills short lines with missing cells and renames repeated
columns without a word. A first pass with the standard library looks at the header and counts
the cells of each line; only then pandas parses the values.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from autoreg.data.dataset import Column, Rows
from autoreg.data.table import Table
from autoreg.errors import DataError

DELIMITERS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
LARGEST_CELL = 1 << 24
ENCODING = "utf-8-sig"


def read(path: str | Path, text: Collection[str] = ()) -> Table:
    """A table from a CSV, TSV (plain or .gz) or Parquet file.

    Columns named in ``text`` are kept as they are written, so "01" stays "01".
    Raises DataError naming the file, the line and the remedy.
    """
    path = Path(path)
    _check_exists(path)
    suffix = next((end for end in DELIMITERS if path.name.lower().endswith(end)), None)
    with _complaints(path):
        if suffix:
            return _read_csv(path, DELIMITERS[suffix], text)
        if path.suffix.lower() == ".parquet":
            return Table.build(pd.read_parquet(path), str(path))
    raise _unknown_kind(path)


def read_table(path: str | Path, columns: Sequence[Column] = ()) -> pd.DataFrame:
    """A file of rows to predict; cells of a model's categorical columns stay as written.

    Raises DataError naming the file, the line and the remedy.
    """
    return read(path, _as_written(columns)).frame


def _as_written(columns: Sequence[Column]) -> list[str]:
    """The columns whose cells stay text; those of booleans were read as booleans, too."""
    return [one.name for one in columns if one.is_categorical and "True" not in one.levels]


def _check_exists(path: Path) -> None:
    if path.is_file():
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty; it needs a header and rows")
        return
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name a file in it")
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"; did you mean {near[0]}?" if near else "; check the path"
    raise DataError(f"{path}: there is no such file{hint}")


def read_pieces(
    path: str | Path, columns: Sequence[Column], rows: int
) -> tuple[int, Iterator[Table]]:
    """A file of rows to predict, at most so many ``rows`` in memory at once; and how many it has.

    Raises DataError like :func:`read_table`; of Parquet files only ``columns`` are read.
    """
    path = Path(path)
    _check_exists(path)
    if path.suffix.lower() == ".parquet":
        return _parquet_pieces(path, columns, rows)
    suffix = next((end for end in DELIMITERS if path.name.lower().endswith(end)), None)
    if suffix is None:
        raise _unknown_kind(path)
    with _complaints(path):
        header, lines = _scan(path, DELIMITERS[suffix])
    text = _as_written(columns)
    return len(lines), _csv_pieces(path, DELIMITERS[suffix], header, lines, text, rows)


def _csv_pieces(
    path: Path, delimiter: str, header: list[str], lines: Rows, text: Collection[str], rows: int
) -> Iterator[Table]:
    seen = 0
    with _complaints(path), _parser(path, delimiter, header, text, chunksize=rows) as parts:
        for frame in parts:
            frame.columns = pd.Index(header)
            yield Table.build(frame, str(path), lines[seen : seen + len(frame)], seen)
            seen += len(frame)
    if seen != len(lines):
        raise _open_quote(path)


def _parquet_pieces(
    path: Path, columns: Sequence[Column], rows: int
) -> tuple[int, Iterator[Table]]:
    import pyarrow.parquet as pq

    with _complaints(path):
        file = pq.ParquetFile(path, pre_buffer=False)
    here = set(file.schema_arrow.names)
    wanted = [one.name for one in columns if one.name in here]

    def pieces() -> Iterator[Table]:
        seen = 0
        with _complaints(path):
            for batch in file.iter_batches(rows, columns=wanted):
                yield Table.build(batch.to_pandas(), str(path), before=seen)
                seen += batch.num_rows

    return file.metadata.num_rows, pieces()


@contextmanager
def _complaints(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a file is read, as a DataError that names it."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    except UnicodeDecodeError as error:
        line = _first_undecodable(path)
        raise DataError(f"{path}:{line}: is not UTF-8 text; save the file as UTF-8") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _read_csv(path: Path, delimiter: str, text: Collection[str]) -> Table:
    header, lines = _scan(path, delimiter)
    frame = _parser(path, delimiter, header, text)
    if len(frame) != len(lines):
        raise _open_quote(path)
    frame.columns = pd.Index(header)
    return Table.build(frame, str(path), lines)


def _parser(
    path: Path,
    delimiter: str,
    header: list[str],
    text: Collection[str],
    chunksize: int | None = None,
) -> Any:
    """The rows of a CSV file: a frame, or with ``chunksize`` frames; columns are numbered."""
    return pd.read_csv(
        path,
        sep=delimiter,
        header=0,
        names=list(range(len(header))),
        index_col=False,
        dtype={position: str for position, name in enumerate(header) if name in text},
        encoding=ENCODING,
        low_memory=False,
        chunksize=chunksize,
    )


def _open_quote(path: Path) -> DataError:
    return DataError(f'{path}: a quote is opened and never closed; every " needs a second one')


def _unknown_kind(path: Path) -> DataError:
    return DataError(
        f"{path}: unknown kind of file; known are {', '.join([*DELIMITERS, '.parquet'])}"
    )


def _scan(path: Path, delimiter: str) -> tuple[list[str], Rows]:
    """The column names, and the line on which each row starts."""
    csv.field_size_limit(LARGEST_CELL)
    with _open(path) as stream:
        records = _records(stream, delimiter)
        first, header = next(records, (0, []))
        _check_header(path, first, header)
        starts = []
        for line, record in records:
            if len(record) != len(header):
                raise DataError(
                    f"{path}:{line}: the line has {len(record)} cells, the header names "
                    f"{len(header)} columns; mend the line (text that contains {delimiter!r} "
                    f"needs quotes)"
                )
            starts.append(line)
    if not starts:
        raise DataError(f"{path}: the file has a header and no rows below it")
    return header, np.array(starts, dtype=np.int64)


def _records(stream: IO[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it starts on; blank lines are skipped as pandas does."""
    reader = csv.reader(stream, delimiter=delimiter)
    start = 1
    for record in reader:
        if len(record) > 1 or (record and record[0].strip()):
            yield start, record
        start = reader.line_num + 1


def _check_header(path: Path, line: int, header: list[str]) -> None:
    if not header:
        raise DataError(f"{path}: the file is empty; it needs a header and rows")
    if len(header) == 1 and ";" in header[0]:
        raise DataError(f"{path}:{line}: the columns are separated by ';'; save it with commas")
    nameless = [position for position, name in enumerate(header, 1) if not name.strip()]
    if nameless:
        raise DataError(
            f"{path}:{line}: column {nameless[0]} has no name; name it, or remove it if it "
            f"only numbers the rows"
        )


def _open(path: Path) -> IO[str]:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding=ENCODING, newline="")
    return path.open(encoding=ENCODING, newline="")


def _first_undecodable(path: Path) -> int:
    """The first line that is not UTF-8."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    return 1
