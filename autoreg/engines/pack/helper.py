"""Helpers: processes of their own that train networks, as the one that hired them sees them."""

from __future__ import annotations

import atexit
import os
import subprocess
from collections.abc import Iterable
from multiprocessing.connection import Connection

from autoreg.child import child
from autoreg.engines.base import Job, Outcome

# There is a helper for each core, so none of them uses more than one.
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}


class Helper:
    """Another process that trains, and what it has under way."""

    def __init__(self) -> None:
        self._process = child(
            "autoreg.engines.pack.process", stdout=subprocess.PIPE, environment=ONE_THREAD
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self.news = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        self._process.stdin.close()
        self._process.stdout.close()
        self._under_way: dict[int, Job] = {}
        self._asked = 0
        self.is_ready, self.is_gone = False, False

    @property
    def under_way(self) -> list[Job]:
        """The jobs whose outcomes it has not told."""
        return list(self._under_way.values())

    def open(self, table: str) -> None:
        """Say in which file the table of the next jobs lies."""
        self._send(table)

    def line_up(self, jobs: Iterable[Job]) -> None:
        """Give it jobs."""
        numbered = list(enumerate(jobs, self._asked))
        self._asked += len(numbered)
        self._under_way |= dict(numbered)
        self._send(numbered)

    def hear(self) -> list[tuple[Job, Outcome]]:
        """What it has told; a helper that has died is gone, and its jobs remain under way."""
        found: list[tuple[Job, Outcome]] = []
        try:
            while self.news.poll():
                result = self.news.recv()
                self.is_ready = True
                found += [(self._under_way.pop(number), outcome) for number, outcome in result]
        except (EOFError, OSError):
            self.is_gone = True
        return found

    def end(self) -> None:
        """Let it go, whatever it is at."""
        self._process.kill()
        self._process.wait()
        self._to.close()
        self.news.close()

    def _send(self, message: object) -> None:
        try:
            self._to.send(message)
        except OSError:
            self.is_gone = True


_IDLE: list[Helper] = []  # hired, and without work


def idle() -> Helper | None:
    """A helper that was hired before and has no work; None where there is none."""
    return _IDLE.pop() if _IDLE else None


def release(helper: Helper) -> None:
    """Keep a helper that is done; what it has under way is of no use to anybody."""
    if helper.is_gone or helper.under_way:
        helper.end()
    else:
        _IDLE.append(helper)


@atexit.register
def dismiss() -> None:
    """Let all helpers go that have no work."""
    while (one := idle()) is not None:
        one.end()
