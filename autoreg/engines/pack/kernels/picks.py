"""Rows of a batch, taken from where all rows lie, and mixed on the way: no batch is written out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autoreg.engines.pack.kernels.compiling import compiled, inlined
from autoreg.engines.pack.kernels.products import Reals
from autoreg.engines.pack.kernels.shapes import Sizes
from autoreg.engines.philox import Integers


class Picks(NamedTuple):
    """Batches of B rows for S steps of M models: ``rows`` (S x M, B) are numbers of rows.

    ``inputs`` (n x q), ``targets`` (n x C) and ``weights`` (n) hold all rows end to end. A row is
    mixed with another one of its batch, ``partners`` (S x M, B), of which it takes so large a part,
    ``parts`` (S x M, B); where none is mixed both are empty.
    """

    inputs: Reals
    targets: Reals
    weights: Reals
    rows: Integers
    partners: Integers
    parts: Reals

    def steps(self, start: int, stop: int) -> Picks:
        """Some of the S x M batches."""
        return self._replace(
            rows=self.rows[start:stop],
            partners=self.partners[start:stop],
            parts=self.parts[start:stop],
        )


class Batch(NamedTuple):
    """One batch: inputs (B x q) end to end, targets (B, C) and weights (B,)."""

    inputs: Reals
    targets: Reals
    weights: Reals


def in_order(inputs: Reals, targets: Reals, weights: Reals) -> Picks:
    """Batches that are written out: (S x M, B, q), (S x M, B, C) and (S x M, B, 1)."""
    rows = np.arange(weights.size).reshape(weights.shape[:2])
    return as_they_are(inputs.reshape(-1), targets.reshape(-1), weights.reshape(-1), rows)


def as_they_are(inputs: Reals, targets: Reals, weights: Reals, rows: Integers) -> Picks:
    """Batches of rows that are not mixed."""
    none = np.empty((0, rows.shape[1]), np.int64), np.empty((0, rows.shape[1]), np.float32)
    return Picks(inputs, targets, weights, rows, *none)


@compiled
def batch_room(sizes: Sizes, rows: int) -> Batch:
    """Memory for a batch of so many rows."""
    inputs = np.empty(rows * sizes.inputs, np.float32)
    targets = np.empty((rows, sizes.outputs), np.float32)
    return Batch(inputs, targets, np.empty(rows, np.float32))


@inlined
def pick(picks: Picks, k: int, sizes: Sizes, batch: Batch) -> None:
    """Take the k-th batch."""
    rows, q, c = picks.rows[k], sizes.inputs, sizes.outputs
    targets = batch.targets.reshape(-1)
    for i in range(len(rows)):
        own = rows[i]
        inputs, wanted = picks.inputs[own * q : (own + 1) * q], picks.targets[own * c :]
        batch.weights[i] = picks.weights[own]
        if len(picks.parts):
            other, part = rows[picks.partners[k, i]], picks.parts[k, i]
            others = picks.inputs[other * q : (other + 1) * q], picks.targets[other * c :]
            _mixed(inputs, others[0], part, batch.inputs[i * q : (i + 1) * q])
            _mixed(wanted, others[1], part, targets[i * c : (i + 1) * c])
        else:
            _copied(inputs, batch.inputs[i * q : (i + 1) * q])
            _copied(wanted, targets[i * c : (i + 1) * c])


@inlined
def _copied(source: Reals, target: Reals) -> None:
    for j in range(len(target)):
        target[j] = source[j]


@inlined
def _mixed(own: Reals, other: Reals, part: float, out: Reals) -> None:
    """What ``mixed`` makes of a row, bit for bit."""
    for j in range(len(out)):
        out[j] = (other[j] - own[j]) * part + own[j]
