"""MLflow's pages, and what keeps them true; the registry of models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from autoreg.cli.shell import REFUSED, HomeOption, app, err

StudyArgument = Annotated[str, typer.Argument(help="Name of a study that was run here.")]


@app.command()
def ui(
    study: Annotated[str | None, typer.Argument(help="A study to open; else all of them.")] = None,
    home: HomeOption = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's pages for the studies that were run here (a server on 127.0.0.1)."""
    from autoreg.tracking import server_command
    from autoreg.tracking.sync import page_of

    page = f"http://127.0.0.1:{port}/{page_of(study, home)}"
    command = server_command(home, port)
    err.print(f"MLflow on [bold]{escape(page)}[/] (Ctrl-C ends it)", soft_wrap=True)
    os.execvp(command[0], command)


@app.command()
def sync(study: StudyArgument, home: HomeOption = None) -> None:
    """Write to MLflow whatever of a study is missing there."""
    from autoreg.tracking.sync import sync as bring

    state = bring(study, home)
    typer.echo(f"{study} is in MLflow: run {state.run}")


@app.command()
def doctor(study: StudyArgument, home: HomeOption = None) -> None:
    """Compare a study's ledger with MLflow; exit code 3 where they differ."""
    from autoreg.tracking.sync import differences

    found = differences(study, home)
    for one in found:
        typer.echo(str(one))
    if found:
        err.print(f"[bold]autoreg sync {study}[/] writes what is missing")
        raise typer.Exit(REFUSED)
    typer.echo(f"{study}: MLflow agrees with the ledger")


@app.command()
def promote(
    study: StudyArgument,
    data: Annotated[
        Path | None, typer.Option(help="Rows to compare on: CSV or Parquet, with the target.")
    ] = None,
    margin: Annotated[float, typer.Option(help="By how much the loss must fall.")] = 0.0,
    name: Annotated[
        str | None, typer.Option(help="Registered model; the study's name by default.")
    ] = None,
    corrected: Annotated[
        bool,
        typer.Option(
            "--corrected/--alone",
            help="5% error in a champion's whole reign, or in this comparison alone.",
        ),
    ] = True,
    home: HomeOption = None,
) -> None:
    """Register a study's model; make it the champion if it passes the gate (else exit code 3)."""
    from autoreg.tracking.promote import promote as ask

    answer = ask(study, home, data=data, margin=margin, name=name, corrected=corrected)
    role = "champion" if answer.promoted else "challenger"
    typer.echo(f"{answer.name} version {answer.version} is the {role}: {answer.reason}")
    if not answer.promoted:
        raise typer.Exit(REFUSED)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="The registered model.")],
    home: HomeOption = None,
) -> None:
    """Make the previous champion the champion again."""
    from autoreg.tracking.promote import rollback as back

    answer = back(name, home)
    typer.echo(f"{answer.name} version {answer.version} is the champion: {answer.reason}")
