"""Held-out rows: set aside at the source, opened once, for one selection, and written down.

The search never gets this object: it holds the only reference to the held-out rows, cannot be
pickled (so no worker can receive it), and :meth:`Sealed.open` is the only way in. Which rows
are sealed depends on the data source, never on the study's seed: another seed gives no second
chance.

The ledger of openings lies beside all studies of a home folder, not inside one of them. It
remembers each opened row by a keyed hash, so that dropping a row, renaming the study or
copying it evades nothing, and no value can be read back from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from autoreg.data.dataset import Dataset
from autoreg.spec import seed_for
from autoreg.splitters import holdout


class Sealed:
    """The held-out rows of one study, closed."""

    def __init__(self, rows: Dataset) -> None:
        self.__rows = rows
        self.n = rows.size

    def __reduce__(self) -> NoReturn:
        raise TypeError("held-out rows cannot be pickled: no worker may ever receive them")

    def __repr__(self) -> str:
        return f"Sealed({self.n} rows)"

    def open(self, openings: Openings, selection: str, study: str, *, reopen: bool) -> Opening:
        """Open the rows for the selection of that digest, if the ledger allows it.

        The first opening is allowed. The same selection may look again (its verdict is the
        recorded one). A different selection finds the rows sealed, unless ``reopen``.
        """
        hashes = row_hashes(self.__rows, openings.key)
        earlier = openings.by_others(hashes, selection)
        if earlier and not reopen:
            return Opening(None, "sealed")
        openings.record(study, selection, hashes)
        return Opening(self.__rows, f"reused {len(earlier)}" if earlier else "first")


class Opening:
    """The answer to a request: the rows, or None where they stay sealed; and which opening."""

    def __init__(self, rows: Dataset | None, kind: str) -> None:
        self.rows = rows
        self.kind = kind


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
    rest, held = holdout(data, share, seed_for("held-out", data.name))
    return data.rows(rest), Sealed(data.rows(held))


class Openings:
    """The ledger of openings of a home folder, and the key of its row hashes."""

    def __init__(self, home: Path) -> None:
        self.path = home / "openings.jsonl"
        self.key = _key(home / "openings.key")

    def records(self) -> list[dict[str, Any]]:
        """All openings, oldest first; a torn last line is not one."""
        if not self.path.exists():
            return []
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def by_others(self, hashes: list[str], selection: str) -> list[dict[str, Any]]:
        """Earlier openings of any of these rows for another selection."""
        mine = set(hashes)
        return [
            record
            for record in self.records()
            if record["selection"] != selection and not mine.isdisjoint(record["rows"])
        ]

    def record(self, study: str, selection: str, hashes: list[str]) -> None:
        """Write an opening down, once for each selection, BEFORE the rows are handed out."""
        if any(
            record["selection"] == selection and set(record["rows"]) >= set(hashes)
            for record in self.records()
        ):
            return
        line = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "study": study,
            "selection": selection,
            "rows": hashes,
        }
        _drop_torn_line(self.path)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def row_hashes(data: Dataset, key: str) -> list[str]:
    """A keyed hash of each row's cells and target, by content and not by position.

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


def _key(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        partial = path.with_suffix(".new")
        partial.write_text(secrets.token_hex(24))
        partial.chmod(0o600)
        partial.rename(path)
    return path.read_text()


def _drop_torn_line(path: Path) -> None:
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        path.write_bytes(content[: content.rfind(b"\n") + 1])
