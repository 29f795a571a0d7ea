"""One tick: fetch, compare with then, tune or skip, judge, promote, write down, tell.

Every step may be cut off: the snapshot keeps the rows, the study its ledger, the gate its own
record, and the tick is over only when its line is in the ledger of ticks. The same call goes on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from autoreg.data import load
from autoreg.data.dataset import Dataset
from autoreg.errors import BusyError, DataError, NothingToDoError, StudyError
from autoreg.home import home_folder, study_folder
from autoreg.knowledge import best_settings
from autoreg.ledger import locked
from autoreg.prepared import prepare
from autoreg.progress import Progress
from autoreg.result import StudyResult
from autoreg.sealed import Openings
from autoreg.spec import DataSpec, StudySpec
from autoreg.study import run_study
from autoreg.tracking.promote import Promotion, promote
from autoreg.tracking.spool import Spool
from autoreg.watch.change import Change, changed
from autoreg.watch.drift import Shift
from autoreg.watch.fetch import fetch, frozen, windowed
from autoreg.watch.ticks import Ticks
from autoreg.watch.watching import WatchSpec, read_watch
from autoreg.watch.webhook import post


@dataclass(frozen=True)
class Tick:
    """What came of a tick; ``decision`` is tuned, skipped or dry run."""

    watch: str
    tick: str
    decision: str
    reason: str
    rows: int
    fresh: int
    drift: tuple[Shift, ...] = ()
    study: str | None = None
    verdict: Mapping[str, Any] = field(default_factory=dict)
    promoted: bool = False
    gate: str | None = None
    alarms: tuple[str, ...] = ()
    telling: str | None = None

    @property
    def exit_code(self) -> int:
        """0 tuned, 99 skipped, 3 tuned but kept from promotion by alarms."""
        return 99 if self.decision == "skipped" else 3 if self.alarms else 0

    def to_data(self) -> dict[str, Any]:
        """The tick as plain data."""
        return {
            **vars(self),
            "drift": [one.to_data() for one in self.drift],
            "alarms": list(self.alarms),
            "verdict": dict(self.verdict),
            "exit_code": self.exit_code,
            "status": self.decision,
        }


def tick(
    watch: str | Path | tuple[WatchSpec, Path],
    name: str | None = None,
    *,
    home: str | Path | None = None,
    dry: bool | None = None,
    workers: int | None = None,
    within: float | None = None,
    progress: Progress | bool = True,
) -> Tick:
    """Do what a watch asks for once.

    Args:
        watch: a watch file; or what it says, and the folder of its paths.
        name: the occasion; the date and the minute by default. One that is over raises
            NothingToDoError, one that was cut off goes on.
        home: folder for state and MLflow store.
        dry: fetch, look and check, but fit, promote and tell nothing. By default the first tick
            of a watch is dry.
        workers: cores to use; all by default.
        within: minutes that the whole tick may take.
        progress: a listener; True prints a line now and then on stderr.

    Raises AutoregError: bad input, no time, a source or a store that is away.
    """
    spec, beside = watch if isinstance(watch, tuple) else read_watch(watch)
    label = _safe(name or datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"))
    folder = home_folder(home) / "watch" / spec.watch
    options: dict[str, Any] = {
        "home": home,
        "workers": workers,
        "within": within,
        "progress": progress,
    }
    with locked(folder):
        ticks = Ticks(folder)
        if ticks.of(label):
            raise NothingToDoError(f"tick {label} of {spec.watch} is over")
        is_dry = not ticks.all() if dry is None else dry
        made = _made(spec, beside, ticks, label, is_dry, options)
        if spec.webhook and not is_dry:
            made = Tick(**{**vars(made), "telling": post(spec.webhook, made.to_data())})
        ticks.append({**made.to_data(), "when": round(time.time(), 3)})
        ticks.tidy(spec.keep)
        return made


def _made(
    spec: WatchSpec, beside: Path, ticks: Ticks, label: str, dry: bool, options: dict[str, Any]
) -> Tick:
    question = spec.question(beside)
    path = ticks.snapshot(label, spec.watch)
    last, key = ticks.tuned, Openings(home_folder(options["home"])).key
    now, change = _looked(spec, question, ticks, path, beside, key)
    why = change.reason(spec, ticks.skipped) if last else "it is the first time"
    facts: dict[str, Any] = {"rows": now.n, "fresh": change.fresh, "drift": change.moved}
    plan = _planned(spec, question, path, label, now, change.fresh, last, options["home"])
    if dry:
        prepare(plan)
        would = f"would tune: {why}" if why else f"would skip: {change.calm(spec.fresh)}"
        return Tick(spec.watch, label, "dry run", would, **facts)
    if why is None:
        return Tick(spec.watch, label, "skipped", change.calm(spec.fresh), **facts)
    result = run_study(plan, reopen=True, **options)
    if result.tracking_problem:  # the gate needs the model there; the tick goes on from here
        raise BusyError(result.tracking_problem)
    verdict = _verdict(result)
    alarms = tuple(one.code for one in result.alarms if one.severity != "info")
    if not result.verdict.has_signal:
        alarms += ("no_signal",)
    gate = _judged(spec, plan.study, path, alarms, options["home"])
    promoted = gate.promoted if isinstance(gate, Promotion) else False
    words = gate.reason if isinstance(gate, Promotion) else gate
    whole: dict[str, Any] = {"study": plan.study, "verdict": verdict, "alarms": alarms}
    return Tick(spec.watch, label, "tuned", why, **facts, **whole, promoted=promoted, gate=words)


def _looked(
    spec: WatchSpec, question: StudySpec, ticks: Ticks, path: Path, beside: Path, key: str
) -> tuple[Dataset, Change]:
    """The rows of this tick, frozen, and what has changed; rows of no use are not kept."""
    data = question.data
    as_written = {*data.categorical, *data.mean_target, *data.text, *filter(None, [data.group])}
    try:
        if not path.exists():
            rows = fetch(spec.source, beside, as_written)
            frozen(windowed(rows, data.time, spec.window), path)
        now = load(_placed(question, path))
        return now, changed(now, _then(question, ticks, spec.watch), key, spec.drift)
    except DataError as error:
        path.unlink(missing_ok=True)  # once the source is mended, the same tick reads it anew
        words = f"{spec.source.place} (the rows of this tick)"
        raise DataError(str(error).replace(str(path), words)) from error


def _planned(
    spec: WatchSpec,
    question: StudySpec,
    path: Path,
    label: str,
    now: Dataset,
    fresh: int,
    last: Mapping[str, Any] | None,
    home: str | Path | None,
) -> StudySpec:
    """The study of this tick: its rows, its name, what it tries first, and its held-out rows.

    In the order of time the rows held out are the latest of those that no earlier tick had: nobody
    has looked at them, and the champion was not trained on them. The study learns from the others.
    """
    changes: dict[str, Any] = {
        "study": f"{spec.watch}.{label}",
        "data": question.data.model_copy(update={"source": str(path)}),
    }
    if last is not None and question.data.time and question.held_out and fresh:
        changes["held_out"] = float(np.clip(spec.judge * fresh / now.n, 0.01, 0.5))
    if last is not None and spec.warm:
        told = Spool(study_folder(home, last["study"])).trials().more()
        changes["first"] = tuple(best_settings((one.trial for one in told), spec.warm))
    return question.model_copy(update=changes)


def _judged(
    spec: WatchSpec, study: str, path: Path, alarms: tuple[str, ...], home: str | Path | None
) -> Promotion | str:
    """Ask the gate; where it cannot be asked, why."""
    if alarms:
        return f"kept from promotion by alarms: {', '.join(alarms)}"
    from mlflow.exceptions import MlflowException

    try:
        margin, corrected = spec.promote.margin, spec.promote.corrected
        return promote(study, home, data=path, margin=margin, name=spec.watch, corrected=corrected)
    except MlflowException as error:
        raise BusyError(f"MLflow's store is away ({str(error).splitlines()[0]})") from error
    except BusyError:
        raise
    except (StudyError, DataError) as error:  # such as a class that the champion does not know
        return str(error)


def _then(question: StudySpec, ticks: Ticks, name: str) -> Dataset | None:
    """The rows of the last tick that tuned."""
    last = ticks.tuned
    if last is None:
        return None
    return load(_placed(question, ticks.snapshot(last["tick"], name)))


def _placed(question: StudySpec, path: Path) -> DataSpec:
    return question.data.model_copy(update={"source": str(path)})


def _verdict(result: StudyResult) -> dict[str, Any]:
    document = result.to_data()
    kept = ("selection", "nested", "held_out", "signal", "trials", "report", "mlflow_run")
    return {name: document[name] for name in kept}


def _safe(name: str) -> str:
    """A tick's name as part of a study's name and of paths."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)
