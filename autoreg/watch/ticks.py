"""The ledger of ticks: what each one saw, decided and did; openings of held-out rows included."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoreg.disk import append_line


@dataclass(frozen=True)
class Ticks:
    """The ticks of one watch, in its folder.

    >>> import tempfile
    >>> ticks = Ticks(Path(tempfile.mkdtemp()))
    >>> ticks.append({"tick": "monday", "decision": "skipped"})
    >>> ticks.of("monday")["decision"], ticks.of("tuesday")
    ('skipped', None)
    """

    folder: Path

    @property
    def path(self) -> Path:
        """The file: one JSON line a tick."""
        return self.folder / "ticks.jsonl"

    def all(self) -> list[dict[str, Any]]:
        """All ticks, oldest first; a torn last line was none."""
        if not self.path.exists():
            return []
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def append(self, document: Mapping[str, Any]) -> None:
        """Write a tick down."""
        append_line(self.path, json.dumps(document))

    def of(self, tick: str) -> dict[str, Any] | None:
        """A tick that is over, by its name; a dry run is none."""
        mine = (one for one in self.all() if one["tick"] == tick and one["decision"] != "dry run")
        return next(mine, None)

    @property
    def tuned(self) -> dict[str, Any] | None:
        """The last tick that tuned; None before the first."""
        return next((one for one in reversed(self.all()) if one["decision"] == "tuned"), None)

    @property
    def skipped(self) -> int:
        """How many ticks were skipped since the last one that tuned."""
        count = 0
        for one in reversed(self.all()):
            if one["decision"] == "tuned":
                break
            count += one["decision"] == "skipped"
        return count

    def snapshot(self, tick: str, name: str) -> Path:
        """Where a tick's rows are frozen; files of all ticks have the same name, so that which
        rows are held out does not depend on the tick."""
        return self.folder / "rows" / tick / f"{name}.parquet"

    def tidy(self, keep: int) -> None:
        """Remove old snapshots, except that of the last tick that tuned."""
        folders = sorted((self.folder / "rows").glob("*"), key=lambda one: one.stat().st_mtime)
        needed = self.tuned["tick"] if self.tuned else None
        for folder in folders[:-keep]:
            if folder.name != needed:
                for file in folder.iterdir():
                    file.unlink()
                folder.rmdir()
