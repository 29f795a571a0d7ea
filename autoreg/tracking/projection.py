"""Brings a store up to what lies in a study's folder, step by step, through all troubles.

A step that fails is tried again, ever less often, for as long as the study runs; after the
study's end for a few seconds more. So an outage in mid-study is made up as soon as the store is
back, by the same run or, with nothing lost, by the next one. What a store refuses for good is
left out and named, and what comes after it is written all the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from autoreg.errors import DiskError
from autoreg.tracking.spool import Spool, State
from autoreg.tracking.store import Store, discreet

if TYPE_CHECKING:
    from autoreg.tracking.writer import Writer

WAITS = (0.2, 1.0, 3.0, 10.0, 30.0)  # seconds before the next try; the last one again and again
PAUSE = 0.1  # seconds between two looks at a ledger that has nothing new
FOR_GOOD = frozenset({"INVALID_PARAMETER_VALUE", "MALFORMED_REQUEST"})
OF_DATABASE = re.compile(r"\(\w+(\.\w+)+\) ")
CLOSING = ("the verdict", "the report", "the model", "the end")


class Words(Protocol):
    """What the study says: nothing while it runs, at its end the status of its runs."""

    @property
    def last(self) -> str | None:
        """FINISHED, FAILED or KILLED; None while the study runs."""

    def listen(self, seconds: float) -> None:
        """Wait for that long, or until the study has said its last word."""


@dataclass(frozen=True)
class Step:
    """One thing to write; ``act`` does it, any number of times with the same outcome."""

    name: str
    act: Callable[[Writer], None]


class Projection:
    """The work of one writer on one study.

    ``grace`` is how many seconds after the study's end a store that is away is waited for.
    """

    def __init__(self, spool: Spool, store: Store, words: Words, grace: float) -> None:
        self.spool, self.store, self.words, self.grace = spool, store, words, grace
        self.state = State()
        self.tail = spool.trials()
        self._writer: Writer | None = None
        self._warm = False
        self._seen = time.monotonic()  # the last time that the store took something

    def run(self) -> State:
        """Write until the study is over and everything is written, or the store stays away."""
        self._tell()
        with suppress(Exception):  # what it was is in the state after the first real step
            self._connect()
        for step in self._steps():
            if step is None:
                self._rest()
            elif not self._done(step):
                self.state.left = self._left(step)
                break
        status = self.words.last or "FAILED"
        if self._writer is not None and (self.state.reason or status != "FINISHED"):
            with suppress(Exception):  # a store that is away is known to be
                self._writer.abandon("FAILED" if status == "FINISHED" else status)
        self.state.over = True
        self._tell()
        return self.state

    def _steps(self) -> Iterator[Step | None]:
        """What is to be written, in order; None where there is nothing new yet."""
        while (opening := self.spool.opening) is None:
            if self.words.last is not None:
                return
            yield None
        yield Step("the study", _begin(opening))
        while True:
            # Asked before the ledger is read, so that its last trials cannot be missed.
            over = self.words.last is not None
            for told in self.tail.more():
                yield Step(f"{told.trial.search}/{told.trial.number}", _trial(told))
            if over:
                break
            yield None
        closing = self.spool.closing
        if self.words.last == "FINISHED" and closing is not None:
            yield from _last_steps(self.spool, closing)

    def _done(self, step: Step) -> bool:
        """Whether a step could be done, or is refused for good; False where the store is away."""
        tries = 0
        while True:
            try:
                step.act(self._connect())
            except Exception as error:  # whatever it is, a study must not fail because of MLflow
                if self._writer is not None:
                    self._writer.doubt()
                if step.name != "the study" and _for_good(error):
                    if tries:
                        self.state.refused += (f"{step.name} ({_in_words(error)})",)
                        return True
                elif not self._waited(tries, error):
                    return False
                tries += 1
            else:
                self.state.written += 1
                self.state.reason = None
                self._moved(step)
                return True

    def _waited(self, tries: int, error: Exception) -> bool:
        """Wait for the store; whether it is worth another try."""
        self.state.reason = _in_words(error)
        self._tell()
        told = self.words.last is not None
        if told and time.monotonic() - self._seen > self.grace:
            return False
        seconds = WAITS[min(tries, len(WAITS) - 1)]
        self.words.listen(min(seconds, 1.0) if told else seconds)
        if self.words.last is not None and not told:
            self._seen = time.monotonic()  # the grace begins with the study's end
        return True

    def _rest(self) -> None:
        """There is nothing to write: make ready for the end, or wait for news."""
        if self._warm or self._writer is None:
            self.words.listen(PAUSE)
            return
        self._warm = True
        with suppress(Exception):  # what it is will be seen when there is a model
            self._writer.warm_up()

    def _connect(self) -> Writer:
        if self._writer is None:
            from autoreg.tracking.writer import Writer

            self.state.ready = True
            self._tell()
            self._writer = Writer(self.store)
            self._tell()
        return self._writer

    def _left(self, step: Step) -> int:
        """How many steps are still to come, the one that failed included."""
        if step.name in CLOSING:
            return len(CLOSING) - CLOSING.index(step.name)
        closing = self.words.last == "FINISHED" and self.spool.closing is not None
        return 1 + self.tail.left() + (len(CLOSING) if closing else 0)

    def _moved(self, step: Step) -> None:
        self._seen = time.monotonic()
        if self._writer is not None and self.state.run is None and step.name == "the study":
            self.state.run = self._writer.parent
            self.state.experiment = self._writer.experiment
            self._tell()
        elif time.time() - self.state.moved > 1.0:
            self._tell()

    def _tell(self) -> None:
        self.state.moved = time.time()
        with suppress(DiskError):  # a full disk: the next word says more
            self.spool.tell(self.state)


def _begin(opening: dict[str, Any]) -> Callable[[Writer], None]:
    return lambda writer: writer.begin(opening)


def _trial(told: Any) -> Callable[[Writer], None]:
    return lambda writer: writer.trial(told)


def _last_steps(spool: Spool, closing: dict[str, Any]) -> Iterator[Step]:
    folder = spool.study_folder
    acts: tuple[Callable[[Writer], None], ...] = (
        lambda writer: writer.verdict(closing),
        lambda writer: writer.files(closing, folder),
        lambda writer: writer.model(closing, folder / "model"),
        lambda writer: writer.close(closing["at"]),
    )
    for name, act in zip(CLOSING, acts, strict=True):
        yield Step(name, act)


def _for_good(error: Exception) -> bool:
    """Whether the store has understood and said no: asking again will not help."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.error_code in FOR_GOOD


def _in_words(error: Exception) -> str:
    """The line of a message that says what is wrong: that of the database, else the first."""
    lines = str(error).splitlines() or [""]
    line = next((line for line in lines if OF_DATABASE.match(line)), lines[0])
    return discreet(f"{type(error).__name__}: {line}")[:200]
