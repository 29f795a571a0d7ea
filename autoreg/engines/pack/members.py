"""What a stack is made of: models that are to be trained, and the rows that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from autoreg.candidate import SCHEDULES
from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.engines.base import Job
from autoreg.engines.fitting import Ground, Pace, network_dials
from autoreg.engines.front import Front
from autoreg.engines.pack.layout import Layout, Still, stacked
from autoreg.engines.pack.plain import is_plain
from autoreg.errors import DataError

Curve = dict[str, list[float]]


@dataclass(frozen=True, eq=False)
class Member:
    """A model to train: its job, the ground that it trains on, and how long."""

    position: int
    job: Job
    ground: Ground
    pace: Pace
    width: int
    layout: Layout
    front: Front

    @classmethod
    def of(cls, position: int, job: Job, ground: Ground) -> Member:
        """The model that a job asks for."""
        shape, sample = ground.shape(job), ground.sample
        wide = replace(shape, width=stacked(shape.width))
        front = ground.front(job)
        inputs = sample.inputs.shape[-1] + front.extra
        layout = Layout(inputs, wide, sample.targets.shape[-1], Still.of(front))
        pace = Pace.of(sample.rows, job.settings.batch_size)
        return cls(position, job, ground, pace, shape.width, layout, front)

    @property
    def is_plain(self) -> bool:
        """Whether the written-out gradient is enough."""
        kinds = [type(one) for one in self.job.candidate.techniques]
        return self.front.is_open and is_plain(self.layout.shape, kinds)

    @property
    def kind(self) -> tuple[Layout, int, bool, tuple[int, str]]:
        """Equal for models that can be stacked."""
        return self.layout, self.pace.batch, self.is_plain, self.shelf

    @property
    def shelf(self) -> tuple[int, str]:
        """Equal for models whose rows can lie on one shelf."""
        return self.ground.sample.inputs.shape[-1], self.job.settings.device

    @property
    def longest(self) -> int:
        """The steps of the longest possible training."""
        return self.job.settings.longest * self.pace.steps

    @property
    def limit(self) -> int:
        """After how many steps training ends at the latest."""
        return self.longest if self.job.steps is None else self.job.steps

    @property
    def rate(self) -> float:
        """The learning rate."""
        return float(network_dials(self.job)["learning_rate"])

    @property
    def schedule(self) -> int:
        """The position of the learning rate's schedule."""
        return SCHEDULES.index(str(network_dials(self.job)["schedule"]))

    @property
    def weight(self) -> int:
        """How much memory the model takes in a step, in numbers."""
        hidden = self.layout.shape.depth * self.layout.shape.width
        hidden += sum(one.height * one.width * one.patch for one in self.front.canvases)
        return self.layout.size + self.pace.batch * (hidden + self.layout.inputs)


@dataclass
class Progress:
    """How far a model is."""

    steps: int = 0
    best_loss: float = float("inf")
    best_steps: int = 0
    since: int = 0
    is_over: bool = False
    is_given_up: bool = False
    seconds: float = 0.0
    curve: Curve = field(default_factory=lambda: {"train": [], "stop": [], "norm": []})


class Shelf:
    """The rows of several grounds in memory once, one ground after the other.

    Models find the rows that they train on from ``bases`` on; what an epoch looks at, the seen
    and the watched rows of each ground, lies in ``eyes``.
    """

    def __init__(self, grounds: Sequence[Ground], table: Dataset, device: str = "cpu") -> None:
        samples = [one.sample for one in grounds]
        self.device = device
        self.inputs = torch.cat([one.inputs[0] for one in samples]).to(device)
        self.targets = torch.cat([one.targets[0] for one in samples]).to(device)
        self.weights = torch.cat([one.weights[0] for one in samples]).to(device)
        self.base = dict(zip(grounds, _starts([one.rows for one in samples]), strict=True))
        looked = [np.concatenate([one.seen, one.watched]) for one in grounds]
        self.eyes = torch.cat(
            [g.scaling.inputs(table.X[rows])[0] for g, rows in zip(grounds, looked, strict=True)]
        ).to(device)
        self.eye_base = dict(zip(grounds, _starts([len(rows) for rows in looked]), strict=True))
        rows = np.concatenate(looked)
        self.y, self.row_weights = table.y[rows], table.weights[rows]

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets and weights of rows (M, B) by their number on the shelf."""
        flat = rows.flatten().to(self.device)
        return (
            self.inputs.index_select(0, flat).view(*rows.shape, -1),
            self.targets.index_select(0, flat).view(*rows.shape, -1),
            self.weights.index_select(0, flat).view(*rows.shape, -1),
        )


def _starts(lengths: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(lengths)[:-1].tolist()]


def means_of(losses: Floats, weights: Floats, lengths: Rows) -> Floats:
    """The weighted mean of each of several runs of rows, one after the other.

    A run's mean does not depend on the other runs, bit for bit.

    >>> means_of(np.array([1.0, 3.0, 5.0]), np.ones(3), np.array([2, 1])).tolist()
    [2.0, 5.0]
    """
    starts = np.cumsum(lengths) - lengths
    total: Floats = np.add.reduceat(losses * weights, starts)
    return total / np.add.reduceat(weights, starts)


class Grounds:
    """The grounds of a call, each made once, when its first job comes."""

    def __init__(self, table: Dataset) -> None:
        self._table = table
        self._known: dict[tuple[object, ...], Ground | DataError] = {}

    def of(self, job: Job, key: tuple[object, ...]) -> Ground:
        """The ground of a job; ``key`` says on what it depends.

        Raises DataError where no stop-set can be cut.
        """
        if key not in self._known:
            try:
                self._known[key] = Ground.of(job, self._table)
            except DataError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, DataError):
            raise found
        return found
