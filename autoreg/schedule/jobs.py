"""The jobs of a home folder and what came of them, in one SQLite file that survives restarts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from autoreg.disk import made, transaction
from autoreg.errors import SpecError, StudyError
from autoreg.home import home_folder
from autoreg.schedule import times

FORMAT = 1
TABLES = """
CREATE TABLE IF NOT EXISTS jobs (name TEXT PRIMARY KEY, spec TEXT NOT NULL, handled TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
  id INTEGER PRIMARY KEY, job TEXT NOT NULL, due TEXT NOT NULL, attempt INTEGER NOT NULL,
  started TEXT NOT NULL, pid INTEGER, born TEXT, ended TEXT, code INTEGER, note TEXT
);
CREATE INDEX IF NOT EXISTS runs_of_job ON runs (job, id);
"""
BY_CONTRACT = frozenset({"run", "tick"})  # commands that know --json, --tick and --within
Misfire = Literal["once", "skip", "all"]


@dataclass(frozen=True)
class Job:
    """A command of autoreg and when it is due.

    ``misfire`` says what becomes of moments that were missed: ``once`` runs the latest of them,
    ``skip`` only one that is less than ``grace`` minutes late, ``all`` each of them. ``minutes``
    is what one run may take.
    """

    name: str
    cron: str
    command: tuple[str, ...]
    zone: str = "UTC"
    misfire: Misfire = "once"
    grace: float = 30.0
    minutes: float | None = None
    folder: str = "."
    home: str = ""

    def arguments(self, tick: str | None = None) -> list[str]:
        """The arguments of autoreg for one run.

        >>> Job("nightly", "0 3 * * *", ("run", "wine"), home="/data").arguments("2026-11-28")
        ['run', 'wine', '--home', '/data', '--json', '--tick', '2026-11-28']
        """
        found = [*self.command, *(["--home", self.home] if self.home else [])]
        if self.command[0] in BY_CONTRACT:
            found += ["--json", *(["--tick", tick] if tick else [])]
            found += ["--within", f"{self.minutes:g}"] if self.minutes else []
        return found


@dataclass(frozen=True)
class Run:
    """One run of a job: for which moment, the process, and how it ended."""

    number: int
    job: str
    due: datetime
    attempt: int
    started: datetime
    pid: int | None = None
    born: str | None = None
    ended: datetime | None = None
    code: int | None = None
    note: str | None = None


class Jobs:
    """The jobs of a home folder.

    >>> import tempfile
    >>> jobs = Jobs(tempfile.mkdtemp())
    >>> job = jobs.add(Job("nightly", "0 3 * * *", ("run", "wine")))
    >>> [one.name for one in jobs.all()]
    ['nightly']
    """

    def __init__(self, home: str | Path | None = None) -> None:
        self.home = made(home_folder(home))
        self.path = self.home / "schedule.db"
        with transaction(self.path) as connection:
            connection.executescript(TABLES)
            # Readers do not wait for the daemon, nor it for them.
            connection.execute("PRAGMA journal_mode=WAL")

    def add(self, job: Job, now: datetime | None = None) -> Job:
        """Add a job; its first due moment is the next one.

        Raises SpecError for a job that cannot be read, StudyError where the name is taken.
        """
        times.check(job.cron, job.zone)
        if not job.name or not all(one.isalnum() or one in "-_." for one in job.name):
            raise SpecError(f"{job.name!r} is no name of a job: use letters, digits, - and _")
        if not job.command:
            raise SpecError("a job needs a command: -- run houses.yaml, for example")
        whole = replace(job, home=job.home or str(self.home))
        with transaction(self.path) as connection:
            try:
                connection.execute(
                    "INSERT INTO jobs VALUES (?, ?, ?)",
                    (job.name, json.dumps(asdict(whole)), _text(now or datetime.now(UTC))),
                )
            except sqlite3.IntegrityError:
                raise StudyError(
                    f"there is a job {job.name} already; `autoreg schedule remove {job.name}` "
                    f"removes it"
                ) from None
        return whole

    def remove(self, name: str) -> None:
        """Remove a job; what it did is kept. Raises StudyError where there is none."""
        self.get(name)
        with transaction(self.path) as connection:
            connection.execute("DELETE FROM jobs WHERE name = ?", (name,))

    def get(self, name: str) -> Job:
        """A job by its name. Raises StudyError where there is none, naming the others."""
        for job in self.all():
            if job.name == name:
                return job
        known = ", ".join(job.name for job in self.all()) or "none yet"
        raise StudyError(f"there is no job {name} in {self.path}; there is {known}")

    def all(self) -> list[Job]:
        """All jobs, by name."""
        with transaction(self.path) as connection:
            rows = connection.execute("SELECT spec FROM jobs ORDER BY name").fetchall()
        specs = [json.loads(row[0]) for row in rows]
        return [Job(**{**one, "command": tuple(one["command"])}) for one in specs]

    def handled(self, name: str) -> datetime:
        """The moment up to which a job needs no more run."""
        with transaction(self.path) as connection:
            row = connection.execute("SELECT handled FROM jobs WHERE name = ?", (name,)).fetchone()
        return datetime.fromisoformat(row[0])

    def begin(self, name: str, due: datetime, attempt: int, now: datetime) -> int:
        """Write down that a run begins, and that its moment is taken care of, in one go."""
        with transaction(self.path) as connection:
            cursor = connection.execute(
                "INSERT INTO runs (job, due, attempt, started) VALUES (?, ?, ?, ?)",
                (name, _text(due), attempt, _text(now)),
            )
            self._mark(connection, name, due)
        return int(cursor.lastrowid or 0)

    def drop(self, name: str, due: datetime, now: datetime, note: str) -> None:
        """Write down that a moment was missed for good."""
        with transaction(self.path) as connection:
            connection.execute(
                "INSERT INTO runs (job, due, attempt, started, ended, note) VALUES (?,?,0,?,?,?)",
                (name, _text(due), _text(now), _text(now), note),
            )
            self._mark(connection, name, due)

    def update(self, number: int, **changes: Any) -> None:
        """Change some fields of a run."""
        names = ", ".join(f"{name} = ?" for name in changes)
        values = [_text(one) if isinstance(one, datetime) else one for one in changes.values()]
        with transaction(self.path) as connection:
            connection.execute(f"UPDATE runs SET {names} WHERE id = ?", (*values, number))

    def runs(self, name: str | None = None, last: int = 1000) -> list[Run]:
        """The last runs, of one job or of all, oldest first."""
        where, of = ("WHERE job = ?", (name,)) if name else ("", ())
        with transaction(self.path) as connection:
            query = f"SELECT * FROM runs {where} ORDER BY id DESC LIMIT {last:d}"
            rows: Sequence[Any] = connection.execute(query, of).fetchall()
        return [_run(row) for row in reversed(rows)]

    @staticmethod
    def _mark(connection: sqlite3.Connection, name: str, due: datetime) -> None:
        connection.execute("UPDATE jobs SET handled = ? WHERE name = ?", (_text(due), name))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _run(row: Sequence[Any]) -> Run:
    number, job, due, attempt, started, pid, born, ended, code, note = row
    moments = [datetime.fromisoformat(one) if one else None for one in (due, started, ended)]
    assert moments[0] is not None
    assert moments[1] is not None
    return Run(number, job, moments[0], attempt, moments[1], pid, born, moments[2], code, note)
