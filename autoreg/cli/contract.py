"""What a program that starts autoreg can rely on: exit codes, and one JSON line last on stdout.

| code | meaning |
|---|---|
| 0 | done |
| 1 | a defect of autoreg |
| 2 | bad usage, configuration or data |
| 3 | finished, but a gate said no, or there are alarms (``--strict``) |
| 75 | try later: somebody else is at work, the disk is full, a store or the data are away |
| 99 | nothing to do: the very same question was answered before |
| 124 | the time was over before there was a model |
| 130, 143 | told to stop by Ctrl-C or SIGTERM; the same command continues |
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.markup import escape

from autoreg.cli.shell import err
from autoreg.cli.signals import BASE, Stopped, stoppable
from autoreg.errors import AutoregError

DEFECT = 1
INTERRUPTED = BASE + 2
STATUSES = {
    DEFECT: "defect",
    2: "refused",
    3: "gate said no",
    75: "try later",
    99: "nothing to do",
    124: "out of time",
    INTERRUPTED: "interrupted",
    BASE + 15: "interrupted",
}


@contextmanager
def contract(what: dict[str, str], *, as_json: bool, again: str = "") -> Iterator[None]:
    """Whatever happens inside ends as the table says; ``what`` begins the JSON line.

    ``again`` is the command that continues what was interrupted.
    """
    try:
        with stoppable():
            yield
    except KeyboardInterrupt as error:
        code = error.exit_code if isinstance(error, Stopped) else INTERRUPTED
        err.print(f"\nstopped; every finished trial is kept, `{again}` continues")
        _end(what, code, "interrupted", as_json)
    except AutoregError as error:
        style = "yellow" if error.exit_code > DEFECT + 1 else "bold red"
        word = STATUSES[error.exit_code] if error.exit_code > DEFECT + 1 else "error"
        err.print(f"[{style}]{word}:[/] {escape(str(error))}", soft_wrap=True)
        _end(what, error.exit_code, str(error), as_json)
    except (typer.Exit, typer.Abort, SystemExit):
        raise
    except Exception as error:  # a defect: said in full, and in the line, too
        if not as_json:
            raise
        traceback.print_exc(file=sys.stderr)
        _end(what, DEFECT, f"{type(error).__name__}: {error}", as_json)


def _end(what: dict[str, str], code: int, reason: str, as_json: bool) -> None:
    if as_json:
        line = {**what, "status": STATUSES[code], "exit_code": code, "reason": reason}
        typer.echo(json.dumps(line))
    raise typer.Exit(code) from None
