"""The methods that ``peers.py`` sets side by side: rows -> a fitted estimator, and its claim."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LassoCV, LogisticRegressionCV, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from autoreg.estimators import AutoRegClassifier, AutoRegRegressor

INNER = 5


@dataclass(frozen=True, eq=False)
class Rows:
    """A table cut in two, and its task."""

    X: pd.DataFrame
    y: np.ndarray
    classes: bool
    seconds: float


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

    def own(trial: object) -> dict[str, object]:
        return {
            "num_leaves": trial.suggest_int("leaves", 4, 64, log=True),
            "min_child_samples": trial.suggest_int("child", 2, 50, log=True),
            "verbosity": -1,
        }

    return boosted(rows, lgb.LGBMClassifier if rows.classes else lgb.LGBMRegressor, own)


def xgboost(rows: Rows) -> tuple[BaseEstimator, float]:
    import xgboost as xgb

    def own(trial: object) -> dict[str, object]:
        return {
            "max_depth": trial.suggest_int("depth", 1, 8),
            "subsample": trial.suggest_float("rows", 0.5, 1.0),
        }

    return boosted(rows, xgb.XGBClassifier if rows.classes else xgb.XGBRegressor, own)


def boosted(
    rows: Rows, kind: type[BaseEstimator], own: Callable[[object], dict[str, object]]
) -> tuple[BaseEstimator, float]:
    """Boosted trees of a kind, by the dials that all kinds share and its own."""

    def made(trial: object) -> BaseEstimator:
        one = kind(
            n_estimators=trial.suggest_int("n", 30, 600, log=True),
            learning_rate=trial.suggest_float("rate", 0.01, 0.3, log=True),
            reg_lambda=trial.suggest_float("l2", 1e-3, 30, log=True),
            colsample_bytree=trial.suggest_float("columns", 0.3, 1.0),
            n_jobs=1,
            random_state=0,
            **own(trial),
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
