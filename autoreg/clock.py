"""The time budget of a study, kept across runs."""

from __future__ import annotations

import time

from autoreg.ledger import Ledger


class Clock:
    """The time budget: its end is written to the ledger, so that a resumed run ends there too."""

    def __init__(self, minutes: float | None, ledger: Ledger) -> None:
        self.minutes, self.ledger = minutes, ledger
        rounds = ledger.of("round")
        self.spent = rounds[-1]["seconds"] if rounds else 0.0
        self.started = time.monotonic()

    def allows_another(self, number: int) -> bool:
        """Whether time is left after a complete common round."""
        if self.minutes is None:
            return True
        seconds = self.spent + time.monotonic() - self.started
        self.ledger.append("round", {"round": number, "seconds": seconds})
        if seconds < self.minutes * 60:
            return True
        self.ledger.append("stop", {"round": number})
        return False
