"""``autoreg show``, ``compare``, ``predict``, ``export-optuna``: what came of a study."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoreg.cli.shell import HomeOption, app, err, places, table

if TYPE_CHECKING:
    from autoreg.model import Model


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
def compare(
    studies: Annotated[list[str], typer.Argument(help="Two or more studies that were run here.")],
    home: HomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Show studies side by side; on the same outer folds, paired against the first."""
    from autoreg.comparison import compare as side_by_side

    found = side_by_side(studies, home)
    if as_json:
        typer.echo(json.dumps([one.to_data() for one in found]))
        return
    head = ("study", "chosen", "nested score", "nested loss", "held-out", "trials", "time")
    table((*head, "against the first"), [one.cells for one in found])


@app.command()
def export_optuna(
    study: Annotated[str, typer.Argument(help="Name of a study that was run here.")],
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage; optuna.db in the study's folder by default.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write a study's searches into an Optuna storage, for optuna-dashboard."""
    from autoreg.export import export_optuna as export

    url, names = export(study, home, storage)
    typer.echo("\n".join(names))
    err.print(f"written; [bold]optuna-dashboard {url}[/] shows them", soft_wrap=True)


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="A study that was run here, or a model folder.")],
    to: Annotated[str, typer.Option(help="script, notebook, onnx or equation.")] = "script",
    out: Annotated[
        Path | None, typer.Option(help="The file to write; the study's name by default.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write the winner as a program, notebook, ONNX graph or equation that needs no autoreg."""
    from autoreg.programs import FORMS
    from autoreg.programs import export as written

    known = _model(model, home)
    name = known.about.get("study") or "model"
    place = out or Path(f"{name}{FORMS.get(to, '')}")
    for path in written(known, to, place):
        typer.echo(path)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model folder, or a study that was run here.")],
    data: Annotated[Path, typer.Argument(help="A CSV or Parquet file.")],
    proba: Annotated[bool, typer.Option(help="Class probabilities too.")] = False,
    ranges: Annotated[
        bool, typer.Option("--ranges", help="What holds for 90 % of new rows: intervals or sets.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="A .csv or .parquet file; CSV on stdout by default.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Rows in memory at once.", min=1)] = 50_000,
    home: HomeOption = None,
) -> None:
    """Predict every row of a table, however long it is; CSV on stdout."""
    from autoreg.bars import bars
    from autoreg.batch import predict_file

    known = _model(model, home)
    with bars(err) as listener:
        count = predict_file(
            known,
            data,
            out or sys.stdout,
            proba=proba,
            with_ranges=ranges,
            rows=rows,
            progress=listener if out else False,
        )
    if out:
        err.print(f"{count:,} rows predicted: {out}", soft_wrap=True)


def _model(wanted: Path, home: Path | None) -> Model:
    """The model of a folder, or of a study that was run here."""
    from autoreg.home import study_folder
    from autoreg.model import load
    from autoreg.state import refuse_without_model

    own = study_folder(home, wanted.name)
    if wanted.exists() or not own.is_dir():
        return load(wanted)
    refuse_without_model(own)
    return load(own)
