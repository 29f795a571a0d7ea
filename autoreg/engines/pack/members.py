"""What a stack is made of: models that are to be trained, and the rows that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from autoreg.candidate import SCHEDULES
from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.engines.base import Job, Race
from autoreg.engines.draws import sent
from autoreg.engines.fitting import Ground, Pace, network_dials
from autoreg.engines.front import Front
from autoreg.engines.pack.layout import Layout, Still, stacked
from autoreg.engines.pack.plain import is_plain
from autoreg.errors import DataError

Curve = dict[str, list[float]]


@dataclass(frozen=True, eq=False)
class Member:
    """A model to train: the jobs that ask for it, the ground that it trains on, and how long.

    Jobs that train the same model differ in the rows that they predict and in their races only;
    they join the first one, while the model is trained, too. Models are numbered as they come.
    """

    number: int
    jobs: list[Job]
    ground: Ground
    pace: Pace
    width: int
    layout: Layout
    front: Front

    @classmethod
    def of(cls, number: int, job: Job, ground: Ground) -> Member:
        """The model that a job asks for."""
        shape, sample = ground.shape(job), ground.sample
        wide = replace(shape, width=stacked(shape.width))
        front = ground.front(job)
        inputs = sample.inputs.shape[-1] + front.extra
        layout = Layout(inputs, wide, sample.targets.shape[-1], Still.of(front))
        pace = Pace.of(sample.rows, job.settings.batch_size)
        return cls(number, [job], ground, pace, shape.width, layout, front)

    @property
    def job(self) -> Job:
        """The first job, for all that the jobs have in common."""
        return self.jobs[0]

    @property
    def races(self) -> list[Race]:
        """The races that the model takes part in."""
        return [job.race for job in self.jobs if job.race is not None]

    @property
    def is_given_up(self) -> bool:
        """Whether none of the jobs needs the model any more."""
        races = self.races
        return len(races) == len(self.jobs) and all(one.is_lost for one in races)

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

    @cached_property
    def longest(self) -> int:
        """The steps of the longest possible training."""
        return self.job.longest * self.pace.steps

    @cached_property
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

    @property
    def has_left(self) -> bool:
        """Whether the model is trained no longer."""
        return self.is_over or self.is_given_up


@dataclass(frozen=True, eq=False)
class Shelf:
    """The rows of several grounds in memory once, one ground after the other.

    Models find the rows that they train on from ``base`` on; what an epoch looks at, the seen
    and the watched rows of each ground, lies in ``eyes``, from ``eye_base`` on.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    eyes: Tensor
    y: Rows | Floats
    row_weights: Floats
    base: dict[Ground, int]
    eye_base: dict[Ground, int]
    device: str = "cpu"

    @classmethod
    def of(cls, ground: Ground, table: Dataset, device: str = "cpu") -> Shelf:
        """The rows of one ground."""
        sample, looked = ground.sample, np.concatenate([ground.seen, ground.watched])
        return cls(
            sample.inputs[0].to(device),
            sample.targets[0].to(device),
            sample.weights[0].to(device),
            ground.scaling.inputs(table.X[looked])[0].to(device),
            table.y[looked],
            table.weights[looked],
            {ground: 0},
            {ground: 0},
            device,
        )

    @classmethod
    def joined(cls, shelves: Sequence[Shelf]) -> Shelf:
        """The rows of several shelves."""
        return cls(
            torch.cat([one.inputs for one in shelves]),
            torch.cat([one.targets for one in shelves]),
            torch.cat([one.weights for one in shelves]),
            torch.cat([one.eyes for one in shelves]),
            np.concatenate([one.y for one in shelves]),
            np.concatenate([one.row_weights for one in shelves]),
            _shifted([one.base for one in shelves], [len(one.inputs) for one in shelves]),
            _shifted([one.eye_base for one in shelves], [len(one.eyes) for one in shelves]),
            shelves[0].device,
        )

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets and weights of rows (M, B) by their number on the shelf."""
        flat = sent(rows.flatten(), self.device)
        return (
            self.inputs.index_select(0, flat).view(*rows.shape, -1),
            self.targets.index_select(0, flat).view(*rows.shape, -1),
            self.weights.index_select(0, flat).view(*rows.shape, -1),
        )


def _shifted(places: Sequence[dict[Ground, int]], lengths: Sequence[int]) -> dict[Ground, int]:
    """Where grounds begin on shelves of such lengths that are put one behind the other."""
    starts = [0, *np.cumsum(lengths)[:-1].tolist()]
    return {
        ground: start + place
        for start, known in zip(starts, places, strict=True)
        for ground, place in known.items()
    }


class Grounds:
    """The grounds of a table, each made once, when its first job comes."""

    def __init__(self, table: Dataset) -> None:
        self._table = table
        self._known: dict[tuple[object, ...], Ground | DataError] = {}

    def of(self, job: Job) -> Ground:
        """The ground of a job.

        Raises DataError where no stop-set can be cut.
        """
        share = job.settings.stop_share if job.stops_early else 0.0
        key = (job.training.excluded, job.training.rows.tobytes(), job.seed, share)
        if key not in self._known:
            try:
                self._known[key] = Ground.of(job, self._table)
            except DataError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, DataError):
            raise found
        return found
