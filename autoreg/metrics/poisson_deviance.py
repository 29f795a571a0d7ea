"""How far counts are from the predicted means, as the Poisson distribution judges it.

A unit deviance is twice the log likelihood that is lost against a mean that equals the count; it
is the loss that searches of counts minimize.
"""

from __future__ import annotations

from autoreg.metrics.base import COUNT, Floats, Metric, Parts, Target, row_losses, sums


class PoissonDeviance(Metric):
    """How far counts are from the predicted means, as the Poisson distribution judges it."""

    title = "mean Poisson deviance"
    tasks = COUNT
    greater_is_better = False
    references = ("McCullagh & Nelder 1989, Generalized Linear Models, table 2.1",)

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The weighted sum of deviances, means at least 1e-7, and the sum of weights."""
        return sums(row_losses("count", y, predictions), weights)
