"""A study on a Parquet file that is read once, in pieces: time, and memory against the rows.

    python benchmarks/stream.py                    # 10,000,000 rows x 50 columns
    python benchmarks/stream.py --rows 1000000     # smaller
    python benchmarks/stream.py --write benchmarks/results/stream.md

The file is made first, in a temporary folder (about 2 GB for the default). The study runs in a
process of its own, whose peak memory is printed beside the size of the rows in memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import table, versions  # first: it sets the number of threads

# isort: split
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 100_000
HEAD = ("rows", "file, GiB", "rows in memory, GiB", "writing the file", "one pass", "whole study")
HEAD += ("libraries alone", "peak memory", "nested R2", "held-out rows")
PROGRAM = """
import json, pathlib, re, sys, time
import numpy, pandas, pyarrow.parquet, sklearn.linear_model, optuna
from autoreg.engines.path.kernels.newton import newton_path
from autoreg.engines.path.kernels.gram import gram_path
from autoreg.spec import study_from
from autoreg.data.stream import stream
from autoreg import run_study
def peak_memory():  # of this process alone, in MiB
    status = pathlib.Path('/proc/self/status').read_text()
    return int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) / 1024
before = peak_memory()
document = json.loads(sys.argv[1])
start = time.perf_counter()
stream(study_from(document))
passed = time.perf_counter() - start
start = time.perf_counter()
result = run_study(document, home=sys.argv[2], tracking=False, workers=1, progress=False)
whole = time.perf_counter() - start
peak = peak_memory()
score = result.verdict.nested.value
print(json.dumps([before, passed, whole, peak, score, result.verdict.held_out.rows]))
"""


def write(path: Path, rows: int, columns: int) -> None:
    """A sparse linear truth with correlated columns, written in pieces."""
    rng = np.random.default_rng(0)
    truth = np.where(np.arange(columns) < 10, rng.normal(size=columns), 0.0)
    names = [f"x{j}" for j in range(columns)]
    schema = pa.schema([(name, pa.float32()) for name in [*names, "y"]])
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        for first in range(0, rows, CHUNK):
            count = min(CHUNK, rows - first)
            X = rng.normal(size=(count, columns)) + 0.7 * rng.normal(size=(count, 1))
            y = X @ truth + 3.0 * rng.normal(size=count)
            cells = [*X.T.astype(np.float32), y.astype(np.float32)]
            writer.write_table(pa.table(dict(zip([*names, "y"], cells, strict=True)), schema))


def measure(rows: int, columns: int) -> tuple[str, ...]:
    """The cells of one row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        start = time.perf_counter()
        write(path, rows, columns)
        made = time.perf_counter() - start
        document = {
            "study": "stream",
            "data": {"source": str(path), "target": "y", "stream": True},
            "space": "linear",
            "trials": 16,
        }
        command = [sys.executable, "-c", PROGRAM, json.dumps(document), folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        before, passed, whole, peak, score, held_out = json.loads(done.stdout.splitlines()[-1])
        return (
            f"{rows:,} x {columns}",
            f"{path.stat().st_size / 2**30:.2f}",
            f"{rows * (columns + 1) * 8 / 2**30:.2f}",
            f"{made:.0f}",
            f"{passed:.1f}",
            f"{whole:.1f}",
            f"{before:.0f}",
            f"{peak:.0f}",
            f"{score:.4f}",
            f"{held_out:,}",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--write", type=Path, help="write the table to this file, too")
    options = parser.parse_args()
    sizes = dict.fromkeys([max(options.rows // 10, 1000), options.rows])
    rows = [measure(rows, options.columns) for rows in sizes]
    text = (
        "# A study on a file that is read once, in pieces\n"
        f"{table('One worker; seconds of wall time, memory in MiB', HEAD, rows)}\n\n"
        f"{versions('autoreg', 'numpy', 'pyarrow')}\n"
    )
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
