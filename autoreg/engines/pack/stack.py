"""A stack at work: M models take their optimizer steps together.

Nothing is ever summed over models, so a model takes the same steps bit for bit whoever its
neighbours are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from autoreg.data.dataset import Floats
from autoreg.engines.draws import FLOAT, row_order, sent
from autoreg.engines.front import Front
from autoreg.engines.network import Likelihood
from autoreg.engines.pack.adam import StackedAdam
from autoreg.engines.pack.batches import Batches
from autoreg.engines.pack.compiled import CompiledTrainer
from autoreg.engines.pack.crowd import Crowd, average_of, counts
from autoreg.engines.pack.kernels.registers import FUSES
from autoreg.engines.pack.members import Member, Shelf
from autoreg.engines.pack.plain import PlainTrainer
from autoreg.engines.pack.watch import Watch
from autoreg.engines.scaling import Sample
from autoreg.engines.training import SEAMS, Trainer
from autoreg.techniques.base import Facts, Technique

EYE_ROWS = 128  # rows that are looked at together


class Stack:
    """M models of one kind, their rows on a shelf, and what trains them."""

    def __init__(self, crowd: Crowd, shelf: Shelf) -> None:
        self.crowd, self._shelf = crowd, shelf
        members = crowd.members
        self._layout = members[0].layout
        self._batch = members[0].pace.batch
        self._base = torch.tensor([[shelf.base[one.ground]] for one in members])
        self._rows = counts([one.pace.rows for one in members])
        device = shelf.device
        self._units = _units(members).to(device)
        self._front = Front.stacked([one.front for one in members]).to(device)
        facts = [m.front.informed(m.ground.scaling.facts).to(device) for m in members]
        self._trainer = self._trainer_of(crowd, Facts.stacked(facts))
        self._batches = Batches(self._trainer, facts[0])
        self._watch: tuple[tuple[int, ...], Watch] | None = None  # of the models looked at last

    def _trainer_of(self, crowd: Crowd, facts: Facts) -> Trainer:
        network = self._layout.network(crowd.rows["state"], self._units, self._front)
        for tensor in network.trained:
            tensor.requires_grad_()
        averages = tuple(
            self._layout.network(crowd.rows[average_of(kind)], self._units, self._front)
            for kind in crowd.averaging
        )
        acting = {
            seam: tuple(one for kind, one in crowd.acting.items() if seam in kind.seams())
            for seam in SEAMS
        }
        longest = torch.tensor([float(one.longest) for one in crowd.members], dtype=FLOAT)
        return self._way(crowd.members[0])(
            network,
            StackedAdam(crowd),
            acting,
            _criterion(crowd.members, self._shelf.device),
            facts,
            longest.view(-1, 1, 1).to(self._shelf.device),
            averages,
            self._real(),
            _schedules(crowd.members, self._shelf.device),
            _users(crowd, self._shelf.device),
        )

    def _way(self, member: Member) -> type[Trainer]:
        if not member.is_plain:
            return Trainer
        return CompiledTrainer if self._shelf.device == "cpu" and FUSES else PlainTrainer

    def _real(self) -> tuple[Tensor, ...]:
        """What is no padding of each trained tensor; nothing where no model is padded."""
        if bool(self._units.all()):
            return ()
        return tuple(self._layout.trained_views(self.crowd.rows["mask"]))

    def advance(self, steps: int) -> None:
        """Let each model take so many steps."""
        at_once = self._batches.at_once(self._batch)
        for first in range(0, steps, at_once):
            self._advance(min(at_once, steps - first))

    def _advance(self, steps: int) -> None:
        taken, models = self.crowd.rows["steps"], len(self.crowd)
        keys = self.crowd.rows["order"].numpy()
        order = row_order(keys, taken.numpy() * self._batch, self._rows, steps * self._batch)
        order += self._base
        rows = order.view(models, steps, self._batch).transpose(0, 1).flatten(0, 1)
        numbers = (taken + torch.arange(steps)[:, None]).to(FLOAT).view(-1, 1, 1)
        numbers = sent(numbers, self._shelf.device)
        moment = self._batches.informed(self._trainer.moment(numbers), steps)
        if self._batches.are_picked:
            picks = self._batches.picked(self._shelf, rows, steps)
            cast(CompiledTrainer, self._trainer).take(picks, moment)
        else:
            sample = Sample(*self._shelf.batch(rows))
            self._trainer.advance(self._batches.changed(sample, moment, steps), moment)
        taken += steps

    def remember(self, model: int) -> None:
        """Keep a model's state as its best."""
        self.crowd.rows["best"][model] = self.crowd.rows[self.crowd.kept][model]

    def norms(self, models: Sequence[int]) -> list[float]:
        """The lengths of all weights of some models, which lie in front; padding is 0."""
        weights = self._layout.shapes[: len(self._layout.shape.units) + 1]
        count = sum(a * b for a, b in weights)
        numbers = self._kept(models)[:, :count]
        return list(torch.linalg.vector_norm(numbers, dim=1).tolist())

    def _kept(self, models: Sequence[int]) -> Tensor:
        """The rows of some models, by which they are watched."""
        rows = self.crowd.rows[self.crowd.kept]
        return rows if len(models) == len(rows) else rows[list(models)]

    def over(self, since: Sequence[int]) -> list[bool]:
        """Which models stop, from the epochs since the best stop-set loss of each."""
        epochs = torch.tensor(since, dtype=FLOAT).to(self._shelf.device)
        stops = torch.zeros_like(epochs, dtype=torch.bool)
        for one in self._trainer.acting["stop"]:
            stops |= one.kind.stop(epochs, one.dials)
        return list(stops.tolist())

    @torch.no_grad()
    def look(self, models: Sequence[int]) -> tuple[Floats, Floats]:
        """The losses of some models, in original units: of seen rows and of watched ones (or NaN).

        A model's losses do not depend on which other models are looked at.
        """
        chosen = tuple(models)
        if self._watch is None or self._watch[0] != chosen:
            grounds = [self.crowd.members[m].ground for m in chosen]
            self._watch = chosen, Watch.of(grounds, self._shelf)
        watch = self._watch[1]
        return watch.means(self._outputs(chosen, watch))

    def _outputs(self, models: Sequence[int], watch: Watch) -> Floats:
        """Outputs of the watched runs of rows, one run for each model, one after the other."""
        chosen, state = list(models), self._kept(models)
        if isinstance(self._trainer, CompiledTrainer) and self._front.embedding is None:
            return self._trainer.answers(state, self._shelf.eyes, watch.starts, watch.lengths)
        front = self._front.only(chosen)
        network = self._layout.network(state, self._units[chosen], front)
        parts = []
        for rows in watch.parts(EYE_ROWS):
            places = torch.from_numpy(rows).to(self._shelf.device)
            inputs = self._shelf.eyes.index_select(0, places.flatten()).view(*rows.shape, -1)
            parts.append(network.predicting(inputs).cpu().double().numpy())
        return watch.real(np.concatenate(parts, axis=1))


