"""Small models of every shape, to be stored once a format: ``python tests/model_samples.py 2``.

They are kept under ``tests/models/format_N/NAME`` with the rows they were asked about and what
they said, and are never made again: a later version must read what an earlier one wrote.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from autoreg.candidate import candidate
from autoreg.data import load
from autoreg.data.dataset import Dataset
from autoreg.engines import engine_for
from autoreg.engines.base import Job, TrainingSet
from autoreg.model import Model
from autoreg.spec import DataSpec, Training
from autoreg.techniques import technique

FOLDER = Path(__file__).parent / "models"
NET = {"width": 4, "depth": 2, "learning_rate": 0.01}
RIDGE = ("linear", {"ridge": {"strength": 0.1}}, {})

# name -> (task, (family, techniques, architecture))
SAMPLES = {
    "line": ("regression", RIDGE),
    "counts": ("count", RIDGE),
    "two_classes": ("binary", ("linear", {"lasso": {"strength": 0.05}}, {})),
    "classes": ("multiclass", RIDGE),
    "network": ("regression", ("network", {"batch_norm": {}, "skip": {}}, NET | {"depth": 3})),
    "piecewise": ("binary", ("network", {"layer_norm": {}}, NET | {"embedding": "piecewise"})),
    "periodic": ("multiclass", ("network", {}, NET | {"embedding": "periodic"})),
    "passes": ("regression", ("network", {"mc_dropout": {"rate": 0.2}}, NET)),
    "filters": ("binary", ("network", {}, NET | {"convolution": "one"})),
    "ratings": (
        "regression",
        ("factorization", {"bias_shrinkage": {"strength": 1.0}}, {"factors": 2}),
    ),
}
SINCE = {"ratings": 2}  # the format that a shape came with, where it was not the first


def frame(n: int = 60) -> pd.DataFrame:
    """Numbers with gaps, two categorical columns, and a target for each task."""
    draws = np.random.default_rng(7)
    made = pd.DataFrame(draws.normal(size=(n, 3)), columns=["age", "dose", "delay"])
    made["city"] = draws.choice(["Bonn", "Rome", "Oslo"], n)
    made["smokes"] = draws.random(n) < 0.3
    score = made["age"] + 0.5 * (made["city"] == "Rome") + 0.3 * draws.normal(size=n)
    made["regression"], made["count"] = score, np.floor(np.exp(score))
    made["binary"] = np.where(score > 0, "yes", "no")
    made["multiclass"] = np.digitize(score, [-0.5, 0.8])
    made.loc[[3, 8], "dose"] = np.nan
    made.loc[5, "city"] = None
    return made


def asked(name: str) -> pd.DataFrame:
    """Rows that a model of the samples is asked about: gaps and a new city among them."""
    if name == "filters":
        return pictures().drop(columns="binary").head(5)
    rows = frame().head(6).drop(columns=["regression", "count", "binary", "multiclass"])
    rows["city"] = rows["city"].astype(object)
    rows.loc[0, "city"] = "Lima"
    return rows


def pictures() -> pd.DataFrame:
    """Images of 4 x 4 pixels whose left half tells their class."""
    draws = np.random.default_rng(3)
    pixels = pd.DataFrame(draws.normal(size=(60, 16)), columns=[f"p{k}" for k in range(16)])
    pixels["binary"] = np.where(pixels["p0"] + pixels["p4"] > 0, "yes", "no")
    return pixels


def dataset(name: str, task: str) -> Dataset:
    """The training rows of a sample."""
    if name == "ratings":
        others = ("count", "binary", "multiclass")
        spec = DataSpec(target=task, user="smokes", item="city", drop=others)
        return load(spec, frame())
    if name == "filters":
        image = {"height": 4, "width": 4}
        return load(DataSpec(target="binary", image=image), pictures())
    drop = tuple({"regression", "count", "binary", "multiclass"} - {task})
    return load(DataSpec(target=task, task=task, drop=drop), frame())


def made(name: str) -> Model:
    """Fit one of the samples."""
    task, (family, chosen, shape) = SAMPLES[name]
    table = dataset(name, task)
    parts = [technique(key)(**dials) for key, dials in chosen.items()]
    one, rows = candidate(family, parts, shape), np.arange(table.n)
    steps = None if family == "linear" else 40
    job = Job(
        one, TrainingSet(rows, ()), rows[:1], 0, settings=Training(epochs=8), steps=steps,
        keep_model=True,
    )  # fmt: skip
    (outcome,) = engine_for([one], table.task).run([job], table)
    return Model(table.columns, table.task, table.target, table.classes, outcome.model, {"a": 1})


def answers(model: Model, rows: pd.DataFrame) -> list[object]:
    """What a model says, ready for JSON."""
    told = model.predict_proba(rows) if model.classes else model.predict(rows)
    return told.tolist()


def store(folder: Path) -> None:
    """Store all samples of the format that this version writes."""
    for name in SAMPLES:
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        model, rows = made(name), asked(name)
        model.save(place)
        document = {
            "rows": json.loads(rows.to_json(orient="records", double_precision=15)),
            "predictions": answers(model, rows),
            "example": model.predict(rows).tolist(),
        }
        (place / "expected.json").write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    store(FOLDER / f"format_{sys.argv[1]}")
