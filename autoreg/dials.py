"""Dials of techniques: ranges on their own scale, and choices among named options.

A dial maps the unit interval to its values and back; that is all that a tuner sees of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from autoreg.errors import SpaceError

Value = float | int | str


@dataclass(frozen=True)
class Range:
    """A numeric dial, from ``low`` to ``high`` on its own scale.

    ``off`` is the value at which the technique does nothing (not inside the range where the
    range is logarithmic). ``path`` marks a strength that a solver walks as a whole with warm
    starts, so the tuner never samples it. ``structural`` marks a dial that changes shapes and
    so cannot share a batch. ``stronger`` says in which direction the dial regularizes more.

    >>> dial = Range("rate", 1e-4, 1.0, default=1e-2, log=True)
    >>> round(dial.at(0.5), 6), dial.unit(1e-4), dial.narrowed([1e-3, 1e-1]).low
    (0.01, 0.0, 0.001)
    """

    name: str
    low: float
    high: float
    default: float
    log: bool = False
    integer: bool = False
    off: float | None = None
    path: bool = False
    structural: bool = False
    stronger: Literal["up", "down"] = "up"
    about: str = ""

    def at(self, unit: float) -> float | int:
        """The value at position ``unit`` in [0, 1] of the range, on the dial's own scale.

        Six digits are kept, so that ``at(unit(value))`` is exactly the value again.
        """
        unit = min(max(unit, 0.0), 1.0)
        if self.log:
            value = math.exp(math.log(self.low) + unit * math.log(self.high / self.low))
        else:
            value = self.low + unit * (self.high - self.low)
        value = min(max(float(f"{value:.6g}"), self.low), self.high)
        return round(value) if self.integer else value

    def unit(self, value: Value) -> float:
        """The position in [0, 1] of a value, the inverse of :meth:`at`."""
        number = float(value)
        if self.low == self.high:
            return 0.0
        if self.log:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)

    def strength(self, value: Value) -> float:
        """How strongly a value regularizes, in [0, 1], larger is stronger."""
        unit = min(max(self.unit(value), 0.0), 1.0)
        return unit if self.stronger == "up" else 1.0 - unit

    def contains(self, value: Value) -> bool:
        """Whether a value lies in the range (or is the off value)."""
        if isinstance(value, str):
            return False
        return value == self.off or self.low <= value <= self.high

    def narrowed(self, bounds: list[Value]) -> Range:
        """The same dial on a smaller range; a space narrows, it never widens."""
        if len(bounds) != 2 or any(isinstance(bound, str | bool) for bound in bounds):
            raise SpaceError(f"{self.name}: write a range as [low, high], not {bounds}")
        low, high = (round(float(b)) if self.integer else float(b) for b in bounds)
        if not self.low <= low <= high <= self.high:
            raise SpaceError(
                f"{self.name}: [{low:g}, {high:g}] must lie inside the technique's range "
                f"[{self.low:g}, {self.high:g}] and rise; a space narrows a range, never widens it"
            )
        default = min(max(self.default, low), high)
        return replace(self, low=low, high=high, default=default)

    def words(self) -> str:
        """The range in words."""
        scale = ", log scale" if self.log else ""
        weak = "smaller is stronger" if self.stronger == "down" else "larger is stronger"
        walked = ", the whole path is walked in one trial" if self.path else ""
        return f"{self.low:g} to {self.high:g}{scale} (default {self.default:g}; {weak}{walked})"

    def as_number(self, value: Value) -> float:
        """The number that stands for a value in a stacked tensor."""
        return float(value)


@dataclass(frozen=True)
class Choice:
    """A dial with a few named options; in stacked tensors an option is its position.

    >>> Choice("schedule", ("constant", "fading"), default="constant").as_number("fading")
    1.0
    """

    name: str
    options: tuple[Value, ...]
    default: Value
    structural: bool = False
    path: bool = False
    off: Value | None = None
    about: str = ""

    def at(self, unit: float) -> Value:
        """The option at position ``unit`` in [0, 1]."""
        return self.options[min(int(unit * len(self.options)), len(self.options) - 1)]

    def unit(self, value: Value) -> float:
        """The middle of an option's interval in [0, 1], the inverse of :meth:`at`."""
        return (self.options.index(value) + 0.5) / len(self.options)

    def strength(self, value: Value) -> float:
        """Options carry no strength: always 0."""
        return 0.0

    def contains(self, value: Value) -> bool:
        """Whether a value is one of the options."""
        return value in self.options

    def narrowed(self, bounds: list[Value]) -> Choice:
        """The same dial with fewer options; its default is the nearest of them to the old one.

        >>> Choice("factors", (0, 2, 4), default=4).narrowed([0, 2]).default
        2
        """
        unknown = [bound for bound in bounds if bound not in self.options]
        if unknown or not bounds:
            raise SpaceError(f"{self.name}: choose from {list(self.options)}, not {bounds}")
        options = tuple(option for option in self.options if option in bounds)
        places = {option: place for place, option in enumerate(self.options)}
        default = min(options, key=lambda one: abs(places[one] - places[self.default]))
        return replace(self, options=options, default=default)

    def words(self) -> str:
        """The options in words."""
        return f"{' | '.join(map(str, self.options))} (default {self.default})"

    def as_number(self, value: Value) -> float:
        """The number that stands for an option in a stacked tensor: its position."""
        return float(self.options.index(value))


Dial = Range | Choice
