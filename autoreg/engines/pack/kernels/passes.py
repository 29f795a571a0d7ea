"""A plain perceptron forward and backward over one batch: what it meets stays in the caches."""

from __future__ import annotations

import numpy as np

from autoreg.engines.pack.kernels.compiling import compiled, inlined
from autoreg.engines.pack.kernels.products import ONE, START, Reals, crossed, fill, product, turn
from autoreg.engines.pack.kernels.shapes import (
    Changes,
    Room,
    Sizes,
    Units,
    biases_at,
    copied,
    inputs_of,
    weights_at,
)
from autoreg.engines.philox import toss

FACTOR, SHIFT, DROPOUT = 0, 1, 2  # kinds of changes
ZERO = np.float32(0)


# ---- forward -----------------------------------------------------------------------------------


@compiled
def forward(
    row: Reals,
    sizes: Sizes,
    inputs: Reals,
    x: int,
    rows: int,
    changes: Changes,
    model: int,
    units: Units,
    space: Room,
) -> None:
    """The hidden units and the outputs of one model for a batch of rows, which begins at x."""
    width, count = sizes.width, rows * sizes.width
    values, v = inputs, x
    for layer in range(sizes.depth):
        given, w, u = inputs_of(layer, sizes), weights_at(layer, sizes), layer * count
        product(values, v, row, w, units.active, u, rows, given, width)
        b = biases_at(layer, sizes)
        active = units.active[u : u + count]
        _rectify(active, row[b : b + width])
        values, v = units.active, u
        if len(changes.kinds):
            _change(active, units.changed[u : u + count], layer, sizes, changes, model, units)
            values = units.changed
    w, b, padded = weights_at(sizes.depth, sizes), biases_at(sizes.depth, sizes), space.padded
    copied(row, w, sizes.outputs, space.last, START, padded, width, sizes.outputs)
    product(values, v, space.last, START, space.outputs, START, rows, width, padded)
    for i in range(rows):
        for c in range(sizes.outputs):
            space.outputs[i * padded + c] += row[b + c]


@inlined
def _rectify(values: Reals, biases: Reals) -> None:
    """Add biases, and set what is below 0 to 0; what is not a number stays visible."""
    width = len(biases)
    for start in range(0, len(values), width):
        line = values[start : start + width]
        for j in range(width):
            value = line[j] + biases[j]
            line[j] = ZERO if value < ZERO else value


@inlined
def _change(
    active: Reals,
    changed: Reals,
    layer: int,
    sizes: Sizes,
    changes: Changes,
    model: int,
    units: Units,
) -> None:
    """What the techniques make of the active units of a layer, one after the other."""
    values, f, d = active, 0, 0
    for kind in changes.kinds:
        if kind == DROPOUT:
            key, call = changes.keys[d, model], changes.calls[d, layer, model]
            toss(key, call, changes.rates[d, layer, model], units.coins[d * sizes.depth + layer])
            effect, d = _coins(d, layer, sizes, units, len(active)), d + 1
        else:
            effect, f = _values(f, layer, sizes, changes, model, len(active)), f + 1
        if kind == SHIFT:
            for i in range(len(active)):
                changed[i] = values[i] + effect[i]
        else:
            for i in range(len(active)):
                changed[i] = values[i] * effect[i]
        values = changed


@inlined
def _coins(d: int, layer: int, sizes: Sizes, units: Units, count: int) -> Reals:
    """The coins of a dropout that were tossed for a layer."""
    start = (d * sizes.depth + layer) * units.coins.shape[1] * sizes.width
    return units.tossed[start : start + count]


@inlined
def _values(f: int, layer: int, sizes: Sizes, changes: Changes, model: int, count: int) -> Reals:
    """What a layer of a model is multiplied by, or what is added."""
    start = ((f * sizes.depth + layer) * changes.models + model) * count
    return changes.values[start : start + count]


# ---- backward ----------------------------------------------------------------------------------


@compiled
def backward(
    row: Reals,
    sizes: Sizes,
    inputs: Reals,
    x: int,
    rows: int,
    changes: Changes,
    model: int,
    units: Units,
    space: Room,
    gradient: Reals,
) -> None:
    """The gradient in a row's trained numbers, from the slope in the outputs, ``space.outputs``."""
    width, count, slopes, here = sizes.width, rows * sizes.width, space.slopes, START
    _backward_last(row, sizes, rows, units, space, gradient)
    for layer in range(sizes.depth - 1, -1, -1):
        u, w, b = layer * count, weights_at(layer, sizes), biases_at(layer, sizes)
        slope = slopes[here : here + count]
        _change_back(slope, layer, sizes, changes, model, units)
        _shut(slope, units.active[u : u + count])
        _column_sums(rows, slopes, here, gradient, b, width, space)
        if layer == 0:
            crossed(inputs, x, slopes, here, gradient, w, sizes.inputs, rows, width)
        else:
            crossed(units.changed, u - count, slopes, here, gradient, w, width, rows, width)
            turn(row, w, space.turned, START, width, width)
            below = count - here
            product(slopes, here, space.turned, START, slopes, below, rows, width, width)
            here = below


@inlined
def _backward_last(
    row: Reals, sizes: Sizes, rows: int, units: Units, space: Room, gradient: Reals
) -> None:
    """The output layer: its gradient, and the slope in what it was given."""
    width, outputs, padded = sizes.width, sizes.outputs, space.padded
    values = (sizes.depth - 1) * rows * width
    w, b = weights_at(sizes.depth, sizes), biases_at(sizes.depth, sizes)
    _column_sums(rows, space.outputs, START, space.sums, START, padded, space)
    for c in range(outputs):
        gradient[b + c] = space.sums[c]
    # Few outputs are rows here and not columns, which come in sixteens.
    slope, over = space.outputs, space.turned
    fill(rows, slope, START, ONE, padded, units.changed, values, over, START, outputs, width)
    for k in range(width):
        for c in range(outputs):
            gradient[w + k * outputs + c] = over[c * width + k]
    for c in range(outputs):
        for k in range(width):
            over[c * width + k] = row[w + k * outputs + c]
    fill(outputs, slope, START, padded, ONE, over, START, space.slopes, START, rows, width)


@inlined
def _column_sums(
    rows: int, slopes: Reals, here: int, out: Reals, start: int, width: int, space: Room
) -> None:
    """The sums of the columns of slopes (rows, width)."""
    fill(rows, space.unit, START, START, START, slopes, here, out, start, ONE, width)


@inlined
def _change_back(
    slope: Reals, layer: int, sizes: Sizes, changes: Changes, model: int, units: Units
) -> None:
    """The slope in the active units of a layer, from that in what techniques made of them."""
    d = len(changes.keys)
    f = len(changes.kinds) - d
    for kind in changes.kinds[::-1]:
        if kind == DROPOUT:
            d -= 1
            effect = _coins(d, layer, sizes, units, len(slope))
        else:
            f -= 1
            effect = _values(f, layer, sizes, changes, model, len(slope))
        if kind != SHIFT:
            for i in range(len(slope)):
                slope[i] *= effect[i]


@inlined
def _shut(slopes: Reals, active: Reals) -> None:
    """No slope passes where a unit is off."""
    for i in range(len(slopes)):
        slopes[i] = ZERO if active[i] <= ZERO else slopes[i]
