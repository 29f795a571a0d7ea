"""``autoreg tick``: one round of a watch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from autoreg.bars import bars
from autoreg.cli.contract import contract
from autoreg.cli.shell import HomeOption, app, err


@app.command("tick")
def one_tick(
    watch: Annotated[Path, typer.Argument(help="A watch file (YAML); see docs/unattended.md.")],
    tick: Annotated[str | None, typer.Option(help="The occasion; date and minute if out.")] = None,
    live: Annotated[
        bool | None,
        typer.Option("--live/--dry-run", help="By default the first tick of a watch is dry."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Cores to use; all by default.")] = None,
    within: Annotated[float | None, typer.Option(help="Minutes that the tick may take.")] = None,
    home: HomeOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="End stdout with one JSON line, nothing else on it.")
    ] = False,
) -> None:
    """Fetch rows, look for drift, tune or skip (99), and promote what is clearly better."""
    again = f"autoreg tick {watch}" + (f" --tick {tick}" if tick else "")
    with contract({"watch": str(watch)}, as_json=as_json, again=again):
        from autoreg.watch import tick as made

        dry = None if live is None else not live
        with bars(err) as listener:
            found = made(
                watch, tick, home=home, dry=dry, workers=workers, within=within, progress=listener
            )
    if as_json:
        typer.echo(json.dumps(found.to_data()))
    else:
        typer.echo(f"{found.watch} {found.tick}: {found.decision}, because {found.reason}")
        if found.gate:
            typer.echo(f"{'promoted' if found.promoted else 'not promoted'}: {found.gate}")
    if found.telling:
        err.print(f"[yellow]webhook:[/] {found.telling}")
    if found.exit_code:
        raise typer.Exit(found.exit_code)
