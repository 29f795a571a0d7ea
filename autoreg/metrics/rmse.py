"""The root of the mean squared error, in the units of the target."""

from __future__ import annotations

import math

from autoreg.metrics.base import NUMERIC, Floats, Metric, Parts, Target, row_losses, sums


class Rmse(Metric):
    """The root of the mean squared error, in the units of the target."""

    title = "root mean squared error"
    tasks = NUMERIC
    greater_is_better = False
    from_sums = True
    references = ("Hyndman & Koehler 2006, International Journal of Forecasting 22(4)",)

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The weighted sum of squared errors and the sum of weights."""
        return sums(row_losses("regression", y, predictions), weights)

    def finish(self, ratio: float) -> float:
        """The root of the mean."""
        return math.sqrt(ratio)
