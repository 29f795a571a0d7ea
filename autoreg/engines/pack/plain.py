"""The gradient of a plain perceptron, written out: few kernels, the cheapest form of each.

Most of a small network's time goes into what surrounds its products. Where no technique needs
more of the network than its outputs, the chain rule is a handful of lines, and only the
techniques' own hooks are differentiated by autograd. Tested against the general way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from autoreg.engines.draws import FLOAT, Streams, Tape
from autoreg.engines.network import SQUARED_ERROR, Network, affine
from autoreg.engines.scaling import Sample
from autoreg.engines.training import Trainer
from autoreg.techniques.base import Architecture, Facts, Moment, Seen, Technique


def is_plain(shape: Architecture, kinds: Sequence[type[Technique]]) -> bool:
    """Whether the written-out gradient is enough for a network with these techniques."""
    if shape.norm != "none" or shape.skip:
        return False
    return not any("weights" in k.seams() or _asks(k) for k in kinds)  # type: ignore[arg-type]


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
        network, last = self.network, len(self.network.weights) - 1
        assert isinstance(network, Network), "no other network has its gradient written out"
        weights, path = network.weights, []
        values = network.front.entering(batch.inputs, ())
        for layer in range(last):
            active = torch.baddbmm(network.biases[layer], values, weights[layer]).relu_()
            changed = self._changed(active, layer, moments, tape)
            path.append((values, active, changed))
            values = changed
        outputs = affine(values, weights[-1], network.biases[-1])
        slope = self._slope(batch, outputs, moments, tape)
        slopes = [torch.bmm(slope.mT, values).mT]
        shifts = [slope.sum(dim=1, keepdim=True)]
        for layer in reversed(range(last)):
            inputs, active, changed = path[layer]
            slope = _back(slope, weights[layer + 1])
            slope = _through(active, changed, slope)
            slope = torch.ops.aten.threshold_backward(slope, active, 0)
            slopes.append(torch.bmm(inputs.mT, slope))
            shifts.append(slope.sum(dim=1, keepdim=True))
        gradients = [*reversed(slopes), *reversed(shifts)]
        if not self.real:
            return gradients
        return [one * real for one, real in zip(gradients, self.real, strict=True)]

    def _changed(self, active: Tensor, layer: int, moments: list[Moment], tape: Tape) -> Tensor:
        """Activations behind the hooks of a layer, differentiable in those before them."""
        if not self.acting["hidden"]:
            return active
        with torch.enable_grad():
            changed = active.requires_grad_()
            for one in self.acting["hidden"]:
                draws = tape.draws(one.kind.key, "hidden", layer, one.draws)
                changed = one.kind.hidden(changed, one.dials, draws, moments[layer])
        return changed

    def _slope(self, batch: Sample, outputs: Tensor, moments: list[Moment], tape: Tape) -> Tensor:
        """The slope of the models' mean losses in the outputs, (M, B, C)."""
        if not self.criterion.slope:
            return self._slopes(batch, outputs, moments, tape, through=True)[1]
        slope = self.criterion.slope(outputs, batch.targets)
        if not self.acting["loss"]:
            return slope.mul_(batch.weights * (1.0 / batch.rows))
        shares, others = self._slopes(batch, outputs, moments, tape, through=False)
        return slope.mul_(shares).add_(others)

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


def _through(active: Tensor, changed: Tensor, slope: Tensor) -> Tensor:
    """The slope in what the hooks were given, from that in what they gave."""
    if changed is active:
        return slope
    node = changed.grad_fn
    before = [one for one, _ in node.next_functions] if node else []
    if before[1:] == [None] and getattr(before[0], "variable", None) is active:
        vjp: Any = node
        return cast(Tensor, vjp(slope)[0])  # a single operation, such as a product with a mask
    return torch.autograd.grad(changed, active, slope)[0]


def _back(slope: Tensor, weights: Tensor) -> Tensor:
    """The slope in the inputs of a layer, from that in its outputs."""
    return slope * weights.mT if weights.shape[2] == 1 else torch.bmm(slope, weights.mT)
