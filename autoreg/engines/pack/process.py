"""A helper as a process of its own: ``python -m autoreg.engines.pack.process``.

    jobs -> standard input, read by a thread -> scheduler, an epoch at a turn -> outcomes

Why a process: what surrounds the products of small networks is Python, which runs on one thread
at a time. It says when it is ready, and it ends with its input, so with the process that started
it, however that ends.
"""

from __future__ import annotations

import os
import pickle
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue

import joblib

from autoreg.candidate import candidate
from autoreg.engines.base import Job, Outcome
from autoreg.engines.pack import PackEngine, room
from autoreg.engines.pack.scheduler import Scheduler
from autoreg.spec import LinearSpec


def listen(stream: Connection, heard: SimpleQueue[bytes]) -> None:
    """Read what comes, at once, so that whoever sends it never waits; its end is the process's."""
    while True:
        try:
            heard.put(stream.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)


class Desk:
    """What was asked of a helper: a table at a time, and numbered jobs on it."""

    def __init__(self) -> None:
        self._scheduler: Scheduler | None = None
        self._numbers: dict[Job, int] = {}

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to train."""
        return self._scheduler is None or self._scheduler.is_idle

    def take(self, message: str | list[tuple[int, Job]]) -> None:
        """Open a table, which lies in a file; or line up jobs on the one that is open."""
        if isinstance(message, str):
            # Pages that nobody changes are shared with all who have opened the file.
            self._scheduler = Scheduler(joblib.load(message, mmap_mode="c"), room)
            return
        assert self._scheduler is not None, "a table comes before its jobs"
        self._numbers |= {job: number for number, job in message}
        self._scheduler.line_up(job for _, job in message)

    def turn(self) -> list[tuple[int, Outcome]]:
        """Train for an epoch of one stack; the outcomes."""
        assert self._scheduler is not None, "a table comes before its jobs"
        return [(self._numbers.pop(job), outcome) for job, outcome in self._scheduler.turn()]


def main() -> None:
    """Train what is asked for until the input ends."""
    incoming = Connection(os.dup(0), writable=False)
    outgoing = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # whatever prints does not print into the answers
    desk, heard = Desk(), SimpleQueue[bytes]()
    threading.Thread(target=listen, args=(incoming, heard), daemon=True).start()
    PackEngine().warm_up([candidate("network", [], {})], "binary", LinearSpec())
    outgoing.send([])  # it is ready
    while True:
        while desk.is_idle or not heard.empty():
            # Not in the thread: what cannot be read must end the process, or it is waited for.
            desk.take(pickle.loads(heard.get()))
        if found := desk.turn():
            outgoing.send(found)


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # nobody listens any more
        main()
    os._exit(0)
