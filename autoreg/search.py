"""Searches: ask, fit on the inner folds, score, tell; every trial goes to the ledger first.

A search is a generator: it yields what it wants tried and receives the trials back. So the
conductor can drive all K + 1 searches side by side, and ONE engine serves all of them, while no
search ever sees another's losses: the only things that reach a generator are its own trials.

Ask n of a search is made as soon as its trials up to n - q are told, whatever else is under way:
an engine that is steady has the next fits at hand when a place is free. Trials are told in the
order of their numbers, so what an ask knows does not depend on which fit ends first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from autoreg.attempt import Attempt, Attempts
from autoreg.candidate import Candidate
from autoreg.engines.base import Job, Outcome
from autoreg.pruning import Bar
from autoreg.scoring import Ask, Bench
from autoreg.space import Space
from autoreg.trial import Trial
from autoreg.tuner import Tuner

Search = Generator[list[Ask], list[Trial], None]
Bars = Callable[[Sequence[Trial]], Bar | None]
NEARLY = 0.99  # of what is under way, as long as it is not complete
DESIGN_ROUNDS = 4  # times as many settings of the design are under way: it learns from nothing


def search(
    name: str,
    tuner: Tuner,
    past: Sequence[Trial],
    ahead: int = 1,
    bars: Bars = lambda known: None,
    design_rounds: int = 1,
) -> Search:
    """One search: yields new asks, receives trials in order; those of the past are not tried again.

    Ask n learns from trials up to n - ``ahead``, whatever else is known by then, so ``ahead``
    settings are under way at once. What it yields may be empty: it waits for trials then. ``bars``
    makes of the trials that an ask learns from what it is measured by.
    """
    trials = list(past[: tuner.trials])
    asked = [trial.candidate for trial in trials]
    design, is_exhausted = len(tuner.space.design()), False
    while len(trials) < tuner.trials:
        end = min(asked_up_to(len(trials), ahead, design, design_rounds), tuner.trials)
        asks: list[Ask] = []
        if not is_exhausted:
            asks = _asks(name, tuner, trials, asked, end, ahead, bars)
            is_exhausted = len(asked) < end
        if len(asked) == len(trials):
            return
        trials += yield asks


def asked_up_to(told: int, ahead: int, design: int, design_rounds: int) -> int:
    """The first setting that cannot be asked for yet, when so many trials are told.

    >>> [asked_up_to(n, 4, 17, 4) for n in (0, 1, 13, 20)], asked_up_to(0, 4, 17, 1)
    ([16, 17, 17, 24], 4)
    """
    return max(told + ahead, min(design, told + ahead * design_rounds))


def _asks(
    name: str,
    tuner: Tuner,
    trials: Sequence[Trial],
    asked: list[Candidate],
    end: int,
    ahead: int,
    bars: Bars,
) -> list[Ask]:
    """The asks before ``end`` that were not made yet; as far as there are settings to try."""
    design, asks = len(tuner.space.design()), []
    for number in range(len(asked), end):
        known = min(max(0, number - ahead + 1), len(trials))
        history = [(trial.candidate, trial.told) for trial in trials[:known]]
        candidate = tuner.ask(history, asked[known:])
        if candidate is None:
            break
        origin: Literal["design", "sampler"] = "design" if number < design else "sampler"
        is_spared = origin == "design" and _is_compared(candidate, tuner.space)
        bar = None if is_spared or candidate.family != "network" else bars(trials[:known])
        asks.append(Ask(name, number, candidate, origin, bar))
        asked.append(candidate)
    return asks


def _is_compared(candidate: Candidate, space: Space) -> bool:
    """Whether the verdict speaks of it whatever comes: the incumbent, and ``none``."""
    return candidate.is_none or candidate.technique_set == space.incumbent


def run_searches(
    bench: Bench,
    past: Mapping[str, Sequence[Trial]],
    *,
    record: Callable[[Trial], None],
    round_done: Callable[[int], bool],
    on_fit: Callable[[float], None] = lambda trials: None,
    hurried: bool = False,
) -> dict[str, list[Trial]]:
    """Drive all searches side by side to their budget; returns the trials of each.

    A round is complete when every search has told so many more trials as the study asks ahead;
    ``round_done`` is told the number of the last one. ``record`` makes a trial durable before its
    search is told. ``round_done`` may end all searches after a complete common round by returning
    False, and later trials that are known by then are not returned: where that may be, no search
    runs ahead of the others by more than a round. ``on_fit`` is told how many trials of the round
    its fits amount to so far. Who is ``hurried``, for the run may be ended by the clock, keeps
    fewer settings under way.
    """
    spec = bench.spec
    # What ends or prunes a search looks at it after every round.
    is_watched = spec.prune.is_on or spec.minutes is not None or hurried
    bars = partial(Bar.of, spec.prune, spec.training.longest)
    several = 1 if is_watched else DESIGN_ROUNDS
    running = {}
    for name in bench.searches:
        tuner = Tuner(bench.space, spec.sampler, spec.trials, spec.seed, name)
        running[name] = search(name, tuner, past.get(name, ()), spec.asks_ahead, bars, several)
    lead = spec.asks_ahead if is_watched else math.inf
    drive = _Drive(bench, past, running, record, round_done, on_fit, lead)
    try:
        bench.engine.stream(
            drive.begin(),
            bench.table,
            drive.after,
            cells=bench.plan.cells,
            workers=bench.workers,
            on_done=drive.on_done,
        )
    except _EndedError:
        return {name: own[: drive.told] for name, own in drive.trials.items()}
    return drive.trials


def up_to(
    trials: Mapping[str, Sequence[Trial]], stops: Sequence[Mapping[str, Any]]
) -> dict[str, list[Trial]]:
    """The trials up to the round at which a study was stopped, if it was: the same number of each
    search, whatever a later round had begun."""
    last = stops[0]["round"] if stops else math.inf
    return {name: [one for one in own if one.number <= last] for name, own in trials.items()}


class _EndedError(Exception):
    """All searches end after a complete common round."""


class _Drive:
    """All searches at work: what each outcome makes possible. ``told`` trials of each are known."""

    def __init__(
        self,
        bench: Bench,
        past: Mapping[str, Sequence[Trial]],
        running: Mapping[str, Search],
        record: Callable[[Trial], None],
        round_done: Callable[[int], bool],
        on_fit: Callable[[float], None],
        lead: float,
    ) -> None:
        self.trials = {name: list(past.get(name, ())) for name in running}
        self.told = self._began = min(map(len, self.trials.values()), default=0)
        self._bench, self._running, self._over = bench, running, set[str]()
        self._early: dict[str, dict[int, Trial]] = {name: {} for name in running}
        self._attempts = Attempts()
        self._record, self._round_done, self._on_fit = record, round_done, on_fit
        self._lead, self._untold = lead, dict[str, list[Trial]]()

    def begin(self) -> list[Job]:
        """The first fits."""
        return self._fits([ask for name in self._running for ask in self._asks(name, None)])

    def after(self, job: Job, outcome: Outcome) -> list[Job]:
        """The fits that follow from one: of the same trial, or of asks that its trial allows."""
        jobs, trial = self._attempts.take(job, outcome)
        if trial is None:
            return jobs
        own, early = self.trials[trial.search], self._early[trial.search]
        early[trial.number], before = trial, len(own)
        while len(own) in early:  # in the order of numbers, whichever ended first
            self._record(early[len(own)])
            own.append(early.pop(len(own)))
        if len(own) == before:
            return []
        self._untold.setdefault(trial.search, []).extend(own[before:])
        self._look()
        asks: list[Ask] = []
        while near := self._near():
            asks += [ask for name in near for ask in self._asks(name, self._untold.pop(name))]
            self._look()  # who is over holds up no round, and a round lets others go on
        return self._fits(asks)

    def on_done(self, fits: int) -> None:
        """Tell how far what is under way is, from the fits that are done in all."""
        spec, trials = self._bench.spec, fits / self._bench.fits_a_round
        most = min(DESIGN_ROUNDS * spec.asks_ahead, spec.trials - self.told)
        self._on_fit(min(max(0.0, trials - self.told + self._began), NEARLY * most))

    # ---- inside -------------------------------------------------------------------------------

    def _fits(self, asks: Iterable[Ask]) -> list[Job]:
        return self._attempts.begin(Attempt(self._bench, ask) for ask in asks)

    def _near(self) -> list[str]:
        """The searches that may be told their trials: those not far ahead of the others."""
        return [name for name in self._untold if len(self.trials[name]) - self.told <= self._lead]

    def _asks(self, name: str, answers: list[Trial] | None) -> list[Ask]:
        """What a search asks next, once it knows; nothing where it is over."""
        try:
            one = self._running[name]
            return next(one) if answers is None else one.send(answers)
        except StopIteration:
            self._over.add(name)
            return []

    def _look(self) -> None:
        """Tell of a common round that is complete now."""
        going = [len(own) for name, own in self.trials.items() if name not in self._over]
        ahead = self._bench.spec.asks_ahead
        done = min(going) // ahead * ahead if going else max(map(len, self.trials.values()))
        if done > self.told:
            self.told = done
            if not self._round_done(done - 1):
                raise _EndedError


def evaluate(bench: Bench, asks: Sequence[Ask], on_fit: Callable[[int, int], None]) -> list[Trial]:
    """Fit all asked settings on the inner folds of their searches; their trials, in that order.

    ``on_fit`` is told how many fits are done, and how many there are at most.
    """
    total = sum(len(bench.plan.inner[ask.search]) for ask in asks)
    attempts, found = Attempts(), dict[tuple[str, int], Trial]()

    def after(job: Job, outcome: Outcome) -> list[Job]:
        jobs, trial = attempts.take(job, outcome)
        if trial is not None:
            found[trial.search, trial.number] = trial
        return jobs

    bench.engine.stream(
        attempts.begin(Attempt(bench, ask) for ask in asks),
        bench.table,
        after,
        cells=bench.plan.cells,
        workers=bench.workers,
        on_done=lambda done: on_fit(done, total),
    )
    return [found[ask.search, ask.number] for ask in asks]
