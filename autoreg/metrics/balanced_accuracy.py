"""The share of rows that are right, averaged over classes, so that rare classes count."""

from __future__ import annotations

import numpy as np

from autoreg.metrics.base import CLASSIFICATION, EveryClass, Floats, Parts, Target


class BalancedAccuracy(EveryClass):
    """The share of rows that are right, averaged over classes, so that rare classes count."""

    title = "balanced accuracy"
    tasks = CLASSIFICATION
    greater_is_better = True
    ceiling = 1.0
    references = ("Brodersen et al. 2010, ICPR, equation (1)",)

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The mean recall over the classes with rows, times the weight, and the weight."""
        right = predictions.argmax(axis=1) == y
        classes = y.astype(np.int64)
        hits = np.bincount(classes, weights=weights * right)
        totals = np.bincount(classes, weights=weights)
        recall = float(np.mean(hits[totals > 0] / totals[totals > 0]))
        return recall * float(weights.sum()), float(weights.sum())
