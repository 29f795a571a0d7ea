"""How far predicted and true classes are correlated: Matthews' coefficient, 0 for guessing."""

from __future__ import annotations

import math

import numpy as np

from autoreg.metrics.base import CLASSIFICATION, EveryClass, Floats, Parts, Target


class Mcc(EveryClass):
    """How far predicted and true classes are correlated: Matthews' coefficient, 0 for guessing."""

    title = "Matthews correlation"
    tasks = CLASSIFICATION
    greater_is_better = True
    ceiling = 1.0
    references = (
        "Matthews 1975, Biochimica et Biophysica Acta 405(2)",
        "Gorodkin 2004, Computational Biology and Chemistry 28(5-6) (several classes)",
    )

    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """The coefficient, moved from [-1, 1] to [0, 1], times the weight, and the weight."""
        count = predictions.shape[1]
        cells = y.astype(np.int64) * count + predictions.argmax(axis=1)
        table = np.bincount(cells, weights=weights, minlength=count**2).reshape(count, count)
        total, truth, said = table.sum(), table.sum(axis=1), table.sum(axis=0)
        covariance = total * np.trace(table) - truth @ said
        spread = (total**2 - truth @ truth) * (total**2 - said @ said)
        coefficient = covariance / math.sqrt(spread) if spread > 0 else 0.0
        return float(coefficient + 1) / 2 * float(total), float(total)

    def finish(self, ratio: float) -> float:
        """Back to [-1, 1]."""
        return 2 * ratio - 1
