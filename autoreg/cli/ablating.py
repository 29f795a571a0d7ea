"""``autoreg ablate``: what is each ingredient of the winner worth?"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from autoreg.bars import bars
from autoreg.cli.shell import HomeOption, app, err


@app.command()
def ablate(
    study: Annotated[str, typer.Argument(help="A study that was run here.")],
    repeats: Annotated[
        int, typer.Option(help="Fits of each variant, from other random numbers.", min=1)
    ] = 3,
    workers: Annotated[int | None, typer.Option(help="Cores to use; all by default.")] = None,
    home: HomeOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole attribution as one JSON line.")
    ] = False,
    no_tracking: Annotated[
        bool, typer.Option("--no-tracking", help="Write nothing to MLflow.")
    ] = False,
) -> None:
    """Measure what each ingredient of a study's winner is worth, and what others would add."""
    from autoreg.ablation import ablate as measured
    from autoreg.report import ingredient_lines

    with bars(err) as listener:
        found = measured(
            study,
            home=home,
            repeats=repeats,
            tracking=not no_tracking,
            workers=workers,
            progress=listener,
        )
    typer.echo(json.dumps(found.to_data()) if as_json else "\n".join(ingredient_lines(found)))
