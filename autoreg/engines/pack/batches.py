"""Batches of several steps at once: what changes rows does not wait for weights.

To a hook S steps of M models are S x M models, each at its own moment and with its own part of
the random stream. So a hook runs once for many steps, and gives what it gives step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from torch import Tensor

from autoreg.engines.draws import Acting, Streams
from autoreg.engines.pack.compiled import CompiledTrainer
from autoreg.engines.pack.kernels.picks import Picks, as_they_are
from autoreg.engines.pack.members import Shelf
from autoreg.engines.scaling import Sample
from autoreg.engines.training import Trainer
from autoreg.techniques.base import Facts, Moment

AT_ONCE = 32  # steps
NUMBERS = 1 << 20  # in the batches and effects that are held at once
PICK = 3  # numbers to a row: its own, its partner's, and how much it takes of that
PICKED: tuple[list[str], ...] = ([], ["mixture"])  # what may act on batches that are picked


class Batches:
    """What techniques make of the batches of M models; ``alone`` are the facts of the first.

    Where ``are_picked``, batches are rows as they are, or mixed once, and are not written out.
    """

    def __init__(self, trainer: Trainer, alone: Facts) -> None:
        self._alone = alone
        self._acting = trainer.acting["batch"]
        self._facts = trainer.facts
        self._wide: dict[int, Facts] = {}
        self._calls: dict[Acting, int] = {}
        weights = trainer.network.weights
        made = [one for one in trainer.acting["hidden"] if one.kind.acts_as != "dropout"]
        hidden = len(made) * sum(one.shape[2] for one in weights[:-1])
        takes = isinstance(trainer, CompiledTrainer) and trainer.takes
        self.are_picked = takes and [one.kind.acts_as for one in self._acting] in PICKED
        held = PICK if self.are_picked else weights[0].shape[1]
        self._numbers = len(trainer.longest) * (held + hidden)

    def at_once(self, rows: int) -> int:
        """How many steps are made ready together, of batches of so many rows."""
        if any(one.kind.seams() & {"hidden", "weights", "loss"} for one in self._acting):
            return 1  # it draws between two batches, too
        return max(1, min(AT_ONCE, NUMBERS // (rows * self._numbers)))

    def informed(self, moment: Moment, steps: int) -> Moment:
        """The moment of several steps, with the facts of the models in each."""
        if steps not in self._wide:
            self._wide[steps] = self._facts.repeated(steps)
        return replace(moment, facts=self._wide[steps])

    def picked(self, shelf: Shelf, rows: Tensor, steps: int) -> Picks:
        """Batches (steps x M, B) of the next steps by the numbers of their rows on a shelf."""
        values = [one.numpy().reshape(-1) for one in (shelf.inputs, shelf.targets, shelf.weights)]
        picks = as_they_are(values[0], values[1], values[2], rows.numpy())
        for one in self._acting:
            stride = self._stride(one, partial(one.kind.mixes, rows=rows.shape[1]))
            wide = one.ahead(steps, stride)
            parts, partners = one.kind.mixes(wide.dials, wide.draws, rows.shape[1])
            flat = np.ascontiguousarray(parts[:, :, 0].numpy())
            picks = picks._replace(parts=flat, partners=partners.numpy())
        return picks

    def changed(self, sample: Sample, moment: Moment, steps: int) -> Sample:
        """Batches (steps x M, B, ...) of the next steps, changed; ``moment`` tells of them all."""
        inputs, targets = sample.inputs, sample.targets
        now = moment.progress[:1], moment.longest[:1], moment.rate[:1]
        for one in self._acting:
            rows, alone = (inputs[:1], targets[:1]), Moment(*now, self._alone)
            hook = partial(one.kind.batch, *rows, moment=alone)
            wide = one.ahead(steps, self._stride(one, hook, str(inputs.device)))
            inputs, targets = one.kind.batch(inputs, targets, wide.dials, wide.draws, moment)
        return Sample(inputs, targets, sample.weights)

    def _stride(self, one: Acting, hook: Callable[..., object], device: str = "cpu") -> int:
        """How often a technique draws in one step; found out once, by trying on one model."""
        if one not in self._calls:
            streams = Streams([0], device=device)
            hook({name: values[:1] for name, values in one.dials.items()}, streams)
            self._calls[one] = streams.called
        return self._calls[one]
