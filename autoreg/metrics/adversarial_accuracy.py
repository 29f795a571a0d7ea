"""The share of rows that stay right where each number may be moved against the model.

``adversarial_accuracy_25`` lets it move by 25 % of a standard deviation, the plain name by 10 %.
"""

from __future__ import annotations

from autoreg.metrics.base import CLASSIFICATION, Floats, Metric, Parts, Target, sums


class AdversarialAccuracy(Metric):
    """The share of rows that stay right where each number may be moved against the model.

    It needs the model and not only what it says of rows as they are, so it is monitored: measured
    where a refit is judged, on outer folds and held-out rows, and never in a search.
    """

    title = "accuracy under attack (0.1 sd)"
    tasks = CLASSIFICATION
    greater_is_better = True
    ceiling = 1.0
    reach = 0.1
    references = (
        "Goodfellow, Shlens & Szegedy 2015, Explaining and harnessing adversarial examples, ICLR",
        "Madry et al. 2018, Towards deep learning models resistant to adversarial attacks, ICLR",
    )

    def variant(self, suffix: str) -> AdversarialAccuracy | None:
        """The accuracy where numbers may move by so many percent of a standard deviation."""
        if not (suffix.isdigit() and 1 <= int(suffix) <= 999):
            return None
        one = AdversarialAccuracy()
        one.name, one.reach = f"adversarial_accuracy_{int(suffix)}", int(suffix) / 100
        one.title = f"accuracy under attack ({one.reach:g} sd)"
        return one

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The weight of the rows that are right, and of all rows; predictions are under attack."""
        return sums(predictions.argmax(axis=1) == y, weights)
