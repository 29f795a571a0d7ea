"""The certificate of a study: what was garbled, what had to stay, how much was compared.

``noninterference.py`` writes it into the folder of the study; report, tracking and ``show`` read
it. It is plain data with a hash over itself, so that a changed one is not taken for real.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autoreg.disk import made, write_whole

FORMAT = 1
FILE_NAME = "certificate.json"
SHOWN = 3  # leaks in one sentence
UNITS = ("bytes", "kB", "MB", "GB")
TIED = ("configuration", "data", "splits")  # what a study must agree with to be covered

Level = Literal["held-out", "outer", "inner", "alone"]


@dataclass(frozen=True)
class Check:
    """One thing that was done to rows which some fits or searches must not see.

    ``level`` says to which: the held-out rows, an outer block, an inner validation block; or
    ``alone``: no rows are garbled, one search runs without the others. ``compared`` counts the
    values that had to stay equal, ``bytes`` what they hold. ``leaks`` says in words what moved
    all the same, the first of each search or fit. ``seen`` counts the searches or fits that do
    train on these rows and so had to move; ``blind`` names those that did not: where there are
    any, the check could not have seen a leak.
    """

    level: Level
    garbage: str
    block: str
    rows: int
    compared: int
    bytes: int
    leaks: tuple[str, ...] = ()
    seen: int = 0
    blind: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """``leak``, ``blind`` or ``clean``.

        >>> Check("outer", "huge", "outer-0", 30, 9, 72, blind=("final",), seen=3).outcome
        'blind'
        """
        return "leak" if self.leaks else "blind" if self.blind else "clean"

    def to_data(self) -> dict[str, Any]:
        """The check as plain data."""
        lists = {"leaks": list(self.leaks), "blind": list(self.blind)}
        return {**vars(self), **lists, "outcome": self.outcome}


@dataclass(frozen=True)
class Certificate:
    """What ``verify`` found about one study, bit for bit.

    ``configuration``, ``data`` and ``splits`` are digests of what it is about; ``trials`` of each
    search and ``epochs`` of each training were run (those of the study where nothing was cut
    short; 0 where all models are linear). ``replayed`` counts the study's recorded trials that were
    run again here and came out equal, ``differing`` those that did not; both are 0 for a study that
    has not run.

    >>> check = Check("outer", "huge", "outer-0", 30, compared=9, bytes=72, seen=3)
    >>> one = Certificate("s", "a", "b", "c", "2026-01-01", {}, 8, 4, (check,))
    >>> one.outcome, one.words[0]
    ('clean', 'no leak: 72 bytes of 9 values stayed equal, bit for bit')
    >>> Certificate.from_data(one.to_data()) == one
    True
    """

    study: str
    configuration: str
    data: str
    splits: str
    when: str
    versions: Mapping[str, str]
    trials: int
    epochs: int
    checks: tuple[Check, ...]
    replayed: int = 0
    differing: int = 0
    seconds: float = 0.0

    @property
    def outcome(self) -> Literal["clean", "leak", "blind"]:
        """The worst outcome of all checks; a leak is worse than a check that sees nothing."""
        found = {check.outcome for check in self.checks}
        return "leak" if "leak" in found else "clean" if found == {"clean"} else "blind"

    @property
    def leaks(self) -> tuple[str, ...]:
        """Everything that moved and should not have, in words."""
        return tuple(leak for check in self.checks for leak in check.leaks)

    @property
    def sentence(self) -> str:
        """The outcome in one sentence."""
        if self.outcome == "leak":
            more = len(self.leaks) - SHOWN
            rest = f"; and {more} more" if more > 0 else ""
            return f"LEAK: {'; '.join(self.leaks[:SHOWN])}{rest}"
        if self.outcome == "blind":
            unseen = dict.fromkeys(name for check in self.checks for name in check.blind)
            return (
                f"nothing is proven: {', '.join(unseen)} did not notice garbage among the rows "
                f"they train on, so a leak would not have been seen either"
            )
        compared = sum(check.compared for check in self.checks)
        size = in_units(sum(check.bytes for check in self.checks))
        return f"no leak: {size} of {compared:,} values stayed equal, bit for bit"

    @property
    def words(self) -> tuple[str, ...]:
        """The outcome, what was done at each level, and how far it reached."""
        lines = [self.sentence, *filter(None, map(self._at, LEVELS))]
        passes = f", trainings of {self.epochs} epochs" if self.epochs else ""
        lines.append(f"{self.trials} trials of each search{passes}")
        if self.differing:
            lines.append(
                f"{self.differing} recorded trials came out otherwise here: other machine, "
                f"versions, or processor"
            )
        elif self.replayed:
            lines.append(f"{self.replayed} recorded trials were run again and came out equal")
        return tuple(lines)

    def _at(self, level: str) -> str:
        """What was done at one level, and what it showed."""
        checks = [check for check in self.checks if check.level == level]
        if not checks:
            return ""
        clean = sum(check.outcome == "clean" for check in checks)
        seen = sum(check.seen for check in checks)
        moved = seen - sum(len(check.blind) for check in checks)
        kinds = ", ".join(dict.fromkeys(check.garbage for check in checks if check.garbage))
        how = f" ({kinds})" if kinds else ""
        power = f"; {moved} of {seen} {TRAINED[level]} moved" if level in TRAINED else ""
        return f"{LEVELS[level]}{how}: {clean} of {len(checks)} clean{power}"

    def covers(self, header: Mapping[str, Any]) -> bool:
        """Whether it is about the study with that header: same configuration, rows and splits."""
        return all(getattr(self, name) == header[name] for name in TIED)

    def to_data(self) -> dict[str, Any]:
        """The certificate as plain data, with a hash over all of it."""
        checks = [check.to_data() for check in self.checks]
        body = {
            "format": FORMAT,
            **vars(self),
            "versions": dict(self.versions),
            "outcome": self.outcome,
            "words": list(self.words),
            "checks": checks,
        }
        return {**body, "digest": _digest(body)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Certificate:
        """The inverse of :meth:`to_data`; ValueError where the hash does not fit."""
        body = {name: value for name, value in data.items() if name != "digest"}
        if data.get("digest") != _digest(body):
            raise ValueError("the certificate was changed after it was written")
        known = {name: body[name] for name in cls.__dataclass_fields__}
        known["checks"] = tuple(_check(one) for one in body["checks"])
        return cls(**known)


LEVELS = {
    "held-out": "held-out rows garbled at the source",
    "outer": "outer blocks garbled",
    "inner": "inner validation blocks garbled",
    "alone": "a search run without the others",
}
TRAINED = {"outer": "searches that train on them", "inner": "fits that train on them"}


def write_certificate(one: Certificate, folder: Path) -> Path:
    """Write a certificate into the folder of a study, whole or not at all."""
    return write_whole(made(folder) / FILE_NAME, json.dumps(one.to_data(), indent=2))


def read_certificate(folder: Path, header: Mapping[str, Any]) -> Certificate | None:
    """The certificate of a study; None where there is none, or one of another study's state."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        one = Certificate.from_data(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError):
        return None  # damaged or changed by hand: it proves nothing
    return one if one.covers(header) else None


def in_units(count: float) -> str:
    """A number of bytes as people read it.

    >>> in_units(72), in_units(1_234_567)
    ('72 bytes', '1.2 MB')
    """
    steps = 0
    while count >= 1000 and steps < len(UNITS) - 1:
        count, steps = count / 1000, steps + 1
    return f"{count:.0f} bytes" if not steps else f"{count:.1f} {UNITS[steps]}"


def _digest(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _check(data: Mapping[str, Any]) -> Check:
    known = {name: data[name] for name in Check.__dataclass_fields__}
    return Check(**{**known, "leaks": tuple(data["leaks"]), "blind": tuple(data["blind"])})
