"""The listener: puts what happens into a queue; one thread writes, and takes all the blows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from autoreg.findings import Findings
from autoreg.spec import StudySpec
from autoreg.tracking.store import Store, impatient, without_secrets
from autoreg.trial import Trial

if TYPE_CHECKING:
    import pandas as pd

    from autoreg.tracking.writer import Writer

WAITS = (0.2, 1.0, 3.0)
TICK = 0.1
Task = Callable[["Writer"], None]


class Tracker(Protocol):
    """Listens to a study. No method raises because a store is away."""

    @property
    def problem(self) -> str | None:
        """What could not be written and why, in one sentence; None where all was written."""

    def begin(
        self, spec: StudySpec, key: str, data: Mapping[str, Any], splits: Mapping[str, Any]
    ) -> None:
        """The study starts, or goes on."""

    def trial(self, trial: Trial) -> None:
        """A trial is finished; those of an earlier run are told again."""

    def run(self) -> str | None:
        """The id of the parent run; waits until it exists, None where it cannot."""

    def finish(
        self, findings: Findings, report: Path, model_folder: Path, example: pd.DataFrame | None
    ) -> None:
        """The study is over; waits until everything is written. No example: no model."""

    def __enter__(self) -> Tracker:
        """Start listening."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening; a study that broke off leaves no run open."""


def open_tracker(home: Path, *, enabled: bool = True) -> Tracker:
    """A listener for the store that MLflow's variables or the home folder name.

    >>> with open_tracker(Path("nowhere"), enabled=False) as tracker:
    ...     tracker.run()
    """
    return MlflowTracker(Store.of(home)) if enabled else NullTracker()


class NullTracker:
    """Writes nothing."""

    problem: str | None = None

    def begin(
        self, spec: StudySpec, key: str, data: Mapping[str, Any], splits: Mapping[str, Any]
    ) -> None:
        """Ignore it."""

    def trial(self, trial: Trial) -> None:
        """Ignore it."""

    def run(self) -> str | None:
        """There is no run."""
        return None

    def finish(
        self, findings: Findings, report: Path, model_folder: Path, example: pd.DataFrame | None
    ) -> None:
        """Ignore it."""

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class MlflowTracker:
    """Writes to MLflow on a thread of its own.

    A task that fails is tried again a few times. After that the store counts as away: the
    thread only counts what it is told, and the ledger keeps it for the next run. A store that
    is silent counts as away too, as soon as the study has nothing left to do but wait for it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._tasks: Queue[Task | None] = Queue()
        self._begun = threading.Event()
        self._run: str | None = None
        self._reason: str | None = None
        self._status = "FAILED"  # of the runs that are still open at the end
        self._told = self._written = 0
        self._moved = time.monotonic()
        self._silent = False
        self._thread = threading.Thread(target=self._work, name="autoreg-mlflow", daemon=True)

    @property
    def problem(self) -> str | None:
        """What could not be written and why; None where all was written."""
        if self._reason is None:
            return None
        return (
            f"{self._told - self._written} of {self._told} entries were not written to "
            f"{without_secrets(self.store.uri)} ({self._reason}); the ledger holds everything, "
            f"and the same command tries again to write the rest"
        )

    def begin(
        self, spec: StudySpec, key: str, data: Mapping[str, Any], splits: Mapping[str, Any]
    ) -> None:
        """Queue the opening of the parent run."""

        def task(writer: Writer) -> None:
            writer.begin(spec, key, data, splits)
            self._run = writer.parent
            self._begun.set()

        self._tell(task)

    def trial(self, trial: Trial) -> None:
        """Queue a trial."""
        self._tell(lambda writer: writer.trial(trial))

    def run(self) -> str | None:
        """Wait for the parent run."""
        self._wait(self._begun.wait)
        return self._run

    def finish(
        self, findings: Findings, report: Path, model_folder: Path, example: pd.DataFrame | None
    ) -> None:
        """Queue the end, and wait until the queue is empty."""
        self._tell(lambda writer: writer.verdict(findings))
        self._tell(lambda writer: writer.files(findings, report))
        if example is not None:
            self._tell(lambda writer: writer.model(findings, model_folder, example))
        self._tell(lambda writer: writer.close())
        self._stop()

    def __enter__(self) -> Tracker:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._status = "KILLED"
        self._stop()

    # ---- the study's side ---------------------------------------------------------------------

    def _tell(self, task: Task) -> None:
        self._told += 1
        self._tasks.put(task)

    def _stop(self) -> None:
        self._tasks.put(None)
        self._wait(self._ended)

    def _ended(self, timeout: float) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _wait(self, over: Callable[[float], bool]) -> None:
        """Wait for as long as the thread gets on; one that hangs in a silent store is left."""
        patience = self.store.patience
        begun = self._moved if self._silent else time.monotonic()
        while not over(TICK):
            if time.monotonic() - max(self._moved, begun) > patience:
                self._silent = True
                self._reason = self._reason or f"no answer within {patience:g} seconds"
                return

    # ---- the thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        writer: Writer | None = None
        with impatient():
            while (task := self._tasks.get()) is not None:
                if self._reason is None:
                    writer = self._attempt(task, writer)
            if writer is not None:
                _leave(writer, self._status)

    def _attempt(self, task: Task, writer: Writer | None) -> Writer | None:
        """One task, with a few more tries; what still fails becomes the reason."""
        pause = threading.Event()
        self._moved = time.monotonic()
        for wait in (*WAITS, None):
            try:
                writer = writer or self._writer()
                task(writer)
                self._written += 1
                self._moved = time.monotonic()
                return writer
            except Exception as error:  # whatever it is, a study must not fail because of MLflow
                if wait is None or self._reason is not None:
                    self._reason = self._reason or _in_words(error)
                    self._begun.set()
                    return writer
                pause.wait(wait)
                if writer is not None:
                    writer.doubt()
        return writer

    def _writer(self) -> Writer:
        from autoreg.tracking.writer import Writer

        self._moved = time.monotonic()  # the import alone takes a while
        return Writer(self.store)


def _leave(writer: Writer, status: str) -> None:
    """Close what a study that broke off, or a store that refused something, has left open."""
    with suppress(Exception):  # a store that is away is known to be, and this is the last word
        writer.abandon(status)


def _in_words(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return without_secrets(f"{type(error).__name__}: {first}")[:200]
