"""The share of rows whose most probable class is the true one."""

from __future__ import annotations

from autoreg.metrics.base import CLASSIFICATION, Floats, Metric, Parts, Target, sums


class Accuracy(Metric):
    """The share of rows whose most probable class is the true one."""

    title = "accuracy"
    tasks = CLASSIFICATION
    greater_is_better = True
    ceiling = 1.0
    references = ("Sokolova & Lapalme 2009, Information Processing & Management 45(4)",)

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The weight of the rows that are right, and of all rows."""
        return sums(predictions.argmax(axis=1) == y, weights)
