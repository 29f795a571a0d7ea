"""The gate of a promotion: is the challenger better than the champion on rows that neither saw?

Rows are known by keyed hashes of their content under each model's own schema, so a row that was
trained on is found however it comes back. What both models left out is compared; the units of the
comparison are groups or blocks of time where the study declares them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.data.encoding import encode_open
from autoreg.disk import write_arrays
from autoreg.errors import DataError, StudyError
from autoreg.metrics.base import row_losses
from autoreg.model import Model
from autoreg.sealed import row_hashes
from autoreg.statistics import Interval, nadeau_bengio

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 20  # units
LEVEL = 0.90  # two-sided: its lower end is the one-sided bound of 95%
ROWS = "rows.npz"


@dataclass(frozen=True)
class Comparison:
    """Champion against challenger: ``gain`` is loss(champion) - loss(challenger), paired.

    ``rows`` were compared, ``seen`` left out because a model was trained on them; ``units`` are
    what counts as independent, of the kind ``unit``.
    """

    gain: Interval
    rows: int
    seen: int
    units: int
    unit: str
    margin: float

    @property
    def passed(self) -> bool:
        """Whether the one-sided 95% bound of the gain lies above the margin."""
        return self.gain.low > self.margin

    def __str__(self) -> str:
        """The comparison in words."""
        verdict = "better" if self.passed else "not clearly better"
        return (
            f"the challenger is {verdict}: its loss is {self.gain.value:.4g} lower, at least "
            f"{self.gain.low:.4g} with 95% confidence, on {self.rows} rows ({self.units} "
            f"{self.unit}) that neither model was trained on; the margin is {self.margin:g}"
        )

    def to_data(self) -> dict[str, Any]:
        """The comparison as plain data."""
        return {**vars(self), "gain": self.gain.to_data(), "passed": self.passed}


def remember_rows(folder: Path, table: Dataset, key: str) -> None:
    """Write down, beside a model, which rows it was trained on: keyed hashes, no values.

    Rows of a stream were never in memory, so nothing is written and no gate will open.
    """
    if table.streamed is None:
        found = np.frombuffer(bytes.fromhex("".join(row_hashes(table, key))), dtype=np.uint8)
        hashes = found.reshape(table.n, -1)
        write_arrays(folder / ROWS, {"hashes": hashes, "key": np.array(_name_of(key))})


def remembered(folder: Path, key: str) -> frozenset[str]:
    """The hashes of the rows that a saved model was trained on.

    Raises StudyError where they are unknown, or were hashed with another home folder's key.
    """
    path = folder / ROWS
    if not path.exists():
        raise StudyError("a model does not say which rows it was trained on, so the gate is shut")
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["key"]) != _name_of(key):
            raise StudyError(
                "a model was trained in another home folder, whose row hashes cannot be read "
                "here, so the gate is shut; train both models in one home folder"
            )
        return frozenset(row.tobytes().hex() for row in stored["hashes"])


def compare(
    champion: tuple[Model, frozenset[str]],
    challenger: tuple[Model, frozenset[str]],
    rows: Dataset,
    key: str,
    margin: float = 0.0,
) -> Comparison:
    """Compare two models, each with the hashes of its training rows, on rows that neither saw.

    Raises StudyError where fewer than 20 units are left, or the models answer different
    questions.
    """
    if champion[0].task != challenger[0].task or champion[0].target != challenger[0].target:
        raise StudyError("champion and challenger predict different targets: nothing to compare")
    frame = frame_of(rows)
    views = [as_seen_by(model, rows, frame) for model, _ in (champion, challenger)]
    seen = [
        np.array([one in trained for one in row_hashes(view, key)])
        for view, (_, trained) in zip(views, (champion, challenger), strict=True)
    ]
    fresh = np.flatnonzero(~(seen[0] | seen[1]))
    units, unit = units_of(rows, fresh)
    if (count := len(np.unique(units))) < FEWEST:
        raise StudyError(
            f"{len(fresh)} of {rows.n} rows ({count} {unit}) were in neither model's training "
            f"rows; the gate needs at least {FEWEST} {unit}: bring newer rows"
        )
    losses = [
        _losses(model, view.rows(fresh))
        for view, (model, _) in zip(views, (champion, challenger), strict=True)
    ]
    gain = paired(losses[0] - losses[1], rows.weights[fresh], units)
    return Comparison(gain, len(fresh), rows.n - len(fresh), count, unit, margin)


def paired(differences: Floats, weights: Floats, units: Rows) -> Interval:
    """The weighted mean difference, with an interval over units.

    The ratio of sums is linearized (Cochran 1977, Sampling Techniques, section 6.3); units are
    independent, so the variance is that of a plain mean.

    >>> paired(np.array([1.0, 2.0, 3.0]), np.ones(3), np.arange(3)).value
    2.0
    """
    _, places = np.unique(units, return_inverse=True)
    sums = np.bincount(places, weights * differences)
    sizes = np.bincount(places, weights)
    mean = sums.sum() / sizes.sum()
    return nadeau_bengio(mean + (sums - mean * sizes) / sizes.mean(), 0.0, level=LEVEL)


def units_of(rows: Dataset, ids: Rows) -> tuple[Rows, str]:
    """What is independent among some rows: groups, blocks of time, or the rows themselves."""
    if rows.group is not None:
        return rows.group[ids], "groups"
    if rows.time is None:
        return np.arange(len(ids)), "rows"
    # As long as possible: what lies within a block may depend on each other.
    moments, places = np.unique(rows.time[ids], return_inverse=True)
    return places * FEWEST // max(len(moments), FEWEST), "blocks of time"


def frame_of(rows: Dataset) -> pd.DataFrame:
    """The rows as a table of their own names and levels."""
    import pandas as pd

    cells: dict[str, Any] = {}
    for place, column in enumerate(rows.columns):
        values = rows.X[:, place]
        levels = np.array([*column.levels, None], dtype=object)
        cells[column.name] = levels[values.astype(int)] if column.is_categorical else values
    return pd.DataFrame(cells)


def as_seen_by(model: Model, rows: Dataset, frame: pd.DataFrame) -> Dataset:
    """The rows under a model's own schema: its columns, its levels, its classes."""
    y = rows.y
    if model.classes:
        places: Mapping[Any, int] = {label: k for k, label in enumerate(model.classes)}
        labels = [rows.classes[int(k)] for k in rows.y]
        if unknown := {label for label in labels if label not in places}:
            raise DataError(f"class {sorted(map(str, unknown))[0]} is unknown to a model")
        y = np.array([places[label] for label in labels], dtype=np.int64)
    X, columns = encode_open(frame, model.columns)
    return replace(rows, X=X, y=y, columns=columns, classes=model.classes)


def _losses(model: Model, rows: Dataset) -> Floats:
    return row_losses(model.task, rows.y, model.read(rows.X, rows.columns))


def _name_of(key: str) -> str:
    """What tells a key from others and does not give it away."""
    return hashlib.blake2b(b"name", key=key.encode()[:64], digest_size=8).hexdigest()
