"""autoreg beside what people use: nested, equal wall time, claims against the truth.

    python benchmarks/peers.py --data FOLDER --resume FILE [--seconds 60] [--folds 5]

For each set, each outer fold and each method: learn from the training rows within so many seconds,
say how good you are (the claim), and be judged on the fold. A method that ends before its time is
not slowed down. The claim of autoreg is its nested estimate; that of a method that searches is its
best inner score, as its users read it; RidgeCV and its like claim their best inner score, too.

Scores are R2 for numbers and negative log loss by that of class shares (1 is perfect, 0 knows
nothing) for classes, so that they can be put side by side; ranks are within a fold, and a method
that failed there, or was not done in time, is its last. Every finished cell is a line of
``--resume`` and is not repeated for as many seconds and folds. LightGBM, XGBoost and
optuna-integration are used where they are installed and told as absent where not. What a machine
compiles once, autoreg's solvers, is compiled before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from measuring import table, versions  # first: it sets the number of threads
from peers_methods import METHODS, Rows, relative

# isort: split
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import KFold, StratifiedKFold

from autoreg.estimators import AutoRegClassifier, AutoRegRegressor

LARGEST = 3_000  # rows that are used, drawn by a seed: the wall time is meant for such tables

# name -> file, target, task
SETS = {
    "hitters": ("hitters/hitters.csv", "Salary", "regression"),
    "college": ("college/college.csv", "Apps", "regression"),
    "credit_isl": ("credit_isl/credit_isl.csv", "Balance", "regression"),
    "bdims": ("bdims/bdims.csv", "wgt", "regression"),
    "bardet": ("bardet/bardet.csv", "y", "regression"),
    "permeability_qsar": (
        "permeability_qsar/permeability_qsar.csv.gz",
        "permeability",
        "regression",
    ),
    "triazines": ("triazines/triazines.csv", "y", "regression"),
    "pyrim": ("pyrim/pyrim.csv", "y", "regression"),
    "ames": ("ames/ames.csv.gz", "Sale_Price", "regression"),
    "saheart": ("saheart/saheart.csv", "chd", "classes"),
    "oj": ("oj/oj.csv", "Purchase", "classes"),
    "sonar": ("sonar/sonar.csv", "Class", "classes"),
    "ionosphere": ("ionosphere/ionosphere.csv", "class", "classes"),
    "musk": ("musk/musk.csv.gz", "y", "classes"),
    "qsar_biodeg": ("qsar_biodeg/qsar_biodeg.csv.gz", "class", "classes"),
    "micro_alon": ("micro_alon/micro_alon.csv.gz", "y", "classes"),
    "telco_churn": ("telco_churn/telco_churn.csv.gz", "churn", "classes"),
    "ad_data": ("ad_data/ad_data.csv.gz", "Class", "classes"),
}


# ---- cells ------------------------------------------------------------------------------------


def read(folder: Path, name: str) -> tuple[pd.DataFrame, np.ndarray, bool]:
    file, target, task = SETS[name]
    frame = pd.read_csv(folder / file).dropna(subset=[target])
    if len(frame) > LARGEST:
        frame = frame.sample(LARGEST, random_state=0)
    X, y = frame.drop(columns=target), frame[target].to_numpy()
    X = X.loc[:, X.notna().any()]
    classes = task == "classes"
    return X, np.unique(y, return_inverse=True)[1] if classes else y.astype(float), classes


def score(one: BaseEstimator, X: pd.DataFrame, y: np.ndarray, classes: bool) -> float:
    if not classes:
        return float(r2_score(y, one.predict(X)))
    chances = np.clip(one.predict_proba(X), 1e-7, 1)
    return relative(float(log_loss(y, chances / chances.sum(axis=1, keepdims=True))), y, True)


def cells(
    folder: Path, seconds: float, folds: int, names: list[str], done: set[tuple]
) -> Iterator[dict]:
    """What each method says and does on each fold of each set that is not done yet."""
    for name in names:
        X, y, classes = read(folder, name)
        kind = StratifiedKFold if classes else KFold
        outer = kind(folds, shuffle=True, random_state=1)
        for fold, (train, test) in enumerate(outer.split(X, y)):
            rows = Rows(X.iloc[train].reset_index(drop=True), y[train], classes, seconds)
            for method, work in METHODS.items():
                if (name, fold, method) in done:
                    continue
                yield {"set": name, "fold": fold, "method": method} | measured(
                    work, rows, X.iloc[test], y[test]
                )


def compiled() -> None:
    """Let autoreg compile its solvers; what this fits does not matter."""
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(60, 3)), rng.normal(size=60)
    AutoRegRegressor(space="linear", trials=1, folds=3).fit(X, X[:, 0] + noise)
    AutoRegClassifier(space="linear", trials=1, folds=3).fit(X, X[:, 0] + noise > 0)


def measured(work: Callable, rows: Rows, X: pd.DataFrame, y: np.ndarray) -> dict:
    start = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one, claim = work(rows)
            found = score(one, X, y, rows.classes)
    except ImportError as error:
        return {"absent": str(error)}
    except Exception as error:  # a method that fails on a set has failed there, and is told so
        return {"failed": f"{type(error).__name__}: {error}"[:200]}
    return {"score": found, "claim": claim, "seconds": time.monotonic() - start}


# ---- the table --------------------------------------------------------------------------------


def report(lines: list[dict], seconds: float, folds: int) -> str:
    frame = pd.DataFrame([one for one in lines if "absent" not in one])
    if frame.empty or "score" not in frame:
        return "nothing is measured yet\n"
    ranks = _ranks(frame)
    frame = frame[frame["score"].notna()]
    means = frame.groupby(["set", "method"])[["score", "claim", "seconds"]].mean().reset_index()
    full = means.pivot(index="set", columns="method", values="score")
    means["gap"] = means["claim"] - means["score"]
    rows = []
    for method in METHODS:
        own = means[means["method"] == method]
        if own.empty:
            rows.append((method, "absent", "", "", "", "", ""))
            continue
        rows.append(
            (
                method,
                f"{own['score'].median():.3f}",
                f"{ranks[method].mean():.2f}",
                f"{own['seconds'].median():.1f}",
                f"{own['gap'].mean():+.3f}",
                f"{(own['gap'] > 0.01).sum()} of {len(own)}",
                f"{len(ranks) - (frame['method'] == method).sum()} of {len(ranks)}",
            )
        )
    head = (
        *("method", "median score", "mean rank", "seconds"),
        *("claim - truth", "claimed too much", "failed"),
    )
    each = [
        (name, *(f"{value:.3f}" if value == value else "" for value in row))
        for name, row in zip(full.index, full.to_numpy(), strict=True)
    ]
    return "\n".join(
        [
            "# autoreg and its peers",
            "",
            f"{len(full)} sets, {folds} outer folds, {seconds:g} seconds for each fit; "
            f"{versions('scikit-learn', 'optuna', 'lightgbm', 'xgboost', 'optuna-integration')}.",
            "",
            table("By method", head, rows),
            "",
            table("By set", ("set", *full.columns), each),
            "",
        ]
    )


def _ranks(frame: pd.DataFrame) -> pd.DataFrame:
    """The rank of each method on each fold of each set, 1 the best; who failed is last."""
    cells = frame.pivot_table("score", ["set", "fold"], "method", aggfunc="first", dropna=False)
    there = frame[["set", "fold"]].drop_duplicates()
    cells = cells.reindex(pd.MultiIndex.from_frame(there))
    return cells.fillna(-np.inf).rank(axis=1, ascending=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--resume", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(SETS))
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    lines = []
    if given.resume.exists():
        lines = [json.loads(one) for one in given.resume.read_text().splitlines()]
    asked = {"allowed": given.seconds, "folds": given.folds}
    lines = [one for one in lines if asked.items() <= one.items()]
    done = {(one["set"], one["fold"], one["method"]) for one in lines if "absent" not in one}
    compiled()
    for one in cells(given.data, given.seconds, given.folds, given.only, done):
        one |= asked
        lines.append(one)
        with given.resume.open("a") as file:
            file.write(json.dumps(one) + "\n")
        print(json.dumps(one), flush=True)
    told = report(lines, given.seconds, given.folds)
    print(told)
    if given.write:
        given.write.write_text(told)


if __name__ == "__main__":
    main()
