"""Plain perceptrons, one model after the other: what it reads and writes stays in the caches.

``sizes`` are the inputs, hidden layers, their width and the outputs. A ``row`` of a stack holds the
weight matrices (in, out) from the first to the last, then the biases. ``effects`` (T, layers, M, B,
width) are what T techniques multiply the hidden units by, or add to them where ``adds`` (T,) says
so, in their order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autoreg.engines.pack.kernels.compiling import compiled, inlined
from autoreg.engines.pack.kernels.moves import Doubles, faded, moved
from autoreg.engines.pack.kernels.products import Reals, crossed, fill, product, turn
from autoreg.engines.pack.kernels.registers import WIDTH

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
CROSS_ENTROPY, SQUARED_ERROR = 0, 1  # the losses whose slope is compiled
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
UNIT = np.ones(1, np.float32)
TOGETHER = 128  # rows that are answered at a time


class Units(NamedTuple):
    """Hidden units (layers, B, width) of a model: ``active`` behind the ReLU, then ``changed``."""

    active: Reals
    changed: Reals


class Room(NamedTuple):
    """Memory for a pass over B rows; outputs are padded to whole registers, and padding is 0."""

    outputs: Reals  # (B, padded), and their slopes
    last: Reals  # (width, padded)
    sums: Reals  # (1, padded)
    slopes: Reals  # (2, B, width)
    turned: Reals  # a matrix over its diagonal


@compiled
def room(sizes: Integers, rows: int) -> Room:
    """Memory for batches of so many rows."""
    _, _, width, outputs = sizes
    padded = -(-outputs // WIDTH) * WIDTH
    return Room(
        np.zeros((rows, padded), np.float32),
        np.zeros((width, padded), np.float32),
        np.empty((1, padded), np.float32),
        np.empty((2, rows, width), np.float32),
        np.empty(max(width, outputs) * width, np.float32),
    )


# ---- where a row holds what --------------------------------------------------------------------


@inlined
def weights_of(row: Reals, layer: int, sizes: Integers) -> Reals:
    """The weight matrix of a layer, the output layer last."""
    inputs, depth, width, outputs = sizes
    if layer == 0:
        return row[: inputs * width].reshape((inputs, width))
    start = inputs * width + (layer - 1) * width * width
    columns = width if layer < depth else outputs
    return row[start : start + width * columns].reshape((width, columns))


@inlined
def biases_of(row: Reals, layer: int, sizes: Integers) -> Reals:
    """The biases of a layer, the output layer last."""
    inputs, depth, width, outputs = sizes
    start = inputs * width + (depth - 1) * width * width + width * outputs + layer * width
    return row[start : start + (width if layer < depth else outputs)]


# ---- forward -----------------------------------------------------------------------------------


@compiled
def forward(
    row: Reals,
    sizes: Integers,
    inputs: Reals,
    effects: Reals,
    adds: Flags,
    model: int,
    units: Units,
    space: Room,
) -> None:
    """The hidden units and the outputs of one model for a batch of inputs (B, q)."""
    _, depth, width, outputs = sizes
    values = inputs
    for layer in range(depth):
        active, changed = units.active[layer], units.changed[layer]
        product(values, weights_of(row, layer, sizes), active)
        _rectify(active, biases_of(row, layer, sizes))
        before = active
        for t in range(len(adds)):
            _affect(
                before.reshape(-1),
                effects[t, layer, model].reshape(-1),
                adds[t],
                changed.reshape(-1),
            )
            before = changed
        values = before
    _columns(weights_of(row, depth, sizes), space.last, outputs)
    product(values, space.last, space.outputs)
    biases, padded, flat = (
        biases_of(row, depth, sizes),
        space.last.shape[1],
        space.outputs.reshape(-1),
    )
    for i in range(len(inputs)):
        for c in range(outputs):
            flat[i * padded + c] += biases[c]


@inlined
def _columns(source: Reals, target: Reals, count: int) -> None:
    """Copy the first columns of a matrix into those of another."""
    a, b, flat, out = source.shape[1], target.shape[1], source.reshape(-1), target.reshape(-1)
    for i in range(len(source)):
        for j in range(count):
            out[i * b + j] = flat[i * a + j]


@inlined
def _rectify(values: Reals, biases: Reals) -> None:
    """Add biases, and set what is below 0 to 0; what is not a number stays visible."""
    for i in range(len(values)):
        line = values[i]
        for j in range(len(biases)):
            value = line[j] + biases[j]
            line[j] = ZERO if value < ZERO else value


@inlined
def _affect(values: Reals, effect: Reals, adds: bool, out: Reals) -> None:
    if adds:
        for i in range(len(out)):
            out[i] = values[i] + effect[i]
    else:
        for i in range(len(out)):
            out[i] = values[i] * effect[i]


# ---- the slope of the loss ---------------------------------------------------------------------


@inlined
def slope(outputs: Reals, targets: Reals, loss: int) -> None:
    """Put the slopes of the row losses in the outputs in their place, (B, C or padded)."""
    for i in range(len(targets)):
        line, wanted = outputs[i], targets[i]
        if loss == SQUARED_ERROR:
            for c in range(len(wanted)):
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
def weighted(slopes: Reals, weights: Reals, outputs: int) -> None:
    """Multiply the slopes (B, ...) of row losses by the rows' weights (B, 1) in the mean loss."""
    share = np.float32(1.0 / len(slopes))
    for i in range(len(slopes)):
        line, factor = slopes[i], weights[i, 0] * share
        for c in range(outputs):
            line[c] *= factor


