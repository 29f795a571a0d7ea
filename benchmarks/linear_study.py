"""What surrounds the paths: reading the rows, compiling, and whole studies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import side_by_side

# isort: split
import pandas as pd
from linear_nested import FOLDS, FRACTIONS, MIXES, SHAPES, SMALL, STRENGTHS, nested, regression

from autoreg.candidate import candidate
from autoreg.engines.path.cells import Cells
from autoreg.folds import plan
from autoreg.spec import FoldsSpec
from autoreg.techniques import technique

FIRST_USE = """
import json, sys, time
import numpy as np
from autoreg.data.dataset import Column, Dataset
from autoreg.engines.base import Job, TrainingSet
from autoreg.engines.path import PathEngine
from autoreg.candidate import candidate
from autoreg.techniques import technique

rng = np.random.default_rng(0)
X = rng.normal(size=(100, 5))
y = X[:, 0] + rng.normal(size=100)
columns = tuple(Column(f"x{j}", "numeric") for j in range(5))
tables = {
    "squared error": Dataset("made", columns, X, y, "regression", "y"),
    "logistic": Dataset("made", columns, X, (y > 0).astype(np.int64), "binary", "y", (0, 1)),
}
one = candidate("linear", [technique("lasso")()], {})
rows = np.arange(100)
job = Job(one, TrainingSet(rows, ()), rows, 0, (0.01, 0.1, 1.0))
spent = {}
for name, table in tables.items():
    for use in ("first", "second"):
        start = time.perf_counter()
        PathEngine().run([job], table, cells=np.zeros(100, dtype=np.int64))
        spent[f"{name}, {use} use"] = time.perf_counter() - start
print(json.dumps(spent))
"""


def reading(quick: bool, **_) -> tuple[str, list[tuple[str, ...]]]:
    """The one pass over the rows as a share of a nested elastic net."""
    asked = [candidate("linear", [technique("elastic_net")(mix=mix)], {}) for mix in MIXES]
    rows = [("shape", "scheme", "pass s", "all s", "share")]
    for shape in SMALL if quick else SHAPES:
        data = regression(*shape)
        for scheme, inner in (("separate inner folds", FOLDS), ("symmetric scheme", None)):
            folds = plan(data, FoldsSpec(outer=FOLDS, inner=inner), 0)
            found = side_by_side(
                {
                    "pass": lambda data=data, folds=folds: Cells(data, folds.cells),
                    "all": lambda data=data, folds=folds: nested(data, folds, asked, FRACTIONS),
                }
            )
            (one, _), (whole, _) = found["pass"], found["all"]
            name = f"{shape[0]:,} x {shape[1]:,}"
            rows.append((name, scheme, f"{one:.4f}", f"{whole:.4f}", f"{one / whole:.1%}"))
    return f"One pass over the rows, of {STRENGTHS} strengths x 3 mixes, nested 5 x 5", rows


def compiling(**_) -> tuple[str, list[tuple[str, ...]]]:
    """Seconds of the first fit of a process, before and after kernels are in the cache."""
    with TemporaryDirectory() as folder:
        cold, warm = _first_use(folder), _first_use(folder)
    rows = [("fit", "empty cache s", "filled cache s")]
    rows += [(name, f"{cold[name]:.2f}", f"{warm[name]:.2f}") for name in cold]
    return "Compile time of the kernels (wall clock)", rows


def _first_use(folder: str) -> dict[str, float]:
    said = subprocess.run(
        [sys.executable, "-c", FIRST_USE],
        env=os.environ | {"NUMBA_CACHE_DIR": folder},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(said.stdout)


def study(quick: bool, **_) -> tuple[str, list[tuple[str, ...]]]:
    """``autoreg run`` of a linear study from start to report, with and without MLflow."""
    n, p, trials = (200, 8, 3) if quick else (2_000, 40, 30)
    data = regression(n, p)
    rows = [("shape", "trials of each search", "MLflow", "wall s", "fits s", "of it fits")]
    for tracking in (False, True):
        with TemporaryDirectory() as folder:
            seconds, fits = _run_study(Path(folder), data, trials, tracking)
        told = (f"{n:,} x {p:,}", str(trials), "on" if tracking else "off")
        rows.append((*told, f"{seconds:.1f}", f"{fits:.1f}", f"{fits / seconds:.0%}"))
    return f"Whole linear studies, {FOLDS + 1} searches, one worker (wall clock)", rows


def _run_study(folder: Path, data, trials: int, tracking: bool) -> tuple[float, float]:
    frame = pd.DataFrame(data.X, columns=[column.name for column in data.columns])
    frame.assign(y=data.y).to_csv(folder / "rows.csv", index=False)
    (folder / "speed.yaml").write_text(
        "study: speed\n"
        "data: {source: rows.csv, target: y}\n"
        "space: linear\n"
        f"trials: {trials}\n"
        f"folds: {{outer: {FOLDS}}}\n"
    )
    command = [sys.executable, "-m", "autoreg", "run", folder / "speed.yaml", "--workers", "1"]
    command += ["--home", folder / "home", *([] if tracking else ["--no-tracking"])]
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    seconds = time.perf_counter() - start
    ledger = folder / "home" / "studies" / "speed" / "ledger.jsonl"
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    return seconds, sum(_fit_seconds(record) for record in records)


def _fit_seconds(record: dict) -> float:
    """Seconds that the fits of a ledger's line took; 0 for other lines."""
    return float(record.get("seconds", 0.0)) if record.get("candidate") else 0.0
