"""What network engines are made of: random streams, the perceptron itself, losses and Adam.

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

import numpy as np
import torch
from torch import Tensor

from autoreg.spec import seed_for
from autoreg.techniques.base import Architecture, Technique

NORM_EPS = 1e-5
NORM_MOMENTUM = 0.1
FLOAT = torch.float32


@contextmanager
def one_thread() -> Iterator[None]:
    """Small matrices are slower on many threads, and their bits would depend on the count."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ---- random streams --------------------------------------------------------------------------


def generator(*names: str | int) -> torch.Generator:
    """A stream of random numbers that depends on its names alone."""
    return torch.Generator().manual_seed(seed_for(*names))


class Streams:
    """The draws of one technique: a stream for each of M models, made from M seeds.

    >>> Streams([1, 2]).uniform(3, 4).shape
    torch.Size([2, 3, 4])
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._torch = [generator(seed, "draws") for seed in seeds]
        self._numpy = [np.random.default_rng(seed_for(seed, "beta")) for seed in seeds]

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), shape (M, *shape)."""
        return torch.stack([torch.rand(shape, generator=g, dtype=FLOAT) for g in self._torch])

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, shape (M, *shape)."""
        return torch.stack([torch.randn(shape, generator=g, dtype=FLOAT) for g in self._torch])

    def beta(self, concentration: Tensor, rows: int) -> Tensor:
        """Beta(c, c) numbers for concentrations (M, 1, 1); 0 or 1 for c = 0; (M, rows, 1)."""
        # At the smallest positive number Beta(c, c) is its own limit: a fair coin, 0 or 1.
        shapes = concentration.flatten().double().clamp(min=1e-300).tolist()
        draws = [g.beta(c, c, (rows, 1)) for g, c in zip(self._numpy, shapes, strict=True)]
        return torch.from_numpy(np.stack(draws)).to(FLOAT)

    def permutation(self, rows: int) -> Tensor:
        """A random order of the rows for each model, integers (M, rows)."""
        return torch.stack([torch.randperm(rows, generator=g) for g in self._torch])


@dataclass(frozen=True, eq=False)
class Acting:
    """A technique at work: its hooks, its dials as tensors (M, 1, 1), its draws."""

    kind: type[Technique]
    dials: dict[str, Tensor]
    draws: Streams

    @classmethod
    def of(cls, chosen: Technique, fit_seed: int) -> Acting:
        """One chosen technique in the fit of one model."""
        settings = {dial.name: dial.as_number(dial.default) for dial in chosen.dials}
        known = {dial.name: dial for dial in chosen.dials}
        settings |= {name: known[name].as_number(value) for name, value in chosen.values.items()}
        dials = {name: torch.full((1, 1, 1), v, dtype=FLOAT) for name, v in settings.items()}
        return cls(type(chosen), dials, Streams([seed_for(fit_seed, chosen.key)]))


# ---- the network -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Norm:
    """Batch normalization of one hidden layer; every tensor is (M, 1, width)."""

    gain: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor

    def training(self, values: Tensor) -> Tensor:
        """Values (M, B, width) by the statistics of their batch; running statistics follow."""
        rows = values.shape[1]
        variance, mean = torch.var_mean(values, dim=1, keepdim=True, correction=0)
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
class Network:
    """All that training changes: weights (M, in, out), biases (M, 1, out), norms; output last."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    norms: tuple[Norm, ...]

    @property
    def trained(self) -> list[Tensor]:
        """The tensors that follow the gradient."""
        gains = [norm.gain for norm in self.norms]
        return [*self.weights, *self.biases, *gains, *(norm.shift for norm in self.norms)]

    @property
    def state(self) -> list[Tensor]:
        """The trained tensors and the running statistics."""
        means = [norm.mean for norm in self.norms]
        return [*self.trained, *means, *(norm.variance for norm in self.norms)]

    def training(self, inputs: Tensor, hidden: Callable[[Tensor, int], Tensor]) -> Tensor:
        """Outputs (M, B, C) in training: batch statistics, and ``hidden`` behind each layer."""
        for layer in range(len(self.weights) - 1):
            values = torch.baddbmm(self.biases[layer], inputs, self.weights[layer])
            if self.norms:
                values = self.norms[layer].training(values)
            inputs = hidden(values.relu(), layer)
        return torch.baddbmm(self.biases[-1], inputs, self.weights[-1])

    @torch.no_grad()
    def predicting(self, inputs: Tensor) -> Tensor:
        """Outputs (M, B, C) after training: running statistics, no technique acts."""
        for layer in range(len(self.weights) - 1):
            values = torch.baddbmm(self.biases[layer], inputs, self.weights[layer])
            if self.norms:
                values = self.norms[layer].predicting(values)
            inputs = values.relu()
        return torch.baddbmm(self.biases[-1], inputs, self.weights[-1])


