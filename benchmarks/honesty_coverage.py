"""H8: do intervals cover the truth?"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from honesty_tools import FRESH, bench_for, column, refitted, two_classes

from autoreg.attribution import judged_share
from autoreg.metrics.base import row_losses
from autoreg.rehearsal import rehearsed
from autoreg.statistics import nadeau_bengio

Z90 = 1.6449
TRUTHS = {"accuracy": "accuracy", "folds": "accuracy", "wald": "accuracy", "loss": "loss"}
TOLD = {"accuracy": "accuracy", "folds": "folds alone", "wald": "Wald", "loss": "log loss"}


def coverage(seed: int, n: int, p: int, groups: int, halves: bool) -> dict:
    """The interval, two that are known to be too narrow, and the truth about the outer refits.

    Too narrow are Wald's, and the folds alone: stratified folds repeat the sample's shares of the
    classes, so they do not show what the chance of these shares does. With ``halves`` there is no
    such chance: half of the rows are from each class, in every sample.
    """
    rng = np.random.default_rng([seed, n, p, groups])
    make = partial(_halved if halves else _logistic, p=p, groups=groups)
    X, y, group = make(rng, n)
    bench = bench_for(X, y, group=group)
    found = rehearsed(bench)
    fresh, truth, _ = make(rng, FRESH)
    codes = np.searchsorted(bench.table.classes, truth)
    refits = zip(found.folds, bench.plan.outer, strict=True)
    models = [refitted(bench, one.chosen, fold) for one, fold in refits]
    predicted = [model.predictions(fresh, "binary") for model in models]
    accuracy, loss = found.scores["accuracy"], found.nested_loss
    half = Z90 * math.sqrt(accuracy.value * (1 - accuracy.value) / n)
    scores, rows = np.array([(one.score, one.rows) for one in found.folds]).T
    alone = nadeau_bengio(scores, judged_share(bench), weights=rows)
    return {
        "accuracy": [accuracy.low, accuracy.high],
        "folds": [alone.low, alone.high],
        "wald": [accuracy.value - half, accuracy.value + half],
        "loss": [loss.low, loss.high],
        "true_accuracy": float(np.mean([one.argmax(axis=1) == codes for one in predicted])),
        "true_loss": float(np.mean([row_losses("binary", codes, one) for one in predicted])),
    }


def _logistic(rng, n, p, groups):
    """Ten weak columns decide; rows of one group share part of their columns and of their luck."""
    X = rng.normal(size=(n, p))
    group = None
    luck = np.zeros(n)
    if groups:
        group = np.repeat(np.arange(-(-n // groups)), groups)[:n]
        own = rng.normal(size=(group.max() + 1, p))
        X = (X + own[group]) / math.sqrt(2)
        luck = rng.normal(size=group.max() + 1)[group]
    slope = np.zeros(p)
    slope[:10] = 0.5
    return X, two_classes(rng, X @ slope + luck), group


def _halved(rng, n, p, groups):
    """The first n/2 rows of each class out of more rows."""
    X, y, _ = _logistic(rng, 3 * n, p, groups)
    rows = np.sort(np.concatenate([np.flatnonzero(y == one)[: n // 2] for one in ("no", "yes")]))
    return X[rows], y[rows], None


def judge_coverage(rows: list[dict]) -> tuple[str, bool]:
    true = {name: column(rows, f"true_{truth}") for name, truth in TRUTHS.items()}
    held = {name: covered(rows, name, true[name].mean()) for name in TRUTHS}
    slack = 3 * math.sqrt(0.9 * 0.1 / len(rows))
    words = ", ".join(f"{TOLD[name]} {share:.3f}" for name, share in held.items())
    words += f" (of these refits {covered(rows, 'loss', true['loss']):.3f})"
    least = min(0.855, 0.9 - slack)  # few tables cannot tell 0.90 from 0.855
    return words, bool(least <= held["accuracy"] <= 0.97 and held["wald"] < held["accuracy"])


def told_coverage(rows: list[dict]) -> tuple[str, None]:
    return judge_coverage(rows)[0], None  # nothing is promised here


def covered(rows: list[dict], name: str, true: np.ndarray | float) -> float:
    """How often an interval holds the truth: of the procedure, its mean; or of each table."""
    ends = np.array([row[name] for row in rows])
    return float(((ends[:, 0] <= true) & (true <= ends[:, 1])).mean())
