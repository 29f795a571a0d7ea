"""The trials of a study in a database, and who is at work on which: PostgreSQL, or SQLite.

Why tables of our own beside Optuna's: Optuna's heartbeats work inside ``Study.optimize`` only, a
trial that it finds stale is copied under a new number, and numbers are what a search's next
settings are computed from. Here a trial is a row that is there once, by its key; a lease is a row
that one statement gives to one worker. Optuna's own tables are written from the finished trials.

All clocks are the database's, so those of the workers need not agree.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from autoreg.errors import BusyError, SpecError, StudyError
from autoreg.trial import Trial

T = TypeVar("T")

# Seconds that a lease holds without being renewed.
TERM = float(os.environ.get("AUTOREG_LEASE_TERM", "60"))
TABLES = (
    "CREATE TABLE IF NOT EXISTS autoreg_studies (study VARCHAR(200) PRIMARY KEY, key VARCHAR(40))",
    "CREATE TABLE IF NOT EXISTS autoreg_trials (study VARCHAR(200), search VARCHAR(60), "
    "number INTEGER, record TEXT, worker VARCHAR(120), PRIMARY KEY (study, search, number))",
    "CREATE TABLE IF NOT EXISTS autoreg_leases (study VARCHAR(200), search VARCHAR(60), "
    "number INTEGER, owner VARCHAR(120), until DOUBLE PRECISION, attempts INTEGER, "
    "PRIMARY KEY (study, search, number))",
)
CLAIM = """
INSERT INTO autoreg_leases (study, search, number, owner, until, attempts)
VALUES (:study, :search, :number, :owner, {now} + :term, 1)
ON CONFLICT (study, search, number) DO UPDATE
SET owner = excluded.owner, until = excluded.until, attempts = autoreg_leases.attempts + 1
WHERE autoreg_leases.until < {now}
RETURNING attempts
"""
RENEW = """
UPDATE autoreg_leases SET until = {now} + :term
WHERE study = :study AND search = :search AND number = :number AND owner = :owner
"""
STORE = """
INSERT INTO autoreg_trials (study, search, number, record, worker)
VALUES (:study, :search, :number, :record, :owner)
ON CONFLICT (study, search, number) DO NOTHING
"""
RELEASE = """
DELETE FROM autoreg_leases
WHERE study = :study AND search = :search AND number = :number AND owner = :owner
"""
RECORD = """
SELECT record FROM autoreg_trials
WHERE study = :study AND search = :search AND number = :number
"""
NOW = {
    "postgresql": "EXTRACT(EPOCH FROM clock_timestamp())",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
PATIENCE = 600.0  # seconds that a database which is away is waited for
LONGEST_PAUSE = 5.0


class Queue:
    """A study's trials and leases. Every call is repeated while the database is away.

    Raises SpecError for an address that cannot be used, StudyError where the database holds a
    study of that name with another configuration or other data, BusyError where it stays away.
    """

    def __init__(self, url: str, study: str, key: str, owner: str, patience: float = PATIENCE):
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        self.study, self.owner, self.patience = study, owner, patience
        self._known: dict[tuple[str, int], Trial] = {}
        try:
            self._engine = sqlalchemy.create_engine(_driver(url), pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise SpecError(
                f"--storage: {error}; it is postgresql://user@host/database (which takes pip "
                f"install 'autoreg[postgresql]') or sqlite:///file"
            ) from error
        kind = self._engine.dialect.name
        if kind not in NOW:
            raise SpecError(f"--storage: {kind} is not supported; use PostgreSQL or SQLite")
        self._now = NOW[kind]
        self._do(self._prepare)
        own = {"study": study, "key": key}
        self._run(
            "INSERT INTO autoreg_studies (study, key) VALUES (:study, :key) "
            "ON CONFLICT (study) DO NOTHING",
            own,
        )
        known = self._rows("SELECT key FROM autoreg_studies WHERE study = :study", own)
        if known[0][0] != key:
            raise StudyError(
                f"the database holds a study {study} with another configuration, other data or "
                f"of another version of autoreg; give the study another name"
            )

    def trials(self) -> dict[str, list[Trial]]:
        """The finished trials by search, in order of their numbers; each is fetched once."""
        of = {"study": self.study}
        keys = self._rows("SELECT search, number FROM autoreg_trials WHERE study = :study", of)
        for search, number in sorted(map(tuple, keys)):
            if (search, number) not in self._known:
                query = RECORD, {**of, "search": search, "number": number}
                ((record,),) = self._rows(*query)
                self._known[search, number] = Trial.from_data(json.loads(record))
        found: dict[str, list[Trial]] = {}
        for search, number in sorted(self._known):
            found.setdefault(search, []).append(self._known[search, number])
        return found

    def claim(self, search: str, number: int, term: float = TERM) -> int | None:
        """Take a trial: which attempt at it this is, or None where somebody else is at work."""
        rows = self._rows(CLAIM, {**self._key(search, number), "term": term})
        return int(rows[0][0]) if rows else None

    def renew(self, search: str, number: int, term: float = TERM) -> None:
        """Say that this worker is still at work on a trial."""
        self._run(RENEW, {**self._key(search, number), "term": term})

    def finish(self, trial: Trial) -> bool:
        """Record a trial and give its lease back; whether it was not there before."""
        key = self._key(trial.search, trial.number)
        record = json.dumps(trial.to_data() | {"at": round(time.time(), 3)})

        def both(connection: Any) -> bool:
            made = connection.execute(_text(STORE), {**key, "record": record}).rowcount
            connection.execute(_text(RELEASE), key)
            return bool(made)

        return self._do(both)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # ---- inside -------------------------------------------------------------------------------

    def _key(self, search: str, number: int) -> dict[str, Any]:
        return {"study": self.study, "search": search, "number": number, "owner": self.owner}

    def _prepare(self, connection: Any) -> None:
        for table in TABLES:
            connection.execute(_text(table))

    def _rows(self, query: str, values: dict[str, Any]) -> Sequence[Any]:
        asked = _text(query.replace("{now}", self._now))
        return self._do(lambda connection: connection.execute(asked, values).fetchall())

    def _run(self, query: str, values: dict[str, Any]) -> None:
        asked = _text(query.replace("{now}", self._now))
        self._do(lambda connection: connection.execute(asked, values))

    def _do(self, act: Callable[[Any], T]) -> T:
        """Do something in one transaction, again and again while the database is away."""
        from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

        deadline, pause = time.monotonic() + self.patience, 0.1
        while True:
            try:
                with self._engine.begin() as connection:
                    return act(connection)
            except (OperationalError, InterfaceError, DBAPIError) as error:
                if isinstance(error, ProgrammingError) and not _of_a_race(error):
                    raise
                if time.monotonic() > deadline:
                    words = str(error.orig).splitlines()[0]
                    raise BusyError(
                        f"the database is away ({words}); the same command continues"
                    ) from error
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)


def _of_a_race(error: Exception) -> bool:
    """Whether two workers made the same table at the same moment: a second look finds it."""
    return "already exists" in str(error) or "pg_type_typname" in str(error)


def _driver(url: str) -> str:
    """The address with the driver that the extra installs, unless it names one."""
    for name in ("postgresql://", "postgres://"):
        if url.startswith(name):
            return "postgresql+psycopg://" + url.removeprefix(name)
    return url


def _text(query: str) -> Any:
    from sqlalchemy import text

    return text(query)
