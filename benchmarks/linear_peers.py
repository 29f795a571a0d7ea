"""python-glmnet and adelie on arrays from a file, to a certificate; run by ``linear.py --peers``.

    python linear_peers.py arrays.npz

The arrays are the standardized inputs ``X0``.., targets ``y0``.. and falling absolute levels
``levels0``.. of each fold, with ``kind`` (squared, binary, several), ``groups`` (their size, or 0)
and ``wanted``, the violation that the certificate allows. Each peer is run with ever smaller
tolerances until it keeps the certificate in every fold, then timed. Prints one JSON list.
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


def measured(path, task, tolerance, pairs):
    """Median seconds of all folds together, the violation, and the objective of every fit."""
    kind, groups = str(task["kind"]), int(task["groups"])
    folds = folds_of(task)
    times = [
        sum(clocked(lambda fold=fold: path(kind, groups, *fold, tolerance))[0] for fold in folds)
        for _ in range(REPEATS)
    ]
    return {
        "seconds": float(np.median(times)),
        "tolerance": float(tolerance),
        "violation": max(violation(kind, *pair, groups) for pair in pairs),
        "objectives": [objective(kind, *pair, groups) for pair in pairs],
    }


def certified(path, task):
    """At the first tolerance that keeps the certificate in every fold, or at the last one."""
    kind, groups, wanted = str(task["kind"]), int(task["groups"]), float(task["wanted"])
    complete = []
    for tolerance in TOLERANCES:
        if pairs := pairs_of(path, task, tolerance):
            complete = [tolerance, pairs]
            if max(violation(kind, *pair, groups) for pair in pairs) <= wanted:
                break
    return measured(path, task, *complete)


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
    found = {
        name: {
            "default": measured(paths[name], task, DEFAULT, pairs_of(paths[name], task, DEFAULT)),
            "certified": certified(paths[name], task),
        }
        for name in fitting[str(task["kind"])]
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
