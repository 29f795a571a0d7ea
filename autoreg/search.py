"""Searches: ask, fit on the inner folds, score, tell; every trial goes to the ledger first.

A search is a generator: it yields what it wants tried and receives the trial back. So the
conductor can drive all K + 1 searches in lockstep, and ONE engine call serves all of them, while
no search ever sees another's losses: the only things that reach a generator are its own trials.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from autoreg.candidate import Candidate
from autoreg.engines.base import Outcome, identity, is_given_up
from autoreg.pruning import Bar
from autoreg.scoring import Ask, Attempt, Bench
from autoreg.space import Space
from autoreg.trial import Trial
from autoreg.tuner import Tuner

Search = Generator[list[Ask], list[Trial], None]
Bars = Callable[[Sequence[Trial]], Bar | None]
DESIGN_ROUNDS = 4  # of the design are made as one: it learns from nothing, and fuller stacks pay


def search(
    name: str,
    tuner: Tuner,
    past: Sequence[Trial],
    ahead: int = 1,
    bars: Bars = lambda known: None,
    design_rounds: int = 1,
) -> Search:
    """One search: yields asks, receives their trials; trials of the past are not tried again.

    Ask n learns from trials up to n - ``ahead``, whatever else is known by then, so ``ahead``
    settings can be tried at once. They are asked up to the end of the round. ``bars`` makes of the
    trials that an ask learns from what it is measured by.
    """
    trials: list[Trial] = list(past[: tuner.trials])
    while len(trials) < tuner.trials:
        last = round_end(len(trials), ahead, len(tuner.space.design()), design_rounds)
        last = min(last, tuner.trials)
        asks = _asks(name, tuner, trials, range(len(trials), last), ahead, bars)
        if not asks:
            return
        trials += yield asks


def round_end(number: int, ahead: int, design: int, design_rounds: int) -> int:
    """The first trial that is not in the round of a trial.

    Rounds end at multiples of ``ahead``; in the design, as far as it goes, so many are one.

    >>> [round_end(n, 4, 17, 4) for n in (0, 5, 16, 20)], round_end(0, 4, 17, 1)
    ([16, 16, 20, 24], 4)
    """
    block = ahead * design_rounds
    end = (number // block + 1) * block
    return end if end <= design else (number // ahead + 1) * ahead


def _asks(
    name: str, tuner: Tuner, trials: Sequence[Trial], numbers: range, ahead: int, bars: Bars
) -> list[Ask]:
    design = len(tuner.space.design())
    asked, asks = [trial.candidate for trial in trials], []
    for number in numbers:
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
    last_round: int | None = None,
    on_fit: Callable[[float], None] = lambda trials: None,
    hurried: bool = False,
) -> dict[str, list[Trial]]:
    """Drive all searches in lockstep to their budget; returns the trials of each.

    A round is one trial of every search, or as many as the study asks ahead, or more in the
    design (:func:`round_end`); ``round_done`` is told the number of the last one. ``record`` makes
    a trial durable before its search is told. ``round_done`` may end all searches after a complete
    common round by returning False; ``last_round`` repeats such an end from an earlier run.
    ``on_fit`` is told how many trials of the round its fits amount to so far. Who is ``hurried``,
    for the run may be ended by the clock, gets short rounds.
    """
    trials = {name: list(past.get(name, ())) for name in bench.searches}
    running: dict[str, Search] = {}
    asks: dict[str, list[Ask]] = {}
    spec, ahead = bench.spec, bench.spec.asks_ahead
    # What ends or prunes a search looks at it after every round.
    is_watched = spec.prune.is_on or spec.minutes is not None or hurried
    several = 1 if is_watched else DESIGN_ROUNDS
    bars = partial(Bar.of, spec.prune, spec.training.longest)
    for name in bench.searches:
        tuner = Tuner(bench.space, spec.sampler, spec.trials, spec.seed, name)
        running[name] = search(name, tuner, trials[name], ahead, bars, several)
        if first := next(running[name], None):
            asks[name] = first

    def end_of(name: str) -> int:
        return round_end(asks[name][0].number, ahead, len(bench.space.design()), several)

    while asks:
        end = min(map(end_of, asks))
        if last_round is not None and min(some[0].number for some in asks.values()) > last_round:
            break
        due = [asks.pop(name) for name in list(asks) if end_of(name) == end]
        told = partial(_in_trials, max(map(len, due)), on_fit)
        made = evaluate(bench, [ask for some in due for ask in some], told)
        for trial in sorted(made, key=lambda trial: trial.number):
            record(trial)
            trials[trial.search].append(trial)
        for name in dict.fromkeys(some[0].search for some in due):
            answers = [trial for trial in made if trial.search == name]
            if more := _told(running[name], answers):
                asks[name] = more
        if not round_done(max(trial.number for trial in made)):
            break
    return trials


def up_to(
    trials: Mapping[str, Sequence[Trial]], stops: Sequence[Mapping[str, Any]]
) -> dict[str, list[Trial]]:
    """The trials up to the round at which a study was stopped, if it was: the same number of each
    search, whatever a later round had begun."""
    last = stops[0]["round"] if stops else math.inf
    return {name: [one for one in own if one.number <= last] for name, own in trials.items()}


def _in_trials(length: int, on_fit: Callable[[float], None], fits: int, total: int) -> None:
    """Fits of a round, as trials; the last one is told when the round is recorded."""
    on_fit(length * fits / (total + 1))


def _told(running: Search, answers: list[Trial]) -> list[Ask]:
    """What a search asks next, once it knows; nothing where it is over."""
    try:
        return running.send(answers)
    except StopIteration:
        return []


def evaluate(bench: Bench, asks: Sequence[Ask], on_fit: Callable[[int, int], None]) -> list[Trial]:
    """Fit all asked settings on the inner folds of their searches.

    What is due is fitted in one engine call: all folds, or those of one heat where trials are
    pruned by folds. Fits that two searches ask for in different heats are made once.
    """
    attempts = [Attempt(bench, ask) for ask in asks]
    total = sum(len(bench.plan.inner[ask.search]) for ask in asks)
    kept: dict[tuple[object, ...], Outcome] = {}
    done = 0
    while due := [one for one in attempts if one.is_open]:
        work = [(one, job) for one in due for job in one.next_jobs()]
        jobs = [job for _, job in work if identity(job) not in kept]
        outcomes = bench.engine.run(
            jobs,
            bench.table,
            cells=bench.plan.cells,
            workers=bench.workers,
            on_done=partial(_and_before, done, total, on_fit),
        )
        found = dict(zip(jobs, outcomes, strict=True))
        for one, job in work:
            one.take(found[job] if job in found else kept[identity(job)])
        kept |= {identity(job): one for job, one in found.items() if not is_given_up(one)}
        done += len(work)
    return [one.trial() for one in attempts]


def _and_before(before: int, total: int, on_fit: Callable[[int, int], None], more: int) -> None:
    on_fit(before + more, total)
