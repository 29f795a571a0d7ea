"""A category of many levels as the mean target of each, learned across folds.

Each level becomes the mean target of its training rows, shrunk towards the mean of all by
``SHRINK`` rows' worth (Micci-Barreca 2001, SIGKDD Explorations 3(1)). A training row is given
the mean of the other parts of the training rows, never one that its own target is in: otherwise
a column of ids would tell every target, and the model would believe it. Rows of one group are in
one part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Column, Floats, Rows
from autoreg.spec import seed_for

PARTS = 5
SHRINK = 10.0  # rows
OTHER = 2  # where levels begin, behind those of missing and of unseen cells


@dataclass(frozen=True, eq=False)
class Means:
    """The mean targets (2 + levels, t) of missing cells, of unseen levels and of each level.

    ``levels`` are those of the training table: positions in another one are looked up by name.
    """

    means: Floats
    levels: tuple[str, ...]

    @classmethod
    def fit(cls, cells: Floats, column: Column, known: Any) -> tuple[Means, Floats]:
        """Learn from training cells (n,); and what these cells become, each without itself."""
        kinds = _kinds(cells)
        count = OTHER + len(column.levels)
        made = cls(_means(kinds, count, known.targets, known.weights), column.levels)
        own = np.empty_like(known.targets)
        part = _parts(len(cells), known.group)
        for number in range(part.max() + 1):
            mine = part == number
            others = _means(kinds[~mine], count, known.targets[~mine], known.weights[~mine])
            own[mine] = others[kinds[mine]]
        return made, own

    @property
    def width(self) -> int:
        """One input, or one for each of more than two classes."""
        return int(self.means.shape[1])

    def values(self, cells: Floats, levels: Sequence[str]) -> Floats:
        """The mean targets (n, width) of cells."""
        return np.asarray(self.means[_kinds(cells)])

    def to_data(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What was learned, as JSON-ready data and as arrays; levels are in the schema."""
        return {"levels": len(self.levels)}, {"means": self.means}

    @classmethod
    def from_data(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Means:
        """The inverse of :meth:`to_data`."""
        return cls(arrays["means"], ("",) * int(data["levels"]))


def _kinds(cells: Floats) -> Rows:
    """0 for a missing cell, 1 for a level that nobody knows, 2 + its position for others."""
    kinds = np.where(np.isnan(cells), 0.0, cells + OTHER)
    return np.asarray(np.maximum(kinds, 0.0), dtype=np.int64)


def _means(kinds: Rows, count: int, targets: Floats, weights: Floats) -> Floats:
    """Shrunken means (count, t); a kind without a row has the mean of all."""
    held = np.bincount(kinds, weights, minlength=count)
    overall = weights @ targets / weights.sum()
    sums = np.stack(
        [np.bincount(kinds, weights * one, minlength=count) for one in targets.T], axis=1
    )
    return np.asarray((sums + SHRINK * overall) / (held + SHRINK)[:, None])


def _parts(n: int, group: Rows | None) -> Rows:
    """Which of the parts each training row is in: drawn by its place, or by its group's."""
    units = np.arange(n) if group is None else np.unique(group, return_inverse=True)[1]
    many = int(units.max()) + 1
    draws = np.random.default_rng(seed_for("mean target", many)).permutation(many)
    return np.asarray(draws[units] % min(PARTS, many), dtype=np.int64)
