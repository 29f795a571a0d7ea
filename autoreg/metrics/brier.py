"""The mean squared distance between predicted probabilities and what happened."""

from __future__ import annotations

import numpy as np

from autoreg.metrics.base import CLASSIFICATION, Floats, Metric, Parts, Target, sums


class Brier(Metric):
    """The mean squared distance between predicted probabilities and what happened."""

    title = "Brier score"
    tasks = CLASSIFICATION
    greater_is_better = False
    references = ("Brier 1950, Monthly Weather Review 78(1); halved for two classes, as is usual",)

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The weighted sum of squared distances to the true class, and the sum of weights."""
        truth = np.eye(predictions.shape[1])[y.astype(np.int64)]
        distances = ((predictions - truth) ** 2).sum(axis=1)
        return sums(distances / 2 if predictions.shape[1] == 2 else distances, weights)
