"""One optimizer step of a network, and every place in it where a technique may act.

The order of a step: ``batch`` hooks change the rows; the network answers, with ``weights`` and
``hidden`` hooks inside; ``loss`` hooks change the row losses; ``ascent`` hooks displace the
weights for a second pass; ``gradients`` hooks change what the optimizer sees; then ``step`` and
``prox`` act on the weight matrices, and ``average`` on the copy that is kept beside them.

Why a tape: what a technique asks the network in addition (a gradient with respect to the
inputs, a second pass at displaced weights) must meet the noise of the very same step, and must
not move the random stream of any other technique.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from autoreg.candidate import SCHEDULES
from autoreg.engines.draws import FLOAT, Acting, Tape
from autoreg.engines.network import Likelihood
from autoreg.engines.scaling import Sample
from autoreg.engines.trainable import Trainable
from autoreg.techniques.base import Draws, Facts, Moment, Seen, Technique

SEAMS = frozenset(
    {"batch", "weights", "hidden", "loss", "ascent", "gradients"}
    | {"step", "prox", "average", "net", "stop", "passes", "drops", "mixes"}
)
FLAT_SHARE = 0.7
Drawn = Callable[[Acting, str, int], Draws]


class Optimizer(Protocol):
    """What moves the trained tensors."""

    def step(self, gradients: Sequence[Tensor], rate: Tensor) -> None:
        """Move all tensors once, at a learning rate relative to the model's own, (M, 1, 1)."""


def single(number: float) -> Tensor:
    """A number of a single model, (1, 1, 1)."""
    return torch.full((1, 1, 1), float(number), dtype=FLOAT)


def relative_rate(schedule: Tensor, progress: Tensor) -> Tensor:
    """The learning rate relative to its first one, for positions in SCHEDULES, (M, 1, 1) both.

    ``constant`` stays at 1, ``cosine`` falls to 0 along half a wave, ``flat_cos`` does so in the
    last 30 % of the longest training.

    >>> relative_rate(torch.tensor([0.0, 1.0, 2.0]), torch.tensor(0.5)).round(decimals=3).tolist()
    [1.0, 0.5, 1.0]
    """
    late = ((progress - FLAT_SHARE) / (1.0 - FLAT_SHARE)).clamp(0.0, 1.0)
    whole, end = (0.5 + 0.5 * (math.pi * part).cos() for part in (progress, late))
    falling = whole.where(schedule == SCHEDULES.index("cosine"), end)
    return falling.where(schedule != SCHEDULES.index("constant"), 1.0)


