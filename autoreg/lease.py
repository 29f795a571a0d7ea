"""A lease on a study's folder, for machines that share it: who works there, and until when.

The lock of :func:`autoreg.ledger.locked` ends with its process and is enough on one machine. On a
shared disk a lock may not reach the other machines; there the lease says who is at work, and a
machine that went away gives the study free when its lease runs out.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from autoreg.disk import guarded, write_whole
from autoreg.errors import BusyError, DiskError

TERM = 60.0  # seconds that a lease holds without being renewed
RENEWAL = 15.0


class Lease:
    """One holder's lease; :meth:`check` says whether it is still held.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with leased(folder) as lease:
    ...     lease.check()
    >>> (folder / "lease.json").exists()
    False
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = secrets.token_hex(8)
        self._over = Event()

    def take(self) -> None:
        """Take the lease. Raises BusyError where another machine holds it."""
        other = _read(self.path)
        # On this machine the lock has decided already: whoever held a lease here is gone.
        if other and other["host"] != _host() and other["until"] > time.time():
            raise BusyError(
                f"{self.path.parent} is in use on {other['host']} (process {other['pid']}); wait "
                f"for it to end; its lease runs out in {other['until'] - time.time():.0f} seconds"
            )
        self._write()
        Thread(target=self._renew, daemon=True).start()

    def check(self) -> None:
        """Raise BusyError where another one has taken over: this run was silent for too long."""
        held = _read(self.path)
        if held is None or held["token"] != self.token:
            raise BusyError(
                f"another run has taken {self.path.parent} over, because this one gave no sign of "
                f"life for {TERM:g} seconds; its trials are kept"
            )

    def give_back(self) -> None:
        """End the lease."""
        self._over.set()
        held = _read(self.path)
        if held and held["token"] == self.token:
            with guarded(self.path):
                self.path.unlink(missing_ok=True)

    def _renew(self) -> None:
        while not self._over.wait(RENEWAL):
            held = _read(self.path)
            if held is None or held["token"] != self.token:
                return  # whoever works here will notice by ``check``
            try:
                self._write()
            except DiskError:
                continue  # the next write of the study says so

    def _write(self) -> None:
        mine = {"token": self.token, "host": _host(), "pid": os.getpid()}
        write_whole(self.path, json.dumps(mine | {"until": time.time() + TERM}), durable=False)


@contextmanager
def leased(folder: Path) -> Iterator[Lease]:
    """Hold the lease of a folder. Raises BusyError where another machine holds it."""
    lease = Lease(folder / "lease.json")
    lease.take()
    try:
        yield lease
    finally:
        lease.give_back()


def _host() -> str:
    return socket.gethostname()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found
