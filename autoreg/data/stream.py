"""A Parquet file larger than memory, read once, as a small table that means the same.

For squared error a set of rows is known by its weights, means and cross-products. So each block
of rows (one for each outer fold, one for the held-out rows) is summed up while the file is read,
and stands in the table as p + 2 weighted rows with exactly the same sums. Everything behind
(folds, preprocessing, every penalty, the verdict) works on that table as on any other, and gives
what it would give on all the rows, to rounding. Memory depends on the columns, not on the rows.

Which rows are held out, and which block a row falls into, is drawn row by row from streams
seeded by name; rows of one group fall together, by a keyed hash of the group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from autoreg.data.dataset import Column, Dataset, Floats, Rows
from autoreg.data.groups import grouped
from autoreg.errors import DataError, SpecError
from autoreg.metrics import metric
from autoreg.moments import Moments, merged
from autoreg.spec import DataSpec, StudySpec, seed_for

BATCH = 65_536  # rows in memory at once
BUFFER = 1 << 20  # bytes of a column that are read at once
HELD_OUT = -1
LARGEST = 1e100
NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)


@dataclass(eq=False)
class Sums:
    """The number of rows and their moments, growing batch by batch."""

    rows: int = 0
    moments: Moments | None = None

    def add(self, Z: Floats, weights: Floats) -> None:
        """Take in rows Z (n, a) with their weights (n,)."""
        if len(Z):
            new = Moments.of(Z, weights)
            self.moments = merged([self.moments, new]) if self.moments else new
            self.rows += len(Z)

    def stand_ins(self) -> tuple[Floats, Floats]:
        """Few rows (a + 1, a) and their weights, with the same sums.

        >>> sums = Sums()
        >>> sums.add(np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 0.0]]), np.ones(3))
        >>> rows, weights = sums.stand_ins()
        >>> (weights @ rows).round(6).tolist(), (rows.T * weights @ rows).round(6).tolist()
        ([6.0, 6.0], [[20.0, 10.0], [10.0, 26.0]])
        """
        assert self.moments is not None, "there are rows"
        weight, mean, cross = self.moments.weight, self.moments.mean, self.moments.cross
        count = len(mean) + 1
        # Each column on its own scale, or the root would lose the small ones beside the large.
        scale = np.sqrt(np.diag(cross))
        unit = np.where(scale > 0, scale, 1.0)
        values, vectors = np.linalg.eigh(cross / np.outer(unit, unit))
        root = scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))
        away = _contrasts(count) @ root.T * np.sqrt(count / weight)
        return mean + away, np.full(count, weight / count)


def _contrasts(count: int) -> Floats:
    """Orthonormal columns (count, count - 1), each of which sums to zero (Helmert)."""
    out = np.zeros((count, count - 1))
    for k in range(1, count):
        out[:k, k - 1] = 1.0
        out[k, k - 1] = -k
        out[:, k - 1] /= np.sqrt(k * (k + 1.0))
    return out


def stream(spec: StudySpec) -> Dataset:
    """Read the Parquet file of a study once and sum it up, block by block.

    Raises SpecError where the study asks for what sums cannot give, DataError naming column and
    row where the file holds what they cannot hold: text, missing or infinite cells.
    """
    _check(spec)
    assert spec.data.source is not None, "checked"
    path = Path(spec.data.source)
    names, file = _columns(path, spec.data)
    sums = {block: Sums() for block in (*range(spec.folds.outer), HELD_OUT)}
    blocks = _Blocks(spec)
    first = 0
    for batch in _batches(file, path, names, spec.data):
        Z, weights = _numbers(batch, names, spec.data, path, first)
        block = blocks.of(batch)
        for number, one in sums.items():
            inside = block == number
            one.add(Z[inside], weights[inside])
        first += len(Z)
    if spec.held_out is None:
        del sums[HELD_OUT]
    return _table(spec.data, path, names, sums)


def _check(spec: StudySpec) -> None:
    asked = {
        "data: source must be a Parquet file": not str(spec.data.source).endswith(".parquet"),
        "data: target must be named": spec.data.target is None,
        "data: task must be regression": spec.data.task not in {None, "regression"},
        "data: time is not for streams; sort out a time split beforehand": spec.data.time,
        "data: fold is not for streams": spec.data.fold,
        "data: user and item are for factorizations, which need rows": spec.data.user,
        "folds: outer_repeats must be left out": spec.folds.outer_repeats > 1,
        "data: categorical is not for streams; write indicators": spec.data.categorical,
        "folds: inner must be left out": spec.folds.inner is not None,
        "linear: loss must be squared": spec.linear.loss != "squared",
        "metrics: only mse, rmse and r2 follow from sums": any(
            not metric(name).from_sums
            for name in (*spec.metrics, *filter(None, [spec.select.metric]))
        ),
        "space: only linear models can be fitted from sums": (
            not isinstance(spec.space, str) and not spec.is_linear
        ),
    }
    if broken := [words for words, is_broken in asked.items() if is_broken]:
        raise SpecError(f"data: stream: {'; '.join(broken)}")


def _columns(path: Path, spec: DataSpec) -> tuple[list[str], pq.ParquetFile]:
    """The names of the feature columns."""
    try:
        # Nothing is read ahead: that would be held until the file ends.
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    schema = file.schema_arrow
    for role in (spec.target, spec.group, spec.weight, *spec.drop):
        if role is not None and role not in schema.names:
            raise DataError(f"{path}: there is no column {role!r}; it has {schema.names[:8]}")
    taken = {spec.target, spec.group, spec.weight, *spec.drop}
    names = [name for name in schema.names if name not in taken]
    for name in [*names, str(spec.target), *filter(None, [spec.weight])]:
        kind = schema.field(name).type
        if not (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        ):
            raise DataError(
                f"{path}: column {name!r} holds {kind}, and streams hold numbers only; leave it "
                f"out with data: drop: [{name}], or write indicators"
            )
    if not names:
        raise DataError(f"{path}: no feature column is left beside target and roles")
    return names, file


def _batches(
    file: pq.ParquetFile, path: Path, names: Sequence[str], spec: DataSpec
) -> Iterator[pa.RecordBatch]:
    wanted = [*names, spec.target, *filter(None, [spec.group, spec.weight])]
    try:
        for group in range(file.num_row_groups):
            yield from file.iter_batches(BATCH, row_groups=[group], columns=wanted)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: cannot be read to its end ({error})") from error


def _numbers(
    batch: pa.RecordBatch, names: Sequence[str], spec: DataSpec, path: Path, first: int
) -> tuple[Floats, Floats]:
    """Features and target (n, p + 1), and weights (n,); ``first`` rows came before."""
    Z = np.empty((batch.num_rows, len(names) + 1))
    for position, name in enumerate([*names, str(spec.target)]):
        Z[:, position] = _cells(batch, name, path, first)
    if spec.weight is None:
        return Z, np.ones(len(Z))
    weights = _cells(batch, spec.weight, path, first)
    if (weights <= 0).any():
        row = first + int((weights <= 0).argmax()) + 1
        raise DataError(f"{path}: column {spec.weight!r}, row {row}: a weight must be above 0")
    return Z, weights


def _cells(batch: pa.RecordBatch, name: str, path: Path, first: int) -> Floats:
    column = batch.column(name)
    values = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    wild = ~(np.abs(values) <= LARGEST)
    if wild.any():
        row = first + int(wild.argmax()) + 1
        raise DataError(
            f"{path}: column {name!r}, row {row}: the cell is missing, infinite or absurdly large, "
            f"and sums cannot hold it; fill it in, or leave the column out with data: drop"
        )
    return values


class _Blocks:
    """Which block each row falls into, in the order of the file."""

    def __init__(self, spec: StudySpec) -> None:
        self.outer, self.share, self.group = spec.folds.outer, spec.held_out or 0.0, spec.data.group
        name = Path(str(spec.data.source)).name
        # Held-out rows depend on the source and not on the study's seed.
        self.seeds = seed_for("held-out", name), seed_for(spec.seed, "outer")
        self.streams = [np.random.Generator(np.random.Philox(seed)) for seed in self.seeds]

    def of(self, batch: pa.RecordBatch) -> Rows:
        """The numbers of the blocks (n,), -1 for held-out rows."""
        apart, among = (self._uniform(batch, which) for which in (0, 1))
        block = np.minimum((among * self.outer).astype(np.int64), self.outer - 1)
        return np.where(apart < self.share, HELD_OUT, block)

    def _uniform(self, batch: pa.RecordBatch, which: int) -> Floats:
        if self.group is None:
            return np.asarray(self.streams[which].random(batch.num_rows))
        values = batch.column(self.group).to_pandas()
        key = f"{self.seeds[which]:016x}"
        hashes = pd.util.hash_pandas_object(values, index=False, hash_key=key)
        return np.asarray(hashes.to_numpy(np.uint64) / 2.0**64)


def _table(spec: DataSpec, path: Path, names: Sequence[str], sums: dict[int, Sums]) -> Dataset:
    blocks, parts, weights, counts = [], [], [], []
    for number, one in sums.items():
        if one.rows <= len(names) + 1:
            what = "the held-out rows" if number == HELD_OUT else f"block {number}"
            raise DataError(
                f"{path}: {what}: {one.rows} rows for {len(names)} columns are too few to be "
                f"streamed; leave out data: stream"
            )
        rows, weight = one.stand_ins()
        blocks.append(np.full(len(rows), number, dtype=np.int64))
        parts.append(rows)
        weights.append(weight)
        counts.append(np.full(len(rows), one.rows / len(rows)))
    Z = np.concatenate(parts)
    columns = grouped([Column(name, "numeric") for name in names], spec.feature_groups, str(path))
    roles = {"group": spec.group, "weight": spec.weight}
    return Dataset(
        name=path.name.split(".")[0],
        columns=columns,
        X=np.ascontiguousarray(Z[:, :-1]),
        y=np.ascontiguousarray(Z[:, -1]),
        task="regression",
        target=str(spec.target),
        weight=np.concatenate(weights),
        source=str(path),
        roles={role: column for role, column in roles.items() if column},
        block=np.concatenate(blocks),
        streamed=np.concatenate(counts),
    )
