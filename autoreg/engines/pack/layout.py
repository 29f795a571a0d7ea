"""Where the numbers of a model lie: the state of M models is one matrix, a row for each model.

Widths are padded to few sizes, multiples of sixteen, with units that are always exactly 0. So
models of similar widths share a stack, and every matrix begins at the same place of a vector
register: the bits of a product do not depend on where in the stack a model is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from autoreg.engines.convolution import Canvas
from autoreg.engines.draws import FLOAT
from autoreg.engines.front import NOTHING, Front
from autoreg.engines.network import NORM_EPS, LayerNorm, Network, Norm, matrices
from autoreg.techniques.base import Architecture

REGISTER = 16  # float32 numbers in the longest vector register
STEPS = (16, 32, 64)


def padded(numbers: int) -> int:
    """The next multiple of sixteen.

    >>> padded(1), padded(16), padded(17)
    (16, 16, 32)
    """
    return -(-numbers // REGISTER) * REGISTER


def stacked(width: int) -> int:
    """The width that a layer of so many units has in a stack: 16, 32, 64, then multiples of 64.

    Why not always the next multiple of sixteen: a search asks for many widths, and what surrounds a
    stack of five costs about as much as what surrounds one of fifty. Few widths make full stacks.

    >>> [stacked(width) for width in (5, 17, 48, 65, 200)]
    [16, 32, 64, 128, 256]
    """
    return next((step for step in STEPS if width <= step), -(-width // STEPS[-1]) * STEPS[-1])


@dataclass(frozen=True)
class Still:
    """What of a front is the same in all models of a stack: its canvases, the size of its tables.

    ``table`` holds the inputs and the length of all learned vectors, or nothing.
    """

    canvases: tuple[Canvas, ...] = ()
    table: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, front: Front) -> Still:
        """What is the same of a front."""
        tables = () if front.mask is None else (tuple(front.mask.shape[1:]),)
        return cls(front.canvases, tables)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Layout:
    """The tensors of a network, one after the other, in the order of ``Network.state``.

    ``shape`` holds the padded width. Trained tensors come first, ``trained`` numbers in all, of
    ``size`` numbers together with the running statistics and padding.

    >>> layout = Layout(3, Architecture(depth=1, width=16), 2)
    >>> layout.shapes, layout.trained, layout.size
    (((3, 16), (16, 2), (1, 16), (1, 2)), 98, 112)
    """

    inputs: int
    shape: Architecture
    outputs: int
    front: Still = Still()

    @property
    def batch_norms(self) -> int:
        """The number of layers that are standardized over the batch."""
        return len(self.shape.units) if self.shape.norm in ("batch", "both") else 0

    @property
    def layer_norms(self) -> int:
        """The number of layers that are standardized over their units."""
        return len(self.shape.units) if self.shape.norm in ("layer", "both") else 0

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """The shape of every tensor."""
        return self._shapes(self.shape.width)

    @property
    def trained(self) -> int:
        """How many numbers follow the gradient."""
        trained = self.shapes[: len(self.shapes) - 2 * self.batch_norms]
        return sum(a * b for a, b in trained)

    @property
    def size(self) -> int:
        """The length of a row."""
        return padded(sum(a * b for a, b in self.shapes))

    def _shapes(self, width: int) -> tuple[tuple[int, int], ...]:
        shape = replace(self.shape, width=width)
        weights = matrices(self.inputs, shape, self.outputs, Front(canvases=self.front.canvases))
        biases = ((1, units) for _, units in weights)
        units = [(1, one) for one in shape.units]
        batch, layer = (units if kind else [] for kind in (self.batch_norms, self.layer_norms))
        gains_and_shifts = 2 * (batch + layer)
        return (*weights, *biases, *gains_and_shifts, *self.front.table, *batch, *batch)

    def views(self, state: Tensor) -> list[Tensor]:
        """The tensors (M, a, b) of rows (M, size), sharing their memory."""
        sizes = [a * b for a, b in self.shapes]
        parts = torch.split(state[:, : sum(sizes)], sizes, dim=1)
        # By ``data`` each tensor counts its own changes; autograd may then keep the weights while
        # the running statistics of the same row move.
        return [part.data.view(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def trained_views(self, rows: Tensor) -> list[Tensor]:
        """The trained tensors (M, a, b) of rows (M, trained)."""
        shapes = self.shapes[: len(self.shapes) - 2 * self.batch_norms]
        parts = torch.split(rows, [a * b for a, b in shapes], dim=1)
        return [part.view(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]

    def network(self, state: Tensor, units: Tensor, front: Front = NOTHING) -> Network:
        """The networks of rows (M, size), sharing their memory; ``units`` marks the real ones."""
        parts, trained = iter(self.views(state)), len(self.shape.units) + 1
        weights = tuple(next(parts) for _ in range(trained))
        biases = tuple(next(parts) for _ in range(trained))
        kinds = self.batch_norms + self.layer_norms
        gains = [next(parts) for _ in range(kinds)]
        shifts = [next(parts) for _ in range(kinds)]
        tables = tuple(next(parts) for _ in self.front.table)
        means = [next(parts) for _ in range(self.batch_norms)]
        variances = [next(parts) for _ in range(self.batch_norms)]
        batch = [
            Norm(*each)
            for each in zip(gains, shifts, means, variances, strict=False)  # as many as batch norms
        ]
        own = zip(gains[self.batch_norms :], shifts[self.batch_norms :], strict=True)
        layer = [
            LayerNorm(gain, shift)
            if place < len(self.shape.filters)  # filters are never padded
            else UnitNorm(gain, shift, units)
            for place, (gain, shift) in enumerate(own)
        ]
        normed = tuple(batch), tuple(layer)
        return Network(weights, biases, *normed, self.shape.skip, front, tables=tables)

    def row(self, network: Network) -> Tensor:
        """The row (1, size) of a single network, padded by zeros."""
        state = torch.zeros(1, self.size, dtype=FLOAT)
        for view, tensor in zip(self.views(state), network.state, strict=True):
            view[:, : tensor.shape[1], : tensor.shape[2]] = tensor.detach()
        return state

    def single(self, row: Tensor, width: int, front: Front = NOTHING) -> Network:
        """The network of a row (1, size), in tensors of its own, of its own width."""
        ones = torch.ones(1, 1, width, dtype=FLOAT)
        if width == self.shape.width:
            return self.network(row.clone(), ones, front)
        cut = [
            view[:, :a, :b].clone()
            for view, (a, b) in zip(self.views(row), self._shapes(width), strict=True)
        ]
        compact = replace(self, shape=replace(self.shape, width=width))
        state = torch.cat([one.flatten(1) for one in cut], dim=1)
        return compact.network(state, ones, front)

    def mask(self, width: int) -> Tensor:
        """1 for the numbers of a model of a width that are trained, 0 for padding: (1, trained)."""
        if width == self.shape.width:
            return torch.ones(1, self.trained, dtype=FLOAT)
        state = torch.zeros(1, self.size, dtype=FLOAT)
        for view, (a, b) in zip(self.views(state), self._shapes(width), strict=True):
            view[:, :a, :b] = 1.0
        return state[:, : self.trained]


@dataclass(frozen=True, eq=False)
class UnitNorm(LayerNorm):
    """Layer normalization over the real ones of padded units; ``units`` is (M, 1, width)."""

    units: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """Values (M, B, width), each row by its own mean and variance over the real units."""
        count = self.units.sum(dim=2, keepdim=True)
        centred = (values - values.sum(dim=2, keepdim=True) / count) * self.units
        variance = centred.square().sum(dim=2, keepdim=True) / count
        return centred * (variance + NORM_EPS).rsqrt() * self.gain + self.shift