# ---- backward ----------------------------------------------------------------------------------


@compiled
def backward(
    row: Reals,
    sizes: Integers,
    inputs: Reals,
    effects: Reals,
    adds: Flags,
    model: int,
    units: Units,
    space: Room,
    gradient: Reals,
) -> None:
    """The gradient in a row's trained numbers, from the slope in the outputs, ``space.outputs``."""
    _, depth, width, outputs = sizes
    values = units.changed[depth - 1]
    padded, rows = space.outputs.shape[1], len(inputs)
    _column_sums(space.outputs, space.sums)
    biases = biases_of(gradient, depth, sizes)
    for c in range(outputs):
        biases[c] = space.sums[0, c]
    over = space.turned[: outputs * width].reshape((outputs, width))
    fill(rows, space.outputs, outputs, 1, padded, values, over)
    _flip(over, weights_of(gradient, depth, sizes))
    _flip(weights_of(row, depth, sizes), over)
    here, below = space.slopes[0], space.slopes[1]
    fill(outputs, space.outputs, rows, padded, 1, over, here)
    for layer in range(depth - 1, -1, -1):
        for t in range(len(adds) - 1, -1, -1):
            if not adds[t]:
                flat = here.reshape(-1)
                _affect(flat, effects[t, layer, model].reshape(-1), False, flat)
        _shut(here.reshape(-1), units.active[layer].reshape(-1))
        values = units.changed[layer - 1] if layer else inputs
        crossed(values, here, weights_of(gradient, layer, sizes))
        _column_sums(here, biases_of(gradient, layer, sizes).reshape((1, width)))
        if layer:
            over = space.turned[: width * width].reshape((width, width))
            turn(weights_of(row, layer, sizes), over)
            product(here, over, below)
            here, below = below, here


@inlined
def _shut(slopes: Reals, active: Reals) -> None:
    """No slope passes where a unit is off."""
    for i in range(len(slopes)):
        slopes[i] = ZERO if active[i] <= ZERO else slopes[i]


@inlined
def _flip(source: Reals, target: Reals) -> None:
    """Write a small matrix over its diagonal."""
    rows, columns = source.shape
    flat, out = source.reshape(-1), target.reshape(-1)
    for i in range(rows):
        for j in range(columns):
            out[j * rows + i] = flat[i * columns + j]


@inlined
def _column_sums(slopes: Reals, out: Reals) -> None:
    """The sums (1, p) of the columns of slopes (B, p)."""
    fill(len(slopes), UNIT, 1, 0, 0, slopes, out)


# ---- whole steps -------------------------------------------------------------------------------


