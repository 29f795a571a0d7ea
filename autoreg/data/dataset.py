"""A table as the rest of autoreg sees it: one float matrix, a target, and the roles of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autoreg.spec import ImageSpec, OrderSpec

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Task = Literal["regression", "count", "binary", "multiclass"]
Label = str | int | float | bool
MOST_VECTORS = 100  # measured columns that networks may be given as vectors, a dozen numbers each


@dataclass(frozen=True)
class Column:
    """One feature column: its name, kind and, if categorical, its sorted levels.

    ``group`` names the feature group that it belongs to; a column without one is its own group.
    ``source`` is the column of the table that it is a ``part`` of (the year of a date, or whether
    a number is missing), where its name is not its own. ``treated`` says how training rows shape
    its inputs: ``fences`` pull outliers in, ``target`` gives levels their mean target. The levels
    of text are its documents, one table's own.

    >>> Column("colour", "categorical", ("blue", "red")).is_categorical
    True
    >>> Column("gene1_a", "numeric", group="gene1")
    Column(name='gene1_a', kind='numeric', levels=(), group='gene1')
    """

    name: str
    kind: Literal["numeric", "categorical", "text"]
    levels: tuple[str, ...] = ()
    group: str = ""
    source: str = ""
    part: str = ""
    treated: Literal["", "fences", "target"] = ""

    @property
    def is_categorical(self) -> bool:
        """Whether cells are positions in ``levels`` and not measurements."""
        return self.kind != "numeric"

    @property
    def is_learned(self) -> bool:
        """Whether its inputs depend on more of the training rows than their levels and moments."""
        return self.kind == "text" or self.treated != ""

    @property
    def read_from(self) -> str:
        """The column of the table that its cells are read from."""
        return self.source or self.name

    def __repr__(self) -> str:
        """The fields; the later ones only where they are set, so that digests of tables last."""
        later = ("group", "source", "part", "treated")
        told = "".join(f", {one}={getattr(self, one)!r}" for one in later if getattr(self, one))
        return f"Column(name={self.name!r}, kind={self.kind!r}, levels={self.levels!r}{told})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to learn from.

    ``X`` is (n, p) float64; NaN is a missing cell; a categorical cell is the position of its
    level. ``y`` is (n,): float64 for regression and counts, int64 positions in ``classes``
    otherwise.
    ``group`` and ``time`` are (n,) int64 codes or None, ``weight`` (n,) positive float64;
    ``roles`` names the column that each of them came from, and the features that are ``user`` and
    ``item``; ``order`` says how rows are cut in the
    order of time, ``fold`` (n,) are codes of outer folds given by a column. Where the table
    stands for a stream of rows, ``streamed`` (n,) is how many each stands for, and ``block`` (n,)
    which outer fold it belongs to (-1: held out). An ``image`` says how the columns lie, where
    they are its pixels. ``marks`` (n,) tell rows of the source apart by all their cells, those of
    columns that are left out included; the ledger of openings knows rows by them.

    >>> import numpy as np
    >>> columns = (Column("a", "numeric"),)
    >>> data = Dataset("tiny", columns, np.zeros((3, 1)), np.arange(3.0), "regression", "y")
    >>> data.rows(np.array([0, 2])).y
    array([0., 2.])
    """

    name: str
    columns: tuple[Column, ...]
    X: Floats
    y: NDArray[np.float64] | NDArray[np.int64]
    task: Task
    target: str
    classes: tuple[Label, ...] = ()
    group: Rows | None = None
    time: Rows | None = None
    weight: Floats | None = None
    source: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    block: Rows | None = None
    streamed: Floats | None = None
    image: ImageSpec | None = None
    fold: Rows | None = None
    order: OrderSpec = OrderSpec()
    marks: NDArray[np.uint64] | None = None

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.y)

    @property
    def size(self) -> int:
        """The number of rows, or of those that they stand for."""
        return self.size_of(np.arange(self.n))

    def size_of(self, ids: Rows) -> int:
        """The number of some rows, or of those that they stand for."""
        return len(ids) if self.streamed is None else round(float(self.streamed[ids].sum()))

    def units(self, ids: Rows) -> int:
        """The number of independent units among some rows: groups where they are declared."""
        return len(ids) if self.group is None else len(np.unique(self.group[ids]))

    @property
    def weights(self) -> Floats:
        """The row weights, ones where none are declared; shape (n,)."""
        return np.ones(self.n) if self.weight is None else self.weight

    @property
    def is_symmetric(self) -> bool:
        """Whether the rows are images of which the user knows a symmetry."""
        return self.image is not None and bool(self.image.symmetries)

    @property
    def traits(self) -> dict[str, bool]:
        """What decides whether some techniques and dials mean anything for the rows."""
        return {
            "grouped": self.is_grouped,
            "symmetric": self.is_symmetric,
            "pictured": self.image is not None,
            "measured": self.is_measured,
            "rated": self.rated is not None,
        }

    @property
    def rated(self) -> tuple[int, int] | None:
        """The positions of the columns that say who rates and what; None where none are declared.

        >>> columns = (Column("film", "categorical", ("a",)), Column("who", "categorical", ("b",)))
        >>> roles, X = {"user": "who", "item": "film"}, np.zeros((1, 2))
        >>> Dataset("t", columns, X, np.zeros(1), "regression", "y", roles=roles).rated
        (1, 0)
        """
        names = [column.name for column in self.columns]
        if not {"user", "item"} <= set(self.roles):
            return None
        return names.index(self.roles["user"]), names.index(self.roles["item"])

    @property
    def is_grouped(self) -> bool:
        """Whether some feature group, declared or a categorical column's, has several inputs."""
        return any(column.group or len(column.levels) > 2 for column in self.columns)

    @property
    def is_measured(self) -> bool:
        """Whether some columns are measured, and so few that networks can take each as a vector."""
        if self.image is not None or any(column.kind == "text" for column in self.columns):
            return False
        return 0 < sum(column.kind == "numeric" for column in self.columns) <= MOST_VECTORS

    @cached_property
    def plain_names(self) -> tuple[str, ...] | None:
        """The names of the columns, where each is an input as it stands; None where one is not."""
        # Lists, for there may be thousands.
        if any([column.is_categorical or column.is_learned for column in self.columns]):
            return None
        return tuple([column.name for column in self.columns])

    def rows(self, ids: Rows) -> Dataset:
        """A copy of some rows; it holds no reference to the others."""
        return replace(
            self,
            X=self.X[ids],
            y=self.y[ids],
            group=None if self.group is None else self.group[ids],
            time=None if self.time is None else self.time[ids],
            weight=None if self.weight is None else self.weight[ids],
            block=None if self.block is None else self.block[ids],
            streamed=None if self.streamed is None else self.streamed[ids],
            fold=None if self.fold is None else self.fold[ids],
            marks=None if self.marks is None else self.marks[ids],
        )

    @property
    def digest(self) -> str:
        """A hash of all cells, the target and the schema: 16 hexadecimal digits."""
        state = hashlib.blake2b(repr((self.columns, self.classes)).encode(), digest_size=8)
        for array in (self.X, self.y, self.group, self.time, self.weight):
            state.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return state.hexdigest()
