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

HERE = Path(__file__).resolve()
sys.path.append(str(HERE.parents[1] / "tests"))  # findings_sample
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


# ---- what is written ---------------------------------------------------------------------------


def samples() -> list:
    """The trials of an imagined study."""
    from findings_sample import sample

    return [trial for trial in sample().trials if not trial.failure]


def imagined(folder: Path, count: int):
    """A study's folder as a run with so many trials leaves it."""
    from dataclasses import replace

    from findings_sample import sample

    from autoreg.ledger import Ledger
    from autoreg.tracking import layout
    from autoreg.tracking.spool import Spool

    found, trials = sample(), samples()
    study = folder / "studies" / "imagined"
    spool = Spool(study)
    opening = layout.opening(found.spec, "imagined:1", found.data, found.splits)
    spool.write("opening", opening | {"study": "imagined"})
    ledger = Ledger.open(study / "ledger.jsonl", {"study": "imagined"})
    lines = (replace(trials[k % len(trials)], number=k, seconds=0.5) for k in range(count))
    with ledger.path.open("a") as file:
        for k, trial in enumerate(lines):
            at = 1.7e9 + 0.1 * k
            record = {"kind": "trial", **trial.to_data(), "at": at}
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
    return spool


def items(count: int) -> list[dict]:
    """The same trials as plain params, metrics and tags, for the interpreter of the peers."""
    from autoreg.tracking.layout import trial_entry

    trials = samples()
    entries = [trial_entry(trials[k % len(trials)]) for k in range(count)]
    return [
        {
            "params": {name: str(value) for name, value in one.params.items()},
            "metrics": dict(one.metrics),
            "tags": {"autoreg.key": f"k{k}", "autoreg.study": "imagined", **one.tags},
        }
        for k, one in enumerate(entries)
    ]


# ---- sides: each writes into an empty store and says how long that took ------------------------


def quiet() -> None:
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def empty(folder: Path) -> str:
    """A store with an experiment of that name, made before the clock starts."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_experiment("autoreg", (folder / "artifacts").as_uri())
    return uri


def clocked(work) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def writer(folder: Path, count: int) -> dict[str, float]:
    from autoreg.tracking.process import spare_the_collector
    from autoreg.tracking.projection import Projection
    from autoreg.tracking.store import Store

    spool = imagined(folder, count)
    projection = Projection(spool, Store.of(folder, {}), _Over(), 0.0)
    projection._connect()
    spare_the_collector()
    return clocked(partial(through, projection))


def through(projection) -> None:
    state = projection.run()
    assert (state.reason, state.refused) == (None, ()), state


class _Over:
    last = "KILLED"

    def listen(self, seconds: float) -> None:
        pass


def client(folder: Path, count: int) -> dict[str, float]:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    uri = empty(folder)
    api = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def work() -> None:
        for one in read(folder):
            run = api.create_run("1").info.run_id
            metrics = [Metric(k, v, 0, 0) for k, v in one["metrics"].items()]
            params = [Param(k, v) for k, v in one["params"].items()]
            tags = [RunTag(k, v) for k, v in one["tags"].items()]
            api.log_batch(run, metrics, params, tags)
            api.set_terminated(run)

    return clocked(work)


def fluent(folder: Path, count: int, *, batched: bool = False) -> dict[str, float]:
    import mlflow

    mlflow.set_tracking_uri(empty(folder))
    mlflow.set_experiment("autoreg")

    def work() -> None:
        for one in read(folder):
            with mlflow.start_run():
                if batched:
                    mlflow.log_params(one["params"])
                    mlflow.log_metrics(one["metrics"])
                    mlflow.set_tags(one["tags"])
                    continue
                for name, value in one["params"].items():
                    mlflow.log_param(name, value)
                for name, value in one["metrics"].items():
                    mlflow.log_metric(name, value)
                for name, value in one["tags"].items():
                    mlflow.set_tag(name, value)

    return clocked(work)


def fluent_batched(folder: Path, count: int) -> dict[str, float]:
    return fluent(folder, count, batched=True)


def told(folder: Path, storage=None, callbacks=()) -> dict[str, float]:
    """An Optuna study whose trials cost nothing: what is left is the logging."""
    import optuna

    todo = read(folder)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))

    known = {
        name: sorted({one["params"][name] for one in todo if name in one["params"]})
        for name in dict.fromkeys(name for one in todo for name in one["params"])
    }

    def objective(trial) -> float:
        one = todo[trial.number]
        for name in one["params"]:
            trial.suggest_categorical(name, known[name])
        for name, value in (one["metrics"] | one["tags"]).items():
            trial.set_user_attr(name, value)
        return one["metrics"]["val_loss"]

    return clocked(lambda: study.optimize(objective, len(todo), callbacks=list(callbacks)))


def callback(folder: Path, count: int) -> dict[str, float]:
    from optuna.integration import MLflowCallback

    uri = empty(folder)
    return told(folder, None, [MLflowCallback(tracking_uri=uri, metric_name="val_loss")])


def storage(folder: Path, count: int) -> dict[str, float]:
    import mlflow
    from mlflow.optuna.storage import MlflowStorage

    mlflow.set_tracking_uri(empty(folder))
    return told(folder, MlflowStorage(experiment_id="1"))


def read(folder: Path) -> list[dict]:
    return json.loads((folder / "items.json").read_text())


SIDES = {
    "writer": writer,
    "client": client,
    "fluent_batched": fluent_batched,
    "fluent": fluent,
    "callback": callback,
    "storage": storage,
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

    from autoreg.tracking.process import spare_the_collector
    from autoreg.tracking.projection import Projection
    from autoreg.tracking.store import Store

    spool, store = imagined(folder, count), Store.of(folder, {})
    projection = Projection(spool, store, _Over(), 0.0)
    projection._connect()
    spare_the_collector()
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
    api = MlflowClient(tracking_uri=store.uri)
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
        options.write.write_text("# Speed of tracking\n\n" + "\n\n".join(said) + "\n")


if __name__ == "__main__":
    main()
