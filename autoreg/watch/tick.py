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
from autoreg.sealed import Openings, row_hashes
from autoreg.spec import DataSpec, StudySpec
from autoreg.study import run_study
from autoreg.tracking.gate import frame_of
from autoreg.tracking.promote import Promotion, promote
from autoreg.tracking.spool import Spool
from autoreg.watch.drift import TARGET, Shift, shifts
from autoreg.watch.fetch import fetch, frozen, windowed
from autoreg.watch.ticks import Ticks
from autoreg.watch.watching import WatchSpec, read_watch
from autoreg.watch.webhook import post

NAMED = 3  # of many columns that moved


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
        workers: threads; all cores by default.
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
    if not path.exists():
        frozen(windowed(fetch(spec.source, beside), question.data.time, spec.window), path)
    now = load(_placed(question, path))
    last = ticks.tuned
    then = _then(question, ticks, spec.watch)
    key = Openings(home_folder(options["home"])).key
    fresh, moved = _compared(spec, now, then, key)
    why = _why(spec, ticks, fresh, moved, first=last is None)
    facts: dict[str, Any] = {"rows": now.n, "fresh": fresh, "drift": tuple(moved)}
    plan = _planned(spec, question, path, label, now, fresh, last, options["home"])
    if dry:
        prepare(plan)
        would = f"would tune: {why}" if why else f"would skip: {_calm(spec.fresh, fresh, moved)}"
        return Tick(spec.watch, label, "dry run", would, **facts)
    if why is None:
        return Tick(spec.watch, label, "skipped", _calm(spec.fresh, fresh, moved), **facts)
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


def _compared(
    spec: WatchSpec, now: Dataset, then: Dataset | None, key: str
) -> tuple[int, list[Shift]]:
    """How many rows are new, and how far they lie from those of the last tuning."""
    if then is None:
        return now.n, []
    _check_schema(then, now)
    view = _as_then(now, then)
    known = set(row_hashes(then, key))
    new = np.array([one not in known for one in row_hashes(view, key)])
    if not new.any():
        return 0, []
    return int(new.sum()), shifts(then, view.rows(np.flatnonzero(new)), spec.drift)


def _as_then(now: Dataset, then: Dataset) -> Dataset:
    """Today's rows under the columns, levels and classes of then; new levels are no level."""
    from dataclasses import replace

    from autoreg.data.encoding import encode

    y = now.y
    if then.classes:
        places = {label: k for k, label in enumerate(then.classes)}
        y = np.array([places.get(now.classes[int(k)], len(places)) for k in now.y])
    X = encode(frame_of(now), then.columns)
    classes = (*then.classes, *sorted(set(now.classes) - set(then.classes), key=str))
    return replace(now, X=X, y=y, columns=then.columns, classes=classes if then.classes else ())


def _check_schema(then: Dataset, now: Dataset) -> None:
    """Raise DataError where a column is gone or has become something else."""
    today = {column.name: column for column in now.columns}
    for column in then.columns:
        if column.name not in today:
            raise DataError(
                f"column {column.name!r} is gone from the source; the champion needs it: bring it "
                f"back, or drop it in the study and begin a watch of another name"
            )
        if today[column.name].kind != column.kind:
            raise DataError(
                f"column {column.name!r} was {column.kind} and is {today[column.name].kind} now; "
                f"look at the source, or declare it under data: categorical"
            )


def _why(
    spec: WatchSpec, ticks: Ticks, fresh: int, moved: list[Shift], *, first: bool
) -> str | None:
    """Why to tune, in words; None where there is no reason."""
    if first:
        return "it is the first time"
    if fresh < spec.fresh:
        return None
    if far := [one for one in moved if one.moved]:
        more = f" and {len(far) - NAMED} more" if len(far) > NAMED else ""
        what = "the target moved" if far[0].column == TARGET else "columns moved"
        return f"{what}: {', '.join(map(str, far[:NAMED]))}{more}"
    if spec.every is not None and ticks.skipped >= spec.every:
        return f"{ticks.skipped} ticks were skipped since the last tuning"
    return None


def _calm(least: int, fresh: int, moved: list[Shift]) -> str:
    if fresh < least:
        return f"only {fresh} rows are new; it takes {least}"
    most = f"; the farthest is {moved[0]}" if moved else ""
    return f"{fresh} new rows, and nothing has moved{most}"


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
        margin = spec.promote.margin
        return promote(study, home, data=path, margin=margin, name=spec.watch)
    except MlflowException as error:
        raise BusyError(f"MLflow's store is away ({str(error).splitlines()[0]})") from error
    except BusyError:
        raise
    except StudyError as error:
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
