"""How fast do trials reach MLflow, and what does that cost a study? Side by side, in one run.

Every side writes the same trials, each as a run with the same params, metrics and tags, into an
empty SQLite store, in a process of its own that is timed by its CPU: on a machine where others
compute, too, that is the time on a quiet core. Curves are written by autoreg only.

    python benchmarks/tracking.py
    python benchmarks/tracking.py --quick
    python benchmarks/tracking.py --peers /path/to/venv/bin/python

optuna-integration is run in an environment of its own:

    python -m venv peers
    peers/bin/pip install optuna optuna-integration mlflow
"""

from __future__ import annotations

import single_thread  # noqa: F401 # first: numpy reads it when it is loaded

# isort: split
import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from measuring import versions
from tracking_sides import SIDES, clocked, connected, items, quiet, through

HERE = Path(__file__).resolve()
OURS = ("writer",)
PEERS = ("client", "fluent_batched", "fluent", "callback", "storage")
WORDS = {
    "writer": "autoreg's writer, curves included",
    "client": "MlflowClient: create_run, log_batch, set_terminated",
    "fluent_batched": "fluent API: start_run, log_params, log_metrics, set_tags",
    "fluent": "fluent API, one call an item",
    "callback": "optuna-integration's MLflowCallback",
    "storage": "mlflow's MlflowStorage",
}


# ---- measuring ---------------------------------------------------------------------------------


