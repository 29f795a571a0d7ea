"""What is written to MLflow, and by whom: each side into an empty store, timed by its CPU."""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))  # findings_sample


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
    return clocked(partial(through, connected(folder, count)))


def connected(folder: Path, count: int):
    """The projection of an imagined study into an empty store, ready to write."""
    from autoreg.tracking.process import spare_the_collector
    from autoreg.tracking.projection import Projection
    from autoreg.tracking.store import Store

    projection = Projection(imagined(folder, count), Store.of(folder, {}), _Over(), 0.0)
    projection._connect()
    spare_the_collector()
    return projection


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
