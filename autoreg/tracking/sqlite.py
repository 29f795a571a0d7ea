"""How this process talks to an SQLite store: what MLflow asks of a connection is asked once.

MLflow opens about seven sessions for a run and repeats three settings in each of them, although
a connection keeps them: a seventh of all the time that a run takes.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import event
from sqlalchemy.engine import Engine, IteratorResult
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.elements import TextClause

REPEATED = (
    "PRAGMA foreign_keys = ON;",
    "PRAGMA busy_timeout = 20000;",
    "PRAGMA case_sensitive_like = true;",
)
SETTLED = "autoreg.settled"  # marks a connection that has these settings


def hasten(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    """Settle a new SQLite connection, and spare it the wait for the disk at each commit.

    With a write-ahead log the database stays whole whatever happens; a loss of power may cost
    the last runs, and the ledger still has them.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-65536")  # 64 MiB, so that large stores stay quick
        for setting in REPEATED:
            connection.execute(setting)
        entry.info[SETTLED] = True


def spare(state: ORMExecuteState) -> IteratorResult[tuple[()]] | None:
    """Nothing instead of a setting that the connection has already."""
    asked = state.statement
    if not isinstance(asked, TextClause) or asked.text not in REPEATED:
        return None
    if SETTLED not in state.session.connection().info:
        return None
    return IteratorResult(SimpleResultMetaData(()), iter(()))


def attend() -> None:
    """Look after all SQLite connections of this process from now on."""
    if not event.contains(Engine, "connect", hasten):
        event.listen(Engine, "connect", hasten)
    if not event.contains(Session, "do_orm_execute", spare):
        event.listen(Session, "do_orm_execute", spare)
