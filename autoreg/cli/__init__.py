"""The command line: thin, each command one call into the package, one file a theme.

Data goes to stdout, everything else to stderr. Exit codes are those of ``contract.py``.
Heavy rooms are imported inside the commands, so that ``autoreg --help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from autoreg import __version__

# Their order is that of the help.
# isort: off
from autoreg.cli import (
    running,
    starting,
    proving,
    ablating,
    showing,
    tracking,
    scheduling,
    watching,
    learning,
)
from autoreg.cli.shell import app, err

# isort: on
from autoreg.errors import AutoregError

__all__ = [
    "ablating",
    "app",
    "learning",
    "main",
    "proving",
    "running",
    "scheduling",
    "showing",
    "starting",
    "tracking",
    "watching",
]


def main() -> None:
    """Run the command line; errors meant for people end with the exit code of their kind."""
    try:
        app(prog_name="autoreg")
    except AutoregError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)


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
