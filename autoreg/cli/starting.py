"""``autoreg init`` and ``autoreg validate``: before the first run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoreg.cli.shell import app, err
from autoreg.errors import AutoregError

SHOWN = 40  # columns of a schema


@app.command()
def init(
    data: Annotated[Path, typer.Argument(help="A CSV or Parquet file.")],
    target: Annotated[str, typer.Option(help="The column to predict.")],
    group: Annotated[str | None, typer.Option(help="Rows of one group stay together.")] = None,
    time: Annotated[str | None, typer.Option(help="Train on the past only.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study and its file.")] = None,
) -> None:
    """Look at a table and write a commented study file for it."""
    from autoreg.starter import starter_study, write_schema

    path, text = starter_study(data, target, group=group, time=time, name=name)
    if path.exists():
        raise AutoregError(f"{path} exists already; choose another --name, or delete it")
    path.write_text(text, encoding="utf-8")
    write_schema(path.parent)
    typer.echo(path)
    err.print(f"wrote {path}; read it, then: [bold]autoreg run {path}[/]")


@app.command()
def validate(
    study: Annotated[str, typer.Argument(help="A shipped study or a YAML file.")],
) -> None:
    """Check a study, its space and its data without fitting anything."""
    from autoreg.study import prepare

    ready = prepare(study)
    splits, facts = ready.splits, ready.facts
    typer.echo(
        f"{ready.spec.study} is fine: {facts['rows']} rows, {facts['columns']} features, "
        f"{facts['task']}; {splits['splitter']}, {splits['outer']} outer folds, "
        f"{splits['held_out_rows']} held-out rows; "
        f"{len(ready.bench.searches)} searches of {ready.spec.trials} trials"
    )
    typer.echo("\n".join(f"  {line}" for line in facts["schema"][:SHOWN]))
    if len(facts["schema"]) > SHOWN:
        typer.echo(f"  ... and {len(facts['schema']) - SHOWN} more columns")
