"""What is told to the writer: two documents beside the ledger, and the ledger itself.

The ledger already holds every trial, durably and in order, so the writer reads it as it grows and
the search does nothing for MLflow at all. The documents hold what the ledger lacks: ``opening``
what the study asks, ``closing`` what it found. They stay, so that the view can be rebuilt in any
store at any time. ``state`` is the writer's own: how far it got.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autoreg.disk import made, write_whole
from autoreg.errors import StudyError
from autoreg.trial import Trial

LOCK_PAUSE = 0.1
WORDS = frozenset({"at", "note", "texts"})


@dataclass(frozen=True)
class Told:
    """A trial of the ledger, and when it was recorded, in milliseconds since 1970."""

    trial: Trial
    at: int


@dataclass
class State:
    """How far the writer got: the parent's run and its experiment, what is left, and why.

    ``moved`` is the time of its last sign of life, ``refused`` what the store will never take.
    """

    run: str | None = None
    experiment: str | None = None
    written: int = 0
    left: int = 0
    reason: str | None = None
    refused: tuple[str, ...] = ()
    moved: float = 0.0
    ready: bool = False
    over: bool = False


class Spool:
    """The part of a study's folder that the writer reads, and its state.

    >>> import tempfile
    >>> spool = Spool(Path(tempfile.mkdtemp()))
    >>> spool.write("opening", {"key": "wine:1"})
    >>> spool.opening["key"], spool.closing
    ('wine:1', None)
    """

    def __init__(self, study_folder: Path) -> None:
        self.study_folder = study_folder
        self.folder = study_folder / "tracking"
        self.ledger = study_folder / "ledger.jsonl"

    @property
    def opening(self) -> dict[str, Any] | None:
        """What the study asks; None before it began."""
        return self._read("opening")

    @property
    def closing(self) -> dict[str, Any] | None:
        """What the study found; None before it is over. Of this ledger, not of an earlier one."""
        opening, closing = self._read("opening"), self._read("closing")
        return closing if opening and closing and closing["key"] == opening["key"] else None

    def write(self, name: str, document: dict[str, Any]) -> None:
        """Write a document, all of it or nothing.

        Its time is that of the first writing for as long as its numbers stay: what is told to a
        store twice is then the same.
        """
        now = {"at": round(1000 * time.time())}
        before = self._read(name) or now
        document = json.loads(json.dumps(document))  # as it will be read
        same = _numbers(before) == _numbers(document)
        made(self.folder)
        self._replace(name, {**document, "at": before["at"] if same else now["at"]})

    def trials(self) -> Tail:
        """The trials of the ledger, from the beginning."""
        return Tail(self.ledger)

    @property
    def state(self) -> State:
        """How far the writer got; that of a writer which never was, where there is none."""
        found = self._read("state") or {}
        return State(**found | {"refused": tuple(found.get("refused", ()))})

    def tell(self, state: State) -> None:
        """Write down how far the writer got."""
        made(self.folder)
        self._replace("state", asdict(state))

    @contextmanager
    def locked(self, patience: float = 0.0) -> Iterator[None]:
        """Be the only writer of this study; waits that long for another to end.

        Raises StudyError where the other one does not.
        """
        made(self.folder)
        deadline = time.monotonic() + patience
        with (self.folder / "lock").open("w") as file:
            while not _taken(file.fileno()):
                if time.monotonic() > deadline:
                    raise StudyError(
                        f"another process is writing {self.study_folder.name} to MLflow; "
                        f"wait for it to end"
                    )
                time.sleep(LOCK_PAUSE)
            yield

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / f"{name}.json"
        if not path.exists():
            return None
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return document

    def _replace(self, name: str, document: dict[str, Any]) -> None:
        durable = name != "state"  # which is only a sign of life
        write_whole(self.folder / f"{name}.json", json.dumps(document), durable=durable)


class Tail:
    """The trials of a ledger that grows: each call of ``more`` yields those that are new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = 0

    def more(self) -> Iterator[Told]:
        """The trials recorded since the last one taken; a line being written waits."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._place += len(line)
                if line.startswith(b'{"kind":"trial"'):
                    record = json.loads(line)
                    yield Told(Trial.from_data(record), round(1000 * record.get("at", 0)))

    def left(self) -> int:
        """How many trials are still to come."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as file:
            file.seek(self._place)
            return sum(line.startswith(b'{"kind":"trial"') for line in file)


def _numbers(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in WORDS}


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
