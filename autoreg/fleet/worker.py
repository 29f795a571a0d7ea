"""A worker inside a study that others work on, too: claim a trial, fit, record, look again."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread

from autoreg.engines.base import Failure
from autoreg.errors import BusyError
from autoreg.fleet.queue import TERM, Queue
from autoreg.prepared import Prepared
from autoreg.progress import Progress
from autoreg.pruning import Bar
from autoreg.scoring import Ask, Bench, score
from autoreg.search import DESIGN_ROUNDS, evaluate, search
from autoreg.trial import Trial
from autoreg.tuner import Tuner

ATTEMPTS = 4  # a trial that killed so many workers is recorded as failed
PAUSE = 0.5
RENEWALS = 4  # in a term


def take_part(
    ready: Prepared,
    url: str,
    listener: Progress,
    *,
    term: float = TERM,
    pause: float = PAUSE,
) -> dict[str, list[Trial]]:
    """Work on a study until all of its searches are over; returns all trials, by search.

    Raises StudyError where the database holds another study of that name, BusyError where it is
    away for too long.
    """
    bench = ready.bench
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    queue = Queue(url, ready.spec.study, ready.key(), owner)
    bench.warm_up(listener)
    wanted = ready.spec.trials * len(bench.searches)
    listener.begin("search", wanted)
    try:
        while True:
            known = queue.trials()
            listener.advance(sum(map(len, known.values())))
            waiting = list(open_asks(bench, known))
            if not waiting:
                return known
            if not _worked(bench, queue, waiting, term):
                time.sleep(pause)
    finally:
        listener.end()
        queue.close()


def open_asks(bench: Bench, known: dict[str, list[Trial]]) -> Iterator[Ask]:
    """What may be tried now, of all searches: a pure function of the trials that are known."""
    spec = bench.spec
    bars = partial(Bar.of, spec.prune, spec.training.longest)
    several = 1 if spec.prune.is_on else DESIGN_ROUNDS
    for name in bench.searches:
        own = known.get(name, [])
        tuner = Tuner(bench.space, spec.sampler, spec.trials, spec.seed, name)
        running = search(name, tuner, _prefix(own), spec.asks_ahead, bars, several)
        have = {trial.number for trial in own}
        yield from (ask for ask in next(running, []) if ask.number not in have)


def _prefix(own: Sequence[Trial]) -> list[Trial]:
    """The trials up to the first gap."""
    return [trial for number, trial in enumerate(own) if trial.number == number]


def _worked(bench: Bench, queue: Queue, waiting: Sequence[Ask], term: float) -> bool:
    """Do one of the trials that wait, if one can be had."""
    # Workers begin at different places, so that they seldom ask for the same one.
    start = hash(queue.owner) % len(waiting)
    for ask in (*waiting[start:], *waiting[:start]):
        attempt = queue.claim(ask.search, ask.number, term)
        if attempt is None:
            continue
        if attempt > ATTEMPTS:
            reason = Failure(f"{ATTEMPTS} workers died of it, or were silent for {term:g} seconds")
            queue.finish(score(bench, ask, [reason] * len(bench.plan.inner[ask.search])))
            return True
        with _renewed(queue, ask, term):
            (trial,) = evaluate(bench, [ask], lambda done, total: None)
        queue.finish(trial)
        return True
    return False


@contextmanager
def _renewed(queue: Queue, ask: Ask, term: float) -> Iterator[None]:
    """Renew a lease in the background. One that is lost all the same costs work, nothing else."""
    over = Event()

    def renew() -> None:
        while not over.wait(term / RENEWALS):
            try:
                queue.renew(ask.search, ask.number, term)
            except BusyError:
                return  # the database is away; what is recorded next says so

    thread = Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
