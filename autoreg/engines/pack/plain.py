"""The gradient of a plain perceptron, written out: few operations, the cheapest form of each.

Where no technique needs more of the network than its outputs, and what it does to hidden units does
not depend on them, the chain rule is a handful of lines, and only what techniques do to the losses
is differentiated by autograd. This is how GPUs train; processors by ``compiled.py``, which is
tested against it, as it is against the general way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from autoreg.engines.draws import FLOAT, Acting, Streams, Tape
from autoreg.engines.network import SQUARED_ERROR, Network, affine
from autoreg.engines.pack.effects import Drawn, Effects
from autoreg.engines.scaling import Sample
from autoreg.engines.training import Trainer
from autoreg.techniques.base import Architecture, Draws, Facts, Moment, Seen, Technique


def is_plain(shape: Architecture, kinds: Sequence[type[Technique]]) -> bool:
    """Whether the written-out gradient is enough for a network with these techniques."""
    if shape.norm != "none" or shape.skip or not shape.depth:
        return False
    return not any(
        "weights" in k.seams() or ("hidden" in k.seams() and not k.acts_as) or _asks(k)  # type: ignore[arg-type]
        for k in kinds
    )


@cache
def _asks(kind: Any) -> bool:
    """Whether a technique's loss asks the network for more outputs; found out by trying."""
    if "loss" not in kind.seams():
        return False
    ones = torch.ones(1, 1, 1, dtype=FLOAT)
    facts = Facts(torch.zeros(1, 1, dtype=torch.int64), ones, 1)
    dials = {dial.name: ones * dial.as_number(dial.default) for dial in kind.dials}
    seen = Seen(ones, ones, ones, ones, SQUARED_ERROR, _refuse)
    try:
        kind.loss(ones, seen, dials, Streams([0]), Moment(ones, ones, ones, facts))
    except _AskedError:
        return True
    return False


class _AskedError(Exception):
    """The network was asked."""


@dataclass(frozen=True, eq=False)
class PlainTrainer(Trainer):
    """A trainer of perceptrons without norms, whose gradient is written out."""

    @torch.no_grad()
    def _gradients(
        self, batch: Sample, moments: list[Moment], tape: Tape, track: bool
    ) -> Sequence[Tensor]:
        inputs = self.entering(batch.inputs)
        acting = self.acting["hidden"]
        shape = inputs.shape[:2]
        effects = self.effects(acting, shape, moments, lambda one, at: _taped(tape, one, at))
        outputs, path = self._forward(inputs, effects)
        return self._backward(inputs, effects, path, self._slope(batch, outputs, moments, tape))

    def entering(self, inputs: Tensor) -> Tensor:
        """What the first layer is given."""
        assert isinstance(self.network, Network), "no other network has its gradient written out"
        return self.network.front.entering(inputs, ())

    def effects(
        self,
        acting: Sequence[Acting],
        batch: Sequence[int],
        moments: Sequence[Moment],
        drawn: Drawn,
    ) -> Effects:
        """What techniques do to the hidden units in a step (M, B), or in several (S x M, B)."""
        weights, (models, rows) = self.network.weights, batch
        steps = models // len(self.longest)
        real = [one.repeat(steps, 1, 1) for one in self.real[len(weights) : 2 * len(weights) - 1]]
        return Effects.of(acting, moments[:-1], (models, rows, weights[0].shape[2]), drawn, real)

    def _forward(self, inputs: Tensor, effects: Effects) -> tuple[Tensor, list[Tensor]]:
        """The outputs, and the active units of each hidden layer."""
        network, path = cast(Network, self.network), []
        *hidden, last = zip(network.weights, network.biases, strict=True)
        values = inputs
        for layer, (weights, biases) in enumerate(hidden):
            path.append(torch.baddbmm(biases, values, weights).relu_())
            values = effects.on(path[-1], layer)
        return affine(values, *last), path

    def _backward(
        self, inputs: Tensor, effects: Effects, path: list[Tensor], slope: Tensor
    ) -> Sequence[Tensor]:
        """The gradients in all trained tensors, from the slope in the outputs."""
        weights = self.network.weights
        slopes, shifts = [], []
        for layer in reversed(range(len(weights))):
            values = effects.on(path[layer - 1], layer - 1) if layer else inputs
            slopes.append(torch.bmm(values.mT, slope))
            shifts.append(slope.sum(dim=1, keepdim=True))
            if layer:
                slope = effects.through(torch.bmm(slope, weights[layer].mT), layer - 1)
                slope = torch.ops.aten.threshold_backward(slope, path[layer - 1], 0)
        return [*reversed(slopes), *reversed(shifts)]

    def _slope(self, batch: Sample, outputs: Tensor, moments: list[Moment], tape: Tape) -> Tensor:
        """The slope of the models' mean losses in the outputs, (M, B, C)."""
        if not self.criterion.slope:
            return self._slopes(batch, outputs, moments, tape, through=True)[1]
        slope = self._row_slopes(outputs, batch.targets)
        if not self.acting["loss"]:
            return slope.mul_(batch.weights * (1.0 / batch.rows))
        shares, others = self._slopes(batch, outputs, moments, tape, through=False)
        return slope.mul_(shares).add_(others)

    def _row_slopes(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The slopes of the row losses in the outputs, (M, B, C)."""
        assert self.criterion.slope is not None
        return self.criterion.slope(outputs, targets)

    @torch.enable_grad()
    def _slopes(
        self, batch: Sample, outputs: Tensor, moments: list[Moment], tape: Tape, through: bool
    ) -> tuple[Tensor, ...]:
        """The slopes of the models' mean losses in the row losses and in the outputs.

        The latter as far as hooks read them and, if asked, ``through`` the criterion.
        """
        outputs.requires_grad_()
        start = self.criterion(outputs, batch.targets)
        losses = start = start if through else start.detach().requires_grad_()
        for one in self.acting["loss"]:
            draws = tape.draws(one.kind.key, "loss", 0, one.draws)
            seen = Seen(
                batch.inputs, batch.targets, outputs, batch.weights, self.criterion, _refuse
            )
            losses = one.kind.loss(losses, seen, one.dials, draws, moments[0])
        total = (losses * batch.weights).mean(dim=1).sum()
        return torch.autograd.grad(total, [start, outputs], materialize_grads=True)


def _refuse(*_: object) -> Tensor:
    raise _AskedError


def _taped(tape: Tape, one: Acting, layer: int) -> Draws:
    return tape.draws(one.kind.key, "hidden", layer, one.draws)
