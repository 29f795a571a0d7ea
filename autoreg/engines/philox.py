"""Random numbers as a function of names and a place: no state, no order, vectors at a time.

Why a generator of our own: a stack of M models needs M streams that do not depend on who else is
in the stack, and numbers for all of them in one go. Philox turns a key (the model's seed) and a
counter (which call, which row, which column) into four words. So a number depends on its place
alone: a model in a wider stack, or padded to more columns, meets the same numbers as alone.

Source: Salmon, Moraes, Dror & Shaw 2011, Parallel random numbers: as easy as 1, 2, 3, SC11,
section 4.3 (Philox4x32-10).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autoreg.engines.path.kernels.compiling import compiler

Integers = NDArray[np.int64]
Keys = NDArray[np.uint64]
Reals = NDArray[np.float32]
Shorts = NDArray[np.int32]

compiled = compiler([Path(__file__)])

U32, U64 = np.uint32, np.uint64
LOW, HALF = U64(0xFFFFFFFF), U64(32)
MULTIPLY_0, MULTIPLY_1 = U64(0xD2511F53), U64(0xCD9E8D57)
WEYL_0, WEYL_1 = U32(0x9E3779B9), U32(0xBB67AE85)
ROUNDS = 10
SPARE_BITS = U32(8)  # a float32 holds 24 bits exactly
GRAIN = np.float32(2.0**-24)
# The last word of the counter: what the numbers are for.
NUMBERS, ORDERS, COINS = U32(0), U32(1), U32(2)
SHORT, BITS_16, SIDES = U32(0xFFFF), U32(16), 65536.0


@njit(inline="always")
def block(k0, k1, c0, c1, c2, c3):
    """Four words from a key of two words and a counter of four."""
    for _ in range(ROUNDS):
        p0, p1 = U64(c0) * MULTIPLY_0, U64(c2) * MULTIPLY_1
        c0, c2 = U32(U32(p1 >> HALF) ^ c1 ^ k0), U32(U32(p0 >> HALF) ^ c3 ^ k1)
        c1, c3 = U32(p1 & LOW), U32(p0 & LOW)
        k0, k1 = U32(k0 + WEYL_0), U32(k1 + WEYL_1)
    return c0, c1, c2, c3


@compiled
def uniforms(keys: Keys, calls: Keys, out: Reals) -> None:
    """Uniform numbers in [0, 1), multiples of 2^-24, ``out`` (M, rows, columns); rows in fours.

    The words of a block go to rows below each other, so that neighbours are filled together.
    """
    models, rows, columns = out.shape
    for m in range(models):
        k0, k1 = U32(keys[m] & LOW), U32(keys[m] >> HALF)
        call = U32(calls[m])
        for r in range(0, rows, 4):
            a, b, c, d = out[m, r], out[m, r + 1], out[m, r + 2], out[m, r + 3]
            for j in range(columns):
                w0, w1, w2, w3 = block(k0, k1, U32(j), U32(r // 4), call, NUMBERS)
                a[j] = np.float32(np.int32(w0 >> SPARE_BITS)) * GRAIN
                b[j] = np.float32(np.int32(w1 >> SPARE_BITS)) * GRAIN
                c[j] = np.float32(np.int32(w2 >> SPARE_BITS)) * GRAIN
                d[j] = np.float32(np.int32(w3 >> SPARE_BITS)) * GRAIN


@njit(inline="always")
def _shorts(k0, k1, c0, c1, number):
    """Eight numbers below 65,536 that coins are tossed with."""
    w0, w1, w2, w3 = block(k0, k1, c0, c1, number, COINS)
    low = np.int32(w0 & SHORT), np.int32(w1 & SHORT), np.int32(w2 & SHORT), np.int32(w3 & SHORT)
    w0, w1, w2, w3 = w0 >> BITS_16, w1 >> BITS_16, w2 >> BITS_16, w3 >> BITS_16
    return (*low, np.int32(w0), np.int32(w1), np.int32(w2), np.int32(w3))


@compiled
def coins(keys: Keys, calls: Keys, rates: Reals, out: Reals) -> None:
    """0 with each model's rate (M,), else 1 / (1 - rate); ``out`` (M, rows, columns).

    Rows come in eights, for a word holds two coins; chances are whole parts of 65,536.
    """
    for m in range(len(out)):
        toss(keys[m], calls[m], rates[m], out[m])


@compiled
def shorts(keys: Keys, calls: Keys, out: Shorts) -> None:
    """What :func:`coins` are tossed with, ``out`` (M, rows, columns); rows come in eights."""
    models, rows, columns = out.shape
    for m in range(models):
        k0, k1, number = U32(keys[m] & LOW), U32(keys[m] >> HALF), U32(calls[m])
        for r in range(0, rows, 8):
            for j in range(columns):
                eight = _shorts(k0, k1, U32(j), U32(r // 8), number)
                for k in range(8):
                    out[m, r + k, j] = eight[k]


@compiled
def toss(key: int, call: int, rate: float, out: Reals) -> None:
    """The :func:`coins` of one model, ``out`` (rows, columns)."""
    rows, columns = out.shape
    zero = np.float32(0)
    k0, k1 = U32(key & LOW), U32(key >> HALF)
    share = 1.0 - np.float64(rate)
    number, heads, face = U32(call), np.int32(np.rint(share * SIDES)), np.float32(1 / share)
    for r in range(0, rows, 8):
        a, b, c, d = out[r], out[r + 1], out[r + 2], out[r + 3]
        e, f, g, h = out[r + 4], out[r + 5], out[r + 6], out[r + 7]
        for j in range(columns):
            s0, s1, s2, s3, s4, s5, s6, s7 = _shorts(k0, k1, U32(j), U32(r // 8), number)
            a[j] = face if s0 < heads else zero
            b[j] = face if s1 < heads else zero
            c[j] = face if s2 < heads else zero
            d[j] = face if s3 < heads else zero
            e[j] = face if s4 < heads else zero
            f[j] = face if s5 < heads else zero
            g[j] = face if s6 < heads else zero
            h[j] = face if s7 < heads else zero


@compiled
def orders(keys: Keys, starts: Integers, rows: Integers, out: Integers) -> None:
    """Row numbers of endless passes over each model's rows, each pass in a new order.

    ``out`` (M, length) begins at position ``starts`` (M,) of the passes, one after the other,
    over ``rows`` (M,) rows.
    """
    models, length = out.shape
    for m in range(models):
        n, filled = rows[m], 0
        order, words = np.empty(n, np.int64), np.empty((4, -(-n // 4)), np.uint32)
        while filled < length:
            position = starts[m] + filled
            _shuffle(order, words, keys[m], position // n)
            first = position % n
            taken = min(n - first, length - filled)
            out[m, filled : filled + taken] = order[first : first + taken]
            filled += taken


@njit(inline="always")
def _shuffle(order, words, key, number):
    """A random order by Fisher and Yates; an index is a word times the count, high half.

    A word has 2^32 values, so an order of n rows is off the uniform one by n / 2^32 at most.
    """
    k0, k1, call = U32(key & LOW), U32(key >> HALF), U32(number)
    a, b, c, d = words[0], words[1], words[2], words[3]
    for w in range(words.shape[1]):
        a[w], b[w], c[w], d[w] = block(k0, k1, U32(w), U32(0), call, ORDERS)
    n = len(order)
    for i in range(n):
        order[i] = i
    for i in range(n - 1):
        j = i + np.int64((U64(words[i % 4, i // 4]) * U64(n - i)) >> HALF)
        order[i], order[j] = order[j], order[i]
