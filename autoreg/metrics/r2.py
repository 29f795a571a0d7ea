"""The share of the target's variation that the model explains, against the training mean."""

from __future__ import annotations

from autoreg.metrics.base import NUMERIC, Floats, Metric, Parts, Target, row_losses


class R2(Metric):
    """The share of the target's variation that the model explains, against the training mean."""

    title = "R2"
    tasks = NUMERIC
    greater_is_better = True
    from_sums = True
    references = ("Campbell & Thompson 2008, Review of Financial Studies 21(4), equation (1)",)

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The weighted squared error of the model and of the training mean."""
        model = row_losses("regression", y, predictions)
        mean = row_losses("regression", y, baseline)
        return float(weights @ model), float(weights @ mean)

    def finish(self, ratio: float) -> float:
        """One minus the unexplained share."""
        return 1.0 - ratio