@dataclass(frozen=True, eq=False)
class Trainer:
    """The networks of M models, what moves them, and the techniques that act on the way.

    ``averages`` holds a copy of the network for each technique that averages; each one averages
    what the one before it keeps. Where models are padded, ``real`` marks what is no padding in
    each trained tensor: the rest gets no gradient and no noise. ``schedule`` (M, 1, 1) is each
    model's position in SCHEDULES, or None where all are constant. ``users`` numbers the models that
    have a technique, where not all of them have it: in the others it is off, and what acts on
    weights need not act there.
    """

    network: Trainable
    optimizer: Optimizer
    acting: Mapping[str, tuple[Acting, ...]]
    criterion: Likelihood
    facts: Facts
    longest: Tensor
    averages: tuple[Trainable, ...] = ()
    real: tuple[Tensor, ...] = ()
    schedule: Tensor | None = None
    users: Mapping[type[Technique], Tensor] = field(default_factory=dict)

    @property
    def kept(self) -> Trainable:
        """The network to watch, to keep and to predict with: an average where there is one."""
        return self.averages[-1] if self.averages else self.network

    def step(self, sample: Sample, number: Tensor) -> None:
        """One optimizer step, each model's ``number``-th from 0, (M, 1, 1), on its own batch."""
        moments = self.moments(number)
        self.descend(self._batch(sample, moments[0]), moments)

    def advance(self, batches: Sample, moment: Moment) -> None:
        """Several steps, one after the other: batches (S x M, B, ...) and moments of them all."""
        for start, stop, now in self.each(moment):
            self.descend(batches.models(start, stop), self.layers(now))

    def each(self, moment: Moment) -> Iterator[tuple[int, int, Moment]]:
        """The moments of several steps one by one, and where each one's models are among all."""
        models = len(self.longest)
        for start in range(0, len(moment.rate), models):
            stop = start + models
            progress, rate = moment.progress[start:stop], moment.rate[start:stop]
            yield start, stop, Moment(progress, self.longest, rate, self.facts)

    def descend(self, batch: Sample, moments: list[Moment]) -> None:
        """The rest of a step, on rows that the batch hooks have changed."""
        tape = Tape()
        gradients = self._gradients(batch, moments, tape, track=True)
        if self.acting["ascent"]:
            gradients = self._displaced(batch, moments, tape, gradients)
        for one in self.acting["gradients"]:
            gradients = one.kind.gradients(gradients, one.dials, moments[0])
        self.optimizer.step(gradients, moments[0].rate)
        self._regularize(moments)
        self._average(moments[0])

    def moments(self, number: Tensor) -> list[Moment]:
        """This step as seen from each layer, the output layer last."""
        return self.layers(self.moment(number))

    def moment(self, number: Tensor) -> Moment:
        """The moments of steps of the models, (S x M, 1, 1) for S steps one after the other."""
        steps = len(number) // len(self.longest)
        longest = self.longest.repeat(steps, 1, 1)
        progress = (number / longest).clamp(max=1.0)
        if self.schedule is None:
            return Moment(progress, longest, torch.ones_like(number), self.facts)
        rate = relative_rate(self.schedule.repeat(steps, 1, 1), progress)
        return Moment(progress, longest, rate, self.facts)

    def layers(self, moment: Moment) -> list[Moment]:
        """A moment as seen from each layer, the output layer last."""
        depth = len(self.network.weights) - 1
        return [replace(moment, layer=layer, depth=depth) for layer in range(depth + 1)]

    def _batch(self, sample: Sample, moment: Moment) -> Sample:
        inputs, targets = sample.inputs, sample.targets
        for one in self.acting["batch"]:
            inputs, targets = one.kind.batch(inputs, targets, one.dials, one.draws, moment)
        return Sample(inputs, targets, sample.weights)

    def _gradients(
        self, batch: Sample, moments: list[Moment], tape: Tape, track: bool
    ) -> Sequence[Tensor]:
        loss = self._loss(batch, moments, tape, track)
        gradients = torch.autograd.grad(loss, self.network.trained, materialize_grads=True)
        if not self.real:
            return gradients
        return [one.mul_(real) for one, real in zip(gradients, self.real, strict=True)]

    def _loss(self, batch: Sample, moments: list[Moment], tape: Tape, track: bool) -> Tensor:
        """The sum over models of the mean loss of the batch."""

        def taped(one: Acting, seam: str, layer: int) -> Draws:
            return tape.draws(one.kind.key, seam, layer, one.draws)

        outputs = self._outputs(batch.inputs, moments, taped, track)
        losses = self.criterion(outputs, batch.targets)
        for one in self.acting["loss"]:
            answer = partial(self._answer, moments, taped, one)
            seen = Seen(batch.inputs, batch.targets, outputs, batch.weights, self.criterion, answer)
            losses = one.kind.loss(losses, seen, one.dials, taped(one, "loss", 0), moments[0])
        return (losses * batch.weights).mean(dim=1).sum()

    def _answer(
        self,
        moments: list[Moment],
        taped: Drawn,
        asking: Acting,
        inputs: Tensor,
        draws: Draws | None = None,
    ) -> Tensor:
        """Outputs for other inputs, with the noise of the step; the asking one's own anew."""

        def drawn(one: Acting, seam: str, layer: int) -> Draws:
            return taped(one, seam, layer) if draws is None or one is not asking else draws

        return self._outputs(inputs, moments, drawn, track=False)

    def _outputs(self, inputs: Tensor, moments: list[Moment], drawn: Drawn, track: bool) -> Tensor:
        """Outputs (M, B, C) with the noise that ``drawn`` gives to each hook."""

        def weighted(weights: Tensor, layer: int) -> Tensor:
            for one in self.acting["weights"]:
                draws = drawn(one, "weights", layer)
                weights = one.kind.weights(weights, one.dials, draws, moments[layer])
            return weights * self.real[layer] if self.real and self.acting["weights"] else weights

        def hidden(activations: Tensor, layer: int) -> Tensor:
            for one in self.acting["hidden"]:
                draws = drawn(one, "hidden", layer)
                activations = one.kind.hidden(activations, one.dials, draws, moments[layer])
            return activations

        return self.network.training(inputs, hidden, weighted, track)

    def _displaced(
        self, batch: Sample, moments: list[Moment], tape: Tape, gradients: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """The gradients where ``ascent`` hooks lead; the network itself stays where it is."""
        tensors = self.network.trained
        before = [tensor.detach().clone() for tensor in tensors]
        with torch.no_grad():
            for one in self.acting["ascent"]:
                moves = one.kind.ascent(gradients, one.dials, moments[0])
                for tensor, move in zip(tensors, moves, strict=True):
                    tensor.add_(move)
        there = self._gradients(batch, moments, tape, track=False)
        with torch.no_grad():
            for tensor, kept in zip(tensors, before, strict=True):
                tensor.copy_(kept)
        return there

    @torch.no_grad()
    def _regularize(self, moments: list[Moment]) -> None:
        """Let techniques act on the weight matrices; biases and norms are never touched."""
        for one in self.acting["step"]:
            self._act(one, one.kind.step, moments)
        for one in self.acting["prox"]:
            self._act(one, one.kind.prox, moments)

    def _act(self, one: Acting, hook: Callable[..., Tensor], moments: list[Moment]) -> None:
        """Let a hook change the weight matrices of the models that have the technique."""
        users = self.users.get(one.kind)
        if users is None:
            for weights, here in zip(self.network.weights, moments, strict=True):
                weights.copy_(hook(weights, one.dials, here))
            return
        dials = {name: values[users] for name, values in one.dials.items()}
        theirs = moments[0].only(users)
        for weights, here in zip(self.network.weights, moments, strict=True):
            now = replace(theirs, layer=here.layer, depth=here.depth)
            weights[users] = hook(weights[users], dials, now)

    @torch.no_grad()
    def _average(self, moment: Moment) -> None:
        current: Trainable = self.network
        for one, average in zip(self.acting["average"], self.averages, strict=True):
            for kept, new in zip(average.state, current.state, strict=True):
                kept.copy_(one.kind.average(kept, new, one.dials, moment))
            current = average
