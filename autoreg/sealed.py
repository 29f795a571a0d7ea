"""Held-out rows: set aside at the source, opened once, for one selection, and written down.

The search never gets this object: it holds the only reference to the held-out rows, cannot be
pickled or copied (so no worker can receive it), and :meth:`Sealed.open` is the only way in. Which
rows are sealed depends on the data source, never on the study's seed: another seed gives no
second chance.

The ledger of openings lies beside all studies of a home folder, not inside one of them. It
remembers each opened row by two keyed hashes, one of its features and target, one of all cells
that the source had in this row. So dropping a row or a column, another target, renaming or
copying the study evade nothing, and no value can be read back from it. A selection that was
judged is not judged again: its verdict is in the ledger, too.

Opening rows that an earlier selection has seen takes an explicit flag. The result is marked
"reused k", k being the number of those selections, and its interval widened by
:func:`autoreg.statistics.widened`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from autoreg.data.dataset import Dataset, Rows
from autoreg.disk import append_line, guarded, made, write_whole
from autoreg.spec import seed_for
from autoreg.splitters import holdout


class Sealed:
    """The held-out rows of one study, closed."""

    __slots__ = ("__rows", "n")

    def __init__(self, rows: Dataset) -> None:
        self.__rows = rows
        self.n = rows.size

    def __reduce__(self) -> NoReturn:
        raise TypeError("held-out rows cannot be pickled: no worker may ever receive them")

    def __getstate__(self) -> NoReturn:
        self.__reduce__()

    def __repr__(self) -> str:
        return f"Sealed({self.n} rows)"

    def open(self, openings: Openings, selection: str, study: str, *, reopen: bool) -> Opening:
        """Open the rows for the selection of that digest, if the ledger allows it.

        The first opening is allowed. A selection that was judged gets its recorded verdict, and
        no rows; one that was cut off before that may look again. Any other selection finds the
        rows sealed, unless ``reopen``.
        """
        content = row_hashes(self.__rows, openings.key)
        hashes = [*content, *source_hashes(self.__rows, openings.key)]
        with openings.alone():
            mine = openings.of(selection, hashes)
            if mine is not None:
                verdict = openings.verdict(selection)
                return Opening(None if verdict else self.__rows, mine["reused"], verdict)
            earlier = openings.seen(hashes) - {selection}
            if earlier and not reopen:
                return Opening(None, len(earlier))
            openings.record(study, selection, hashes, len(earlier))
            return Opening(self.__rows, len(earlier))


@dataclass(frozen=True, eq=False)
class Opening:
    """The answer to a request to open the held-out rows.

    ``rows`` is None where they stay sealed, or where the selection was judged before: then
    ``verdict`` is what was recorded. ``reused`` counts the other selections that had seen any of
    the rows before.
    """

    rows: Dataset | None
    reused: int
    verdict: Mapping[str, Any] | None = None

    @property
    def kind(self) -> str:
        """``first``, ``reused k`` or ``sealed``.

        >>> Opening(None, 2).kind
        'sealed'
        """
        if self.rows is None and self.verdict is None:
            return "sealed"
        return f"reused {self.reused}" if self.reused else "first"


def seal(data: Dataset, share: float | None) -> tuple[Dataset, Sealed | None]:
    """Cut a data set into development rows and sealed held-out rows.

    >>> from autoreg.data import load
    >>> from autoreg.spec import DataSpec
    >>> development, held_out = seal(load(DataSpec(source="wine")), 0.2)
    >>> development.n + held_out.n
    178
    """
    if share is None:
        return data, None
    rest, held = sealed_rows(data, share)
    return data.rows(rest), Sealed(data.rows(held))


def sealed_rows(data: Dataset, share: float) -> tuple[Rows, Rows]:
    """Row ids: the development rows, and the rows that are set aside."""
    return holdout(data, share, seed_for("held-out", data.name))


class Openings:
    """The ledger of openings of a home folder, and the key of its row hashes."""

    def __init__(self, home: Path) -> None:
        self.path = home / "openings.jsonl"
        self.key = _key(home / "openings.key")

    def records(self) -> list[dict[str, Any]]:
        """All that was written down, oldest first; a torn last line was not."""
        if not self.path.exists():
            return []
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def openings(self) -> list[dict[str, Any]]:
        """All openings, oldest first."""
        return [record for record in self.records() if "rows" in record]

    def of(self, selection: str, hashes: Collection[str]) -> dict[str, Any] | None:
        """The opening of all of these rows for one selection, if there was one."""
        mine = (one for one in self.openings() if one["selection"] == selection)
        return next((one for one in mine if set(one["rows"]) >= set(hashes)), None)

    def seen(self, hashes: Collection[str]) -> set[str]:
        """The selections for which any of these rows was opened."""
        mine = set(hashes)
        return {one["selection"] for one in self.openings() if not mine.isdisjoint(one["rows"])}

    def record(self, study: str, selection: str, hashes: list[str], reused: int) -> None:
        """Write an opening down BEFORE the rows are handed out; to be called ``alone``."""
        line = {"study": study, "selection": selection, "reused": reused, "rows": hashes}
        self._append(line)

    def judge(self, selection: str, verdict: Mapping[str, Any]) -> None:
        """Write down how a selection did on the rows that were opened for it."""
        with self.alone():
            self._append({"selection": selection, "verdict": dict(verdict)})

    def verdict(self, selection: str) -> dict[str, Any] | None:
        """How a selection did, if it was judged."""
        mine = [one for one in self.records() if one["selection"] == selection]
        return next((one["verdict"] for one in mine if "verdict" in one), None)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else looks at the ledger or writes to it meanwhile."""
        with guarded(self.path):
            file = self.path.with_suffix(".lock").open("w")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _append(self, record: Mapping[str, Any]) -> None:
        line = {"when": datetime.now(UTC).isoformat(timespec="seconds"), **record}
        append_line(self.path, json.dumps(line))


