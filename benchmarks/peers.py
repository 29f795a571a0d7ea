"""autoreg beside what people use: nested, equal wall time, claims against the truth.

    python benchmarks/peers.py --data FOLDER --resume FILE [--seconds 60] [--folds 5]

For each set, each outer fold and each method: learn from the training rows within so many seconds,
say how good you are (the claim), and be judged on the fold. A method that ends before its time is
not slowed down. The claim of autoreg is its nested estimate; that of a method that searches is its
best inner score, as its users read it; RidgeCV and its like claim their best inner score, too.

Scores are R2 for numbers and negative log loss by that of class shares (1 is perfect, 0 knows
nothing) for classes, so that they can be put side by side; ranks are within a fold, and a method
that failed there, or was not done in time, is its last. Every finished
cell is a line of ``--resume`` and is not repeated for as many seconds and folds. LightGBM, XGBoost
and optuna-integration are used where they are installed and told as absent where not. What a
machine compiles once, autoreg's solvers, is compiled before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from measuring import table, versions  # first: it sets the number of threads

# isort: split
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LassoCV, LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from autoreg.estimators import AutoRegClassifier, AutoRegRegressor

INNER = 5
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


@dataclass(frozen=True, eq=False)
class Rows:
    """A table cut in two, and its task."""

    X: pd.DataFrame
    y: np.ndarray
    classes: bool
    seconds: float


# ---- methods: rows -> (fitted, claim) ----------------------------------------------------------


def prepared(ordinal: bool) -> BaseEstimator:
    """The usual preprocessing of each family, fitted with the model."""
    text = make_column_selector(dtype_exclude="number")
    if ordinal:
        coded = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        return make_column_transformer((coded, text), remainder="passthrough")
    indicators = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=3)
    filled = make_pipeline(SimpleImputer(strategy="most_frequent"), indicators)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_column_transformer((filled, text), remainder=numbers, sparse_threshold=0)


def inner(rows: Rows) -> KFold | StratifiedKFold:
    kind = StratifiedKFold if rows.classes else KFold
    return kind(INNER, shuffle=True, random_state=0)


def scoring(rows: Rows) -> str:
    return "neg_log_loss" if rows.classes else "neg_mean_squared_error"


def relative(loss: float, y: np.ndarray, classes: bool) -> float:
    """A loss (mean squared error or log loss) by that of a model that knows no column."""
    if not classes:
        return 1 - loss / float(np.var(y))
    shares = np.unique(y, return_counts=True)[1] / len(y)
    return 1 - loss / float(-(shares * np.log(shares)).sum())


def autoreg_in(space: str) -> Callable[[Rows], tuple[BaseEstimator, float]]:
    """autoreg in a search space, for the time that there is; its claim is its nested estimate."""

    def method(rows: Rows) -> tuple[BaseEstimator, float]:
        kind = AutoRegClassifier if rows.classes else AutoRegRegressor
        one = kind(space=space, trials=60, minutes=rows.seconds / 60 * 0.9).fit(rows.X, rows.y)
        if one.study_result_ is None:
            return one, float("nan")
        loss = one.study_result_.verdict.nested_loss.value
        return one, relative(loss, rows.y, rows.classes)

    return method


def classic(rows: Rows) -> tuple[BaseEstimator, float]:
    """RidgeCV, or LogisticRegressionCV for classes."""
    if rows.classes:
        last: BaseEstimator = LogisticRegressionCV(
            Cs=20, l1_ratios=(0,), cv=inner(rows), scoring="neg_log_loss", max_iter=3000,
            use_legacy_attributes=False,
        )  # fmt: skip
    else:
        last = RidgeCV(np.geomspace(1e-3, 1e4, 50))
    one = make_pipeline(prepared(False), last).fit(rows.X, rows.y)
    if not rows.classes:
        return one, relative(-float(one[-1].best_score_), rows.y, False)
    return one, relative(-float(np.max(np.mean(one[-1].scores_, axis=0))), rows.y, True)


def lasso(rows: Rows) -> tuple[BaseEstimator, float]:
    """LassoCV, or logistic regression with L1 for classes."""
    if rows.classes:
        last: BaseEstimator = LogisticRegressionCV(
            Cs=10, l1_ratios=(1,), solver="saga", cv=inner(rows), scoring="neg_log_loss",
            max_iter=500, tol=1e-3, use_legacy_attributes=False,
        )  # fmt: skip
    else:
        last = LassoCV(cv=inner(rows), max_iter=20_000)
    one = make_pipeline(prepared(False), last).fit(rows.X, rows.y)
    if rows.classes:
        return one, relative(-float(np.max(np.mean(one[-1].scores_, axis=0))), rows.y, True)
    return one, relative(float(one[-1].mse_path_.mean(axis=1).min()), rows.y, False)


def boosting(rows: Rows) -> tuple[BaseEstimator, float]:
    """Histogram boosting as it comes; its claim is a cross-validation of itself."""
    kind = HistGradientBoostingClassifier if rows.classes else HistGradientBoostingRegressor
    one = make_pipeline(prepared(True), kind(random_state=0))
    scores = cross_val_score(one, rows.X, rows.y, cv=inner(rows), scoring=scoring(rows))
    return one.fit(rows.X, rows.y), relative(-float(scores.mean()), rows.y, rows.classes)


def tuned(rows: Rows, made: Callable[[object], BaseEstimator]) -> tuple[BaseEstimator, float]:
    """Optuna for the time that there is; the claim is its best value."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))

    def value(trial: optuna.Trial) -> float:
        one = made(trial)
        return float(
            cross_val_score(one, rows.X, rows.y, cv=inner(rows), scoring=scoring(rows)).mean()
        )

    study.optimize(value, timeout=rows.seconds * 0.9)
    best = made(optuna.trial.FixedTrial(study.best_params))
    return best.fit(rows.X, rows.y), relative(-study.best_value, rows.y, rows.classes)


