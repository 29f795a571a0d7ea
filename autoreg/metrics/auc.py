"""How often a row of a class is ranked above a row of another: area under the ROC curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autoreg.metrics.base import CLASSIFICATION, EveryClass, Floats, Parts, Target


class Auc(EveryClass):
    """How often a row of a class is ranked above a row of another: area under the ROC curve."""

    title = "AUC"
    tasks = CLASSIFICATION
    greater_is_better = True
    ceiling = 1.0
    references = (
        "Hanley & McNeil 1982, Radiology 143(1); Provost & Domingos 2000 (one against the rest)",
    )

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The mean area over classes, each against the rest, times the weight, and the weight."""
        count = predictions.shape[1]
        classes = range(1, 2) if count == 2 else range(count)
        areas = [_area(y == one, predictions[:, one], weights) for one in classes]
        return float(np.mean(areas)) * float(weights.sum()), float(weights.sum())

    def by_class(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Floats:
        """The weight of each class, times the area: shares of classes do not move an area.

        Of more than two classes, which are mixed in "the rest", hardly; slopes would be slow.
        """
        area, total = self.parts(y, predictions, weights, baseline)
        own = np.bincount(y.astype(np.int64), weights, predictions.shape[1])
        return np.column_stack([area / total * own, own])


def _area(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> float:
    """The weighted probability that a positive scores above a negative; ties count half.

    NaN where one of the two is absent.
    """
    levels, level = np.unique(scores, return_inverse=True)
    ups = np.bincount(level, weights=weights * positive, minlength=len(levels))
    downs = np.bincount(level, weights=weights * ~positive, minlength=len(levels))
    below = np.cumsum(downs) - downs / 2
    pairs = float(ups.sum() * downs.sum())
    return float(ups @ below) / pairs if pairs else float("nan")
