"""The plan of a study: which rows each fit may see, frozen before anything is fitted.

The default is the symmetric nested scheme. The development rows are cut into K blocks. Outer
fold i is judged on block i; its search validates on each other block j in turn and trains on
everything except i and j. The final search, over all development rows, validates on each block
j and trains on everything except j.

Why this is free of leaks. A fit never sees the rows it is scored on: a fit validated on j
excludes j. And a selection never depends on the rows it is judged on: every fit and every loss
of search i uses rows outside block i only, both for training and for validating, so whatever
search i selects is a function of the other blocks alone. That block j validates in search i and
judges in search j couples the K estimates, as shared training rows do in any cross-validation,
but puts no row on both sides of one number. What it saves: the fit that excludes {i, j} serves
the searches i and j both; so training sets that exclude the same blocks are equal row for row
and are named alike.

Separate inner folds are had by asking for a number of them: then ONE second cut of the
development rows, independent of the first, gives the inner folds of all searches; search i uses
its rows outside block i. Both cuts together make a grid of cells, and every training set is a
union of cells, so sums over rows are taken once for all of them.

One cut is a matter of luck where rows are few, and what a search chooses with it. So tables of
few rows are cut again, by each search for itself and outside its outer fold, and a loss is the
mean over all cuts; ``repeats`` says how many. Left open, it is as many as let each search
validate about a thousand rows, at most 4, where the fits cost little and no role forbids it.

With a time role the past never trains on the future, so no block can serve both sides: each
search cuts its own training rows by an expanding window. Where rows come in groups, each search
cuts its own groups, for a second cut of all groups could leave a search without any.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from autoreg.data.dataset import Dataset, Rows
from autoreg.errors import DataError, SpecError
from autoreg.spec import FoldsSpec, seed_for
from autoreg.splitters import (
    broken_laws,
    natural_folds,
    require_classes,
    split,
    splitter_name,
)

FINAL = "final"
TIME_INNER = 3
ENOUGH_ROWS = 1_000  # validated by a search, counting a row once for each cut
MOST_REPEATS = 4  # more cuts of the same few rows tell nothing new


@dataclass(frozen=True, eq=False)
class Fold:
    """Training rows, test rows, and the names of the blocks that the training rows exclude."""

    name: str
    train: Rows
    test: Rows
    excluded: tuple[str, ...]

    def to_data(self) -> dict[str, Any]:
        """The fold as plain data."""
        return {
            "name": self.name,
            "train": self.train.tolist(),
            "test": self.test.tolist(),
            "excluded": list(self.excluded),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Fold:
        """The inverse of :meth:`to_data`."""
        train, test = (np.array(data[part], dtype=np.int64) for part in ("train", "test"))
        return cls(data["name"], train, test, tuple(data["excluded"]))


@dataclass(frozen=True, eq=False)
class Plan:
    """All folds of a study: K outer ones, and the inner ones of each search by its name.

    Row ids are positions in the development rows. Searches are named "outer-0".. and "final".
    Each search cuts its rows into inner folds ``repeats`` times; the rows were cut into outer
    folds ``outer_repeats`` times, and the folds are numbered on from cut to cut.
    """

    outer: tuple[Fold, ...]
    inner: dict[str, tuple[Fold, ...]]
    splitter: str
    repeats: int = 1
    outer_repeats: int = 1

    @property
    def folds(self) -> Iterator[Fold]:
        """Every fold: the outer ones, then the inner ones search by search."""
        return chain(self.outer, *self.inner.values())

    @cached_property
    def cells(self) -> Rows:
        """Numbers the rows so that every fold's training and test rows are unions of cells."""
        folds = list(self.folds)
        inside = np.zeros((1 + max(int(fold.test.max()) for fold in folds), 2 * len(folds)), bool)
        for position, fold in enumerate(folds):
            inside[fold.train, 2 * position] = True
            inside[fold.test, 2 * position + 1] = True
        patterns = np.packbits(inside, axis=1)
        return np.unique(patterns, axis=0, return_inverse=True)[1].astype(np.int64).ravel()

    @cached_property
    def digest(self) -> str:
        """A hash of all names and row ids: 16 hexadecimal digits."""
        state = hashlib.blake2b(self.splitter.encode(), digest_size=8)
        for search, fold in chain(
            (("", fold) for fold in self.outer),
            ((search, fold) for search, folds in self.inner.items() for fold in folds),
        ):
            sizes = (len(fold.train), len(fold.test))
            state.update(repr((search, fold.name, fold.excluded, sizes)).encode())
            state.update(fold.train.astype("<i8").tobytes())
            state.update(fold.test.astype("<i8").tobytes())
        return state.hexdigest()

    def only(self, *searches: str) -> Plan:
        """The plan of some searches without the others, the rows in the same cells as before.

        Sums over other cells would be added up in another order, and so round otherwise.
        """
        inner = {name: self.inner[name] for name in searches}
        some = Plan(self.outer, inner, self.splitter, self.repeats)
        vars(some)["cells"] = self.cells
        return some

    def describe(self) -> dict[str, Any]:
        """Plain facts; ``inner`` is the number of inner folds of one cut by an outer search."""
        return {
            "splitter": self.splitter,
            "outer": len(self.outer),
            "inner": min(len(folds) for folds in self.inner.values()) // self.repeats,
            "repeats": self.repeats,
            "outer_repeats": self.outer_repeats,
            "development_rows": 1 + max(int(fold.test.max()) for fold in self.folds),
            "digest": self.digest,
        }

    def to_data(self) -> dict[str, Any]:
        """The plan as plain data."""
        return {
            "splitter": self.splitter,
            "outer": [fold.to_data() for fold in self.outer],
            "inner": {
                search: [fold.to_data() for fold in folds] for search, folds in self.inner.items()
            },
            "repeats": self.repeats,
            "outer_repeats": self.outer_repeats,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Plan:
        """The inverse of :meth:`to_data`."""
        return cls(
            tuple(map(Fold.from_data, data["outer"])),
            {search: tuple(map(Fold.from_data, folds)) for search, folds in data["inner"].items()},
            data["splitter"],
            data.get("repeats", 1),
            data.get("outer_repeats", 1),
        )


def plan(data: Dataset, spec: FoldsSpec, seed: int, *, cheap: bool = False) -> Plan:
    """Cut the development rows of a study.

    ``cheap`` says that fits cost little, so that few rows may be cut several times where ``spec``
    leaves the number open.

    Raises DataError where the rows do not allow it, SpecError where ``spec`` contradicts itself.

    >>> from autoreg.data import load
    >>> from autoreg.spec import DataSpec
    >>> cut = plan(load(DataSpec(source="wine")), FoldsSpec(outer=3), seed=0)
    >>> [(fold.name, fold.excluded) for fold in cut.inner["outer-0"]]
    [('outer-0/block-1', ('block-0', 'block-1')), ('outer-0/block-2', ('block-0', 'block-2'))]
    """
    symmetric = spec.inner is None and data.time is None
    _check_repeats(data, spec)
    if symmetric and spec.outer < 3:
        raise SpecError(
            "folds: with 2 outer folds no other blocks are left to validate on; set folds: inner "
            "(3, say), or folds: outer to 3 or more"
        )
    outer = _outer(data, spec, seed)
    cut = len(outer) // spec.outer_repeats
    inner = _symmetric(outer, cut, data.n) if symmetric else _own(data, outer, spec.inner, seed)
    repeats = spec.repeats or (_repeats(data.n) if cheap and symmetric and _is_plain(data) else 1)
    inner = {
        search: (*first, *_again(data, outer, search, len(first), repeats, seed))
        for search, first in inner.items()
    }
    made = Plan(outer, inner, splitter_name(data), repeats, spec.outer_repeats)
    _check(data, made)
    return made


def _outer(data: Dataset, spec: FoldsSpec, seed: int) -> tuple[Fold, ...]:
    """The outer folds, cut after cut; a fold column says itself how many they are."""
    count = natural_folds(data) or spec.outer
    if count != spec.outer and "outer" in spec.model_fields_set:
        raise SpecError(
            f"folds: outer is {spec.outer}, and the fold column {data.roles.get('fold', '')!r} has "
            f"{count} values in the development rows; leave folds: outer out"
        )
    cuts = [
        split(data, count, seed_for(seed, "outer", *([f"repeat-{r}"] if r else [])))
        for r in range(spec.outer_repeats)
    ]
    return tuple(
        Fold(f"outer-{i}", train, test, (f"block-{i}",))
        for i, (train, test) in enumerate(chain(*cuts))
    )


def _check_repeats(data: Dataset, spec: FoldsSpec) -> None:
    """Refuse repeats where a second cut could not differ from the first."""
    fixed = data.time is not None or data.block is not None or data.fold is not None
    if fixed and ((spec.repeats or 1) > 1 or spec.outer_repeats > 1):
        raise SpecError(
            "folds: repeats: rows in the order of time, cut while streaming, or cut by a column "
            "can be cut in one way only; leave repeats out"
        )
    if data.fold is not None and (spec.inner is not None or data.time is not None):
        raise SpecError(
            "data: fold names the folds, inner ones included: the other folds validate; leave out "
            "folds: inner and data: time"
        )


def _is_plain(data: Dataset) -> bool:
    """Whether any row may go to any fold; then a search can always cut its rows once more."""
    return data.group is None and data.time is None and data.block is None and data.fold is None


def _repeats(n: int) -> int:
    return min(MOST_REPEATS, math.ceil(ENOUGH_ROWS / n))


def _again(
    data: Dataset, outer: tuple[Fold, ...], search: str, count: int, repeats: int, seed: int
) -> Iterator[Fold]:
    """Further cuts of a search's rows into as many inner folds as the first has."""
    own = {fold.name: (fold.train, fold.excluded) for fold in outer}
    rows, excluded = own.get(search, (np.arange(data.n), ()))
    for repeat in range(1, repeats):
        yield from _inner(data, search, rows, excluded, count, f"repeat-{repeat}", seed)


def _symmetric(outer: tuple[Fold, ...], cut: int, n: int) -> dict[str, tuple[Fold, ...]]:
    """Every other block of the same cut validates; the final search spares none of the first."""
    blocks = [fold.test for fold in outer]
    searches: dict[str, int | None] = {fold.name: i for i, fold in enumerate(outer)}
    searches[FINAL] = None
    return {
        search: tuple(
            _validate_on(search, j, [j] if spared is None else [spared, j], blocks, n)
            for j in range(first, first + cut)
            if j != spared
        )
        for search, spared in searches.items()
        for first in [(spared or 0) // cut * cut]
    }


def _validate_on(search: str, j: int, excluded: list[int], blocks: list[Rows], n: int) -> Fold:
    inside = np.ones(n, dtype=np.bool_)
    for block in excluded:
        inside[blocks[block]] = False
    names = tuple(sorted(f"block-{block}" for block in excluded))
    return Fold(f"{search}/block-{j}", np.flatnonzero(inside), blocks[j], names)


def _own(
    data: Dataset, outer: tuple[Fold, ...], count: int | None, seed: int
) -> dict[str, tuple[Fold, ...]]:
    """Inner folds of their own: from one second cut, or cut by each search for itself."""
    searches = {fold.name: (fold.train, fold.excluded) for fold in outer}
    searches[FINAL] = (np.arange(data.n), ())
    if data.time is None and data.group is None:
        second = [test for _, test in _cut(data, count or TIME_INNER, seed_for(seed, "inner"), "")]
        return {
            search: tuple(
                _outside(search, j, rows, excluded, inner) for j, inner in enumerate(second)
            )
            for search, (rows, excluded) in searches.items()
        }
    return {
        search: _inner(data, search, rows, excluded, count or TIME_INNER, "inner", seed)
        for search, (rows, excluded) in searches.items()
    }


def _outside(search: str, j: int, rows: Rows, excluded: tuple[str, ...], inner: Rows) -> Fold:
    """Validate on the rows of one inner fold, train on the search's other rows."""
    held = np.isin(rows, inner)
    name = f"inner-{j}"
    if not held.any():
        raise DataError(f"inner folds of search {search}: {name} is empty; ask for fewer folds")
    return Fold(f"{search}/{name}", rows[~held], rows[held], (*excluded, name))


def _inner(
    data: Dataset,
    search: str,
    rows: Rows,
    excluded: tuple[str, ...],
    count: int,
    cut: str,
    seed: int,
) -> tuple[Fold, ...]:
    """One cut of a search's own rows."""
    splits = _cut(data.rows(rows), count, seed_for(seed, cut, search), f" of search {search}")
    return tuple(
        Fold(name, rows[train], rows[test], (*excluded, name))
        for j, (train, test) in enumerate(splits)
        for name in [f"{search}/{cut}-{j}"]
    )


def _cut(data: Dataset, count: int, seed: int, whose: str) -> list[tuple[Rows, Rows]]:
    try:
        return split(data, count, seed)
    except DataError as error:
        raise DataError(f"inner folds{whose}: {error}") from error


def _check(data: Dataset, made: Plan) -> None:
    """A split that ignores a declared role is a defect, and no study may start on it."""
    folds = list(made.folds)
    broken = broken_laws(data, [(fold.train, fold.test) for fold in folds])
    judged = np.sort(np.concatenate([fold.test for fold in made.outer]))
    each = np.repeat(np.arange(data.n), made.outer_repeats)
    if data.time is None and not np.array_equal(judged, each):
        broken.append("the outer folds do not judge each row exactly once")
    if broken:
        raise AssertionError(f"a splitter broke a law: {'; '.join(broken)}")
    for fold in folds:
        # Leaving two blocks out can take the last training row of a class, where groups are few.
        require_classes(data, fold.train, fold.name)
