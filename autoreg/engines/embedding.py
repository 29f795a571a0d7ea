"""Numeric inputs as vectors: what a network is given in place of a single standardized number.

Why: a perceptron finds it hard to bend sharply along one input. Told in which part of its range
an input lies, or the sine and cosine of its multiples, it need not. The input itself stays
beside its vector, so what is linear remains easy, and far-away values are told apart.

Embeddings are fixed before training, so techniques that act on trained tensors do not meet them;
techniques that act on inputs or ask for slopes see the inputs in front of them.

Source: Gorishniy, Rubachev & Babenko 2022, On embeddings for numerical features in tabular deep
learning, NeurIPS 35, equations 1 (piecewise) and 2 (periodic; here its frequencies stay fixed).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from autoreg.engines.draws import FLOAT, generator
from autoreg.techniques.base import Facts

BINS = 12
FREQUENCIES = 6
SCALE = 0.3  # standard deviation of the frequencies, in periods per standard deviation


class Embedding(Protocol):
    """From inputs (M, B, q) to what the first layer is given, (M, B, q + p v).

    ``positions`` (M, p) are those of the p numeric inputs; each gets ``length`` v numbers more.
    """

    @property
    def positions(self) -> Tensor:
        """Where the numeric inputs are."""

    @property
    def length(self) -> int:
        """How many numbers each of them gets."""

    def vectors(self, numeric: Tensor) -> Tensor:
        """The vectors (M, B, p, v) of numeric inputs (M, B, p)."""

    def arrays(self) -> dict[str, Tensor]:
        """What predictions need of the first model, by name."""


@dataclass(frozen=True, eq=False)
class Piecewise:
    """How far an input reaches into each of its bins, from -1 (not yet) to 1 (beyond).

    ``edges`` (M, p, v + 1) are quantiles of the training rows.

    >>> bins = Piecewise(torch.tensor([[0]]), torch.tensor([[[0.0, 1.0, 3.0]]]))
    >>> bins.vectors(torch.tensor([[[2.0]]])).tolist()
    [[[[1.0, 0.0]]]]
    """

    positions: Tensor
    edges: Tensor

    @property
    def length(self) -> int:
        """The number of bins."""
        return self.edges.shape[2] - 1

    def vectors(self, numeric: Tensor) -> Tensor:
        """The vectors (M, B, p, v) of numeric inputs (M, B, p)."""
        edges = self.edges.unsqueeze(1)
        low, width = edges[..., :-1], edges.diff(dim=3).clamp(min=1e-6)
        return 2.0 * ((numeric.unsqueeze(3) - low) / width).clamp(0.0, 1.0) - 1.0

    def arrays(self) -> dict[str, Tensor]:
        """What predictions need of the first model, by name."""
        return {"embedded": self.positions[0], "edges": self.edges[0]}


@dataclass(frozen=True, eq=False)
class Periodic:
    """Sines and cosines of multiples of an input; ``frequencies`` are (M, p, v / 2)."""

    positions: Tensor
    frequencies: Tensor

    @property
    def length(self) -> int:
        """A sine and a cosine for each frequency."""
        return 2 * self.frequencies.shape[2]

    def vectors(self, numeric: Tensor) -> Tensor:
        """The vectors (M, B, p, v) of numeric inputs (M, B, p)."""
        turns = 2.0 * math.pi * numeric.unsqueeze(3) * self.frequencies.unsqueeze(1)
        return torch.cat([turns.sin(), turns.cos()], dim=3)

    def arrays(self) -> dict[str, Tensor]:
        """What predictions need of the first model, by name."""
        return {"embedded": self.positions[0], "frequencies": self.frequencies[0]}


def widened(embedding: Embedding, inputs: Tensor) -> Tensor:
    """What the first layer is given, (M, B, q + p v), for inputs (M, B, q)."""
    chosen = embedding.positions.unsqueeze(1).expand(-1, inputs.shape[1], -1)
    vectors = embedding.vectors(inputs.gather(2, chosen))
    return torch.cat([inputs, vectors.flatten(2)], dim=2)


def extra(embedding: Embedding | None) -> int:
    """By how many numbers an embedding widens the inputs."""
    return 0 if embedding is None else embedding.positions.shape[1] * embedding.length


def informed(facts: Facts, embedding: Embedding | None) -> Facts:
    """Facts that know from which raw column each row of the first weight matrix comes."""
    if embedding is None:
        return facts
    columns = facts.groups.gather(1, embedding.positions)
    behind = columns.repeat_interleave(embedding.length, dim=1)
    entries = torch.cat([facts.groups, behind], dim=1)
    return replace(facts, entries=entries)


def stacked(parts: Sequence[Embedding | None]) -> Embedding | None:
    """The embeddings of several models, all of one kind or none, as one of them all."""
    known = [one for one in parts if one is not None]
    if not known:
        return None
    tensors = zip(*(vars(one).values() for one in known), strict=True)
    whole: Embedding = type(known[0])(*(torch.cat(pair) for pair in tensors))
    return whole


def only(embedding: Embedding | None, models: Sequence[int]) -> Embedding | None:
    """The embedding of some of the models."""
    if embedding is None:
        return None
    part: Embedding = type(embedding)(*(t[list(models)] for t in vars(embedding).values()))
    return part


def moved(embedding: Embedding | None, device: str) -> Embedding | None:
    """The embedding on a device."""
    if embedding is None:
        return None
    whole: Embedding = type(embedding)(*(t.to(device) for t in vars(embedding).values()))
    return whole


def embedding_of(
    kind: str, inputs: Tensor, weights: Tensor, facts: Facts, fit_seed: int
) -> Embedding | None:
    """The embedding of a kind for the rows of one training set, (1, n, q); None for ``none``."""
    positions = facts.numeric[0, 0].nonzero().flatten()[None]
    if kind == "none" or not positions.numel():
        return None
    makers: dict[str, Callable[[], Embedding]] = {
        "piecewise": lambda: Piecewise(positions, _edges(inputs[0][:, positions[0]], weights)),
        "periodic": lambda: Periodic(positions, _frequencies(positions.shape[1], fit_seed)),
    }
    return makers[kind]()


def _edges(columns: Tensor, weights: Tensor) -> Tensor:
    """Quantiles (1, p, BINS + 1) of columns (n, p); a row of weight 2 counts as two rows."""
    values, order = columns.sort(dim=0)
    reached = weights.flatten()[order].double().cumsum(dim=0)
    wanted = (reached[-1:].mT * torch.arange(BINS + 1) / BINS).contiguous()
    ranks = torch.searchsorted(reached.mT.contiguous(), wanted).clamp(max=len(values) - 1)
    return values.mT.gather(1, ranks)[None].contiguous()


def _frequencies(inputs: int, fit_seed: int) -> Tensor:
    stream = generator(fit_seed, "frequencies")
    return SCALE * torch.randn(1, inputs, FREQUENCIES, generator=stream, dtype=FLOAT)
