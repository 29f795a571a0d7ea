"""What all commands share: the application, where words go, how tables look."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from autoreg.spec import FAMILY_NAMES

app = typer.Typer(
    name="autoreg",
    help="Find which regularization to use, how strong, and how well it will really do.\n\n"
    "Start with [bold]autoreg run breast_cancer[/bold], or with a table of your own: "
    "[bold]autoreg init table.csv --target price[/bold].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
err = Console(stderr=True, highlight=False)

REFUSED = 3  # the exit code of a gate that says no, and of alarms

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of studies and MLflow store [env: AUTOREG_HOME]."),
]


def places(document: dict[str, Any]) -> list[str]:
    """Where a study's report, model and MLflow run are, line by line."""
    run = document["mlflow_run"]
    mlflow = f"run {run} (`autoreg ui` opens it)" if run else "not written"
    ours = document["selection"]["family"] in FAMILY_NAMES
    model = document["model"] or ("none was asked for" if ours else "code of yours, not stored")
    return [f"report   {document['report']}", f"model    {model}", f"mlflow   {mlflow}"]


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table for people on a terminal, tab-separated lines for programs."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    shown = Table(*head, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        shown.add_row(*row)
    Console().print(shown)
