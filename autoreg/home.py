"""Where studies and the MLflow store live."""

from __future__ import annotations

import os
from pathlib import Path


def home_folder(home: str | Path | None = None) -> Path:
    """The home folder: given, else ``AUTOREG_HOME``, else ``./mlruns``.

    >>> home_folder("/data/runs")
    PosixPath('/data/runs')
    """
    return Path(home or os.environ.get("AUTOREG_HOME") or "mlruns").resolve()


def study_folder(home: str | Path | None, study: str) -> Path:
    """Where the state of a study lies: ledger, report, model, certificate.

    >>> study_folder("/data/runs", "wine")
    PosixPath('/data/runs/studies/wine')
    """
    return home_folder(home) / "studies" / study


def set_aside(folder: Path) -> None:
    """Move an earlier state of a study away, to the first free ``NAME.1``, ``NAME.2``, ..."""
    if not folder.exists():
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    folder.rename(aside)
