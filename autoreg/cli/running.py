"""``autoreg run``."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape

from autoreg.bars import bars
from autoreg.cli.shell import HomeOption, app, err, places


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
) -> None:
    """Run a study to its verdict, or continue one that was cut off."""
    from autoreg.spec import read_study

    changes = {"trials": trials, "minutes": minutes, "seed": seed}
    spec = read_study(study).model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )
    err.print(f"[bold]{spec.study}[/]: {escape(spec.question or 'no question given')}")
    from autoreg.study import run_study

    with bars(err) as listener:
        try:
            result = run_study(
                spec,
                home=home,
                tracking=not no_tracking,
                workers=workers,
                progress=listener,
                fresh=fresh,
                reopen=reopen,
            )
        except KeyboardInterrupt:
            again = f"autoreg run {study}"
            err.print(f"\nstopped; every finished trial is kept, `{again}` continues")
            raise typer.Exit(130) from None
    if result.tracking_problem:
        err.print(f"[yellow]MLflow:[/] {escape(result.tracking_problem)}")
    if as_json:
        typer.echo(json.dumps(result.to_data()))
        return
    typer.echo("\n".join([*result.summary, *places(result.to_data())]))
