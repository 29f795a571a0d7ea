"""``autoreg verify`` and ``autoreg check``: is what a study says to be trusted?"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from autoreg.bars import bars
from autoreg.cli.shell import REFUSED, HomeOption, app, err


@app.command()
def verify(
    study: Annotated[
        str, typer.Argument(help="A study that was run here, a shipped one, or a YAML file.")
    ],
    trials: Annotated[
        int | None, typer.Option(help="Trials of each search; a few by default.", min=1)
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="As many trials and epochs as the study has.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Cores to use; all by default.")] = None,
    home: HomeOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole certificate as one JSON line.")
    ] = False,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Write nothing to MLflow.")
    ] = False,
) -> None:
    """Prove that no row leaked into what must not see it: garble rows, compare bits."""
    from autoreg.verification import verify

    with bars(err) as listener:
        proof = verify(
            study,
            home=home,
            trials=trials,
            full=full,
            tracking=not no_tracking,
            workers=workers,
            progress=listener,
        )
    typer.echo(json.dumps(proof.to_data()) if as_json else "\n".join(proof.words))
    if proof.outcome != "clean":
        raise typer.Exit(1)


@app.command()
def check(
    data: Annotated[str, typer.Argument(help="A CSV or Parquet file, a bundled set, or a study.")],
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    group: Annotated[str | None, typer.Option(help="Rows of one group stay together.")] = None,
    time: Annotated[str | None, typer.Option(help="Train on the past only.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="A column to leave out.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Code of an alarm to ignore.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Look for leaks in a table, before anything is fitted; exit code 3 if there are signs."""
    from autoreg.inspection import inspected

    roles = {"target": target, "group": group, "time": time, "drop": tuple(drop or ())}
    answers = inspected(data, roles, tuple(ignore or ()))
    if as_json:
        typer.echo(json.dumps(answers.to_data()))
    else:
        typer.echo("\n".join(answers.lines))
    if any(one.severity != "info" for one in answers.alarms):
        raise typer.Exit(REFUSED)
