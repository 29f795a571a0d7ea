"""How surprised the model is by the true classes; what searches of classes minimize."""

from __future__ import annotations

from autoreg.metrics.base import CLASSIFICATION, Floats, Metric, Parts, Target, row_losses, sums


class LogLoss(Metric):
    """How surprised the model is by the true classes; what searches of classes minimize."""

    title = "log loss"
    tasks = CLASSIFICATION
    greater_is_better = False
    references = ("Good 1952, JRSS B 14(1)",)

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The weighted sum of -log p(true class), p at least 1e-7, and the sum of weights."""
        return sums(row_losses("multiclass", y, predictions), weights)
