"""Random numbers of network engines: a stream for each model and technique, had again at will."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from autoreg.spec import seed_for
from autoreg.techniques.base import Draws, Technique

FLOAT = torch.float32


def generator(*names: str | int) -> torch.Generator:
    """A stream of random numbers that depends on its names alone."""
    return torch.Generator().manual_seed(seed_for(*names))


class Streams:
    """The draws of one technique: a stream for each of M models, made from M seeds.

    >>> Streams([1, 2]).uniform(3, 4).shape
    torch.Size([2, 3, 4])
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._torch = [generator(seed, "draws") for seed in seeds]
        self._numpy = [np.random.default_rng(seed_for(seed, "beta")) for seed in seeds]

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), shape (M, *shape)."""
        return torch.stack([torch.rand(shape, generator=g, dtype=FLOAT) for g in self._torch])

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, shape (M, *shape)."""
        return torch.stack([torch.randn(shape, generator=g, dtype=FLOAT) for g in self._torch])

    def beta(self, concentration: Tensor, rows: int) -> Tensor:
        """Beta(c, c) numbers for concentrations (M, 1, 1); 0 or 1 for c = 0; (M, rows, 1)."""
        # At the smallest positive number Beta(c, c) is its own limit: a fair coin, 0 or 1.
        shapes = concentration.flatten().double().clamp(min=1e-300).tolist()
        draws = [g.beta(c, c, (rows, 1)) for g, c in zip(self._numpy, shapes, strict=True)]
        return torch.from_numpy(np.stack(draws)).to(FLOAT)

    def permutation(self, rows: int) -> Tensor:
        """A random order of the rows for each model, integers (M, rows)."""
        return torch.stack([torch.randperm(rows, generator=g) for g in self._torch])


@dataclass(frozen=True, eq=False)
class Acting:
    """A technique at work: its hooks, its dials as tensors (M, 1, 1), its draws."""

    kind: type[Technique]
    dials: dict[str, Tensor]
    draws: Streams

    @classmethod
    def of(cls, chosen: Technique, fit_seed: int) -> Acting:
        """One chosen technique in the fit of one model."""
        settings = {dial.name: dial.as_number(dial.default) for dial in chosen.dials}
        known = {dial.name: dial for dial in chosen.dials}
        settings |= {name: known[name].as_number(value) for name, value in chosen.values.items()}
        dials = {name: torch.full((1, 1, 1), v, dtype=FLOAT) for name, v in settings.items()}
        return cls(type(chosen), dials, Streams([seed_for(fit_seed, chosen.key)]))


class Replay:
    """Draws that are made once, kept in a list, and had again from then on, in order."""

    def __init__(self, source: Draws, kept: list[Tensor]) -> None:
        self._source, self._kept, self._next = source, kept, 0

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers, shape (M, *shape)."""
        return self._take(lambda: self._source.uniform(*shape))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, shape (M, *shape)."""
        return self._take(lambda: self._source.normal(*shape))

    def beta(self, concentration: Tensor, rows: int) -> Tensor:
        """Beta(c, c) numbers, shape (M, rows, 1)."""
        return self._take(lambda: self._source.beta(concentration, rows))

    def permutation(self, rows: int) -> Tensor:
        """A random order of the rows, integers (M, rows)."""
        return self._take(lambda: self._source.permutation(rows))

    def _take(self, draw: Callable[[], Tensor]) -> Tensor:
        if self._next == len(self._kept):
            self._kept.append(draw())
        self._next += 1
        return self._kept[self._next - 1]


class Tape:
    """The random numbers of one optimizer step: every further pass meets the same noise.

    >>> tape, one = Tape(), Streams([1])
    >>> first, again = (tape.draws("dropout", "hidden", 0, one).uniform(2) for _ in range(2))
    >>> bool((first == again).all()), bool((first == one.uniform(2)).any())
    (True, False)
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, int], list[Tensor]] = {}

    def draws(self, key: str, seam: str, layer: int, source: Draws) -> Replay:
        """The numbers of one call of a hook: drawn the first time, the same ones from then on."""
        return Replay(source, self._kept.setdefault((key, seam, layer), []))