def measured(side: str, count: int, python: Path) -> dict[str, float] | None:
    """One side in a process of its own; None where its packages are not there."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "items.json").write_text(json.dumps(items(count)))
        command = [str(python), str(HERE), "--side", side, "--folder", place, "--count", str(count)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{side}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        return json.loads(done.stdout.splitlines()[-1])


def writing(count: int, slow: int, peers: Path | None) -> list[str]:
    """Trials a second of all sides; the slow ones write fewer."""
    rows, first = [], 0.0
    for side in (*OURS, *PEERS):
        few = slow if side in ("storage",) else count
        python = Path(sys.executable) if side in OURS or peers is None else peers
        found = measured(side, few, python)
        if found is None:
            continue
        each = 1000 * found["cpu"] / few
        first = first or each
        rows.append(
            f"| {WORDS[side]} | {few} | {each:.1f} | {1000 / each:.0f} | {each / first:.1f} |"
        )
        print(rows[-1], flush=True)
    head = ["| side | trials | CPU ms a trial | trials a second of CPU | times autoreg's |"]
    return [*head, "|---|---:|---:|---:|---:|", *rows]


def sustained(count: int) -> list[str]:
    """The writer's pace from the first trial to the last, and sorting them afterwards."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, str(HERE), "--side", "many", "--folder", place]
        done = subprocess.run([*command, "--count", str(count)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
    rows = [f"| {name} | {value} |" for name, value in found.items()]
    return [f"| {count} trials in one experiment | |", "|---|---:|", *rows]


def many(folder: Path, count: int) -> dict[str, str]:
    from mlflow import MlflowClient

    projection = connected(folder, count)
    laps: list[float] = []
    moved = projection._moved

    def lap(step) -> None:
        laps.append(time.process_time())
        moved(step)

    projection._moved = lap
    through(projection)
    tenth = len(laps) // 10
    paces = [tenth / (laps[end] - laps[end - tenth]) for end in (tenth, len(laps) - 1)]
    seconds = []
    api = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    for order in ("metrics.val_loss ASC", "attributes.start_time DESC"):
        page = partial(
            api.search_runs,
            ["1"],
            "tags.`autoreg.role` = 'trial'",
            order_by=[order],
            max_results=100,
        )
        page()
        seconds.append(sorted(clocked(page)["cpu"] for _ in range(5))[2])
    with sqlite3.connect(folder / "mlflow.db") as connection:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    return {
        "trials a second of CPU, first tenth": f"{paces[0]:.0f}",
        "trials a second of CPU, last tenth": f"{paces[1]:.0f}",
        "first page by val_loss, CPU seconds": f"{seconds[0]:.3f}",
        "first page, newest first, CPU seconds": f"{seconds[1]:.3f}",
        "journal": mode,
    }


def studying(trials: int) -> list[str]:
    """A study with and without logging: its own CPU and the wall clock, taking turns."""
    rows: dict[str, list[dict]] = {"without": [], "with": []}
    for _ in range(3):
        for name in rows:
            with tempfile.TemporaryDirectory() as place:
                command = [sys.executable, str(HERE), "--side", name, "--folder", place]
                done = subprocess.run(
                    [*command, "--count", str(trials)], capture_output=True, text=True
                )
                assert done.returncode == 0, done.stderr
                rows[name].append(json.loads(done.stdout.splitlines()[-1]))
    shown = []
    for key in ("cpu", "wall", "wait"):
        plain, logged = (sorted(one[key] for one in rows[name])[1] for name in rows)
        ratio = f"{logged / plain:.2f}" if plain else ""
        shown.append(f"| {key} | {plain:.2f} | {logged:.2f} | {ratio} |")
    return [
        f"| study of {6 * trials} trials: median of 3, seconds | without | with | ratio |",
        "|---|---:|---:|---:|",
        *shown,
    ]


def study(folder: Path, count: int, *, tracking: bool) -> dict[str, float]:
    import autoreg
    from autoreg.tracking.tracker import WriterProcess

    waited = [0.0]
    wait = WriterProcess.wait

    def timed(self, over) -> bool:
        started = time.perf_counter()
        try:
            return wait(self, over)
        finally:
            waited[0] += time.perf_counter() - started

    WriterProcess.wait = timed
    document = {
        "study": "breast_cancer",
        "data": {"source": "breast_cancer"},
        "space": "linear",
        "trials": count,
        "sampler": "random",
    }
    # Solvers are compiled, or loaded, before the clock starts.
    autoreg.run_study(
        document | {"trials": 14}, home=folder / "warm", tracking=False, workers=1, progress=False
    )
    took = clocked(
        lambda: autoreg.run_study(
            document, home=folder, tracking=tracking, workers=1, progress=False
        )
    )
    return took | {"wait": waited[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer trials: a smoke test")
    parser.add_argument("--only", choices=["writing", "sustained", "studying"])
    parser.add_argument("--peers", type=Path, help="a Python that has optuna-integration")
    parser.add_argument("--write", type=Path, help="write the tables to this file, too")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        quiet()
        sides = SIDES | {
            "many": many,
            "without": lambda folder, count: study(folder, count, tracking=False),
            "with": lambda folder, count: study(folder, count, tracking=True),
        }
        print(json.dumps(sides[options.side](options.folder, options.count)))
        return
    few = options.quick
    sections = {
        "writing": lambda: writing(40 if few else 200, 10 if few else 40, options.peers),
        "sustained": lambda: sustained(300 if few else 10_000),
        "studying": lambda: studying(14 if few else 60),
    }
    said = []
    for name, section in sections.items():
        if options.only in (None, name):
            said.append("\n".join(section()))
            print(f"\n{said[-1]}\n", flush=True)
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        head = ["# Speed of tracking", _sources(options.peers)]
        options.write.write_text("\n\n".join([*head, *said]) + "\n")


def _sources(peers: Path | None) -> str:
    """Versions here and there, for the head of the tables."""
    ours = versions("autoreg", "mlflow", "sqlalchemy")
    if peers is None:
        return ours
    names = ("mlflow", "optuna", "optuna-integration")
    script = f"from measuring import versions; print(versions(*{names!r}))"
    asked = [str(peers), "-c", script]
    done = subprocess.run(asked, cwd=HERE.parent, capture_output=True, text=True, check=True)
    return f"{ours}. Peers: {done.stdout.strip().partition(', ')[2]}."


if __name__ == "__main__":
    main()
