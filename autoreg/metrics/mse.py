"""The mean squared error; the loss that searches of regression minimize."""

from __future__ import annotations

from autoreg.metrics.base import NUMERIC, Floats, Metric, Parts, Target, row_losses, sums


class Mse(Metric):
    """The mean squared error; the loss that searches of regression minimize."""

    title = "mean squared error"
    tasks = NUMERIC
    greater_is_better = False
    from_sums = True
    references = (
        "Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, section 7.2",
    )

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The weighted sum of squared errors and the sum of weights."""
        return sums(row_losses("regression", y, predictions), weights)
