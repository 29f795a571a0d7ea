"""What network engines are made of: the perceptron itself, its losses and Adam.

Why functions on tensors and not ``torch.nn``: techniques act on batches, activations, losses
and weights of M models at once, with a leading model dimension. The same few lines serve
M = 1, are short enough to be read beside the papers, and cost less than modules on small
tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from autoreg.engines.draws import FLOAT, generator
from autoreg.engines.front import NOTHING, Front, given_rows, initial_tables
from autoreg.engines.trainable import Act, untouched
from autoreg.techniques.base import Architecture

NORM_EPS = 1e-5
NORM_MOMENTUM = 0.1


@contextmanager
def one_thread() -> Iterator[None]:
    """Small matrices are slower on many threads, and their bits would depend on the count."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ---- the network -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Norm:
    """Batch normalization of one hidden layer; every tensor is (M, 1, width)."""

    gain: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor

    def training(self, values: Tensor, track: bool = True) -> Tensor:
        """Values (M, B, width) by the statistics of their batch; running ones follow, if asked."""
        rows = values.shape[1]
        variance, mean = torch.var_mean(values, dim=1, keepdim=True, correction=0)
        if track:
            with torch.no_grad():
                self.mean.lerp_(mean, NORM_MOMENTUM)
                self.variance.lerp_(variance * (rows / max(rows - 1, 1)), NORM_MOMENTUM)
        return (values - mean) * (variance + NORM_EPS).rsqrt() * self.gain + self.shift

    def folded(self) -> tuple[Tensor, Tensor]:
        """Scale and shift that stand for the running statistics in predictions."""
        scale = self.gain * (self.variance + NORM_EPS).rsqrt()
        return scale, self.shift - self.mean * scale

    def predicting(self, values: Tensor) -> Tensor:
        """Values (M, B, width) by the running statistics."""
        scale, shift = self.folded()
        return values * scale + shift


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """Layer normalization of one hidden layer; gain and shift are (M, 1, width)."""

    gain: Tensor
    shift: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """Values (M, B, width), each row by its own mean and variance over the units."""
        variance, mean = torch.var_mean(values, dim=2, keepdim=True, correction=0)
        return (values - mean) * (variance + NORM_EPS).rsqrt() * self.gain + self.shift


