"""What a pass of one model over a batch works on, and where in it what lies.

All arrays hold their numbers end to end: to look at a part of one by another shape takes as long as
to compute with a hundred of its numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autoreg.engines.pack.kernels.compiling import compiled, inlined
from autoreg.engines.pack.kernels.products import Reals
from autoreg.engines.pack.kernels.registers import WIDTH
from autoreg.engines.philox import Integers, Keys

EIGHTS = 8  # rows of coins that are tossed together


class Sizes(NamedTuple):
    """Of perceptrons: inputs of the first layer, hidden layers and their width, outputs."""

    inputs: int
    depth: int
    width: int
    outputs: int


class Changes(NamedTuple):
    """What T techniques do to the hidden units of M models, in their order.

    ``kinds`` (T,) says whether they multiply the units by ``values`` (F x layers x M x B x width),
    add those, or drop units. D of them toss coins with ``keys`` (D, M), ``calls`` and ``rates``
    (D, layers, M).
    """

    kinds: Integers
    values: Reals
    keys: Keys
    calls: Keys
    rates: Reals
    models: int


class Units(NamedTuple):
    """Hidden units (layers x B x width) of a model: ``active`` behind the ReLU, then ``changed``.

    ``coins`` (D x layers, rows in eights, width) are those of D dropouts, ``tossed`` all the same.
    """

    active: Reals
    changed: Reals
    coins: Reals
    tossed: Reals


class Room(NamedTuple):
    """Memory for a pass over B rows; outputs are padded to whole registers, and padding is 0."""

    outputs: Reals  # (B x padded), and their slopes
    last: Reals  # (width x padded)
    sums: Reals  # (padded)
    slopes: Reals  # (2 x B x width)
    turned: Reals  # a matrix over its diagonal
    unit: Reals  # a 1, by which columns are summed
    padded: int


@compiled
def room(sizes: Sizes, rows: int) -> Room:
    """Memory for batches of so many rows."""
    padded = -(-sizes.outputs // WIDTH) * WIDTH
    return Room(
        np.zeros(rows * padded, np.float32),
        np.zeros(sizes.width * padded, np.float32),
        np.empty(padded, np.float32),
        np.empty(2 * rows * sizes.width, np.float32),
        np.empty(max(sizes.width, sizes.outputs) * sizes.width, np.float32),
        np.ones(1, np.float32),
        padded,
    )


@compiled
def units(sizes: Sizes, rows: int, changes: Changes) -> Units:
    """Memory for the hidden units of so many rows; without techniques nothing is changed."""
    active = np.empty(sizes.depth * rows * sizes.width, np.float32)
    changed = np.empty_like(active) if len(changes.kinds) else active
    dropping, eights = len(changes.keys) * sizes.depth, -(-rows // EIGHTS) * EIGHTS
    coins = np.empty((dropping, eights, sizes.width), np.float32)
    return Units(active, changed, coins, coins.reshape(-1))


@compiled
def known_units(active: Reals, changed: Reals) -> Units:
    """Hidden units in memory that is there, of a pass whose coins are among its values."""
    coins = np.empty((0, EIGHTS, 1), np.float32)
    return Units(active, changed, coins, coins.reshape(-1))


@compiled
def no_changes() -> Changes:
    """No technique acts on the hidden units."""
    calls, rates = np.empty((0, 1, 1), np.uint64), np.empty((0, 1, 1), np.float32)
    keys, kinds = np.empty((0, 1), np.uint64), np.empty(0, np.int64)
    return Changes(kinds, np.empty(0, np.float32), keys, calls, rates, 1)


@inlined
def copied(
    source: Reals, s: int, length: int, target: Reals, t: int, other: int, rows: int, columns: int
) -> None:
    """Copy the first columns of rows of such a length into those of rows of another length."""
    for i in range(rows):
        for j in range(columns):
            target[t + i * other + j] = source[s + i * length + j]


@inlined
def weights_at(layer: int, sizes: Sizes) -> int:
    """Where in a row the weight matrix of a layer begins; weights come first, layer by layer."""
    if layer == 0:
        return 0
    return sizes.inputs * sizes.width + (layer - 1) * sizes.width * sizes.width


@inlined
def biases_at(layer: int, sizes: Sizes) -> int:
    """Where in a row the biases of a layer begin: behind all weights."""
    last = weights_at(sizes.depth, sizes)
    return last + sizes.width * sizes.outputs + layer * sizes.width  # type: ignore[no-any-return]


@inlined
def inputs_of(layer: int, sizes: Sizes) -> int:
    """How many numbers a layer is given."""
    return sizes.width if layer else sizes.inputs
