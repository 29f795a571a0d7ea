"""Whole steps of plain perceptrons, and their parts, for M models one after the other.

A row of ``state`` holds the weight matrices (in, out) from the first to the last, then the biases.
"""

from __future__ import annotations

import numpy as np

from autoreg.engines.pack.kernels.compiling import compiled, inlined
from autoreg.engines.pack.kernels.losses import slope, weighted
from autoreg.engines.pack.kernels.moves import Doubles, faded, moved
from autoreg.engines.pack.kernels.passes import backward, forward
from autoreg.engines.pack.kernels.picks import Picks, batch_room, pick
from autoreg.engines.pack.kernels.products import START, Reals
from autoreg.engines.pack.kernels.shapes import (
    Changes,
    Sizes,
    copied,
    inputs_of,
    known_units,
    no_changes,
    room,
    units,
    weights_at,
)
from autoreg.engines.philox import Integers

TOGETHER = 128  # rows that are answered at a time


@compiled
def descend(
    state: Reals,
    first: Reals,
    second: Reals,
    fading: Doubles,
    rates: Doubles,
    sizes: Sizes,
    picks: Picks,
    changes: Changes,
    shrinks: Reals,
    loss: int,
) -> None:
    """Let M models take S steps each, at ``rates`` (S, M).

    Behind each step the weights of each layer are multiplied by ``shrinks`` (T, layers, S x M). A
    model takes all its steps before the next one begins, so that it stays in the caches.
    """
    models, steps, rows, trained = len(state), len(rates), picks.rows.shape[1], first.shape[1]
    space, hidden, batch = room(sizes, rows), units(sizes, rows, changes), batch_room(sizes, rows)
    gradient, inputs = np.empty(trained, np.float32), batch.inputs
    for m in range(models):
        row = state[m, :trained]
        for s in range(steps):
            k = s * models + m
            pick(picks, k, sizes, batch)
            forward(row, sizes, inputs, START, rows, changes, k, hidden, space)
            slope(space.outputs, space.padded, batch.targets, loss)
            weighted(space.outputs, space.padded, batch.weights, sizes.outputs)
            backward(row, sizes, inputs, START, rows, changes, k, hidden, space, gradient)
            step, floor = faded(fading[m], rates[s, m])
            moved(row, first[m], second[m], gradient, step, floor)
            for t in range(len(shrinks)):
                for layer in range(sizes.depth + 1):
                    _shrink(row, layer, sizes, shrinks[t, layer, k])


@inlined
def _shrink(row: Reals, layer: int, sizes: Sizes, factor: float) -> None:
    columns = sizes.width if layer < sizes.depth else sizes.outputs
    start = weights_at(layer, sizes)
    numbers = row[start : start + inputs_of(layer, sizes) * columns]
    for i in range(len(numbers)):
        numbers[i] *= factor


@compiled
def outputs_of(
    state: Reals,
    sizes: Sizes,
    inputs: Reals,
    changes: Changes,
    active: Reals,
    changed: Reals,
    outputs: Reals,
) -> None:
    """The outputs (M, B, C) and the hidden units (M, layers x B x width) of M models."""
    rows, flat = inputs.shape[1], inputs.reshape(-1)
    space, found, count = room(sizes, rows), outputs.reshape(-1), sizes.outputs
    for m in range(len(state)):
        mine, x = known_units(active[m], changed[m]), m * rows * sizes.inputs
        forward(state[m], sizes, flat, x, rows, changes, m, mine, space)
        copied(space.outputs, START, space.padded, found, m * rows * count, count, rows, count)


@compiled
def slopes_of(outputs: Reals, targets: Reals, loss: int) -> None:
    """Put the slopes of M models' row losses in the place of their outputs (M, B, C)."""
    for m in range(len(outputs)):
        slope(outputs[m].reshape(-1), outputs.shape[2], targets[m], loss)


@compiled
def gradients_of(
    state: Reals,
    sizes: Sizes,
    inputs: Reals,
    changes: Changes,
    active: Reals,
    changed: Reals,
    slopes: Reals,
    gradients: Reals,
) -> None:
    """The gradients (M, trained) of M models from the slopes (M, B, C) in their outputs."""
    rows, flat = inputs.shape[1], inputs.reshape(-1)
    space, given, count = room(sizes, rows), slopes.reshape(-1), sizes.outputs
    for m in range(len(state)):
        copied(given, m * rows * count, count, space.outputs, START, space.padded, rows, count)
        mine, x = known_units(active[m], changed[m]), m * rows * sizes.inputs
        backward(state[m], sizes, flat, x, rows, changes, m, mine, space, gradients[m])


@compiled
def answers(
    state: Reals, sizes: Sizes, inputs: Reals, starts: Integers, lengths: Integers, out: Reals
) -> None:
    """The outputs (C, total) of M models for runs of rows (n, q), one after the other."""
    none, flat, filled = no_changes(), inputs.reshape(-1), 0
    for m in range(len(state)):
        for first in range(0, lengths[m], TOGETHER):
            rows, x = min(TOGETHER, lengths[m] - first), (starts[m] + first) * sizes.inputs
            space, hidden = room(sizes, rows), units(sizes, rows, none)
            forward(state[m], sizes, flat, x, rows, none, START, hidden, space)
            for i in range(rows):
                for c in range(sizes.outputs):
                    out[c, filled + i] = space.outputs[i * space.padded + c]
            filled += rows
