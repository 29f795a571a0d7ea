"""python-glmnet and adelie on arrays from a file, to certificates; run by ``linear.py --peers``.

    python linear_peers.py arrays.npz

The arrays are the standardized inputs ``X0``.., targets ``y0``.. and falling absolute levels
``levels0``.. of each fold, with ``kind`` (squared, binary, several), ``groups`` (their size, or 0)
and ``wanted``, the violations that certificates allow. Each peer is run with ever smaller
tolerances; for each certificate the first one that keeps it in every fold is timed, and the
peer's default. Prints one JSON list for each peer.
"""

from __future__ import annotations

import json
import sys
import warnings

from measuring import clocked, objective, violation  # first: it sets the number of threads

# isort: split
import adelie
import numpy as np
from glmnet import LogitNet

TOLERANCES = 10.0 ** -np.arange(4.0, 14.1, 0.5)
DEFAULT = 1e-7  # the tolerance of both
REPEATS = 3
PATIENCE = 10.0  # seconds; a peer that needs longer is not asked for more


def glmnet_path(kind, groups, X, y, levels, tolerance):
    net = LogitNet(
        alpha=1,
        lambda_path=levels,
        n_splits=0,
        standardize=False,
        tol=tolerance,
        max_iter=10**7,
    )
    net.fit(X, y)
    W, b = np.asarray(net.coef_path_), np.asarray(net.intercept_path_)
    count = W.shape[-1]
    return W.reshape(-1, X.shape[1], count).T, b.reshape(-1, count).T


def adelie_path(kind, groups, X, y, levels, tolerance):
    if kind == "squared":
        glm, options = adelie.glm.gaussian(y=y), {"groups": np.arange(0, X.shape[1], groups)}
    else:
        glm, options = adelie.glm.binomial(y=y), {"irls_tol": tolerance}
    state = adelie.grpnet(
        X=np.asfortranarray(X),
        glm=glm,
        lmda_path=levels,
        progress_bar=False,
        early_exit=False,
        tol=tolerance,
        **options,
    )
    W = np.asarray(state.betas.todense())[:, :, None]
    return W, np.asarray(state.intercepts)[:, None]


def folds_of(task):
    parts = ("X", "y", "levels")
    return [tuple(task[f"{part}{k}"] for part in parts) for k in range(int(task["folds"]))]


def pairs_of(path, task, tolerance):
    """Inputs, target, coefficients, intercepts and level of every fit; empty where some lack."""
    kind, groups, pairs = str(task["kind"]), int(task["groups"]), []
    for X, y, levels in folds_of(task):
        W, b = path(kind, groups, X, y, levels, tolerance)
        if len(W) < len(levels):
            return []
        pairs += [(X, y, W[k], b[k], level) for k, level in enumerate(levels)]
    return pairs


def measured(path, task, wanted) -> list[dict]:
    """At its default, and at the first tolerance that keeps each certificate."""
    kind, groups = str(task["kind"]), int(task["groups"])
    open_wanted = sorted(float(one) for one in wanted)
    found = []
    for tolerance in TOLERANCES:
        seconds, pairs = clocked(lambda tolerance=tolerance: pairs_of(path, task, tolerance))
        if not pairs:
            continue
        worst = max(violation(kind, *pair, groups) for pair in pairs)
        kept = [one for one in open_wanted if worst <= one]
        open_wanted = [one for one in open_wanted if worst > one]
        if kept or np.isclose(tolerance, DEFAULT):
            found.append(
                {
                    "seconds": timed(path, task, tolerance, seconds),
                    "tolerance": float(tolerance),
                    "violation": worst,
                    "kept": kept,
                    "objectives": [objective(kind, *pair, groups) for pair in pairs],
                }
            )
        done = not open_wanted and tolerance < 2 * DEFAULT
        if done or seconds > PATIENCE:
            break
    return found


def timed(path, task, tolerance, seconds) -> float:
    """Median seconds of all folds together."""
    if seconds > PATIENCE:
        return seconds
    runs = [clocked(lambda: pairs_of(path, task, tolerance))[0] for _ in range(REPEATS)]
    return float(np.median(runs))


def main() -> None:
    warnings.simplefilter("ignore")
    with np.load(sys.argv[1]) as arrays:
        task = dict(arrays)
    fitting = {
        "squared": ["adelie"],
        "binary": ["python-glmnet", "adelie"],
        "several": ["python-glmnet"],
    }
    paths = {"python-glmnet": glmnet_path, "adelie": adelie_path}
    asked = fitting[str(task["kind"])]
    found = {name: measured(paths[name], task, task["wanted"]) for name in asked}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
