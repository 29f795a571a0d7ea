"""The mean absolute error, in the units of the target."""

from __future__ import annotations

import numpy as np

from autoreg.metrics.base import NUMERIC, Floats, Metric, Parts, Target, sums


class Mae(Metric):
    """The mean absolute error, in the units of the target."""

    title = "mean absolute error"
    tasks = NUMERIC
    greater_is_better = False
    references = ("Hyndman & Koehler 2006, International Journal of Forecasting 22(4)",)

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The weighted sum of absolute errors and the sum of weights."""
        return sums(np.abs(y - predictions[:, 0]), weights)