@dataclass(frozen=True, eq=False)
class Network:
    """All that training changes: weights (M, in, out), biases (M, 1, out), norms; output last.

    With ``skip`` every hidden layer but the first adds to what it is given. ``front`` stands before
    the first layer, with ``tables`` (M, q, e) of learned vectors; where it has canvases the first
    layers are filters. ``passes`` (M, S, width) are factors of the units of each
    hidden layer: a prediction is the mean over S passes then.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    norms: tuple[Norm, ...] = ()
    layer_norms: tuple[LayerNorm, ...] = ()
    skip: bool = False
    front: Front = NOTHING
    passes: tuple[Tensor, ...] = ()
    tables: tuple[Tensor, ...] = ()

    @property
    def trained(self) -> list[Tensor]:
        """The tensors that follow the gradient."""
        gains = [*(one.gain for one in self.norms), *(one.gain for one in self.layer_norms)]
        shifts = [*(one.shift for one in self.norms), *(one.shift for one in self.layer_norms)]
        return [*self.weights, *self.biases, *gains, *shifts, *self.tables]

    @property
    def state(self) -> list[Tensor]:
        """The trained tensors and the running statistics."""
        means = [norm.mean for norm in self.norms]
        return [*self.trained, *means, *(norm.variance for norm in self.norms)]

    @property
    def sizes(self) -> list[int]:
        """How many numbers each hidden layer gives to the next."""
        canvases, units = self.front.canvases, [one.shape[2] for one in self.weights[:-1]]
        filters = [one.behind(few).size for one, few in zip(canvases, units, strict=False)]
        return [*filters, *units[len(canvases) :]]

    def copy(self) -> Network:
        """The same network in tensors of its own, which follow no gradient."""
        return Network(
            tuple(one.detach().clone() for one in self.weights),
            tuple(one.detach().clone() for one in self.biases),
            tuple(
                Norm(*(t.detach().clone() for t in (n.gain, n.shift, n.mean, n.variance)))
                for n in self.norms
            ),
            tuple(
                LayerNorm(n.gain.detach().clone(), n.shift.detach().clone())
                for n in self.layer_norms
            ),
            self.skip,
            self.front,
            tables=tuple(one.detach().clone() for one in self.tables),
        )

    def training(
        self, inputs: Tensor, hidden: Act, weighted: Act = untouched, track: bool = True
    ) -> Tensor:
        """Outputs (M, B, C) in training: batch statistics, which the running ones follow if asked.

        ``hidden`` acts behind each hidden layer, ``weighted`` on each weight matrix.
        """
        return self._outputs(
            inputs, hidden, weighted, lambda v, layer: self.norms[layer].training(v, track)
        )

    @torch.no_grad()
    def predicting(self, inputs: Tensor) -> Tensor:
        """Outputs (M, B, C) after training: running statistics, no technique acts."""
        return self._outputs(
            inputs, untouched, untouched, lambda v, layer: self.norms[layer].predicting(v)
        )

    @torch.no_grad()
    def answers(self, inputs: Tensor) -> Iterator[Tensor]:
        """The outputs (M, B, C) of each pass whose predictions are to be averaged."""
        if not self.passes:
            yield self.predicting(inputs)
        for one in zip(*(factors.unbind(dim=1) for factors in self.passes), strict=True):
            yield self._outputs(
                inputs,
                lambda v, layer, one=one: v * one[layer].unsqueeze(1),  # type: ignore[misc]
                untouched,
                lambda v, layer: self.norms[layer].predicting(v),
            )

    def _outputs(self, inputs: Tensor, hidden: Act, weighted: Act, standardized: Act) -> Tensor:
        last = len(self.weights) - 1
        inputs, canvases = self.front.entering(inputs, self.tables), self.front.canvases
        for layer in range(last):
            filters = layer < len(canvases)
            inputs = canvases[layer].patches(inputs) if filters else inputs
            # The mean over the batch takes a bias away again: its slope is 0 but for rounding,
            # which Adam would blow up to whole steps.
            bias = self.biases[layer].detach() if self.norms else self.biases[layer]
            values = torch.baddbmm(bias, inputs, weighted(self.weights[layer], layer))
            if self.norms:
                values = standardized(values, layer)
            if self.layer_norms:
                values = self.layer_norms[layer](values)
            active = canvases[layer].pooled(values.relu()) if filters else values.relu()
            added = hidden(active, layer)
            inputs = inputs + added if self.skip and layer > len(canvases) else added
        return affine(inputs, weighted(self.weights[-1], last), self.biases[-1])


FEW_OUTPUTS = 8  # up to which a product is faster turned over


def affine(inputs: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """Inputs (M, B, in) times weights (M, in, out) plus biases (M, 1, out), for few outputs.

    A single output is a sum, for a product with one column has other bits alone than in a stack.
    """
    outputs = weights.shape[2]
    if outputs == 1:
        return (inputs * weights.mT).sum(dim=2, keepdim=True) + biases
    if outputs <= FEW_OUTPUTS:
        return torch.baddbmm(biases.mT, weights.mT, inputs.mT).mT
    return torch.baddbmm(biases, inputs, weights)


def initial_network(
    sizes: tuple[int, Architecture, int], fit_seed: int, front: Front = NOTHING
) -> Network:
    """A fresh network: normal weights of variance 2 / inputs (1 / inputs for the output).

    ``sizes`` are the inputs in front of all, the shape and the outputs.

    Source: He et al. 2015, Delving deep into rectifiers, ICCV, equation 10.
    """
    inputs, shape, outputs = sizes
    stream = generator(fit_seed, "init")
    fans = matrices(inputs + front.extra, shape, outputs, front)
    gains = [2.0] * (len(fans) - 1) + [1.0]
    weights = [
        torch.randn(1, fan_in, fan_out, generator=stream, dtype=FLOAT)
        * math.sqrt(gain / max(fan_in, 1))
        for (fan_in, fan_out), gain in zip(fans, gains, strict=True)
    ]
    if (given := given_rows(front)) is not None:
        weights[0] *= given
    biases = [torch.zeros(1, 1, width, dtype=FLOAT) for _, width in fans]
    norms = [_initial_norm(one) for one in shape.units if shape.norm in ("batch", "both")]
    layer_norms = [_layer_norm(one) for one in shape.units if shape.norm in ("layer", "both")]
    network = Network(
        tuple(weights),
        tuple(biases),
        tuple(norms),
        tuple(layer_norms),
        shape.skip,
        front,
        tables=initial_tables(front.mask, fit_seed),
    )
    for tensor in network.trained:
        tensor.requires_grad_()
    return network


def matrices(
    inputs: int, shape: Architecture, outputs: int, front: Front = NOTHING
) -> list[tuple[int, int]]:
    """The rows and columns of each weight matrix; ``inputs`` are those of the first layer.

    >>> matrices(7, Architecture(depth=2, width=5), 3)
    [(7, 5), (5, 5), (5, 3)]
    """
    found = []
    for canvas, filters in zip(front.canvases, shape.filters, strict=True):
        found.append((canvas.patch, filters))
        inputs = canvas.behind(filters).size
    widths = [inputs, *[shape.width] * shape.depth, outputs]
    return [*found, *pairwise(widths)]


def _initial_norm(width: int) -> Norm:
    zeros, ones = torch.zeros(1, 1, width, dtype=FLOAT), torch.ones(1, 1, width, dtype=FLOAT)
    return Norm(gain=ones, shift=zeros, mean=zeros.clone(), variance=ones.clone())


def _layer_norm(width: int) -> LayerNorm:
    one = _initial_norm(width)
    return LayerNorm(one.gain, one.shift)


# ---- losses and optimizer ---------------------------------------------------------------------


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Row losses (M, B, 1) of class scores against soft targets, both (M, B, C)."""
    return -(targets * outputs.log_softmax(dim=-1)).sum(dim=-1, keepdim=True)


