"""What there is: techniques, spaces, studies, and the schema of their files."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from autoreg.cli.shell import app, table
from autoreg.errors import AutoregError


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
    table(("technique", "families", "what it does"), rows)


@app.command()
def spaces() -> None:
    """List the shipped search spaces."""
    from autoreg.spec import read_space, shipped

    found = [read_space(name) for name in shipped("search_spaces")]
    table(("space", "what it is for"), [(one.space, " ".join(one.about.split())) for one in found])


@app.command()
def studies() -> None:
    """List the shipped studies."""
    from autoreg.spec import read_study, shipped

    found = [read_study(name) for name in shipped("studies")]
    rows = [(one.study, " ".join(one.question.split())) for one in found]
    table(("study", "question"), rows)


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(help="study or space")] = "study",
) -> None:
    """Print the JSON Schema of study or space files, for editors."""
    from autoreg.spec import json_schema

    if kind not in ("study", "space"):
        raise AutoregError(f"there is a schema of `study` and of `space`, not of {kind!r}")
    typer.echo(json.dumps(json_schema("study" if kind == "study" else "space"), indent=2))


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
