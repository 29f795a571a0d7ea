"""How well the second class is found without false alarms; the mean over all, of several."""

from __future__ import annotations

import numpy as np

from autoreg.metrics.base import CLASSIFICATION, EveryClass, Floats, Parts, Target


class F1(EveryClass):
    """How well the second class is found without false alarms; the mean over all, of several."""

    title = "F1"
    tasks = CLASSIFICATION
    greater_is_better = True
    ceiling = 1.0
    references = ("van Rijsbergen 1979, Information Retrieval, chapter 7 (macro mean of classes)",)

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """Twice the hits, and hits, misses and false alarms; over classes the mean F1."""
        count = predictions.shape[1]
        truth, said = y.astype(np.int64), predictions.argmax(axis=1)
        hits = np.bincount(truth, weights=weights * (truth == said), minlength=count)
        there = np.bincount(truth, weights=weights, minlength=count)
        there = there + np.bincount(said, weights=weights, minlength=count)
        if count == 2:
            return 2 * float(hits[1]), float(there[1])
        each = 2 * hits[there > 0] / there[there > 0]
        return float(each.mean()) * float(weights.sum()), float(weights.sum())
