"""Plain perceptrons on a processor: whole steps are compiled, many of them in one call.

Torch meets a stack operation by operation, and most of a small network's time goes into what
surrounds its products. Here a model takes all steps that were made ready before the next model
begins, so what it reads and writes stays in the caches. Where a technique must see the outputs or
the gradient, the same compiled parts are called one by one, so that a model's bits are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from autoreg.data.dataset import Floats, Rows
from autoreg.engines.draws import FLOAT, Acting
from autoreg.engines.network import Network, cross_entropy_slope, squared_error_slope
from autoreg.engines.pack.adam import StackedAdam
from autoreg.engines.pack.effects import Effects, calls
from autoreg.engines.pack.kernels import steps
from autoreg.engines.pack.kernels.losses import CROSS_ENTROPY, SQUARED_ERROR
from autoreg.engines.pack.kernels.passes import DROPOUT, FACTOR, SHIFT
from autoreg.engines.pack.kernels.picks import Picks, in_order
from autoreg.engines.pack.kernels.shapes import Changes, Sizes, no_changes
from autoreg.engines.pack.plain import PlainTrainer
from autoreg.engines.scaling import Sample
from autoreg.techniques.base import Moment

LOSSES: dict[object, int] = {
    cross_entropy_slope: CROSS_ENTROPY,
    squared_error_slope: SQUARED_ERROR,
}
KINDS = {"factor": FACTOR, "shift": SHIFT, "dropout": DROPOUT}
AMID = ("loss", "ascent", "gradients")  # seams between the outputs and the step of Adam


@dataclass(frozen=True, eq=False)
class CompiledTrainer(PlainTrainer):
    """A trainer of perceptrons without norms on a processor."""

    @torch.no_grad()
    def advance(self, batches: Sample, moment: Moment) -> None:
        """Several steps, one after the other: batches (S x M, B, ...) and moments of them all."""
        if self._is_parted:
            super().advance(batches, moment)
        else:
            inputs = self._entering(batches.inputs)
            self.take(in_order(*_arrays(inputs, batches.targets, batches.weights)), moment)

    @torch.no_grad()
    def take(self, picks: Picks, moment: Moment) -> None:
        """Several steps, as :meth:`advance`, whose batches are taken from where all rows lie."""
        if self._is_whole:
            self._descend(picks, moment, self._shrinks(moment))
            return
        nothing = torch.empty(0, len(self.network.weights), len(self.longest), dtype=FLOAT)
        for start, stop, now in self.each(moment):
            self._descend(picks.steps(start, stop), now, nothing)
            self._regularize(self.layers(now))
            self._average(now)

    @property
    def takes(self) -> bool:
        """Whether nothing needs the batches written out."""
        return not self._is_parted and cast(Network, self.network).front.embedding is None

    @property
    def _is_parted(self) -> bool:
        """Whether something must see what is between the outputs and the step of Adam."""
        return self._number is None or any(self.acting[seam] for seam in AMID)

    @property
    def _is_whole(self) -> bool:
        """Whether nothing but factors acts behind a step."""
        others = self.acting["prox"] or self.acting["average"]
        return not others and all(one.kind.acts_as == "factor" for one in self.acting["step"])

    def _descend(self, picks: Picks, moment: Moment, shrinks: Tensor) -> None:
        optimizer = cast(StackedAdam, self.optimizer)
        steps.descend(
            *(one.numpy() for one in optimizer.rows),
            optimizer.fading,
            optimizer.rates(moment.rate).numpy(),
            self._sizes,
            picks,
            self._changes(picks.rows.shape, self.layers(moment)),
            shrinks.numpy(),
            self._number,
        )

    def _changes(self, shape: tuple[int, int], layers: Sequence[Moment]) -> Changes:
        """What the techniques will do to the hidden units in the next steps, (S x M, B)."""
        if not self.acting["hidden"]:
            return self._no_changes
        times = shape[0] // len(self.longest)
        acting = [one.ahead(times, self._calls[one.kind]) for one in self.acting["hidden"]]
        dropping = [one for one in acting if one.kind.acts_as == "dropout"]
        others = [one for one in acting if one.kind.acts_as != "dropout"]
        effects = self.effects(others, shape, layers, lambda one, _: one.draws)
        kinds = np.array([KINDS[one.kind.acts_as] for one in acting])
        values = effects.values.flatten().numpy()
        return Changes(kinds, values, *self._drops(dropping, layers[:-1]), shape[0])

    def _drops(self, acting: Sequence[Acting], layers: Sequence[Moment]) -> tuple[Any, Any, Any]:
        """With what the dropouts toss their coins in the next steps, one call in each layer."""
        if not acting:
            return self._no_changes.keys, self._no_changes.calls, self._no_changes.rates
        places = [one.draws.places for one in acting]
        keys, calls = np.stack([k for k, _ in places]), np.stack([c for _, c in places])
        later = np.arange(len(layers), dtype=np.uint64)[:, None]
        rates = [one.kind.drops(one.dials, here).flatten() for one in acting for here in layers]
        shape = len(acting), len(layers), keys.shape[1]
        return keys, calls[:, None] + later, torch.stack(rates).view(shape).numpy()

    def _entering(self, inputs: Tensor) -> Tensor:
        if cast(Network, self.network).front.embedding is None:
            return inputs
        return torch.cat([self.entering(one) for one in inputs.split(len(self.longest))])

    def _shrinks(self, moment: Moment) -> Tensor:
        """What each technique multiplies the weights of each layer by, (T, layers, S x M)."""
        ones = torch.ones_like(moment.rate)
        times = len(ones) // len(self.longest)
        acting = [one.ahead(times, 0) for one in self.acting["step"]]
        found = [
            one.kind.step(ones, one.dials, here).flatten()
            for one in acting
            for here in self.layers(moment)
        ]
        shape = len(acting), len(self.network.weights), len(ones)
        return torch.stack(found).view(shape) if found else torch.empty(shape, dtype=FLOAT)

    def _forward(self, inputs: Tensor, effects: Effects) -> tuple[Tensor, list[Tensor]]:
        """The outputs, and what is kept of the hidden units: active, and changed by techniques."""
        sizes, (models, rows) = self._sizes, inputs.shape[:2]
        active = torch.empty(models, sizes.depth * rows * sizes.width, dtype=FLOAT)
        changed = torch.empty_like(active) if effects.adds else active
        found = torch.empty(models, rows, sizes.outputs, dtype=FLOAT)
        steps.outputs_of(*self._given(inputs, effects), *_arrays(active, changed, found))
        return found, [active, changed]

    def _backward(
        self, inputs: Tensor, effects: Effects, path: list[Tensor], slope: Tensor
    ) -> Sequence[Tensor]:
        """The gradients in all trained tensors, from the slope in the outputs."""
        trained = self.network.trained
        sizes = [one[0].numel() for one in trained]
        found = torch.empty(len(inputs), sum(sizes), dtype=FLOAT)
        steps.gradients_of(*self._given(inputs, effects), *_arrays(*path, slope, found))
        parts = found.split(sizes, dim=1)
        return [part.reshape(one.shape) for part, one in zip(parts, trained, strict=True)]

    def _row_slopes(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The slopes of the row losses in the outputs, (M, B, C)."""
        slopes = outputs.detach().clone()
        steps.slopes_of(*_arrays(slopes, targets), self._number)
        return slopes

    def answers(self, state: Tensor, rows: Tensor, starts: Rows, lengths: Rows) -> Floats:
        """Outputs of some models for runs of rows (n, q), one run for each, one after the other.

        ``state`` holds the models' rows. Outputs (n, C) lie in memory column by column.
        """
        found = np.empty((self._sizes.outputs, int(lengths.sum())), np.float32)
        steps.answers(*_arrays(state), self._sizes, *_arrays(rows), starts, lengths, found)
        return found.T.astype(np.float64)

    def _given(self, inputs: Tensor, effects: Effects) -> tuple[Any, ...]:
        """What a pass is given of one step; its coins were tossed with the other effects."""
        state = cast(StackedAdam, self.optimizer).rows[0].numpy()
        none = self._no_changes
        changes = none._replace(
            kinds=np.array([SHIFT if adds else FACTOR for adds in effects.adds], dtype=np.int64),
            values=effects.values.flatten().numpy(),
            models=len(inputs),
        )
        return state, self._sizes, *_arrays(inputs), changes

    @cached_property
    def _no_changes(self) -> Changes:
        none: Changes = no_changes()
        return none

    @cached_property
    def _number(self) -> int | None:
        """The number of the loss, where its slope is compiled."""
        return LOSSES.get(self.criterion.slope) if self.criterion.slope else None

    @cached_property
    def _sizes(self) -> Sizes:
        weights = self.network.weights
        (inputs, width), outputs = weights[0].shape[1:], weights[-1].shape[2]
        return Sizes(inputs, len(weights) - 1, width, outputs)

    @cached_property
    def _calls(self) -> dict[object, int]:
        """How often each technique draws in the hidden layers of one step."""
        layers = self.layers(self.moment(torch.zeros_like(self.longest)))
        return {one.kind: calls(one, layers[:-1]) for one in self.acting["hidden"]}


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    """Tensors as compiled code reads them."""
    return [one.contiguous().numpy() for one in tensors]
