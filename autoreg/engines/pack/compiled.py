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
from typing import cast

import numpy as np
import torch
from torch import Tensor

from autoreg.data.dataset import Floats, Rows
from autoreg.engines.draws import FLOAT
from autoreg.engines.network import Network, cross_entropy_slope, squared_error_slope
from autoreg.engines.pack.adam import StackedAdam
from autoreg.engines.pack.effects import Effects, calls
from autoreg.engines.pack.kernels import perceptron
from autoreg.engines.pack.plain import PlainTrainer
from autoreg.engines.scaling import Sample
from autoreg.techniques.base import Moment

LOSSES: dict[object, int] = {
    cross_entropy_slope: perceptron.CROSS_ENTROPY,
    squared_error_slope: perceptron.SQUARED_ERROR,
}
AMID = ("loss", "ascent", "gradients")  # seams between the outputs and the step of Adam


@dataclass(frozen=True, eq=False)
class CompiledTrainer(PlainTrainer):
    """A trainer of perceptrons without norms on a processor."""

    @torch.no_grad()
    def advance(self, batches: Sample, moment: Moment) -> None:
        """Several steps, one after the other: batches (S x M, B, ...) and moments of them all."""
        if self._number is None or any(self.acting[seam] for seam in AMID):
            super().advance(batches, moment)
        elif self._is_whole:
            self._descend(batches, moment, self._shrinks(moment))
        else:
            nothing = torch.empty(0, len(self.network.weights), len(self.longest), dtype=FLOAT)
            for batch, now in self.each(batches, moment):
                self._descend(batch, now, nothing)
                self._regularize(self.layers(now))
                self._average(now)

    @property
    def _is_whole(self) -> bool:
        """Whether nothing but factors acts behind a step."""
        others = self.acting["prox"] or self.acting["average"]
        return not others and all(one.kind.acts_as == "factor" for one in self.acting["step"])

    def _descend(self, batches: Sample, moment: Moment, shrinks: Tensor) -> None:
        optimizer = cast(StackedAdam, self.optimizer)
        inputs, layers = self._entering(batches.inputs), self.layers(moment)
        effects = self._ahead(inputs, layers)
        perceptron.descend(
            *(one.numpy() for one in optimizer.rows),
            optimizer.fading,
            optimizer.rates(moment.rate),
            self._sizes,
            *_arrays(inputs, batches.targets, batches.weights, effects.values, effects.adds),
            shrinks.numpy(),
            self._number,
        )

    def _entering(self, inputs: Tensor) -> Tensor:
        if cast(Network, self.network).front.embedding is None:
            return inputs
        return torch.cat([self.entering(one) for one in inputs.split(len(self.longest))])

    def _ahead(self, inputs: Tensor, layers: Sequence[Moment]) -> Effects:
        """The effects on the hidden units in the next steps."""
        steps = len(inputs) // len(self.longest)
        wide = {one.kind: one.ahead(steps, self._calls[one.kind]) for one in self.acting["hidden"]}
        acting = [wide[one.kind] for one in self.acting["hidden"]]
        return self.effects(acting, inputs, layers, lambda one, _: one.draws)

    def _shrinks(self, moment: Moment) -> Tensor:
        """What each technique multiplies the weights of each layer by, (T, layers, S x M)."""
        ones = torch.ones_like(moment.rate)
        steps = len(ones) // len(self.longest)
        acting = [one.ahead(steps, 0) for one in self.acting["step"]]
        found = [
            one.kind.step(ones, one.dials, here).flatten()
            for one in acting
            for here in self.layers(moment)
        ]
        shape = len(acting), len(self.network.weights), len(ones)
        return torch.stack(found).view(shape) if found else torch.empty(shape, dtype=FLOAT)

    def _forward(self, inputs: Tensor, effects: Effects) -> tuple[Tensor, list[Tensor]]:
        """The outputs, and what is kept of the hidden units: active, and changed by techniques."""
        _, depth, width, outputs = self._sizes.tolist()
        models, rows = inputs.shape[:2]
        active = torch.empty(models, depth, rows, width, dtype=FLOAT)
        changed = torch.empty_like(active) if len(effects.adds) else active
        found = torch.empty(models, rows, outputs, dtype=FLOAT)
        perceptron.outputs_of(*self._given(inputs, effects), *_arrays(active, changed, found))
        return found, [active, changed]

    def _backward(
        self, inputs: Tensor, effects: Effects, path: list[Tensor], slope: Tensor
    ) -> Sequence[Tensor]:
        """The gradients in all trained tensors, from the slope in the outputs."""
        trained = self.network.trained
        sizes = [one[0].numel() for one in trained]
        found = torch.empty(len(inputs), sum(sizes), dtype=FLOAT)
        perceptron.gradients_of(*self._given(inputs, effects), *_arrays(*path, slope, found))
        parts = found.split(sizes, dim=1)
        return [part.reshape(one.shape) for part, one in zip(parts, trained, strict=True)]

    def _row_slopes(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The slopes of the row losses in the outputs, (M, B, C)."""
        slopes = outputs.detach().clone()
        perceptron.slopes_of(*_arrays(slopes, targets), self._number)
        return slopes

    def answers(self, state: Tensor, rows: Tensor, starts: Rows, lengths: Rows) -> Floats:
        """Outputs of some models for runs of rows (n, q), one run for each, one after the other.

        ``state`` holds the models' rows.
        """
        found = np.empty((int(lengths.sum()), int(self._sizes[-1])), np.float32)
        perceptron.answers(*_arrays(state), self._sizes, *_arrays(rows), starts, lengths, found)
        return found.astype(np.float64)

    def _given(self, inputs: Tensor, effects: Effects) -> tuple[np.ndarray, ...]:
        state = cast(StackedAdam, self.optimizer).rows[0]
        return state.numpy(), self._sizes, *_arrays(inputs, effects.values, effects.adds)

    @cached_property
    def _number(self) -> int | None:
        """The number of the loss, where its slope is compiled."""
        return LOSSES.get(self.criterion.slope) if self.criterion.slope else None

    @cached_property
    def _sizes(self) -> np.ndarray:
        """Inputs of the first layer, hidden layers, their width, outputs."""
        weights = self.network.weights
        return np.array([weights[0].shape[1], len(weights) - 1, *weights[-1].shape[1:]])

    @cached_property
    def _calls(self) -> dict[object, int]:
        """How often each technique draws in the hidden layers of one step."""
        layers = self.layers(self.moment(torch.zeros_like(self.longest)))
        return {one.kind: calls(one, layers[:-1]) for one in self.acting["hidden"]}


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    """Tensors as compiled code reads them."""
    return [one.contiguous().numpy() for one in tensors]
