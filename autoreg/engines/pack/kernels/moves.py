"""What moves the numbers of a stack: Adam, in one pass over the memory, and shrinking.

Source: Kingma & Ba 2015, Adam, ICLR, algorithm 1, in the order of section 2's last lines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autoreg.engines.pack.kernels.compiling import compiled, inlined

Reals = NDArray[np.float32]
Doubles = NDArray[np.float64]
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
LEFT_1, LEFT_2 = np.float32(BETA_1), np.float32(BETA_2)
REST_1, REST_2 = np.float32(1 - BETA_1), np.float32(1 - BETA_2)


@compiled
def adam(
    rows: Reals, first: Reals, second: Reals, gradient: Reals, start: int, paces: Reals
) -> None:
    """Move P numbers of rows (M, ...), and both moments (M, ...), by a gradient (M, P).

    All but that are read from ``start`` on; ``paces`` (M, 2) is what :func:`faded` gives.
    """
    end = start + gradient.shape[1]
    for m in range(len(rows)):
        step, floor = paces[m, 0], paces[m, 1]
        moved(
            rows[m, start:end], first[m, start:end], second[m, start:end], gradient[m], step, floor
        )


@inlined
def faded(fading: Doubles, rate: float) -> tuple[np.float32, np.float32]:
    """Step size and least divisor of a model's next step; ``fading`` holds beta^t of both moments.

    By multiplication: powers are not the same bits everywhere.
    """
    fading[0] *= BETA_1
    fading[1] *= BETA_2
    root = np.sqrt(1 - fading[1])
    return np.float32(rate * root / (1 - fading[0])), np.float32(EPSILON * root)


@inlined
def moved(row: Reals, first: Reals, second: Reals, slope: Reals, step: float, floor: float) -> None:
    """Move numbers by ``step first / (sqrt(second) + floor)``, when both moments met the slope."""
    for i in range(len(slope)):
        first[i] = LEFT_1 * first[i] + REST_1 * slope[i]
        second[i] = LEFT_2 * second[i] + REST_2 * slope[i] * slope[i]
        row[i] -= step * first[i] / (np.sqrt(second[i]) + floor)


@compiled
def paces(fading: Doubles, rates: Doubles, out: Reals) -> None:
    """What :func:`faded` gives for each of M models."""
    for m in range(len(rates)):
        out[m, 0], out[m, 1] = faded(fading[m], rates[m])
