"""An alarm: a sign of a leak or of a result that is worth less than it seems, by its code."""

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

    >>> Alarm("id_column", "warning", "a column numbers the rows", "'id' does", "drop it").line
    'id_column: a column numbers the rows: \\'id\\' does; drop it'
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
