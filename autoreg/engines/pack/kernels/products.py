"""Products of the small matrices of one model, tile by tile; columns come in sixteens.

A matrix is an array, whose numbers lie end to end, and the place of its first one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autoreg.engines.pack.kernels.compiling import compiled, inlined
from autoreg.engines.pack.kernels.registers import WIDTH, tile, turned

Reals = NDArray[np.float32]
TALL, WIDE = 8, 2 * WIDTH  # numbers of the usual tile: sixteen registers of sums
# Written out they would be constants to the compiler, and each call a variant of its own.
START, ONE = np.int64(0), np.int64(1)
tall_wide, tall, low_wide, low = tile(TALL, 2), tile(TALL, 1), tile(1, 2), tile(1, 1)


@inlined
def product(
    A: Reals, a: int, B: Reals, b: int, C: Reals, c: int, rows: int, terms: int, columns: int
) -> None:
    """C (rows, columns) = A (rows, terms) B (terms, columns)."""
    fill(terms, A, a, terms, ONE, B, b, C, c, rows, columns)


@inlined
def crossed(
    A: Reals, a: int, B: Reals, b: int, C: Reals, c: int, rows: int, terms: int, columns: int
) -> None:
    """C (rows, columns) = A' B for A (terms, rows) and B (terms, columns)."""
    fill(terms, A, a, ONE, rows, B, b, C, c, rows, columns)


@inlined
def turn(A: Reals, a: int, B: Reals, b: int, rows: int, columns: int) -> None:
    """B (columns, rows) = A' for A (rows, columns), both multiples of sixteen."""
    for i in range(0, rows, WIDTH):
        for j in range(0, columns, WIDTH):
            turned(A, a + i * columns + j, columns, B, b + j * rows + i, rows)


@compiled
def fill(
    terms: int,
    A: Reals,
    a: int,
    row: int,
    term: int,
    B: Reals,
    b: int,
    C: Reals,
    c: int,
    rows: int,
    columns: int,
) -> None:
    """C (rows, columns) = A B, where A's next row and next term are so far away."""
    p = columns
    for j in range(0, columns - columns % WIDE, WIDE):
        if rows < TALL:
            for i in range(rows):
                low_wide(terms, A, a + i * row, row, term, B, b + j, p, C, c + i * p + j, p)
        else:
            for start in range(0, rows, TALL):
                i = min(start, rows - TALL)  # the last tile begins where it is full
                tall_wide(terms, A, a + i * row, row, term, B, b + j, p, C, c + i * p + j, p)
    if columns % WIDE:
        j = columns - WIDTH
        if rows < TALL:
            for i in range(rows):
                low(terms, A, a + i * row, row, term, B, b + j, p, C, c + i * p + j, p)
        else:
            for start in range(0, rows, TALL):
                i = min(start, rows - TALL)
                tall(terms, A, a + i * row, row, term, B, b + j, p, C, c + i * p + j, p)
