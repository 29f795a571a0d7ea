"""The slopes of row losses in a model's outputs, (B x padded), of which C in a row are real."""

from __future__ import annotations

import numpy as np

from autoreg.engines.pack.kernels.compiling import inlined
from autoreg.engines.pack.kernels.products import Reals

CROSS_ENTROPY, SQUARED_ERROR = 0, 1
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)


@inlined
def slope(outputs: Reals, padded: int, targets: Reals, loss: int) -> None:
    """Put the slopes of the row losses for targets (B, C) in the place of the outputs."""
    rows, classes = targets.shape
    for i in range(rows):
        line, wanted = outputs[i * padded : i * padded + classes], targets[i]
        if loss == SQUARED_ERROR:
            for c in range(classes):
                line[c] = (line[c] - wanted[c]) * TWO
        else:
            _softmax_slope(line, wanted)


@inlined
def _softmax_slope(line: Reals, wanted: Reals) -> None:
    top, total, target = line[0], ZERO, ZERO
    for c in range(len(wanted)):
        top = max(top, line[c])
    for c in range(len(wanted)):
        line[c] = ONE if line[c] == top else np.exp(line[c] - top)  # a half of them, of two classes
        total += line[c]
        target += wanted[c]
    share = target / total
    for c in range(len(wanted)):
        line[c] = line[c] * share - wanted[c]


@inlined
def weighted(slopes: Reals, padded: int, weights: Reals, outputs: int) -> None:
    """Multiply the slopes of row losses by the rows' weights (B,) in the mean loss."""
    rows = len(weights)
    share = np.float32(1.0 / rows)
    for i in range(rows):
        line, factor = slopes[i * padded : i * padded + outputs], weights[i] * share
        for c in range(outputs):
            line[c] *= factor
