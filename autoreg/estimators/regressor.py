"""``AutoRegRegressor``: which regularization predicts a number best, behind ``fit``."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length

from autoreg.estimators.base import AutoReg


class AutoRegRegressor(RegressorMixin, AutoReg):  # type: ignore[misc] # scikit-learn has no types
    """A regressor that finds its own regularization, and says how well it will do.

    Parameters and attributes are those of :class:`AutoRegClassifier`, without ``classes_``;
    ``metric`` chooses by another metric than the mean squared error.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> found = AutoRegRegressor(trials=2, folds=3).fit(X, y)
    >>> found.predict(X[:2]).shape, found.score(X, y) > 0.4
    ((2,), True)
    """

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Self:
        """Search, judge and refit on rows X (n, p) with targets y (n,).

        Rows of one of ``groups`` (n,) are never split apart; ``sample_weight`` (n,) counts in
        fits and in scores, and rows of weight 0 are left out.
        """
        table, target = self._pair(X, y)
        target = check_array(
            target, ensure_2d=False, dtype="numeric", input_name="y", estimator=self
        ).astype(np.float64)
        check_consistent_length(table, target)
        return self._fitted(table, target, "regression", groups, sample_weight)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The mean of each row, (n,)."""
        return self._raw(X)[:, 0]
