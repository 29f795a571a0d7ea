"""The time budget of a study: of its search, kept across runs, and of one run as a whole.

``minutes`` is what the search may take, all runs together. ``within`` is what one run may take
from its start to its end, so that a scheduler need not kill it: a reserve is kept back for what
comes behind the search (refits, judging, report), estimated from what fits have taken so far.

Both end all searches at a complete common round, which is written to the ledger, so that a resumed
run ends there, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from autoreg.errors import BudgetError
from autoreg.ledger import Ledger

REPORTING = 8.0  # seconds: models, report, the rest of MLflow's queue
LEAST = 0.1  # share of a run that is kept back in any case
CAUTION = 1.5  # refits see more rows than the fits that were timed


class OutOfTimeError(Exception):
    """The run must go on to its verdict with the rounds that are complete."""


@dataclass(frozen=True)
class Window:
    """When a run began, on the monotonic clock, and how many seconds it may take; None: any.

    ``closing`` seconds are what comes behind the last fit.
    """

    started: float
    seconds: float | None = None
    closing: float = REPORTING

    @classmethod
    def of(cls, minutes: float | None, closing: float = REPORTING) -> Window:
        """A window that begins now."""
        return cls(time.monotonic(), None if minutes is None else 60 * minutes, closing)

    @property
    def left(self) -> float:
        """The seconds that are left."""
        if self.seconds is None:
            return float("inf")
        return self.started + self.seconds - time.monotonic()


class Clock:
    """The time budget of one run, from the first fit on.

    ``later`` says about how many fits come behind a search of so many trials.
    """

    def __init__(
        self,
        minutes: float | None,
        ledger: Ledger,
        window: Window | None = None,
        later: Callable[[int], int] = lambda trials: 0,
    ) -> None:
        self.minutes, self.ledger = minutes, ledger
        self.window, self.later = window or Window.of(None), later
        rounds = ledger.of("round")
        self.spent = rounds[-1]["seconds"] if rounds else 0.0
        self.started = time.monotonic()
        self._round_began = self.started
        self._fits = self._trials = 0

    def allows_another(self, number: int, fits: int = 0) -> bool:
        """Whether time is left after a complete common round, which took so many fits."""
        if self.minutes is None and self.window.seconds is None:
            return True
        now = time.monotonic()
        seconds, took = self.spent + now - self.started, now - self._round_began
        self._round_began, self._fits, self._trials = now, self._fits + fits, number + 1
        self.ledger.append("round", {"round": number, "seconds": seconds})
        in_budget = self.minutes is None or seconds < self.minutes * 60
        if in_budget and self.window.left - took > self.reserve:
            return True
        self.stop(number)
        return False

    def stop(self, number: int) -> None:
        """Write down that the search ended with this round."""
        self.ledger.append("stop", {"round": number})

    def look(self, common: int) -> None:
        """Look at the clock within a round; every search has so many trials.

        Raises OutOfTimeError where the round cannot be waited for, BudgetError where some search
        has no trial, so that there is nothing to go on with.
        """
        if self.window.left > self.reserve:
            return
        if common:
            raise OutOfTimeError
        if self.window.left < 0:
            raise BudgetError(
                f"{(self.window.seconds or 0) / 60:g} minutes were over before each search had a "
                f"trial; allow more (--within, or an estimator's minutes), or ask for smaller fits"
            )

    @property
    def reserve(self) -> float:
        """The seconds to keep back for what comes behind the search."""
        if self.window.seconds is None:
            return 0.0
        pace = (time.monotonic() - self.started) / self._fits if self._fits else 0.0
        least = max(LEAST * self.window.seconds, self.window.closing)
        return least + CAUTION * pace * self.later(self._trials)
