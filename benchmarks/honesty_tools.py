"""What the experiments on honesty share: benches of made-up tables, refits, a little arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from autoreg.judge import refit_job
from autoreg.scoring import Bench
from autoreg.select import Contender
from autoreg.study import prepare

FRESH = 4_000  # rows on which the truth is measured


def bench_for(X, y, *, outer=5, techniques=("ridge",), trials=None, group=None, points=12) -> Bench:
    """A bench of linear models on a made-up table: nothing held out, one worker."""
    import pandas as pd

    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    frame["target"] = y
    roles = {} if group is None else {"group": "unit"}
    if group is not None:
        frame["unit"] = group
    document = {
        "study": "honesty",
        "data": {"target": "target", **roles},
        "held_out": "none",
        "folds": {"outer": outer, "repeats": 1},
        "trials": trials or 1,
        "sampler": "random",
        "space": {
            "space": "linear",
            "families": {"linear": {"techniques": list(techniques)}},
            "incumbent": {"family": "linear", "techniques": [techniques[0]]},
            "path_points": points,
        },
    }
    bench = prepare(document, frame, workers=1).bench
    # At the least the fixed design: without a penalty, and every technique with its default.
    spec = bench.spec.model_copy(update={"trials": trials or len(bench.space.design())})
    return replace(bench, spec=spec)


def two_classes(rng, scores):
    return np.where(scores + rng.logistic(size=len(scores)) > 0, "yes", "no")


def refitted(bench: Bench, candidate, fold):
    job = refit_job(bench, Contender(candidate, 0.0, 0, 0), fold)
    (fit,) = bench.engine.run([replace(job, keep_model=True)], bench.table)
    return fit.model


def column(rows: Iterable[dict], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=float)


def three_errors(values: np.ndarray) -> float:
    return 3 * float(values.std(ddof=1)) / math.sqrt(len(values))
