"""``autoreg run``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from autoreg.bars import bars
from autoreg.cli.contract import contract
from autoreg.cli.shell import REFUSED, HomeOption, app, err, places

if TYPE_CHECKING:
    from autoreg.result import StudyResult
    from autoreg.spec import StudySpec


Trials = Annotated[int | None, typer.Option(help="Trials of each search.", min=1)]
Minutes = Annotated[float | None, typer.Option(help="Stop searching after that long.")]
Seed = Annotated[int | None, typer.Option(help="Another seed, another result.")]
Workers = Annotated[int | None, typer.Option(help="Cores to use; all by default.")]
Json = Annotated[
    bool, typer.Option("--json", help="End stdout with one JSON line, nothing else on it.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Set an earlier state aside and start anew.")]
Reopen = Annotated[
    bool, typer.Option("--reopen", help="Look at held-out rows again; the result is marked.")
]
NoTracking = Annotated[bool, typer.Option("--no-tracking", help="Write nothing to MLflow.")]
Within = Annotated[
    float | None, typer.Option(help="Minutes that the whole run may take, verdict included.")
]
Once = Annotated[
    bool, typer.Option("--once", help="Exit code 99 if this very question was answered.")
]
TickOption = Annotated[
    str | None, typer.Option(help="The occasion, a date for example; implies --once.")
]
OuterFold = Annotated[
    str | None, typer.Option(help="Run one search only, by name or number; `merge` joins them.")
]
Storage = Annotated[
    str | None, typer.Option(help="Database in which workers take part: postgresql://...")
]
Executor = Annotated[str | None, typer.Option(help="Where fits are made: dask@tcp://host:8786.")]
Learn = Annotated[
    int, typer.Option(help="Try first so many settings that worked on similar data.", min=0)
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit code 3 if there are alarms or no signal.")
]


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A shipped study (see `studies`) or a YAML file.")],
    trials: Trials = None,
    minutes: Minutes = None,
    seed: Seed = None,
    workers: Workers = None,
    home: HomeOption = None,
    as_json: Json = False,
    fresh: Fresh = False,
    reopen: Reopen = False,
    no_tracking: NoTracking = False,
    within: Within = None,
    once: Once = False,
    tick: TickOption = None,
    outer_fold: OuterFold = None,
    storage: Storage = None,
    executor: Executor = None,
    learn: Learn = 0,
    strict: Strict = False,
) -> None:
    """Run a study to its verdict, or continue one that was cut off."""
    changes = {"trials": trials, "minutes": minutes, "seed": seed}
    if outer_fold is not None:
        _segment(study, changes, outer_fold, home, workers, as_json)
        return
    with contract({"study": study}, as_json=as_json, again=f"autoreg run {study}"):
        result = _run(
            study,
            changes,
            home=home,
            tracking=not no_tracking,
            workers=workers,
            fresh=fresh,
            reopen=reopen,
            within=within,
            once=once or tick is not None,
            tick=tick,
            storage=storage,
            executor=executor,
            learn=learn,
        )
    _shown(result, as_json=as_json, strict=strict)


def _shown(result: StudyResult, *, as_json: bool, strict: bool) -> None:
    document = result.to_data()
    refused = strict and not sound(document)
    document |= {"exit_code": REFUSED if refused else 0}
    if result.tracking_problem:
        err.print(f"[yellow]MLflow:[/] {escape(result.tracking_problem)}")
    lines = [*result.summary, *places(document)]
    typer.echo(json.dumps(document) if as_json else "\n".join(lines))
    if refused:
        raise typer.Exit(REFUSED)


def sound(document: dict[str, Any]) -> bool:
    """Whether a result has signal, and no alarm that is more than a remark.

    >>> sound({"signal": True, "alarms": [{"severity": "info"}]})
    True
    """
    return document["signal"] and all(one["severity"] == "info" for one in document["alarms"])


@app.command()
def merge(
    study: Annotated[str, typer.Argument(help="A study whose searches ran by --outer-fold.")],
    trials: Annotated[int | None, typer.Option(help="As in the searches.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="As in the searches.")] = None,
    home: HomeOption = None,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Write nothing to MLflow.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End stdout with one JSON line.")] = False,
) -> None:
    """Join the searches of an array job, and take the study to its verdict."""
    with contract({"study": study}, as_json=as_json, again=f"autoreg merge {study}"):
        from autoreg.fleet import joined
        from autoreg.home import study_folder
        from autoreg.study import prepare

        changes = {"trials": trials, "seed": seed}
        spec = _changed(study, changes)
        joined(prepare(spec), study_folder(home, spec.study))
        result = _run(study, changes, home=home, tracking=not no_tracking)
    document = result.to_data() | {"exit_code": 0}
    lines = [*result.summary, *places(document)]
    typer.echo(json.dumps(document) if as_json else "\n".join(lines))


@app.command()
def worker(
    study: Annotated[str, typer.Argument(help="A shipped study or a YAML file.")],
    storage: Annotated[str, typer.Option(help="The database: postgresql://user@host/name.")],
    trials: Annotated[int | None, typer.Option(help="As in `run`.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="As in `run`.")] = None,
    workers: Annotated[int | None, typer.Option(help="Cores to use; all by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End stdout with one JSON line.")] = False,
) -> None:
    """Take part in a study's searches; `run --storage` takes it to its verdict."""
    again = f"autoreg worker {study} --storage ..."
    with contract({"study": study}, as_json=as_json, again=again):
        from autoreg.fleet import take_part
        from autoreg.study import prepare

        ready = prepare(_changed(study, {"trials": trials, "seed": seed}), workers=workers)
        with bars(err) as listener:
            known = take_part(ready, storage, listener)
    count = sum(map(len, known.values()))
    line = {"study": ready.spec.study, "status": "complete", "exit_code": 0, "trials": count}
    typer.echo(json.dumps(line) if as_json else f"all {count} trials are recorded")


def _segment(
    study: str,
    changes: dict[str, Any],
    which: str,
    home: Path | None,
    workers: int | None,
    as_json: bool,
) -> None:
    again = f"autoreg run {study} --outer-fold {which}"
    with contract({"study": study, "search": which}, as_json=as_json, again=again):
        from autoreg.fleet import run_segment
        from autoreg.home import study_folder
        from autoreg.study import prepare

        ready = prepare(_changed(study, changes), workers=workers)
        with bars(err) as listener:
            count = run_segment(ready, study_folder(home, ready.spec.study), which, listener)
    line = {"study": ready.spec.study, "search": which, "status": "complete", "exit_code": 0}
    line |= {"trials": count}
    typer.echo(json.dumps(line) if as_json else f"search {which}: {count} trials")


def _changed(study: str, changes: dict[str, Any]) -> StudySpec:
    from autoreg.spec import read_study

    return read_study(study).model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )


def _run(study: str, changes: dict[str, Any], **options: Any) -> StudyResult:
    spec = _changed(study, changes)
    err.print(f"[bold]{spec.study}[/]: {escape(spec.question or 'no question given')}")
    from autoreg.study import run_study

    with bars(err) as listener:
        return run_study(spec, progress=listener, **options)
