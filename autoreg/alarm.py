"""What findings say of themselves: alarms (signs of leaks), lines of the info sheet, advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Alarm:
    """What one check saw, and what to do about it.

    ``code`` is what ``ignore:`` in a study names. An error stops a study before its search.

    >>> Alarm("id_column", "warning", "a column counts the rows", "case", "leave it out").line
    'id_column: a column counts the rows: case; leave it out'
    """

    code: str
    severity: Severity
    title: str
    seen: str
    remedy: str

    @property
    def line(self) -> str:
        """The alarm as one sentence, code first."""
        return f"{self.code}: {self.title}: {self.seen}; {self.remedy}"

    def to_data(self) -> dict[str, Any]:
        """The alarm as plain data."""
        return dict(vars(self))

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Alarm:
        """The inverse of :meth:`to_data`."""
        return cls(**data)


@dataclass(frozen=True)
class SheetItem:
    """One kind of leakage of the model info sheet, and what is known about it in this study.

    ``status`` is ``evidence`` (something the machine checked speaks against it), ``alarm``
    (something speaks for it), ``asked`` (only the user can know) or ``answered`` (the user did).
    """

    code: str
    question: str
    status: Literal["evidence", "alarm", "asked", "answered"]
    answer: str

    def to_data(self) -> dict[str, Any]:
        """The item as plain data."""
        return dict(vars(self))


@dataclass(frozen=True)
class Advice:
    """What to try next, in a sentence; ``how`` is a command, or lines of the study file.

    >>> Advice("Prove that no row leaked.", "autoreg verify wine").line
    'Prove that no row leaked. `autoreg verify wine`'
    """

    text: str
    how: str = ""

    @property
    def line(self) -> str:
        """The advice with its command, on one line."""
        return f"{self.text} `{self.how}`" if self.how else self.text

    def to_data(self) -> dict[str, Any]:
        """The advice as plain data."""
        return dict(vars(self))
