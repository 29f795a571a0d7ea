"""The study's side: starts the writer's process, tells it the beginning and the end, and waits.

Between the two the study does nothing for MLflow: the writer reads the ledger. The study waits
for the rest of the queue at its end, and no longer than the store gives signs of life.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from autoreg.child import child
from autoreg.disk import guarded
from autoreg.findings import Findings
from autoreg.spec import StudySpec
from autoreg.tracking import layout
from autoreg.tracking.spool import Spool, State
from autoreg.tracking.store import Store, without_secrets

GRACE = 5.0  # seconds after the study's end that a store which is away gets
PATIENCE: float | None = None  # instead of the store's own
IMPORTING = 90.0  # seconds that the writer may take to be ready
TICK = 0.02


class Tracker(Protocol):
    """Listens to a study. No method raises because a store is away."""

    @property
    def problem(self) -> str | None:
        """What could not be written and why, in one sentence; None where all was written."""

    def begin(
        self, spec: StudySpec, key: str, data: Mapping[str, Any], splits: Mapping[str, Any]
    ) -> None:
        """The study starts, or goes on; its trials are read from its ledger."""

    def run(self) -> str | None:
        """The id of the parent run; waits until it exists, None where it cannot."""

    def finish(self, findings: Findings) -> None:
        """The study is over, its report and model are in its folder; waits for the writer."""

    def __enter__(self) -> Tracker:
        """Start listening."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening; a study that broke off leaves no run open."""


def open_tracker(folder: Path, home: Path, *, enabled: bool = True) -> Tracker:
    """A listener for one study, for the store that MLflow's variables or the home folder name.

    >>> with open_tracker(Path("nowhere"), Path("nowhere"), enabled=False) as tracker:
    ...     tracker.run()
    """
    return MlflowTracker(Spool(folder), home) if enabled else Recorder(Spool(folder))


class Recorder:
    """Writes the documents only, so that the study can be brought into MLflow later."""

    problem: str | None = None

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._key = ""

    def begin(
        self, spec: StudySpec, key: str, data: Mapping[str, Any], splits: Mapping[str, Any]
    ) -> None:
        """Write what the study asks."""
        self._key = key
        self.spool.write("opening", layout.opening(spec, key, data, splits))

    def run(self) -> str | None:
        """There is no run."""
        return None

    def finish(self, findings: Findings) -> None:
        """Write what the study found."""
        self.spool.write("closing", layout.closing(findings, self._key))

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class MlflowTracker(Recorder):
    """Writes the documents, and drives the writer."""

    def __init__(self, spool: Spool, home: Path) -> None:
        super().__init__(spool)
        self.store = Store.of(home)
        self._writer = WriterProcess(spool, home, self.store)

    @property
    def problem(self) -> str | None:  # type: ignore[override] # of a recorder there is none
        """What could not be written and why; None where all was written."""
        return self._writer.problem

    def run(self) -> str | None:
        """Wait for the parent run."""
        self._writer.wait(lambda: bool(self.spool.state.run or self.spool.state.reason))
        return self.spool.state.run

    def finish(self, findings: Findings) -> None:
        """Write what the study found, and wait until the writer is through."""
        super().finish(findings)
        self._writer.end("FINISHED")

    def __enter__(self) -> Tracker:
        self._writer.start()
        return self

    def __exit__(self, *exit: object) -> None:
        kind = exit[0]
        interrupted = isinstance(kind, type) and issubclass(kind, KeyboardInterrupt)
        self._writer.end("KILLED" if interrupted else "FAILED")


class WriterProcess:
    """The process that writes one study: started, waited for, started again where it died."""

    def __init__(self, spool: Spool, home: Path, store: Store) -> None:
        self.spool, self.home, self.store = spool, home, store
        self.problem: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._silent = False

    def start(self) -> None:
        """Start the process."""
        self.spool.tell(State(moved=time.time()))
        place = [str(self.spool.study_folder), str(self.home), str(GRACE)]
        with guarded(self.spool.folder):
            log = (self.spool.folder / "log.txt").open("wb")
        with log:
            self._process = child("autoreg.tracking.process", *place, stdout=log, stderr=log)

    def end(self, word: str) -> None:
        """Say the last word and wait for the end; what could not be written is the problem."""
        if self._process is None:
            return
        self._finish(word)
        if not (self._silent or self.spool.state.over):  # it died: once more
            self.start()
            self._finish(word)
        self._leave()

    def wait(self, over: Callable[[], bool]) -> bool:
        """Wait until something is so, or the writer is dead or silent; whether it is so."""
        started = time.time()
        while not over():
            if self._silent or (self._ended() and not over()):
                return False
            state = self.spool.state
            if time.time() - max(state.moved, started) > self._patience(state):
                self._silent = True
            time.sleep(TICK)
        return True

    # ---- inside -------------------------------------------------------------------------------

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _patience(self, state: State) -> float:
        own = self.store.patience if PATIENCE is None else PATIENCE
        return own if state.ready or PATIENCE is not None else max(own, IMPORTING)

    def _finish(self, word: str) -> None:
        self._say(word)
        self.wait(self._ended)

    def _say(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word.encode())
            self._process.stdin.close()
        except BrokenPipeError:
            return  # it is dead, and waiting will notice

    def _leave(self) -> None:
        """Take leave of the process; one that hangs in a silent store is ended."""
        assert self._process is not None
        if not self._ended():
            self._process.kill()
        self._process.wait()
        self.problem = self._in_words(self.spool.state)
        self._process = None

    def _in_words(self, state: State) -> str | None:
        uri, again = without_secrets(self.store.uri), self.spool.study_folder.name
        later = f"the ledger holds everything, and `autoreg sync {again}` writes the rest"
        if state.refused:
            return f"{uri} refused {'; '.join(state.refused)}"
        if state.over and state.reason is None:
            return None
        if state.over:
            left = f"{state.left} of {state.left + state.written} entries were"
            return f"{left} not written to {uri} ({state.reason}); {later}"
        why = f"no answer within {self._patience(state):g} seconds" if self._silent else "it died"
        return f"not everything was written to {uri} (the writer: {why}); {later}"
