"""The loss of predicting a quantile: ``pinball_90`` for the 90 % one, ``pinball`` the median."""

from __future__ import annotations

import numpy as np

from autoreg.metrics.base import NUMERIC, Floats, Metric, Parts, Target, sums


class Pinball(Metric):
    """The loss of predicting a quantile: ``pinball_90`` for the 90 % one, ``pinball`` the median.

    Read on predicted means it says how costly they are where one more unit too low costs as much
    as ``level / (1 - level)`` units too high.
    """

    title = "pinball loss"
    tasks = NUMERIC
    greater_is_better = False
    references = ("Koenker & Bassett 1978, Econometrica 46(1)",)
    level = 0.5

    def variant(self, suffix: str) -> Pinball | None:
        """The loss of the quantile of that percentage, 1 to 99."""
        if not (suffix.isdigit() and 1 <= int(suffix) <= 99):
            return None
        one = Pinball()
        one.name, one.level = f"pinball_{int(suffix)}", int(suffix) / 100
        one.title = f"pinball loss of the {int(suffix)} % quantile"
        return one

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The weighted sum of the losses and the sum of weights."""
        off = y - predictions[:, 0]
        return sums(np.maximum(self.level * off, (self.level - 1) * off), weights)