def _units(members: Sequence[Member]) -> Tensor:
    """1 for the real units of each model, 0 for padding, (M, 1, width)."""
    units = torch.arange(members[0].layout.shape.width)
    widths = torch.tensor([one.width for one in members])
    return (units < widths[:, None]).to(FLOAT)[:, None]


def _criterion(members: Sequence[Member], device: str) -> Likelihood:
    scaling = members[0].ground.scaling
    if scaling.task != "count":
        return scaling.criterion
    limits = [one.ground.scaling.limit for one in members]
    return Likelihood.poisson(torch.tensor(limits, dtype=FLOAT).view(-1, 1, 1).to(device))


def _users(crowd: Crowd, device: str) -> dict[type[Technique], Tensor]:
    """The numbers of the models that have a technique, where not all of them have it."""
    return {
        kind: torch.tensor([m for m, one in enumerate(has) if one]).to(device)
        for kind, has in crowd.users.items()
        if not all(has)
    }


def _schedules(members: Sequence[Member], device: str) -> Tensor | None:
    """The position of each model's schedule, (M, 1, 1); None where all are constant."""
    positions = [float(one.schedule) for one in members]
    return (
        torch.tensor(positions, dtype=FLOAT).view(-1, 1, 1).to(device) if any(positions) else None
    )
