"""What is compiled: Adam for the numbers of a stack, in one pass over the memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoreg.engines.path.kernels.compiling import compiler

compiled = compiler([Path(__file__)])
Reals = NDArray[np.float32]


@compiled
def adam(
    rows: Reals,
    first: Reals,
    second: Reals,
    gradient: Reals,
    start: int,
    size: Reals,
    least: Reals,
    betas: Reals,
) -> None:
    """Move P numbers of rows (M, ...) by ``size first / (sqrt(second) + least)``.

    Both moments (M, ...) are brought forward by the gradient (M, P); all but that are read from
    ``start`` on. ``size`` and ``least`` are (M,); ``betas`` holds both, and what they leave of 1.
    """
    beta_1, beta_2, rest_1, rest_2 = betas[0], betas[1], betas[2], betas[3]
    for m in range(len(rows)):
        slope, end = gradient[m], start + gradient.shape[1]
        row, mean, square = rows[m, start:end], first[m, start:end], second[m, start:end]
        step, floor = size[m], least[m]
        for i in range(len(slope)):
            mean[i] = beta_1 * mean[i] + rest_1 * slope[i]
            square[i] = beta_2 * square[i] + rest_2 * slope[i] * slope[i]
            row[i] -= step * mean[i] / (np.sqrt(square[i]) + floor)
