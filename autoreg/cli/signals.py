"""Being told to stop: once, and everything recorded is kept; twice, and it is over at once.

SIGTERM is what schedulers send, SIGINT is Ctrl-C. The first of them interrupts the main thread,
drops the fit that is running, lets MLflow's writer close its runs, and ends with 128 + its number.
The second ends the process on the spot, even while compiled code holds the main thread: it is
heard by a thread of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread, current_thread, main_thread
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
BASE = 128  # exit codes of shells: 128 + the signal's number


class Stopped(KeyboardInterrupt):
    """The process was told to stop; ``exit_code`` is 130 (Ctrl-C) or 143 (SIGTERM)."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = BASE + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, the first SIGTERM or SIGINT raises Stopped, the second ends the process.

    Does nothing outside the main thread, which is the only one that hears signals.
    """
    if current_thread() is not main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    told: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        told.append(number)
        if len(told) == 1:
            raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    waker = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    listener = Thread(target=_listen, args=(reading,), daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writing)
        listener.join()


def _listen(reading: int) -> None:
    """Count the signals as they arrive; after the second one there is no mercy."""
    seen = 0
    while byte := os.read(reading, 1):
        if byte[0] in SIGNALS:
            seen += 1
        if seen > 1:
            os._exit(BASE + byte[0])
    os.close(reading)