def initial_network(sizes: tuple[int, Architecture, int], fit_seed: int) -> Network:
    """A fresh network: normal weights of variance 2 / inputs (1 / inputs for the output).

    Source: He et al. 2015, Delving deep into rectifiers, ICCV, equation 10.
    """
    inputs, shape, outputs = sizes
    stream = generator(fit_seed, "init")
    widths = [inputs, *[shape.width] * shape.depth, outputs]
    gains = [2.0] * shape.depth + [1.0]
    weights = [
        torch.randn(1, fan_in, fan_out, generator=stream, dtype=FLOAT)
        * math.sqrt(gain / max(fan_in, 1))
        for fan_in, fan_out, gain in zip(widths, widths[1:], gains, strict=False)
    ]
    biases = [torch.zeros(1, 1, width, dtype=FLOAT) for width in widths[1:]]
    norms = [_initial_norm(shape.width) for _ in range(shape.depth) if shape.norm == "batch"]
    network = Network(tuple(weights), tuple(biases), tuple(norms))
    for tensor in network.trained:
        tensor.requires_grad_()
    return network


def _initial_norm(width: int) -> Norm:
    zeros, ones = torch.zeros(1, 1, width, dtype=FLOAT), torch.ones(1, 1, width, dtype=FLOAT)
    return Norm(gain=ones, shift=zeros, mean=zeros.clone(), variance=ones.clone())


# ---- losses and optimizer ---------------------------------------------------------------------


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Row losses (M, B, 1) of class scores against soft targets, both (M, B, C)."""
    return -(targets * outputs.log_softmax(dim=-1)).sum(dim=-1, keepdim=True)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Row losses (M, B, 1) of outputs against targets, both (M, B, C)."""
    return (outputs - targets).square().sum(dim=-1, keepdim=True)


def poisson_loss(outputs: Tensor, targets: Tensor, limit: float) -> Tensor:
    """Row losses (M, B, 1) of logarithms of means against counts, both (M, B, C).

    ``exp(o) - t o`` in units of the training mean. Where o is above ``limit``, and above 1 more
    than its own best value, the loss goes on along its tangent: a wild first step of training has
    a slope that leads back then, and not one that throws it out for good.
    """
    bound = (targets.log() + 1).clamp(min=limit)
    means = torch.minimum(outputs, bound).exp() * (1 + (outputs - bound).relu())
    return (means - targets * outputs).sum(dim=-1, keepdim=True)


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
    def step(self, gradients: Sequence[Tensor], beta1: float = 0.9, beta2: float = 0.999) -> None:
        """Move all tensors once."""
        self._steps += 1
        size = self._rate / (1 - beta1**self._steps)
        root = math.sqrt(1 - beta2**self._steps)
        gradient = torch.cat([part.flatten() for part in gradients])
        self._first.lerp_(gradient, 1 - beta1)
        self._second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        torch.div(self._first, self._second.sqrt().div_(root).add_(1e-8), out=self._move)
        for tensor, move in zip(self._tensors, self._moves, strict=True):
            tensor.sub_(move, alpha=size)
