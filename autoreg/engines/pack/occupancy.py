"""How full stacks are: places that models trained in, of all places that there were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_LISTENING: list[Occupancy] = []


@dataclass
class Occupancy:
    """Steps of models (``used``), steps of places (``available``) and of whole stacks.

    A place is counted from when a model takes it until its stack is set aside or ends, so what is
    lost is what models that stop early leave empty because nobody of their kind waits.

    >>> with counted() as found:
    ...     count(3, 4, 10)
    >>> found.share, found.models
    (0.75, 3.0)
    """

    used: int = 0
    available: int = 0
    steps: int = 0

    @property
    def share(self) -> float:
        """The share of the places that were used."""
        return self.used / max(1, self.available)

    @property
    def models(self) -> float:
        """How many models a step trained, on the average."""
        return self.used / max(1, self.steps)


@contextmanager
def counted() -> Iterator[Occupancy]:
    """Count the steps of all stacks while the block runs."""
    found = Occupancy()
    _LISTENING.append(found)
    try:
        yield found
    finally:
        _LISTENING.remove(found)


def count(models: int, places: int, steps: int) -> None:
    """Take note of steps of a stack that has so many places."""
    for one in _LISTENING:
        one.used += models * steps
        one.available += places * steps
        one.steps += steps
