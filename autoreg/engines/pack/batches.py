"""Batches of several steps at once: what changes rows does not wait for weights.

To a hook S steps of M models are S x M models, each at its own moment and with its own part of
the random stream. So a hook runs once for many steps, and gives what it gives step by step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autoreg.engines.pack.plain import draws_of_batch
from autoreg.engines.scaling import Sample
from autoreg.engines.training import Trainer
from autoreg.techniques.base import Facts, Moment

AT_ONCE = 32  # steps
NUMBERS = 1 << 18  # in the batches that are held at once


class Batches:
    """What techniques make of batches; ``trainer`` says which ones, of which models."""

    def __init__(self, trainer: Trainer) -> None:
        self._acting = trainer.acting["batch"]
        self._longest, self._facts = trainer.longest, trainer.facts
        self._inputs = trainer.network.weights[0].shape[1]

    def at_once(self, rows: int) -> int:
        """How many steps are made ready together, of batches of so many rows."""
        if any(one.kind.seams() & {"hidden", "weights", "loss"} for one in self._acting):
            return 1  # it draws between two batches, too
        return max(1, min(AT_ONCE, NUMBERS // (len(self._longest) * rows * self._inputs)))

    def changed(self, sample: Sample, numbers: Tensor, steps: int) -> Sample:
        """Batches (steps x M, B, ...) of the next steps, changed; ``numbers`` counts the steps."""
        if not self._acting:
            return sample
        longest = self._longest.repeat(steps, 1, 1)
        progress = (numbers / longest).clamp(max=1.0)
        moment = Moment(progress, longest, torch.ones_like(numbers), _repeated(self._facts, steps))
        inputs, targets = sample.inputs, sample.targets
        for one in self._acting:
            dials = {name: values.repeat(steps, 1, 1) for name, values in one.dials.items()}
            stride = draws_of_batch(one.kind)  # type: ignore[arg-type]
            draws = one.draws.ahead(steps, stride)
            inputs, targets = one.kind.batch(inputs, targets, dials, draws, moment)
        return Sample(inputs, targets, sample.weights)


def _repeated(facts: Facts, steps: int) -> Facts:
    return Facts(facts.groups.repeat(steps, 1), facts.numeric.repeat(steps, 1, 1), facts.columns)
