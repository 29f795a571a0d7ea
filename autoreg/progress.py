"""Progress of long work, told to whoever listens; the plain listener prints a line now and then.

A listener sees three things: a phase begins with its number of steps, a step is done, the phase
ends. It can neither change nor break a study.
"""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

TELLING = 0.01  # the share of the work from which on its pace is one


class Progress(Protocol):
    """Listens to a study."""

    def begin(self, phase: str, steps: int, done: int = 0) -> None:
        """A phase starts; ``done`` of its steps were done by an earlier run."""

    def advance(self, done: float, note: str = "") -> None:
        """So many steps are done now, fractions included; ``note`` is worth showing."""

    def end(self) -> None:
        """The phase is over."""


class Silent:
    """Shows nothing."""

    def begin(self, phase: str, steps: int, done: int = 0) -> None:
        """Ignore it."""

    def advance(self, done: float, note: str = "") -> None:
        """Ignore it."""

    def end(self) -> None:
        """Ignore it."""


class PlainProgress:
    """Prints a line at most every few seconds, for log files and pipes.

    >>> import io
    >>> out = io.StringIO()
    >>> progress = PlainProgress(out, every=0)
    >>> progress.begin("search", 4)
    >>> progress.advance(2, "best loss 0.1")
    >>> "search 2/4" in out.getvalue()
    True
    """

    def __init__(self, out: TextIO | None = None, every: float = 5.0) -> None:
        self.out = out or sys.stderr
        self.every = every
        self.phase, self.steps, self.done_before = "", 0, 0
        self.started = self.printed = 0.0

    def begin(self, phase: str, steps: int, done: int = 0) -> None:
        """Remember when the phase began; one that is a single step says so, or it would be mute."""
        self.phase, self.steps, self.done_before = phase, steps, done
        self.started = self.printed = time.monotonic()
        if steps == 1:
            print(f"{phase} ...", file=self.out, flush=True)

    def advance(self, done: float, note: str = "") -> None:
        """Print where the phase stands, unless a line was printed just now."""
        if self.steps == 1:
            return
        now = time.monotonic()
        if now - self.printed < self.every and done < self.steps:
            return
        self.printed = now
        elapsed = now - self.started
        left = time_to_go(elapsed, done - self.done_before, self.steps - done)
        line = f"{self.phase} {int(done)}/{self.steps}  {clock(elapsed)} gone, {left} to go"
        print(line + (f"  {note}" if note else ""), file=self.out, flush=True)

    def end(self) -> None:
        """Print how long the phase took."""
        took = clock(time.monotonic() - self.started)
        print(f"{self.phase} done in {took}", file=self.out, flush=True)


def listening(progress: Progress | bool) -> Progress:
    """The listener that is meant: True prints plain lines, False nothing.

    >>> isinstance(listening(False), Silent)
    True
    """
    if isinstance(progress, bool):
        return PlainProgress() if progress else Silent()
    return progress


def time_to_go(elapsed: float, done: float, left: float) -> str:
    """The time that the rest will take at the pace so far, in words; a hundredth tells no pace.

    >>> time_to_go(10, 2, 4), time_to_go(1, 0, 4), time_to_go(60, 0.001, 4)
    ('0:20', '?', '?')
    """
    return clock(elapsed / done * left) if done > TELLING * (done + left) else "?"


def clock(seconds: float) -> str:
    """Seconds as minutes:seconds, or hours:minutes:seconds.

    >>> clock(75), clock(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