@compiled
def descend(
    state: Reals,
    first: Reals,
    second: Reals,
    fading: Doubles,
    rates: Doubles,
    sizes: Integers,
    inputs: Reals,
    targets: Reals,
    weights: Reals,
    effects: Reals,
    adds: Flags,
    shrinks: Reals,
    loss: int,
) -> None:
    """Let M models take S steps each, at ``rates`` (S, M), on batches (S x M, B, ...).

    Behind each step the weights of each layer are multiplied by ``shrinks`` (T, layers, S x M).
    """
    models, steps, depth = len(state), len(rates), sizes[1]
    rows, trained = inputs.shape[1], first.shape[1]
    space, gradient = room(sizes, rows), np.empty(trained, np.float32)
    active = np.empty((depth, rows, sizes[2]), np.float32)
    changed = np.empty((depth, rows, sizes[2]), np.float32) if len(adds) else active
    units = Units(active, changed)
    for m in range(models):
        row = state[m, :trained]
        for s in range(steps):
            k = s * models + m
            forward(row, sizes, inputs[k], effects, adds, k, units, space)
            slope(space.outputs, targets[k], loss)
            weighted(space.outputs, weights[k], targets.shape[2])
            backward(row, sizes, inputs[k], effects, adds, k, units, space, gradient)
            step, floor = faded(fading[m], rates[s, m])
            moved(row, first[m], second[m], gradient, step, floor)
            for t in range(len(shrinks)):
                for layer in range(depth + 1):
                    _shrink(weights_of(row, layer, sizes).reshape(-1), shrinks[t, layer, k])


@inlined
def _shrink(numbers: Reals, factor: float) -> None:
    for i in range(len(numbers)):
        numbers[i] *= factor


@compiled
def outputs_of(
    state: Reals,
    sizes: Integers,
    inputs: Reals,
    effects: Reals,
    adds: Flags,
    active: Reals,
    changed: Reals,
    outputs: Reals,
) -> None:
    """The outputs (M, B, C) and the hidden units (M, layers, B, width) of M models."""
    space = room(sizes, inputs.shape[1])
    for m in range(len(state)):
        units = Units(active[m], changed[m])
        forward(state[m], sizes, inputs[m], effects, adds, m, units, space)
        _columns(space.outputs, outputs[m], outputs.shape[2])


@compiled
def gradients_of(
    state: Reals,
    sizes: Integers,
    inputs: Reals,
    effects: Reals,
    adds: Flags,
    active: Reals,
    changed: Reals,
    slopes: Reals,
    gradients: Reals,
) -> None:
    """The gradients (M, trained) of M models from the slopes (M, B, C) in their outputs."""
    space = room(sizes, inputs.shape[1])
    for m in range(len(state)):
        _columns(slopes[m], space.outputs, slopes.shape[2])
        units = Units(active[m], changed[m])
        backward(state[m], sizes, inputs[m], effects, adds, m, units, space, gradients[m])


@compiled
def slopes_of(outputs: Reals, targets: Reals, loss: int) -> None:
    """Put the slopes of M models' row losses in the place of their outputs (M, B, C)."""
    for m in range(len(outputs)):
        slope(outputs[m], targets[m], loss)


@compiled
def answers(
    state: Reals, sizes: Integers, rows: Reals, starts: Integers, lengths: Integers, out: Reals
) -> None:
    """The outputs (total, C) of M models for runs of rows (n, q), one after the other."""
    _, depth, width, _ = sizes
    nothing, none = np.empty((0, depth, 1, 1, width), np.float32), np.empty(0, np.bool_)
    filled = 0
    for m in range(len(state)):
        for first in range(0, lengths[m], TOGETHER):
            count = min(TOGETHER, lengths[m] - first)
            space = room(sizes, count)
            active = np.empty((depth, count, width), np.float32)
            start = starts[m] + first
            inputs, units = rows[start : start + count], Units(active, active)
            forward(state[m], sizes, inputs, nothing, none, 0, units, space)
            _columns(space.outputs, out[filled : filled + count], out.shape[1])
            filled += count
