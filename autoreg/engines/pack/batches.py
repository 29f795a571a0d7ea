"""Batches of several steps at once: what changes rows does not wait for weights.

To a hook S steps of M models are S x M models, each at its own moment and with its own part of
the random stream. So a hook runs once for many steps, and gives what it gives step by step.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from autoreg.engines.draws import Acting, Streams
from autoreg.engines.scaling import Sample
from autoreg.engines.training import Trainer
from autoreg.techniques.base import Facts, Moment

AT_ONCE = 32  # steps
NUMBERS = 1 << 18  # in the batches that are held at once: more would leave the processor's cache


class Batches:
    """What techniques make of the batches of M models, each of which knows its own ``facts``."""

    def __init__(self, trainer: Trainer, facts: list[Facts]) -> None:
        self._acting = trainer.acting["batch"]
        self._facts = facts
        self._wide: dict[int, Facts] = {}
        self._calls: dict[Acting, int] = {}
        self._inputs = trainer.network.weights[0].shape[1]

    def at_once(self, rows: int) -> int:
        """How many steps are made ready together, of batches of so many rows."""
        if any(one.kind.seams() & {"hidden", "weights", "loss"} for one in self._acting):
            return 1  # it draws between two batches, too
        return max(1, min(AT_ONCE, NUMBERS // (len(self._facts) * rows * self._inputs)))

    def changed(self, sample: Sample, moment: Moment, steps: int) -> Sample:
        """Batches (steps x M, B, ...) of the next steps, changed; ``moment`` tells of them all."""
        if not self._acting:
            return sample
        if steps not in self._wide:
            self._wide[steps] = Facts.stacked(self._facts * steps)
        moment = replace(moment, facts=self._wide[steps])
        inputs, targets = sample.inputs, sample.targets
        for one in self._acting:
            stride = self._stride(one, inputs[:1], targets[:1], moment)
            draws = one.draws.ahead(steps, stride)
            dials = {name: values.repeat(steps, 1, 1) for name, values in one.dials.items()}
            inputs, targets = one.kind.batch(inputs, targets, dials, draws, moment)
        return Sample(inputs, targets, sample.weights)

    def _stride(self, one: Acting, inputs: Tensor, targets: Tensor, moment: Moment) -> int:
        """How often a technique draws in one step; found out once, by trying on one model."""
        if one not in self._calls:
            alone = Moment(moment.progress[:1], moment.longest[:1], moment.rate[:1], self._facts[0])
            streams = Streams([0], device=str(inputs.device))
            dials = {name: values[:1] for name, values in one.dials.items()}
            one.kind.batch(inputs, targets, dials, streams, alone)
            self._calls[one] = streams.called
        return self._calls[one]
