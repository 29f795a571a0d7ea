"""``autoreg show`` and ``autoreg predict``: what came of a study."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from autoreg.cli.shell import HomeOption, app, places, table


@app.command()
def show(
    study: Annotated[str | None, typer.Argument(help="Name of a study that was run here.")] = None,
    home: HomeOption = None,
) -> None:
    """Show the verdict of a study that was run here, or list them all."""
    from autoreg.state import finished, states

    if study:
        document = finished(home, study)
        typer.echo("\n".join([*document["summary"], *places(document)]))
        return
    rows = [(one.study, one.status, one.selection, one.score) for one in states(home)]
    table(("study", "status", "chosen", "nested score"), rows)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model folder (…/studies/NAME/model).")],
    data: Annotated[Path, typer.Argument(help="A CSV or Parquet file.")],
    proba: Annotated[bool, typer.Option(help="Class probabilities too.")] = False,
    ranges: Annotated[
        bool, typer.Option("--ranges", help="What holds for 90 % of new rows: intervals or sets.")
    ] = False,
) -> None:
    """Predict every row of a table; CSV on stdout."""
    import pandas as pd

    from autoreg.data.files import read_table
    from autoreg.model import Model

    loaded = Model.load(model)
    frame = read_table(data, loaded.columns)
    predicted = pd.DataFrame({"prediction": loaded.predict(frame)})
    if proba:
        names = [f"probability_{label}" for label in loaded.classes]
        predicted[names] = loaded.predict_proba(frame)
    if ranges:
        from autoreg import calibration

        predicted = predicted.assign(**calibration.ranges(loaded, frame))
    predicted.to_csv(sys.stdout, index=False)
