"""The durable record of a study: one JSON line for each thing that happened, fsynced.

The ledger is the truth; Optuna's memory, MLflow and the report are projections of it. Lines
are appended only. A torn last line (the process died while writing) is cut off on opening;
damage anywhere else is an error.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autoreg.disk import append_line, cut_torn_line, exclusive, guarded, made, sweep
from autoreg.errors import StudyError
from autoreg.trial import Trial


class Ledger:
    """An append-only file of records; each is a dict with a ``kind``.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Ledger.open(folder / "l.jsonl", {"digest": "a"}).append("stop", {"round": 3})
    >>> [record["kind"] for record in Ledger.open(folder / "l.jsonl", {"digest": "a"}).records]
    ['study', 'stop']
    """

    def __init__(self, path: Path, records: list[dict[str, Any]]) -> None:
        self.path = path
        self.records = records

    @classmethod
    def open(cls, path: Path, header: Mapping[str, Any]) -> Ledger:
        """Open a ledger, or begin one with the header.

        Raises StudyError where the ledger on disk was begun with another header: it belongs to
        another configuration or other data.
        """
        made(path.parent)
        ledger = cls(path, list(_read(path)))
        if not ledger.records:
            ledger.append("study", {**header, "id": secrets.token_hex(8)})
        begun = {k: v for k, v in ledger.records[0].items() if k != "kind"}
        if changed := [name for name in header if begun.get(name) != header[name]]:
            raise StudyError(
                f"{path.parent} holds a study with another {' and '.join(changed)}; "
                f"give the study another name, or start it anew with --fresh "
                f"(the old state is kept beside it)"
            )
        return ledger

    @property
    def id(self) -> str:
        """What tells this ledger from every other, begun anew under the same name or not."""
        return str(self.records[0]["id"])

    def append(self, kind: str, data: Mapping[str, Any]) -> None:
        """Write one record; when this returns it is on the disk."""
        record = {"kind": kind, **data}
        append_line(self.path, json.dumps(record, separators=(",", ":")))
        self.records.append(record)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All records of a kind, oldest first."""
        return [record for record in self.records if record["kind"] == kind]

    def trials(self) -> dict[str, list[Trial]]:
        """The finished trials by search, in order."""
        found: dict[str, list[Trial]] = {}
        for record in self.of("trial"):
            trial = Trial.from_data(record)
            found.setdefault(trial.search, []).append(trial)
        return found


def _read(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with guarded(path):
        cut_torn_line(path)
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise StudyError(
                f"{path}:{number}: the ledger is damaged ({error}); restore the file from a "
                f"backup, or start the study anew with --fresh"
            ) from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a study's folder for one process; the lock ends with the process.

    Raises BusyError where another process holds it, DiskError where the folder cannot be written.
    """
    busy = f"{folder} is in use by another run of this study; wait for it to end"
    with exclusive(made(folder) / "lock", busy):
        sweep(folder)
        sweep(folder / "model")
        yield
