"""Where MLflow's store is, and how to serve it."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoreg.home import home_folder

# MLflow's own defaults wait for minutes, and only then say that a server is away; print two
# lines to stdout for every run that a server closes; and report their use to its makers.
QUICK_AND_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@dataclass(frozen=True)
class Store:
    """A tracking store; ``database`` is the file of the local default, None for any other.

    ``experiment_id`` and ``run`` are those that MLflow's variables ask for, None otherwise: the
    study then logs into that experiment, and into that run.

    >>> Store.of(Path("/data/runs"), {}).uri
    'sqlite:////data/runs/mlflow.db'
    >>> Store.of(Path("/data/runs"), {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}).database
    """

    uri: str
    experiment: str
    artifacts: str | None = None
    database: Path | None = None
    experiment_id: str | None = None
    run: str | None = None

    @classmethod
    def of(cls, home: Path, environment: Mapping[str, str] | None = None) -> Store:
        """The store that MLflow's own variables name, else SQLite in the home folder."""
        known = os.environ if environment is None else environment
        experiment = known.get("MLFLOW_EXPERIMENT_NAME") or "autoreg"
        asked = known.get("MLFLOW_EXPERIMENT_ID") or None, known.get("MLFLOW_RUN_ID") or None
        # Without an absolute location, artifacts of a database would land in the working folder.
        artifacts = (home / "artifacts").as_uri()
        if uri := known.get("MLFLOW_TRACKING_URI"):
            return cls(uri, experiment, artifacts if _is_file(uri) else None, None, *asked)
        database = home / "mlflow.db"
        return cls(f"sqlite:///{database}", experiment, artifacts, database, *asked)

    @property
    def patience(self) -> float:
        """Seconds without a sign of life after which nobody waits for the store any longer.

        A file answers or fails; it is slow only where the machine is. A server may hang.
        """
        return 15.0 if self.database is None else 60.0

    def prepare(self) -> None:
        """Let readers and the writer of a local store work side by side."""
        if self.database is None:
            return
        self.database.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")

    def tidy(self) -> None:
        """Refresh the statistics by which SQLite sorts thousands of runs in no time."""
        if self.database is None:
            return
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            connection.execute("PRAGMA analysis_limit=1000")
            connection.execute("ANALYZE")


def _is_file(uri: str) -> bool:
    return uri.startswith("sqlite:")


def without_secrets(text: str) -> str:
    """The text without the user names and passwords of the addresses in it.

    >>> without_secrets("no answer from https://me:secret@host:5000/api")
    'no answer from https://host:5000/api'
    """
    return re.sub(r"(?<=://)[^/\s@]*@", "", text)


def discreet(text: str) -> str:
    """The text without secrets and without the folders of this machine's people.

    >>> discreet(f"cannot read {Path.home()}/data/x.csv")
    'cannot read ~/data/x.csv'
    """
    text = without_secrets(text)
    for folder, stand_in in ((Path.cwd(), "."), (Path.home(), "~")):
        if len(folder.parts) > 1:
            text = re.sub(re.escape(str(folder)) + r"(?![\w.-])", stand_in, text)
    return text


@contextmanager
def impatient() -> Iterator[None]:
    """Fail within seconds when a server is away, and print nothing, unless the user says so."""
    added = {name: value for name, value in QUICK_AND_QUIET.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def server_command(home: Path | None, port: int) -> list[str]:
    """The command that serves the local store's pages on 127.0.0.1, and runs no jobs."""
    folder = home_folder(home)
    store = Store.of(folder, {})
    store.prepare()
    return [
        *("env", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"),
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", store.uri),
        *("--default-artifact-root", str(store.artifacts)),
        *("--artifacts-destination", str(store.artifacts)),
    ]
