"""The command line: thin, each command one call into the package.

Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 a defect of autoreg,
2 bad usage, configuration or data, 3 alarms (`check`), 130 interrupted (run it again).
Heavy rooms are imported inside the commands, so that ``autoreg --help`` answers at once.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autoreg import __version__
from autoreg.ablating import ablate
from autoreg.bars import bars
from autoreg.errors import AutoregError

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

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of studies and MLflow store [env: AUTOREG_HOME]."),
]


def main() -> None:
    """Run the command line; errors meant for people end with exit code 2."""
    try:
        app(prog_name="autoreg")
    except AutoregError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"autoreg {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


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
    typer.echo("\n".join([*result.summary, *_places(result.to_data())]))


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
    workers: Annotated[int | None, typer.Option(help="Processes; all cores by default.")] = None,
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
        raise typer.Exit(3)


app.command()(ablate)


@app.command()
def techniques(
    name: Annotated[str | None, typer.Argument(help="One technique, in full.")] = None,
) -> None:
    """List the regularization techniques, or explain one."""
    from autoreg.techniques import catalogue, technique

    if name:
        for line in _explained(technique(name)):
            typer.echo(line)
        return
    rows = [
        (key, ", ".join(kind.families), (kind.__doc__ or "").splitlines()[0])
        for key, kind in catalogue().items()
    ]
    _table(("technique", "families", "what it does"), rows)


@app.command()
def spaces() -> None:
    """List the shipped search spaces."""
    from autoreg.spec import read_space, shipped

    found = [read_space(name) for name in shipped("search_spaces")]
    _table(("space", "what it is for"), [(one.space, " ".join(one.about.split())) for one in found])


@app.command()
def studies() -> None:
    """List the shipped studies."""
    from autoreg.spec import read_study, shipped

    found = [read_study(name) for name in shipped("studies")]
    rows = [(one.study, " ".join(one.question.split())) for one in found]
    _table(("study", "question"), rows)


@app.command()
def show(
    study: Annotated[str | None, typer.Argument(help="Name of a study that was run here.")] = None,
    home: HomeOption = None,
) -> None:
    """Show the verdict of a study that was run here, or list them all."""
    from autoreg.state import finished, states

    if study:
        document = finished(home, study)
        typer.echo("\n".join([*document["summary"], *_places(document)]))
        return
    rows = [(one.study, one.status, one.selection, one.score) for one in states(home)]
    _table(("study", "status", "chosen", "nested score"), rows)


@app.command()
def ui(
    home: HomeOption = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's pages for the studies that were run here (a server on 127.0.0.1)."""
    from autoreg.tracking import server_command

    command = server_command(home, port)
    err.print(f"MLflow on [bold]http://127.0.0.1:{port}[/] (Ctrl-C ends it)")
    os.execvp(command[0], command)


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


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(help="study or space")] = "study",
) -> None:
    """Print the JSON Schema of study or space files, for editors."""
    from autoreg.spec import json_schema

    if kind not in ("study", "space"):
        raise AutoregError(f"there is a schema of `study` and of `space`, not of {kind!r}")
    typer.echo(json.dumps(json_schema("study" if kind == "study" else "space"), indent=2))


# ---- how things look -------------------------------------------------------------------------


def _places(document: dict[str, Any]) -> list[str]:
    run = document["mlflow_run"]
    mlflow = f"run {run} (`autoreg ui` opens it)" if run else "not written"
    model = document["model"] or "none was asked for"
    return [f"report   {document['report']}", f"model    {model}", f"mlflow   {mlflow}"]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table for people on a terminal, tab-separated lines for programs."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table(*head, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _explained(kind: Any) -> Iterator[str]:
    yield f"{kind.key}: {inspect.cleandoc(kind.__doc__ or '')}"
    yield f"  families    {', '.join(kind.families)}"
    yield f"  tasks       {', '.join(kind.tasks)}"
    yield f"  acts on     {', '.join(sorted(kind.seams())) or 'nothing'}"
    for dial in kind.dials:
        yield f"  dial        {dial.name}: {dial.words()}"
        yield f"              {dial.about}"
    for reference in kind.references:
        yield f"  reference   {reference}"
