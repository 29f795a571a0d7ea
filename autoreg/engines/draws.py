"""Random numbers of network engines: a stream for each model and technique, had again at will."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from autoreg.engines.philox import GRAIN, SIDES, Keys, coins, orders, shorts, uniforms
from autoreg.spec import seed_for
from autoreg.techniques.base import Draws, Technique

FLOAT = torch.float32


def sent(tensor: Tensor, device: str) -> Tensor:
    """A tensor of the processor on a device; nobody waits until it is there.

    A GPU copies by itself only what lies in pinned memory.
    """
    if device == "cpu":
        return tensor
    ready = tensor.pin_memory() if device.startswith("cuda") else tensor
    return ready.to(device, non_blocking=True)


def generator(*names: str | int) -> torch.Generator:
    """A stream of random numbers that depends on its names alone."""
    return torch.Generator().manual_seed(seed_for(*names))


class Streams:
    """The draws of one technique: a stream for each of M models, made from M seeds.

    Each call gets numbers of its own, which depend on the seed, on how many calls came before it
    and on their place: those of a wider or longer tensor begin with those of a smaller one.

    >>> Streams([1, 2]).uniform(3, 4).shape
    torch.Size([2, 3, 4])
    """

    def __init__(self, seeds: ArrayLike, calls: ArrayLike = 0, device: str = "cpu") -> None:
        self._keys = np.array(seeds, dtype=np.uint64)
        self._calls = np.array(np.broadcast_to(calls, self._keys.shape), dtype=np.uint64)
        self._device = device  # numbers are made by the processor, the same for every device

    @classmethod
    def stacked(cls, members: Sequence[Streams]) -> Streams:
        """The streams of several stacks, one stack after the other, each where it is."""
        return cls(
            np.concatenate([one._keys for one in members]),
            np.concatenate([one._calls for one in members]),
            members[0]._device,
        )

    def to(self, device: str) -> Streams:
        """The same streams, from where they are, with numbers on a device."""
        return Streams(self._keys, self._calls, device)

    def only(self, models: Sequence[int]) -> Streams:
        """The streams of some of the models, from where they are."""
        return Streams(self._keys[list(models)], self._calls[list(models)], self._device)

    def ahead(self, steps: int, stride: int) -> Streams:
        """The streams of the next steps, as so many stacks one after the other: (steps x M).

        A step makes ``stride`` calls; these streams are behind them then.
        """
        ahead = copy(self)
        later = np.arange(steps, dtype=np.uint64) * np.uint64(stride)
        ahead._keys = np.concatenate([self._keys] * steps)
        ahead._calls = (self._calls + later[:, None]).reshape(-1)
        self._calls += np.uint64(steps * stride)
        return ahead

    @property
    def places(self) -> tuple[Keys, Keys]:
        """The keys of the streams and the number of each one's next call, (M,) both."""
        return self._keys, self._calls

    @property
    def called(self) -> int:
        """How many calls were made in all."""
        return int(self._calls.sum())

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), shape (M, *shape)."""
        out = self._sheet(shape, 4)
        uniforms(self._keys, self._calls, out.numpy())
        return self._cut(out, shape)

    def kept(self, rate: Tensor, *shape: int) -> Tensor:
        """0 with each model's rate, (M, 1, 1), else 1 / (1 - rate), whose mean is 1.

        Shape (M, *shape); rates count in steps of 1 / 65,536.
        """
        if self._device != "cpu":
            return self._tossed(rate, shape)
        out = self._sheet(shape, 8)
        coins(self._keys, self._calls, rate.reshape(-1).numpy(), out.numpy())
        return self._cut(out, shape)

    def _tossed(self, rate: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The same coins, tossed where the rates are: nobody waits for them to be read."""
        out = self._sheet(shape, 8, torch.int32)
        shorts(self._keys, self._calls, out.numpy())
        share = 1.0 - rate.double().view(-1, *[1] * len(shape))
        heads, face = (share * SIDES).round().int(), (1.0 / share).to(FLOAT)
        return torch.where(self._cut(out, shape) < heads, face, 0.0)

    def _sheet(self, shape: tuple[int, ...], together: int, dtype: torch.dtype = FLOAT) -> Tensor:
        """Room for numbers that come so many rows at a time."""
        rows = -(-math.prod(shape[:-1]) // together) * together
        return torch.empty(len(self._keys), rows, shape[-1], dtype=dtype)

    def _cut(self, sheet: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The numbers of one call, which is over."""
        self._calls += 1
        return sent(sheet[:, : math.prod(shape[:-1])].reshape(-1, *shape), self._device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, shape (M, *shape), by the inverse of their distribution."""
        middles = self.uniform(*shape).mul_(2).add_(float(GRAIN) - 1)  # of cells, so never -1 or 1
        return middles.erfinv_().mul_(math.sqrt(2))

    def beta(self, concentration: Tensor, rows: int) -> Tensor:
        """Beta(c, c) numbers for concentrations (M, 1, 1); 0 or 1 for c = 0; (M, rows, 1).

        Source: Bailey 1994, Polar generation of random variates with the t-distribution,
        Math. Comp. 62, 779-781; t / sqrt(2 c + t^2) is a symmetric beta number on (-1, 1).
        """
        radius, angle = self.uniform(2, rows).unbind(1)
        exponential = torch.log1p(-radius).neg_().clamp_(min=float(GRAIN))
        cosine = (2 * math.pi * angle).cos_()
        growth = exponential.div_(concentration[:, :, 0]).expm1_()
        squares = growth.mul_(cosine.square())  # t^2 / (2 c)
        share = squares.reciprocal_().add_(1).rsqrt_()
        return share.copysign_(cosine).mul_(0.5).add_(0.5).unsqueeze(2)

    def permutation(self, rows: int) -> Tensor:
        """A random order of the rows for each model, integers (M, rows)."""
        counts = np.full(len(self._keys), rows, dtype=np.int64)
        out = torch.empty(len(self._keys), rows, dtype=torch.int64)
        orders(self._keys, self._calls.astype(np.int64) * rows, counts, out.numpy())
        self._calls += 1
        return sent(out, self._device)


def row_order(keys: ArrayLike, starts: ArrayLike, rows: ArrayLike, length: int) -> Tensor:
    """Which rows come next in training: numbers of rows for each of M models, (M, length).

    Training passes over a model's ``rows`` again and again, each time in a new order, and has
    seen ``starts`` of them so far. The models' streams are named by :func:`order_key`.

    >>> order = row_order([order_key(7)], [0], [3], 6)[0]
    >>> sorted(order[:3].tolist()), sorted(order[3:].tolist())
    ([0, 1, 2], [0, 1, 2])
    """
    out = torch.empty(len(np.atleast_1d(keys)), length, dtype=torch.int64)
    begun, counts = np.array(starts, dtype=np.int64), np.array(rows, dtype=np.int64)
    orders(np.array(keys, dtype=np.uint64), begun, counts, out.numpy())
    return out


def order_key(fit_seed: int) -> int:
    """The name of the stream that orders the rows of one fit."""
    return seed_for(fit_seed, "order")


@dataclass(frozen=True, eq=False)
class Acting:
    """A technique at work: its hooks, its dials as tensors (M, 1, 1), its draws."""

    kind: type[Technique]
    dials: dict[str, Tensor]
    draws: Streams
    _wide: dict[int, dict[str, Tensor]] = field(default_factory=dict, repr=False)

    def ahead(self, steps: int, stride: int) -> Acting:
        """The technique in the next steps, as so many stacks one after the other.

        A step makes ``stride`` draws; the technique is behind them then.
        """
        if steps not in self._wide:
            self._wide[steps] = {k: dial.repeat(steps, 1, 1) for k, dial in self.dials.items()}
        return Acting(self.kind, self._wide[steps], self.draws.ahead(steps, stride))

    @classmethod
    def blank(cls, kind: type[Technique], models: int) -> Acting:
        """A technique that is off in all of M models: its hooks change nothing."""
        settings = {dial.name: dial.as_number(dial.default) for dial in kind.dials}
        settings |= {dial.name: float(dial.off or 0.0) for dial in kind.dials[:1]}
        dials = {name: torch.full((models, 1, 1), v, dtype=FLOAT) for name, v in settings.items()}
        return cls(kind, dials, Streams(np.zeros(models)))

    @classmethod
    def stacked(cls, members: Sequence[Acting]) -> Acting:
        """The same technique at work in several stacks, one stack after the other."""
        dials = {name: torch.cat([one.dials[name] for one in members]) for name in members[0].dials}
        return cls(members[0].kind, dials, Streams.stacked([one.draws for one in members]))

    def to(self, device: str) -> Acting:
        """The technique at work on a device."""
        dials = {name: values.to(device) for name, values in self.dials.items()}
        return Acting(self.kind, dials, self.draws.to(device))

    def only(self, models: Sequence[int]) -> Acting:
        """The technique at work in some of the models."""
        dials = {name: values[list(models)] for name, values in self.dials.items()}
        return Acting(self.kind, dials, self.draws.only(models))

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

    def kept(self, rate: Tensor, *shape: int) -> Tensor:
        """0 with each model's rate, else 1 / (1 - rate); shape (M, *shape)."""
        return self._take(lambda: self._source.kept(rate, *shape))

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