def lightgbm(rows: Rows) -> tuple[BaseEstimator, float]:
    import lightgbm as lgb

    kind = lgb.LGBMClassifier if rows.classes else lgb.LGBMRegressor

    def made(trial: object) -> BaseEstimator:
        one = kind(
            n_estimators=trial.suggest_int("n", 30, 600, log=True),
            learning_rate=trial.suggest_float("rate", 0.01, 0.3, log=True),
            num_leaves=trial.suggest_int("leaves", 4, 64, log=True),
            min_child_samples=trial.suggest_int("child", 2, 50, log=True),
            reg_lambda=trial.suggest_float("l2", 1e-3, 30, log=True),
            colsample_bytree=trial.suggest_float("columns", 0.3, 1.0),
            verbosity=-1,
            n_jobs=1,
            random_state=0,
        )
        return make_pipeline(prepared(True), one)

    return tuned(rows, made)


def xgboost(rows: Rows) -> tuple[BaseEstimator, float]:
    import xgboost as xgb

    kind = xgb.XGBClassifier if rows.classes else xgb.XGBRegressor

    def made(trial: object) -> BaseEstimator:
        one = kind(
            n_estimators=trial.suggest_int("n", 30, 600, log=True),
            learning_rate=trial.suggest_float("rate", 0.01, 0.3, log=True),
            max_depth=trial.suggest_int("depth", 1, 8),
            reg_lambda=trial.suggest_float("l2", 1e-3, 30, log=True),
            subsample=trial.suggest_float("rows", 0.5, 1.0),
            colsample_bytree=trial.suggest_float("columns", 0.3, 1.0),
            n_jobs=1,
            random_state=0,
        )
        return make_pipeline(prepared(True), one)

    return tuned(rows, made)


def optuna_search(rows: Rows) -> tuple[BaseEstimator, float]:
    """OptunaSearchCV over an elastic net; its claim is its ``best_score_``."""
    from optuna.distributions import FloatDistribution
    from optuna_integration import OptunaSearchCV
    from sklearn.linear_model import ElasticNet, LogisticRegression

    if rows.classes:
        last: BaseEstimator = LogisticRegression(solver="saga", max_iter=500, tol=1e-3)
        dials = {"C": FloatDistribution(1e-4, 1e3, log=True), "l1_ratio": FloatDistribution(0, 1)}
    else:
        last = ElasticNet(max_iter=5_000)
        dials = {
            "alpha": FloatDistribution(1e-4, 1e3, log=True),
            "l1_ratio": FloatDistribution(0.01, 1),
        }
    name = type(last).__name__.lower()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = OptunaSearchCV(
            make_pipeline(prepared(False), last),
            {f"{name}__{key}": dial for key, dial in dials.items()},
            cv=inner(rows),
            scoring=scoring(rows),
            n_trials=None,
            timeout=rows.seconds * 0.9,
            random_state=0,
            verbose=0,
        ).fit(rows.X, rows.y)
    return one, relative(-float(one.best_score_), rows.y, rows.classes)


METHODS = {
    "autoreg, linear": autoreg_in("linear"),
    "autoreg, networks too": autoreg_in("linear_and_network"),
    "RidgeCV / LogisticRegressionCV": classic,
    "LassoCV / its logistic twin": lasso,
    "HistGradientBoosting": boosting,
    "LightGBM + Optuna": lightgbm,
    "XGBoost + Optuna": xgboost,
    "OptunaSearchCV, elastic net": optuna_search,
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
