"""The writer as a process of its own: ``python -m autoreg.tracking.process FOLDER HOME GRACE``.

Why a process: MLflow takes seconds to import and tens of milliseconds a run, which a thread would
take from the search. It reads the study's folder, hears the study's last word through its standard
input, and outlives a study that is killed for just as long as it takes to write the rest and to
close the runs.
"""

from __future__ import annotations

import gc
import os
import select
import sys
import time
from pathlib import Path

from autoreg.errors import StudyError
from autoreg.tracking.projection import Projection
from autoreg.tracking.spool import Spool
from autoreg.tracking.store import Store, impatient

NICE = 5  # the search comes first
HANDOVER = 60.0  # seconds that the writer of an earlier run may take to end
STATUSES = frozenset({"FINISHED", "FAILED", "KILLED"})


class Pipe:
    """The study's words from a pipe; a study that is gone without one was killed."""

    def __init__(self, descriptor: int, parent: int) -> None:
        self.descriptor, self.parent = descriptor, parent
        self._last: str | None = None

    @property
    def last(self) -> str | None:
        """The study's last word; None while it runs."""
        self._hear(0.0)
        return self._last

    def listen(self, seconds: float) -> None:
        """Wait for that long, or until the last word."""
        if self._last is None:
            self._hear(seconds)
        else:
            time.sleep(seconds)

    def _hear(self, seconds: float) -> None:
        if self._last is not None:
            return
        if select.select([self.descriptor], [], [], seconds)[0]:
            word = os.read(self.descriptor, 100).decode().strip()
            self._last = word if word in STATUSES else "KILLED"
        elif os.getppid() != self.parent:  # a process of the study may still hold the pipe
            self._last = "KILLED"


def spare_the_collector() -> None:
    """Collect garbage rarely: MLflow makes many small objects that live for one call only."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def main(arguments: list[str]) -> int:
    """Write one study; 0 where everything is written."""
    folder, home, grace = Path(arguments[0]), Path(arguments[1]), float(arguments[2])
    os.nice(NICE)
    spool = Spool(folder)
    words = Pipe(sys.stdin.fileno(), os.getppid())
    spare_the_collector()
    try:
        with spool.locked(HANDOVER), impatient():
            state = Projection(spool, Store.of(home), words, grace).run()
    except StudyError as error:
        print(error, file=sys.stderr)
        return 75
    return 0 if state.reason is None else 75


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(status)  # the study waits, and tearing MLflow down takes a third of a second
