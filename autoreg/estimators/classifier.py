"""``AutoRegClassifier``: which regularization separates the classes best, behind ``fit``."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    assert_all_finite,
    check_consistent_length,
)

from autoreg.estimators.base import AutoReg


class AutoRegClassifier(ClassifierMixin, AutoReg):  # type: ignore[misc] # scikit-learn has no types
    """A classifier that finds its own regularization, and says how well it will do.

    Args:
        space: a shipped search space, a YAML file, or the same as a dictionary.
        trials: settings that each search tries; linear ones walk a whole path of strengths.
        folds: outer folds; fewer where the rarest class has fewer rows.
        rule: how one candidate is chosen: ``min``, ``one_se`` or ``parsimonious``.
        metric: choose by this metric instead of the log loss.
        minutes: what ``fit`` may take; its search ends early enough for the verdict.
        study: more of a study, as its YAML would say it: ``training``, ``linear``, ``data``, ...
        estimators: your own estimators that join the search, name -> ``autoreg.Family``.
        network: your own torch module that joins it, an ``autoreg.Family``.
        home: folder of studies, to be continued and reported there; nothing is kept without it.
        tracking: with ``home``, write every trial to MLflow.
        n_jobs: processes; one by default, -1 for all cores. The result does not depend on it.
        random_state: same seed, same result.

    Attributes:
        classes_: class labels (C,).
        n_features_in_, feature_names_in_: the columns that were fitted.
        best_technique_, best_params_: what was chosen, and its dials.
        study_result_: the whole study; ``study_result_.verdict.nested`` is how well the procedure
            does on unseen rows, with its interval.
        cv_results_: the trials of the final search, in scikit-learn's shape.
        model_: the final model, which needs numpy only; ``study_result_.save(folder)`` stores it.

    Tables may hold text, categories, booleans and missing cells. Raises ValueError, naming column
    and row, where they cannot be read.

    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True)
    >>> found = AutoRegClassifier(trials=2, folds=3).fit(X, y)
    >>> found.best_technique_, found.score(X, y) > 0.95
    ('ridge', True)
    """

    classes_: NDArray[Any]

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Self:
        """Search, judge and refit on rows X (n, p) with labels y (n,).

        Rows of one of ``groups`` (n,) are never split apart; ``sample_weight`` (n,) counts in
        fits and in scores, and rows of weight 0 are left out.
        """
        table, labels = self._pair(X, y)
        check_consistent_length(table, labels)
        if labels.dtype.kind == "f":
            assert_all_finite(labels, input_name="y", estimator_name=type(self).__name__)
        if pd.isna(labels).any():
            raise ValueError("Input y contains NaN.")
        check_classification_targets(labels)
        used = labels
        if sample_weight is not None and (counts := np.asarray(sample_weight)).shape == used.shape:
            used = labels[counts != 0] if counts.any() else labels
        self.classes_ = np.unique(used)
        if len(self.classes_) < 2:
            raise ValueError(
                f"the rows have one class only ({self.classes_.tolist()}); there is nothing to "
                f"tell apart"
            )
        task = "binary" if len(self.classes_) == 2 else "multiclass"
        if not all(isinstance(one, str) for one in self.classes_.tolist()):
            labels = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
        return self._fitted(table, labels, task, groups, sample_weight)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities (n, C) in the order of ``classes_``."""
        return self._raw(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row, (n,)."""
        chances = self._raw(X)
        return np.asarray(self.classes_[chances.argmax(axis=1)])
