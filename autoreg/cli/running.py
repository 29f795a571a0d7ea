"""``autoreg run``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from autoreg.bars import bars
from autoreg.cli.contract import contract
from autoreg.cli.shell import REFUSED, HomeOption, app, err, places

if TYPE_CHECKING:
    from autoreg.result import StudyResult


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A shipped study (see `studies`) or a YAML file.")],
    trials: Annotated[int | None, typer.Option(help="Trials of each search.", min=1)] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop searching after that long.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed, another result.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; all cores by default.")] = None,
    home: HomeOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="End stdout with one JSON line, nothing else on it.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Set an earlier state aside and start anew.")
    ] = False,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Look at held-out rows again; the result is marked.")
    ] = False,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Write nothing to MLflow.")
    ] = False,
    within: Annotated[
        float | None, typer.Option(help="Minutes that the whole run may take, verdict included.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Exit code 99 if this very question was answered.")
    ] = False,
    tick: Annotated[
        str | None, typer.Option(help="The occasion, a date for example; implies --once.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 3 if there are alarms or no signal.")
    ] = False,
) -> None:
    """Run a study to its verdict, or continue one that was cut off."""
    with contract({"study": study}, as_json=as_json, again=f"autoreg run {study}"):
        result = _run(
            study,
            {"trials": trials, "minutes": minutes, "seed": seed},
            home=home,
            tracking=not no_tracking,
            workers=workers,
            fresh=fresh,
            reopen=reopen,
            within=within,
            once=once or tick is not None,
            tick=tick,
        )
    document = result.to_data()
    refused = strict and not sound(document)
    document |= {"exit_code": REFUSED if refused else 0}
    if result.tracking_problem:
        err.print(f"[yellow]MLflow:[/] {escape(result.tracking_problem)}")
    if as_json:
        typer.echo(json.dumps(document))
    else:
        typer.echo("\n".join([*result.summary, *places(document)]))
    if refused:
        raise typer.Exit(REFUSED)


def sound(document: dict[str, Any]) -> bool:
    """Whether a result has signal, and no alarm that is more than a remark.

    >>> sound({"signal": True, "alarms": [{"severity": "info"}]})
    True
    """
    return document["signal"] and all(one["severity"] == "info" for one in document["alarms"])


def _run(study: str, changes: dict[str, Any], **options: Any) -> StudyResult:
    from autoreg.spec import read_study

    spec = read_study(study).model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )
    err.print(f"[bold]{spec.study}[/]: {escape(spec.question or 'no question given')}")
    from autoreg.study import run_study

    with bars(err) as listener:
        return run_study(spec, progress=listener, **options)
