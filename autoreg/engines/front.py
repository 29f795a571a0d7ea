"""What lies between the inputs of a network and its first layer of units.

Numeric inputs may be given as vectors (``embedding.py``); categories may be given as learned
vectors; images may pass layers of filters (``convolution.py``).

Learned vectors of categories: the indicators of a column are replaced by a few numbers, a row of
a table that is trained with the network. Why: the first layer then has a few weights a unit for
a column of many levels, and levels that act alike come to lie together. A trained table times the
first weights is a first layer of indicators again, so predictions need to know nothing of it.

Source: Guo & Berkhahn 2016, Entity embeddings of categorical variables, arXiv 1604.06737.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autoreg.engines.convolution import SIDE, Canvas
from autoreg.engines.draws import FLOAT, generator
from autoreg.engines.embedding import Embedding, extra, informed, moved, only, stacked, widened
from autoreg.techniques.base import Facts

FEWEST_LEVELS = 3  # indicators of a column that are worth a table
LONGEST = 16  # numbers of a learned vector
REGISTER = 16  # vectors of all columns together are padded to a multiple of so many numbers


@dataclass(frozen=True, eq=False)
class Front:
    """What lies between inputs (M, B, q) and the first layer of M models.

    ``mask`` (M, q, e) is 1 where the tables of learned vectors have numbers: rows are indicators,
    columns the numbers of their column's vectors. ``canvases`` are what layers of filters are
    given.
    """

    embedding: Embedding | None = None
    mask: Tensor | None = None
    canvases: tuple[Canvas, ...] = ()

    @property
    def extra(self) -> int:
        """By how many numbers the inputs are widened."""
        return extra(self.embedding) + self.vectors

    @property
    def vectors(self) -> int:
        """The length of all learned vectors of a row together."""
        return 0 if self.mask is None else self.mask.shape[2]

    @property
    def is_open(self) -> bool:
        """Whether the inputs reach the first layer without passing anything that is trained."""
        return self.mask is None and not self.canvases

    def entering(self, inputs: Tensor, tables: Sequence[Tensor]) -> Tensor:
        """What the first layer is given, (M, B, q + extra), for inputs (M, B, q)."""
        wide = inputs if self.embedding is None else widened(self.embedding, inputs)
        if self.mask is None:
            return wide
        vectors = torch.bmm(inputs, tables[0] * self.mask)
        rest = inputs * self.unlearned
        return torch.cat([rest, wide[:, :, inputs.shape[2] :], vectors], dim=2)

    @property
    def unlearned(self) -> Tensor:
        """1 for inputs that are given as they are, 0 for those in tables, (M, 1, q)."""
        assert self.mask is not None
        return 1.0 - self.mask.amax(dim=2).unsqueeze(1)

    def folded(self, weights: Tensor, tables: Sequence[Tensor]) -> Tensor:
        """The first weights (M, q + embedded, out) of a network of indicators that is the same."""
        if self.mask is None:
            return weights
        inputs = self.mask.shape[1]
        by_vectors = torch.bmm(tables[0] * self.mask, weights[:, -self.vectors :])
        first = weights[:, :inputs] * self.unlearned.mT + by_vectors
        return torch.cat([first, weights[:, inputs : -self.vectors]], dim=1)

    def informed(self, facts: Facts) -> Facts:
        """Facts that know from which raw column each row of the first weight matrix comes.

        Behind a filter that is not a column but a channel.
        """
        if self.canvases:
            channels = torch.arange(self.canvases[0].channels).repeat_interleave(SIDE * SIDE)
            entries = channels.expand(len(facts.groups), -1)
            return replace(facts, entries=entries, columns=max(facts.columns, 1))
        known = informed(facts, self.embedding)
        if self.mask is None:
            return known
        of_input = facts.groups.unsqueeze(2) * self.mask.long()
        return replace(known, entries=torch.cat([known.first, of_input.amax(dim=1)], dim=1))

    def only(self, models: Sequence[int]) -> Front:
        """The front of some of the models."""
        mask = None if self.mask is None else self.mask[list(models)]
        return Front(only(self.embedding, models), mask, self.canvases)

    def to(self, device: str) -> Front:
        """The front on a device."""
        mask = None if self.mask is None else self.mask.to(device)
        return Front(moved(self.embedding, device), mask, self.canvases)

    @classmethod
    def stacked(cls, parts: Sequence[Front]) -> Front:
        """The fronts of several models, all of one kind, as one of them all."""
        masks = [one.mask for one in parts if one.mask is not None]
        return cls(
            stacked([one.embedding for one in parts]),
            torch.cat(masks) if masks else None,
            parts[0].canvases,
        )


NOTHING = Front()


def table_mask(facts: Facts) -> Tensor | None:
    """Where the tables of a model's categorical columns have numbers; None without any.

    A column of L levels gets min(16, 1.6 L^0.56) numbers, the rule of thumb of fastai (Howard &
    Gugger 2020, Information 11(2)); one of two levels needs none.
    """
    groups = facts.groups[0]
    levels = Counter(groups[facts.numeric[0, 0] == 0].tolist())
    blocks = [
        (groups == group, _length(count))
        for group, count in sorted(levels.items())
        if count >= FEWEST_LEVELS
    ]
    if not blocks:
        return None
    parts = [block.to(FLOAT)[:, None].expand(-1, length) for block, length in blocks]
    mask = torch.cat(parts, dim=1)
    spare = -mask.shape[1] % REGISTER
    return torch.nn.functional.pad(mask, (0, spare))[None].contiguous()


def _length(levels: int) -> int:
    return min(LONGEST, round(1.6 * math.pow(levels, 0.56)))


def initial_tables(mask: Tensor | None, fit_seed: int) -> tuple[Tensor, ...]:
    """Fresh tables: normal numbers, so that vectors of standardized indicators have variance 1."""
    if mask is None:
        return ()
    stream = generator(fit_seed, "tables")
    levels = mask.sum(dim=1, keepdim=True).clamp(min=1.0)
    return (torch.randn(mask.shape, generator=stream, dtype=FLOAT) * mask / levels.sqrt(),)


def given_rows(front: Front) -> Tensor | None:
    """0 for rows of the first weights (1, q + extra, 1) that are never given anything, else 1."""
    if front.mask is None:
        return None
    used = front.mask.amax(dim=1).unsqueeze(2)
    between = torch.ones(1, front.extra - front.vectors, 1, dtype=FLOAT)
    return torch.cat([front.unlearned.mT, between, used], dim=1)