def cross_entropy_slope(outputs: Tensor, targets: Tensor) -> Tensor:
    """The slope of :func:`cross_entropy` in the outputs, (M, B, C)."""
    powers = (outputs - outputs.amax(dim=-1, keepdim=True)).exp_()
    shares = targets.sum(dim=-1, keepdim=True) / powers.sum(dim=-1, keepdim=True)
    return powers.mul_(shares).sub_(targets)


def squared_error_slope(outputs: Tensor, targets: Tensor) -> Tensor:
    """The slope of :func:`squared_error` in the outputs, (M, B, C)."""
    return (outputs - targets).mul_(2)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Row losses (M, B, 1) of outputs against targets, both (M, B, C)."""
    return (outputs - targets).square().sum(dim=-1, keepdim=True)


def poisson_loss(outputs: Tensor, targets: Tensor, limit: float | Tensor) -> Tensor:
    """Row losses (M, B, 1) of logarithms of means against counts, both (M, B, C).

    ``exp(o) - t o`` in units of the training mean. Where o is above ``limit``, and above 1 more
    than its own best value, the loss goes on along its tangent: a wild first step of training has
    a slope that leads back then, and not one that throws it out for good.
    """
    bound = (targets.log() + 1).clamp(min=limit)
    means = torch.minimum(outputs, bound).exp() * (1 + (outputs - bound).relu())
    return (means - targets * outputs).sum(dim=-1, keepdim=True)


@dataclass(frozen=True)
class Likelihood:
    """A training loss together with what its outputs predict, and its slope if that is simple.

    >>> CROSS_ENTROPY.means(torch.zeros(1, 1, 4)).tolist()
    [[[0.25, 0.25, 0.25, 0.25]]]
    """

    losses: Callable[[Tensor, Tensor], Tensor]
    means: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor] | None = None

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Row losses (M, B, 1) of outputs against soft targets, both (M, B, C)."""
        return self.losses(outputs, targets)

    @classmethod
    def poisson(cls, limit: float | Tensor) -> Likelihood:
        """The loss of counts, exact up to a log mean of ``limit``."""
        return cls(
            lambda outputs, targets: poisson_loss(outputs, targets, limit),
            lambda outputs: outputs.clamp(max=limit).exp(),
        )


CROSS_ENTROPY = Likelihood(
    cross_entropy, lambda outputs: outputs.softmax(dim=-1), cross_entropy_slope
)
SQUARED_ERROR = Likelihood(squared_error, lambda outputs: outputs, squared_error_slope)


class Adam:
    """Adam; decay of weights is a technique of its own and none of its business.

    The moments of all tensors lie end to end in one vector, so a step is a few long
    operations and not a few for each tensor.

    Source: Kingma & Ba 2015, Adam, ICLR, algorithm 1.
    """

    def __init__(self, tensors: list[Tensor], rate: float) -> None:
        sizes = [tensor.numel() for tensor in tensors]
        self._rate = rate
        self._tensors = tensors
        self._first = torch.zeros(sum(sizes), dtype=FLOAT)
        self._second = torch.zeros_like(self._first)
        self._move = torch.zeros_like(self._first)
        parts = zip(torch.split(self._move, sizes), tensors, strict=True)
        self._moves = [part.view_as(tensor) for part, tensor in parts]
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: Tensor) -> None:
        """Move all tensors once, at a learning rate relative to the model's own, (M, 1, 1)."""
        beta1, beta2 = 0.9, 0.999
        self._steps += 1
        size = self._rate / (1 - beta1**self._steps)
        root = math.sqrt(1 - beta2**self._steps)
        gradient = torch.cat([part.flatten() for part in gradients])
        self._first.lerp_(gradient, 1 - beta1)
        self._second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        torch.div(self._first, self._second.sqrt().div_(root).add_(1e-8), out=self._move)
        for tensor, move in zip(self._tensors, self._moves, strict=True):
            tensor.sub_(rate * move, alpha=size)
