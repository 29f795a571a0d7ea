"""Inputs that a column becomes by what training rows teach: words, targets, fences.

Each kind has ``fit``, which learns from training rows and says what THEY become, and ``values``,
which says what any other row becomes. The two differ where a row must not see its own target.

Why a room of its own: sums over blocks of rows, which the fast engine lives on, know nothing of
such inputs. A table that has one is fitted from its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Column, Floats, Rows
from autoreg.learned.fences import Fences
from autoreg.learned.target import Means
from autoreg.learned.words import Words

__all__ = ["KINDS", "Fences", "Known", "Learned", "Means", "Words", "kind_of"]


@dataclass(frozen=True, eq=False)
class Known:
    """What may be known of training rows: targets (n, t), weights (n,), groups (n,) or None.

    Targets are one column of numbers, or one 0/1 column for each of more than two classes.
    """

    targets: Floats
    weights: Floats
    group: Rows | None = None


class Learned(Protocol):
    """What training rows taught about one column."""

    @property
    def width(self) -> int:
        """How many inputs the column becomes."""

    def values(self, cells: Floats, levels: Sequence[str]) -> Floats:
        """The inputs (n, width) of cells (n,); ``levels`` are what positions point to."""

    def to_data(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What was learned, as JSON-ready data and as arrays."""


KINDS: Mapping[str, Any] = {"words": Words, "target": Means, "fences": Fences}


def kind_of(column: Column) -> str:
    """The kind by which a column is learned, "" where it is not.

    >>> kind_of(Column("note", "text")), kind_of(Column("age", "numeric"))
    ('words', '')
    """
    if column.kind == "text":
        return "words"
    return column.treated


def names_of(column: Column, width: int) -> list[str]:
    """The names of the inputs that a column becomes."""
    if column.kind == "text":
        return [f"{column.name}~{k + 1}" for k in range(width)]
    mark = " (mean target)" if column.treated == "target" else ""
    if width == 1:
        return [f"{column.name}{mark}"]
    return [f"{column.name} (mean of class {k + 1})" for k in range(width)]


def unknown(cells: Floats) -> NDArray[np.bool_]:
    """Which cells of a column of positions hold none: missing, or a level that nobody knows."""
    return np.asarray(np.isnan(cells) | (cells < 0))
