"""How often each champion was asked to go: ``promotions.jsonl`` in the home folder.

One line for each comparison, whatever came of it: who was compared, on which rows (keyed hashes),
and what the gate said. A comparison that is repeated, because a tick was cut off, say, is the same
asking as before: it has the same number, and so the same answer.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from autoreg.disk import append_line
from autoreg.sealed import Openings
from autoreg.tracking.gate import Comparison, Standing


@dataclass(frozen=True)
class Asking:
    """A challenger of a champion of a registered model, on rows known by their hashes."""

    name: str
    champion: str
    challenger: str
    hashes: tuple[str, ...]

    @classmethod
    def from_data(cls, line: dict[str, Any]) -> Asking:
        """That of a line of the file."""
        hashes = tuple(line["hashes"])
        return cls(line["name"], line["champion"], line["challenger"], hashes)

    @property
    def models(self) -> tuple[str, str, str]:
        """Who is compared."""
        return (self.name, self.champion, self.challenger)


class Askings:
    """All comparisons of a home folder.

    >>> import tempfile
    >>> askings = Askings(Path(tempfile.mkdtemp()))
    >>> askings.standing(Asking("bikes", "1", "2", ("a", "b")))
    Standing(asking=1, evidence=1.0, repeated=False)
    """

    def __init__(self, home: Path) -> None:
        self.path, self.key = home / "promotions.jsonl", Openings(home).key

    def all(self) -> list[tuple[Asking, float]]:
        """Each with the evidence that it added, oldest first; a torn last line was none."""
        if not self.path.exists():
            return []
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        lines = map(json.loads, whole.splitlines())
        return [(Asking.from_data(one), one["comparison"].get("added", 1.0)) for one in lines]

    def standing(self, asking: Asking) -> Standing:
        """What its champion has been through before it.

        The askings of all reigns count: one that was brought back by a rollback goes on.
        """
        reign: dict[Asking, float] = {}
        for one, added in self.all():
            if one.models[:2] == asking.models[:2]:
                reign.setdefault(one, added)
        before = list(takewhile(lambda one: one != asking, reign))
        evidence = math.prod((reign[one] for one in before), start=1.0)
        repeated = any(not set(one.hashes).isdisjoint(asking.hashes) for one in before)
        return Standing(len(before) + 1, evidence, repeated)

    def record(self, asking: Asking, study: str, found: Comparison) -> int:
        """Write one down; how many earlier ones of other models saw any of its rows."""
        others = [one for one, _ in self.all() if one.models != asking.models]
        reused = sum(not set(one.hashes).isdisjoint(asking.hashes) for one in others)
        name, champion, challenger = asking.models
        line = {
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "name": name,
            "champion": champion,
            "challenger": challenger,
            "study": study,
            "comparison": found.to_data(),
            "hashes": list(asking.hashes),
        }
        append_line(self.path, json.dumps(line))
        return reused
