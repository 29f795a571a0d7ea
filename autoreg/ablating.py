"""``autoreg ablate``: what is each ingredient of the winner worth?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def ablate(
    study: Annotated[str, typer.Argument(help="A study that was run here.")],
    repeats: Annotated[
        int, typer.Option(help="Fits of each variant, from other random numbers.", min=1)
    ] = 3,
    workers: Annotated[int | None, typer.Option(help="Processes; all cores by default.")] = None,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="Folder of studies and MLflow store [env: AUTOREG_HOME]."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole attribution as one JSON line.")
    ] = False,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Write nothing to MLflow.")
    ] = False,
) -> None:
    """Measure what each ingredient of a study's winner is worth, and what others would add."""
    from rich.console import Console

    from autoreg.ablation import ablate as measured
    from autoreg.bars import bars
    from autoreg.report import ingredient_lines

    with bars(Console(stderr=True, highlight=False)) as listener:
        found = measured(
            study,
            home=home,
            repeats=repeats,
            tracking=not no_tracking,
            workers=workers,
            progress=listener,
        )
    typer.echo(json.dumps(found.to_data()) if as_json else "\n".join(ingredient_lines(found)))
