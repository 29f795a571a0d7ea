"""Products of the small matrices of one model, tile by tile; columns come in sixteens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autoreg.engines.pack.kernels.compiling import compiled, inlined
from autoreg.engines.pack.kernels.registers import WIDTH, tile, turned

Reals = NDArray[np.float32]
TALL, WIDE = 8, 2 * WIDTH  # numbers of the usual tile: sixteen registers of sums
tall_wide, tall, low_wide, low = tile(TALL, 2), tile(TALL, 1), tile(1, 2), tile(1, 1)


@inlined
def product(A: Reals, B: Reals, C: Reals) -> None:
    """C (n, p) = A (n, k) B (k, p)."""
    terms = A.shape[1]
    fill(terms, A, len(A), terms, 1, B, C)


@inlined
def crossed(A: Reals, B: Reals, C: Reals) -> None:
    """C (n, p) = A' B for A (k, n) and B (k, p)."""
    terms, rows = A.shape
    fill(terms, A, rows, 1, rows, B, C)


@inlined
def turn(A: Reals, B: Reals) -> None:
    """B (p, n) = A' for A (n, p), both sides multiples of sixteen."""
    n, p = A.shape
    for i in range(0, n, WIDTH):
        for j in range(0, p, WIDTH):
            turned(A, i * p + j, p, B, j * n + i, n)


@compiled
def fill(terms: int, A: Reals, rows: int, row: int, term: int, B: Reals, C: Reals) -> None:
    """C (rows, p) = A B, where A's next row and next term are so far away."""
    columns = C.shape[1]
    for j in range(0, columns - columns % WIDE, WIDE):
        if rows < TALL:
            for i in range(rows):
                low_wide(terms, A, i * row, row, term, B, j, columns, C, i * columns + j, columns)
        else:
            for start in range(0, rows, TALL):
                i = min(start, rows - TALL)  # the last tile begins where it is full
                tall_wide(terms, A, i * row, row, term, B, j, columns, C, i * columns + j, columns)
    if columns % WIDE:
        j = columns - WIDTH
        if rows < TALL:
            for i in range(rows):
                low(terms, A, i * row, row, term, B, j, columns, C, i * columns + j, columns)
        else:
            for start in range(0, rows, TALL):
                i = min(start, rows - TALL)
                tall(terms, A, i * row, row, term, B, j, columns, C, i * columns + j, columns)
