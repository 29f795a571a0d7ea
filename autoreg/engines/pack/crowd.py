"""The models of a stack and all that they carry along; joining and leaving is copying rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from autoreg.engines.draws import FLOAT, Acting, order_key
from autoreg.engines.pack.members import Member, Progress
from autoreg.techniques.base import Technique

Kind = type[Technique]
AT_HOME = {"steps", "order"}  # a number for each model, which the processor reads


@dataclass(frozen=True, eq=False)
class Crowd:
    """M models: their state, a row for each; ``acting`` holds every technique that one of them has.

    ``rows`` are tensors (M, ...) by name: the ``state`` of the networks, the ``best`` state so
    far, both moments of Adam and how far they faded, the steps taken. A technique that averages
    keeps a state of its own. ``users`` tells who has a technique; in the others it is off.
    """

    members: list[Member]
    progress: list[Progress]
    rows: dict[str, Tensor]
    acting: dict[Kind, Acting]
    users: dict[Kind, list[bool]]

    @classmethod
    def of(cls, members: Sequence[Member], device: str = "cpu") -> Crowd:
        """Models that have not begun."""
        crowd = _joined([_newcomer(one) for one in members])
        rows = {
            name: values if name in AT_HOME else values.to(device)
            for name, values in crowd.rows.items()
        }
        acting = {kind: one.to(device) for kind, one in crowd.acting.items()}
        return replace(crowd, rows=rows, acting=acting)

    def __len__(self) -> int:
        return len(self.members)

    def only(self, models: Sequence[int]) -> Crowd:
        """Some of the models, as they are."""
        chosen = list(models)
        users = {kind: [has[m] for m in chosen] for kind, has in self.users.items()}
        kept = {kind: has for kind, has in users.items() if any(has)}
        gone = {average_of(kind) for kind in self.users if kind not in kept}
        return Crowd(
            [self.members[m] for m in chosen],
            [self.progress[m] for m in chosen],
            {name: rows[chosen] for name, rows in self.rows.items() if name not in gone},
            {kind: self.acting[kind].only(chosen) for kind in kept},
            kept,
        )

    def joined_by(self, *others: Crowd) -> Crowd:
        """These models and others behind them."""
        return _joined([self, *others]) if others else self

    @property
    def averaging(self) -> list[Kind]:
        """The techniques that keep an average, in the order in which they act."""
        return [kind for kind in self.acting if "average" in kind.seams()]

    @property
    def kept(self) -> str:
        """The name of the state to watch and to predict with."""
        averaging = self.averaging
        return average_of(averaging[-1]) if averaging else "state"


def average_of(kind: Kind) -> str:
    """The name of the state that a technique keeps."""
    return f"average {kind.key}"


def _newcomer(member: Member) -> Crowd:
    job, layout = member.job, member.layout
    state = layout.row(member.ground.first(job))
    acting = {
        type(one): Acting.of(one, job.fit_seed)
        for one in job.candidate.techniques
        if one.key != "none"
    }
    moments = torch.zeros(1, layout.trained, dtype=FLOAT)
    rows = {
        "state": state,
        "best": state.clone(),
        "first": moments,
        "second": moments.clone(),
        "fading": torch.ones(1, 2, dtype=torch.float64),
        "steps": torch.zeros(1, dtype=torch.int64),
        "order": torch.tensor([order_key(job.fit_seed)], dtype=torch.int64),
        "mask": layout.mask(member.width),
    }
    rows |= {average_of(kind): state.clone() for kind in acting if "average" in kind.seams()}
    return Crowd([member], [Progress()], rows, acting, {kind: [True] for kind in acting})


def _joined(crowds: Sequence[Crowd]) -> Crowd:
    kinds = sorted({kind for one in crowds for kind in one.acting}, key=lambda kind: kind.key)
    alike = [_with(one, kinds) for one in crowds]
    return Crowd(
        [member for one in alike for member in one.members],
        [each for one in alike for each in one.progress],
        {name: torch.cat([one.rows[name] for one in alike]) for name in alike[0].rows},
        {kind: Acting.stacked([one.acting[kind] for one in alike]) for kind in kinds},
        {kind: [has for one in alike for has in one.users[kind]] for kind in kinds},
    )


def _with(crowd: Crowd, kinds: Sequence[Kind]) -> Crowd:
    """The same models, with techniques that they do not have; those are off."""
    device = str(crowd.rows["state"].device)
    acting = {
        kind: crowd.acting.get(kind) or Acting.blank(kind, len(crowd)).to(device) for kind in kinds
    }
    users = {kind: crowd.users.get(kind) or [False] * len(crowd) for kind in kinds}
    rows, before = dict(crowd.rows), "state"
    for kind in kinds:
        if "average" in kind.seams():
            name = average_of(kind)
            rows.setdefault(name, rows[before].clone())
            before = name
    return Crowd(crowd.members, crowd.progress, rows, acting, users)


def counts(numbers: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Whole numbers as an array."""
    return np.array(numbers, dtype=np.int64)
