"""Processes of our own: a module of this package, at work beside the process that starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

PACKAGE = Path(__file__).parent


def child(
    module: str,
    *arguments: str,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a module as a process that is told things by its standard input.

    Not from the working folder, where other packages of the same names may lie; from where this
    autoreg is. It is in a session of its own: a Ctrl-C is for the process that started it.
    """
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env={
            **os.environ,
            **(environment or {}),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        },
        start_new_session=True,
    )
