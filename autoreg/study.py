"""The conductor: the order of the rooms and nothing else.

    data -> sealed | development -> folds -> space -> searches -> selections -> judged on the
    outer folds -> refit -> held-out rows opened once -> verdict -> model, report, MLflow

Every step that costs time is in the ledger when it is done, so a run that was cut off, at any
moment, continues to the same result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoreg import __version__
from autoreg.advice import advice
from autoreg.attribution import kept_or_made
from autoreg.budget import choices, curve
from autoreg.certificate import Certificate, read_certificate
from autoreg.checks import look_at_study, refuse_errors
from autoreg.clock import Clock, OutOfTimeError, Window
from autoreg.coefficients import coefficient_path, final_jobs
from autoreg.disk import write_whole
from autoreg.engines.base import Outcome
from autoreg.evidence import gathered
from autoreg.final import final_model, held_out_verdict, voted
from autoreg.findings import Findings
from autoreg.fleet import take_part
from autoreg.fleet.segments import add
from autoreg.folds import FINAL, Fold
from autoreg.home import home_folder, set_aside, study_folder
from autoreg.importance import importance
from autoreg.info_sheet import info_sheet
from autoreg.judge import judgement, outer_work, refit_job, verdict
from autoreg.lease import Lease, leased
from autoreg.ledger import Ledger, locked
from autoreg.model import Model
from autoreg.prepared import Prepared, prepare, read, remember, table_of, taught
from autoreg.progress import Progress, listening
from autoreg.rehearsal import permuted_losses
from autoreg.report import write_report
from autoreg.result import StudyResult
from autoreg.sealed import Openings
from autoreg.search import run_searches, up_to
from autoreg.select import Contender, Selection, select
from autoreg.spec import StudySpec
from autoreg.state import record_question, refuse_again
from autoreg.tracking import Tracker, open_tracker
from autoreg.tracking.gate import remember_rows
from autoreg.trial import Trial
from autoreg.verdict import Judgement

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Prepared",
    "StudyResult",
    "conducted",
    "prepare",
    "read",
    "run_study",
    "searched",
    "table_of",
]


def run_study(
    study: StudySpec | Mapping[str, Any] | str | Path,
    data: pd.DataFrame | tuple[Any, Any] | None = None,
    *,
    home: str | Path | None = None,
    tracking: bool = True,
    workers: int | None = None,
    progress: Progress | bool = True,
    fresh: bool = False,
    reopen: bool = False,
    within: float | None = None,
    once: bool = False,
    tick: str | None = None,
    storage: str | None = None,
    executor: str | None = None,
    learn: int = 0,
) -> StudyResult:
    """Run a study, or continue one that was cut off, to its verdict.

    Args:
        study: a shipped name, a YAML file, or the same as a dictionary.
        data: a table with the target column, or a pair (X, y), where the study names no source.
        home: folder for state and MLflow store; ``AUTOREG_HOME`` or ``./mlruns`` by default.
        tracking: write every trial to MLflow.
        workers: cores to use; all by default. The result does not depend on it.
        progress: a listener; True prints a line now and then on stderr, False nothing.
        fresh: set an earlier state of this study aside and start anew.
        reopen: open held-out rows that an earlier selection has seen already; marked as such.
        within: minutes that this call may take; the search ends early enough for the verdict.
        once: raise NothingToDoError where the very same question was answered here before.
        tick: the occasion, which is part of the question then: a date, for example.
        storage: a database in which other processes (``autoreg worker``) take part.
        learn: try first so many settings that worked on similar tables of this home folder.
        executor: where fits are made: ``dask@tcp://host:8786``, or a backend of joblib.

    Raises AutoregError (bad input, nothing valid, no time); KeyboardInterrupt leaves a study that
    the same call continues.

    >>> import tempfile
    >>> question = {"study": "tiny", "data": {"source": "wine"}, "space": "linear", "trials": 2}
    >>> result = run_study(question, home=tempfile.mkdtemp(), tracking=False, workers=1)
    >>> len(result.trials), result.verdict.nested.value > 0.9
    (12, True)
    """
    window, place = Window.of(within), home_folder(home)
    study = taught(read(study), data, place, learn, anew=fresh) if learn else study
    ready = prepare(study, data, workers=workers, executor=executor)
    refuse_errors(ready.alarms)
    folder = study_folder(home, ready.spec.study)
    if fresh:
        set_aside(folder)
    elif once:
        refuse_again(folder, ready.key(tick))
    with (
        locked(folder),
        leased(folder) as lease,
        open_tracker(folder, place, enabled=tracking) as tracker,
    ):
        work = Work(ready, folder, tracker, lease, window, listening(progress), ready.key(tick))
        return _concluded(work, storage, reopen=reopen)


@dataclass(frozen=True, eq=False)
class Work:
    """A study at work: its folder is held, its listeners are there."""

    ready: Prepared
    folder: Path
    tracker: Tracker
    lease: Lease
    window: Window
    listener: Progress
    key: str


def _concluded(work: Work, storage: str | None, *, reopen: bool) -> StudyResult:
    """From the ledger to the verdict and its files."""
    ready, folder, tracker, listener = work.ready, work.folder, work.tracker, work.listener
    place = folder.parents[1]
    ledger = Ledger.open(folder / "ledger.jsonl", ready.header)
    record_question(folder, ready.spec)
    tracker.begin(ready.spec, f"{ready.spec.study}:{ledger.id}", ready.facts, ready.splits)
    if storage:
        add(ledger, take_part(ready, storage, listener))
    trials = searched(ready, ledger, listener, work.window, work.lease)
    findings, model = conducted(ready, trials, ledger, listener, Openings(place), reopen)
    winner = findings.final.chosen.candidate
    worth = kept_or_made(ready.bench, winner, folder, ready.header, listener)
    proof = read_certificate(folder, ready.header)
    seconds = time.monotonic() - work.window.started
    seen = _seen_through(replace(findings, attribution=worth, seconds=seconds), proof)
    result = _written(ready, seen, model, folder, tracker, work.key)
    remember(ready, trials, place)
    return result


def conducted(
    ready: Prepared,
    trials: Mapping[str, Sequence[Trial]],
    ledger: Ledger,
    listener: Progress,
    openings: Openings,
    reopen: bool,
) -> tuple[Findings, Model | None]:
    """Select, judge, refit, open: the order that makes the verdict honest."""
    bench = ready.bench
    selections = selected(ready, trials)
    final = selections[FINAL]
    outer = [fold.name for fold in bench.plan.outer]
    after = choices(trials, outer, ready.spec.select, bench.space.incumbent)
    work = outer_work(bench, selections, after)
    judgements = _judged(ready, ledger, work, listener)
    refits = _refits(ready, final)
    permuted = _permuted(ready, ledger, listener)
    found = gathered(bench, trials, selections, judgements, permuted)
    model = final_model(bench, final, refits[0], found.calibration) if refits else None
    held_out = held_out_verdict(bench, ready.held_out, model, final, openings, reopen=reopen)
    inner = _trial(trials, final, final.best).scores
    judged = verdict(bench, selections, judgements, inner, held_out)
    chosen = final.chosen
    findings = Findings(
        ready.spec,
        bench.space,
        ready.facts,
        ready.splits,
        tuple(trial for name in bench.searches for trial in trials[name]),
        selections,
        judged,
        0.0,
        versions(),
        (*_begun_with(ready), *_early_end(ready, trials, ledger)),
        coefficient_path(bench, chosen, refits, _trial(trials, final, chosen), judged.folds),
        curve(bench, after, trials, judgements),
        alarms=ready.alarms,
        evidence=found,
    )
    return findings, model


def _seen_through(findings: Findings, proof: Certificate | None) -> Findings:
    """The findings with their certificate, what mattered, alarms, info sheet, and advice."""
    mattered = importance(findings.space, findings.trials, findings.spec.seed)
    proven = replace(findings, certificate=proof, importance=mattered)
    alarmed = replace(proven, alarms=look_at_study(proven))
    return replace(alarmed, sheet=info_sheet(alarmed), advice=advice(alarmed))


def _permuted(ready: Prepared, ledger: Ledger, listener: Progress) -> list[float]:
    """The whole procedure on permuted targets, as often as asked; draws of the past are kept."""
    draws = ready.spec.permutations
    known = [record["loss"] for record in ledger.of("permutation")][:draws]
    if len(known) == draws:
        return known
    listener.begin("permutations", draws, len(known))

    def drawn(draw: int, loss: float) -> None:
        ledger.append("permutation", {"draw": draw, "loss": loss})
        listener.advance(draw + 1)

    known.extend(permuted_losses(ready.bench, range(len(known), draws), drawn))
    listener.end()
    return known


def searched(
    ready: Prepared, ledger: Ledger, listener: Progress, window: Window, lease: Lease
) -> dict[str, list[Trial]]:
    """The trials of all searches: those of the ledger, and those that the budget still allows."""
    bench = ready.bench
    past, stops = ledger.trials(), ledger.of("stop")
    if stops:
        return up_to(past, stops)
    known = {name: len(past.get(name, ())) for name in bench.searches}
    rounds = min(known.values(), default=0)
    done, shown = rounds, float(rounds)
    best = min((t.loss for t in past.get(FINAL, ()) if t.is_valid), default=float("inf"))
    if rounds < ready.spec.trials:
        bench.warm_up(listener)
    clock = Clock(ready.spec.minutes, ledger, window, bench.fits_behind)
    listener.begin("search", ready.spec.trials, rounds)

    def record(trial: Trial) -> None:
        nonlocal best
        lease.check()
        ledger.append("trial", trial.to_data() | {"at": round(time.time(), 3)})
        known[trial.search] += 1
        if trial.search == FINAL and trial.is_valid:
            best = min(best, trial.loss)

    def round_done(number: int) -> bool:
        nonlocal done, shown
        fits = (number + 1 - done) * bench.fits_a_round
        done = number + 1
        shown = max(shown, done)  # more may be under way than a round, and nearly there
        listener.advance(shown, f"best inner loss {best:.4g} (optimistic)")
        return clock.allows_another(number, fits)

    def on_fit(fitted: float) -> None:
        nonlocal shown
        clock.look(min(known.values()))
        shown = max(shown, done + fitted)
        listener.advance(shown)

    try:
        trials = run_searches(
            bench,
            past,
            record=record,
            round_done=round_done,
            on_fit=on_fit,
            hurried=window.seconds is not None,
        )
    except OutOfTimeError:
        clock.stop(min(known.values()) - 1)  # what all searches have
        trials = ledger.trials()
    listener.end()
    return up_to(trials, ledger.of("stop"))


def selected(ready: Prepared, trials: Mapping[str, Sequence[Trial]]) -> dict[str, Selection]:
    """What each search chose; the final selection by vote where it has no search of its own."""
    rule, incumbent = ready.spec.select, ready.bench.space.incumbent
    found = {name: select(trials[name], rule, incumbent) for name in ready.bench.searches}
    if FINAL not in found:
        found[FINAL] = voted(list(found.values()), rule.final, ready.bench.space.architectures)
    return found


def _judged(
    ready: Prepared, ledger: Ledger, work: Sequence[tuple[Fold, Contender]], listener: Progress
) -> list[Judgement]:
    """The judgements of all refits on the outer folds; those in the ledger are not repeated."""
    known = [Judgement.from_data(record["judgement"]) for record in ledger.of("judgement")]
    have = {(one.fold, one.candidate.key) for one in known}
    todo = [pair for pair in work if (pair[0].name, pair[1].candidate.key) not in have]
    if not todo:
        return known
    listener.begin("judging", len(todo))
    outcomes = ready.bench.engine.run(
        [refit_job(ready.bench, contender, fold) for fold, contender in todo],
        ready.bench.table,
        cells=ready.bench.plan.cells,
        workers=ready.bench.workers,
        on_done=listener.advance,
    )
    for (fold, contender), outcome in zip(todo, outcomes, strict=True):
        one = judgement(ready.bench, fold, contender.candidate, outcome)
        ledger.append("judgement", {"judgement": one.to_data()})
        known.append(one)
    listener.end()
    return known


def _refits(ready: Prepared, selection: Selection) -> list[Outcome]:
    """The selected candidate, refitted on all development rows; and along its path."""
    bench = ready.bench
    if not bench.spec.select.makes_model:
        return []
    jobs = final_jobs(bench, selection.chosen)
    return bench.engine.run(jobs, bench.table, cells=bench.plan.cells, workers=bench.workers)


def _trial(
    trials: Mapping[str, Sequence[Trial]], selection: Selection, contender: Contender
) -> Trial:
    """The trial that a contender of a selection comes from."""
    own = trials[selection.source or selection.search]
    return next(trial for trial in own if trial.number == contender.trial)


def _begun_with(ready: Prepared) -> Iterator[str]:
    """What a reader must know of settings that came from elsewhere."""
    if asked := len(ready.spec.first):
        tried = len(ready.bench.space.first)
        yield (
            f"every search tried {tried} of {asked} settings of earlier studies first; where those "
            f"saw rows of this table, the nested estimate is slightly optimistic"
        )


def _early_end(
    ready: Prepared, trials: Mapping[str, Sequence[Trial]], ledger: Ledger
) -> tuple[str, ...]:
    if ledger.of("stop"):
        minutes = ready.spec.minutes
        whose = "the time of the run" if minutes is None else f"the budget of {minutes:g} minutes"
        return (f"{whose} ended the search",)
    if any(len(one) < ready.spec.trials for one in trials.values()):
        return ("the space was exhausted before the budget of trials was spent",)
    return ()


def _written(
    ready: Prepared,
    findings: Findings,
    model: Model | None,
    folder: Path,
    tracker: Tracker,
    key: str,
) -> StudyResult:
    """Model, report and MLflow's view; the report names its MLflow run and the other way round."""
    if model and model.is_data:
        model.save(folder / "model")
        remember_rows(folder / "model", ready.bench.table, Openings(folder.parents[1]).key)
    run = tracker.run()
    write_report(findings, folder, mlflow_run=run)
    tracker.finish(findings)
    result = StudyResult(findings, model, folder, run, tracker.problem, key)
    write_whole(folder / "result.json", json.dumps(result.to_data(), indent=2))
    return result


def versions() -> dict[str, str]:
    """The versions of autoreg and of what its numbers depend on."""
    from importlib.metadata import version

    names = ("numpy", "scikit-learn", "torch", "optuna", "mlflow", "pandas")
    return {"autoreg": __version__} | {name: version(name) for name in names}
