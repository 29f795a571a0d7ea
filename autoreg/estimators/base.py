"""What both estimators share: checking what scikit-learn hands over, a study, its answers.

Names and shapes of inputs are scikit-learn's business and checked with its tools; cells are
autoreg's, whose complaints come as ValueError here, as scikit-learn's users expect.

Why no role columns in X: ``groups`` and ``sample_weight`` are arguments of ``fit``, so that
pipelines and ``cross_validate`` can route them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data

from autoreg.data.border import as_frame
from autoreg.errors import AutoregError, DataError
from autoreg.estimators.asking import UnjudgedWarning, answered, unjudged
from autoreg.estimators.results import cv_results, flat_params
from autoreg.model import Model
from autoreg.result import StudyResult
from autoreg.study import run_study

TARGET, GROUP, WEIGHT = "(target)", "(group)", "(weight)"
NAME = "estimator"
LARGEST = 2**30  # cells of a sparse matrix that are filled in
FEWEST = 3  # parts of the rows: to train on, to validate on, to judge on


class AutoReg(BaseEstimator):  # type: ignore[misc] # scikit-learn gives its classes no types
    """Base of the estimators; not for use."""

    # What a fitted estimator has; scikit-learn looks for names that end in an underscore.
    study_result_: StudyResult | None
    model_: Model
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        space: Any = "ridge_to_lasso",
        *,
        trials: int = 8,
        folds: int = 5,
        rule: str = "min",
        metric: str | None = None,
        minutes: float | None = None,
        study: Mapping[str, Any] | None = None,
        estimators: Mapping[str, Any] | None = None,
        network: Any = None,
        home: str | Path | None = None,
        tracking: bool = False,
        n_jobs: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.space = space
        self.trials = trials
        self.folds = folds
        self.rule = rule
        self.metric = metric
        self.minutes = minutes
        self.study = study
        self.estimators = estimators
        self.network = network
        self.home = home
        self.tracking = tracking
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    # ---- in -------------------------------------------------------------------------------------

    def _pair(self, X: Any, y: Any) -> tuple[pd.DataFrame, NDArray[Any]]:
        """Rows to fit as a frame, and their targets (n,), as they were given."""
        table = self._table(X, reset=True)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        return table, column_or_1d(y, warn=True)

    def _table(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Rows to fit or to predict as a frame, their shape and names checked by scikit-learn."""
        frame = as_frame(X)
        if frame is not None:
            validate_data(self, frame, reset=reset, skip_check_array=True)
            if reset:
                shape: NDArray[np.int8] = np.zeros(frame.shape, dtype=np.int8)
                check_array(shape, estimator=self, ensure_min_samples=2)
            # Columns are found by name; scikit-learn has checked that the names agree.
            return frame if reset else frame[self.model_columns_]
        checked = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse=True,
            dtype=None,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
        if hasattr(checked, "toarray") and (cells := checked.shape[0] * checked.shape[1]) > LARGEST:
            raise ValueError(
                f"X is sparse and has {cells:,} cells, more than fit into memory when every one is "
                f"stored; hand over the text itself as a column, or fewer columns"
            )
        dense = checked.toarray() if hasattr(checked, "toarray") else checked
        if np.iscomplexobj(dense):
            raise ValueError("Complex data not supported: X holds complex numbers")
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{position}" for position in range(dense.shape[1])]
        return pd.DataFrame(dense, columns=list(names))

    def _fitted(
        self, X: pd.DataFrame, y: NDArray[Any], task: str, groups: Any, sample_weight: Any
    ) -> Self:
        """Run the study on checked rows and keep what came of it."""
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes must be above 0, or None; it is {self.minutes!r}")
        self.model_columns_ = list(X.columns)
        whole, roles = self._with_roles(X, y, groups, sample_weight)
        most = most_folds(whole, task, roles)
        question = self._question(min(self.folds, most), task, roles)
        try:
            if most < FEWEST:
                self._keep_unjudged(question, whole, most)
            else:
                self._keep(self._answered(question, whole))
        except AutoregError as error:
            raise ValueError(str(error)) from error
        return self

    def _keep(self, result: StudyResult) -> None:
        assert result.model is not None, "the study asks for a model"
        self.study_result_, self.model_ = result, result.model
        chosen = result.selection.chosen.candidate
        self.best_technique_, self.best_params_ = chosen.label, flat_params(chosen)
        self.cv_results_ = cv_results(result)
        self.best_index_ = int(np.argmin(self.cv_results_["rank_test_score"]))

    def _keep_unjudged(self, question: dict[str, Any], whole: pd.DataFrame, most: int) -> None:
        chosen, self.model_ = unjudged(question, whole)
        warnings.warn(
            f"the rarest class (or the rows, or the groups) can be cut into {most} part(s) only, "
            f"and a search needs {FEWEST}: {chosen.describe()} was fitted unsearched and unjudged",
            UnjudgedWarning,
            stacklevel=4,
        )
        self.study_result_ = None
        self.best_technique_, self.best_params_ = chosen.label, flat_params(chosen)

    def _with_roles(
        self, X: pd.DataFrame, y: NDArray[Any], groups: Any, sample_weight: Any
    ) -> tuple[pd.DataFrame, dict[str, str]]:
        """The rows with target and roles beside them; rows of weight 0 are not there."""
        columns: dict[str, Any] = {TARGET: y}
        roles = {}
        if groups is not None:
            columns[GROUP], roles["group"] = _column(groups, len(X), "groups"), GROUP
        if sample_weight is not None:
            weights = _column(sample_weight, len(X), "sample_weight").astype(np.float64)
            if (weights < 0).any():
                raise ValueError("sample_weight holds negative weights; they must be 0 or above")
            if not weights.any():
                raise ValueError("sample_weight is zero in every row; there is nothing to learn")
            columns[WEIGHT], roles["weight"] = weights, WEIGHT
        taken = [name for name in columns if name in {str(one) for one in X.columns}]
        if taken:
            raise ValueError(f"X holds a column {taken[0]!r}, a name used inside; rename it")
        whole = pd.concat(
            [X.reset_index(drop=True), pd.DataFrame(columns)], axis=1, ignore_index=False
        )
        if sample_weight is not None:
            whole = whole[columns[WEIGHT] > 0]
        return whole, roles

    # ---- the study ------------------------------------------------------------------------------

    def _question(self, parts: int, task: str, roles: dict[str, str]) -> dict[str, Any]:
        """The study as a document; ``study`` says what the other parameters have no word for."""
        given = dict(self.study or {})
        folds = dict(given.pop("folds", {}))
        if not {"inner", "outer"} & set(folds):
            folds["outer"] = max(FEWEST, parts)
        random = self.random_state
        if random is None or not isinstance(random, int | np.integer):
            from sklearn.utils import check_random_state

            random = check_random_state(random).randint(2**31)
        own = {"estimators": self.estimators, "network": self.network}
        return {
            **{name: value for name, value in own.items() if value},
            "study": NAME,
            "space": self.space,
            "trials": self.trials,
            "seed": int(random),
            "held_out": None,
            **given,
            "folds": folds,
            "select": {"rule": self.rule, "metric": self.metric, **dict(given.get("select", {}))},
            "data": {"target": TARGET, "task": task, **dict(given.get("data", {})), **roles},
        }

    def _answered(self, question: dict[str, Any], whole: pd.DataFrame) -> StudyResult:
        """The study, with its state in ``home``, or without a trace where there is none."""
        workers = self.n_jobs or 1
        if self.home is not None:
            return run_study(
                question,
                whole,
                home=self.home,
                tracking=self.tracking,
                workers=None if workers < 0 else workers,
                progress=False,
                within=self.minutes,
            )
        return answered(question, whole, None if workers < 0 else workers, self.minutes)

    # ---- out ------------------------------------------------------------------------------------

    def _raw(self, X: Any) -> NDArray[np.float64]:
        """Means (n, 1) or class probabilities (n, C) for rows."""
        check_is_fitted(self)
        try:
            return self.model_.raw(self._table(X, reset=False))
        except DataError as error:
            raise ValueError(str(error)) from error


def most_folds(whole: pd.DataFrame, task: str, roles: Mapping[str, str]) -> int:
    """The most parts into which rows, their rarest class and their groups can be cut."""
    most = len(whole)
    if task in ("binary", "multiclass"):
        most = int(whole[TARGET].value_counts().min())
    return int(whole[GROUP].nunique()) if "group" in roles else most


def _column(values: Any, n: int, name: str) -> NDArray[Any]:
    """One value a row."""
    array = np.asarray(values)
    if array.shape != (n,):
        raise ValueError(f"{name} must be one value a row, ({n},); it has the shape {array.shape}")
    return array