def row_hashes(data: Dataset, key: str) -> list[str]:
    """A keyed hash of each row's features and target, by content and not by position.

    >>> from autoreg.data import load
    >>> from autoreg.spec import DataSpec
    >>> wine = load(DataSpec(source="wine"))
    >>> row_hashes(wine.rows(np.array([5])), "k") == row_hashes(wine, "k")[5:6]
    True
    """
    secret = key.encode()
    levels = [(j, c.levels) for j, c in enumerate(data.columns) if c.is_categorical]
    numeric = [j for j, column in enumerate(data.columns) if not column.is_categorical]
    # Adding zero turns -0.0 into 0.0, which is the same cell.
    cells = np.ascontiguousarray(data.X[:, numeric] + 0.0)
    targets = [data.classes[k] for k in data.y] if data.classes else data.y.tolist()
    hashes = []
    for row, target in zip(range(data.n), targets, strict=True):
        state = hashlib.blake2b(cells[row].tobytes(), key=secret, digest_size=10)
        for column, names in levels:
            cell = data.X[row, column]
            state.update(b"\x1f" + (names[int(cell)] if cell >= 0 else "").encode())
        state.update(b"\x1e" + repr(target).encode())
        hashes.append(state.hexdigest())
    return hashes


def source_hashes(data: Dataset, key: str) -> list[str]:
    """A keyed hash of all cells that the source had in each row; empty where nobody knows them.

    Leaving a column out, giving it a role, or predicting another one changes nothing here.

    >>> from autoreg.data import load
    >>> from autoreg.spec import DataSpec
    >>> wine, less = (load(DataSpec(source="wine", drop=drop)) for drop in ((), ("hue",)))
    >>> source_hashes(wine, "k") == source_hashes(less, "k"), wine.digest == less.digest
    (True, False)
    """
    if data.marks is None:
        return []
    secret = key.encode()
    return [
        hashlib.blake2b(mark.tobytes(), key=secret, person=b"source", digest_size=10).hexdigest()
        for mark in data.marks
    ]


def _key(path: Path) -> str:
    """The home folder's key; made once, and never by two processes at once."""
    made(path.parent)
    if not path.exists():
        with guarded(path), path.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not path.exists():
                write_whole(path, secrets.token_hex(24), private=True)
    return path.read_text()
