"""What the hooks of a network technique are given: draws, facts, the moment, what was seen.

Hooks act on M models at once, with a leading model dimension. Everything here is either a
tensor with that dimension or the same for all M models; the ranges and dials of techniques are
described in ``dials.py``, the hooks themselves in ``techniques/base.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Dials = Mapping[str, "Tensor"]
TINY = 1e-30  # a norm of 0 divides nothing, not even 0


@dataclass(frozen=True)
class Architecture:
    """The shape of a multilayer perceptron; structural techniques return a changed copy.

    ``norm`` names what standardizes the hidden units before the activation (batch, then layer,
    for ``both``). With ``skip`` every hidden layer but the first adds to what it is given. With an
    ``embedding`` numeric inputs are given as vectors, with ``vectors`` categories, too, by tables
    that are trained. Images may pass layers of ``filters``, so many in each, in front of all.

    >>> Architecture(depth=2, width=64).norm
    'none'
    """

    depth: int
    width: int
    norm: Literal["none", "batch", "layer", "both"] = "none"
    skip: bool = False
    embedding: Literal["none", "piecewise", "periodic"] = "none"
    vectors: bool = False
    filters: tuple[int, ...] = ()

    @property
    def units(self) -> tuple[int, ...]:
        """The units of each hidden layer; of filters, those at one place of an image."""
        return (*self.filters, *[self.width] * self.depth)


class Draws(Protocol):
    """The random numbers of one technique: every model has a stream of its own.

    Each technique gets its own streams, so switching one on or off never moves another's.
    """

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), shape (M, *shape)."""

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, shape (M, *shape)."""

    def kept(self, rate: Tensor, *shape: int) -> Tensor:
        """0 with each model's rate, (M, 1, 1), else 1 / (1 - rate); shape (M, *shape)."""

    def beta(self, concentration: Tensor, rows: int) -> Tensor:
        """Beta(c, c) numbers, one concentration a model (M, 1, 1), shape (M, rows, 1)."""

    def permutation(self, rows: int) -> Tensor:
        """A random order of the rows for each model, integers of shape (M, rows)."""


class Criterion(Protocol):
    """The training loss of the task, for soft targets."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Row losses of shape (M, B, 1) for outputs and targets of shape (M, B, C)."""

    def means(self, outputs: Tensor) -> Tensor:
        """The soft targets (M, B, C) that outputs (M, B, C) predict."""


@dataclass(frozen=True, eq=False)
class Picture:
    """Inputs that are the pixels of an image, row by row, the channels of a pixel together.

    ``mean`` and ``scale`` (M, 1, q) are those by which pixels were standardized; a scale of 0
    marks a pixel that never changes. ``symmetries`` name what leaves an image's meaning as it was.
    """

    height: int
    width: int
    channels: int
    symmetries: frozenset[str]
    mean: Tensor
    scale: Tensor

    def square(self, share: Tensor, draws: Draws) -> Tensor:
        """A random square of each image, (M, B, q) booleans, of a ``share`` (M, B, 1) of it.

        Its middle is anywhere, so it may hang over the border.
        """
        import torch

        middle, half = draws.uniform(share.shape[1], 2), 0.5 * share.sqrt()
        rows, columns = (
            (torch.arange(n, device=share.device) + 0.5).div(n) - middle[..., k : k + 1]
            for k, n in enumerate((self.height, self.width))
        )
        inside = (rows.abs() < half).unsqueeze(3) & (columns.abs() < half).unsqueeze(2)
        return inside.flatten(2).repeat_interleave(self.channels, dim=2)


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of the inputs, beyond their values.

    ``groups`` (M, q) numbers the raw column, of ``columns`` in all, that each input comes from.
    ``numeric`` (M, 1, q) is 1 for inputs that may take any value and 0 for indicators.
    ``entries`` (M, in) are the raw columns behind the rows of the first weight matrix, where
    they are not those of the inputs. ``picture`` tells of images.
    """

    groups: Tensor
    numeric: Tensor
    columns: int
    entries: Tensor | None = None
    picture: Picture | None = None

    @classmethod
    def stacked(cls, parts: Sequence[Facts]) -> Facts:
        """The facts of several models, of one table each, as those of them all."""
        import torch

        known = [one.picture for one in parts if one.picture is not None]
        picture = known and replace(
            known[0],
            mean=torch.cat([one.mean for one in known]),
            scale=torch.cat([one.scale for one in known]),
        )
        return cls(
            torch.cat([one.groups for one in parts]),
            torch.cat([one.numeric for one in parts]),
            max(one.columns for one in parts),
            torch.cat([one.first for one in parts]),
            picture or None,
        )

    def repeated(self, times: int) -> Facts:
        """The facts of M models so many times, one after the other: (times x M)."""
        return self._each(lambda one: one.repeat(times, *[1] * (one.dim() - 1)))

    def only(self, models: Tensor) -> Facts:
        """The facts of some of the models, by their numbers."""
        return self._each(lambda one: one[models])

    def to(self, device: str) -> Facts:
        """The same facts on a device."""
        return self._each(lambda one: one.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Facts:
        """The facts whose tensors are changed each, along their models or as a whole."""
        picture = self.picture and replace(
            self.picture, mean=change(self.picture.mean), scale=change(self.picture.scale)
        )
        groups, numeric = change(self.groups), change(self.numeric)
        return Facts(groups, numeric, self.columns, change(self.first), picture)

    @property
    def first(self) -> Tensor:
        """The raw column behind each row of the first weight matrix, (M, in)."""
        return self.groups if self.entries is None else self.entries

    def spread(self, cells: Tensor) -> Tensor:
        """What is said of raw columns, (M, B, columns), said of the inputs: (M, B, q)."""
        return cells.gather(2, self.groups.unsqueeze(1).expand(-1, cells.shape[1], -1))

    def region(self, share: Tensor, draws: Draws) -> Tensor:
        """A random part of each row's inputs, (M, B, q) booleans; ``share`` is (M, B, 1).

        Of a table, a part is made of whole columns, each of them drawn by itself; of an image it is
        a square.
        """
        if self.picture is not None:
            return self.picture.square(share, draws)
        return self.spread(draws.uniform(share.shape[1], self.columns) < share)

    def share(self, region: Tensor) -> Tensor:
        """The share of a row's inputs that a region takes, (M, B, 1); a column counts once."""
        ones = self.groups.new_ones(self.groups.shape)
        sizes = ones.new_zeros(len(ones), self.columns).scatter_add(1, self.groups, ones)
        counts = 1.0 / (self.columns * sizes.gather(1, self.groups)).unsqueeze(1)
        return (region * counts).sum(dim=2, keepdim=True)


@dataclass(frozen=True, eq=False)
class Moment:
    """Where in training and in the network a hook acts.

    ``progress`` is the share of the longest possible training that is over, (M, 1, 1) in
    [0, 1]; ``longest`` how many optimizer steps that training has, (M, 1, 1); ``rate`` the
    current learning rate relative to the model's own, (M, 1, 1). ``layer`` counts hidden layers
    from 0 up to the output layer, which is number ``depth``.
    """

    progress: Tensor
    longest: Tensor
    rate: Tensor
    facts: Facts
    layer: int = 0
    depth: int = 0

    def only(self, models: Tensor) -> Moment:
        """The moment of some of the models, by their numbers."""
        progress, longest, rate = (one[models] for one in (self.progress, self.longest, self.rate))
        return Moment(progress, longest, rate, self.facts.only(models), self.layer, self.depth)


@dataclass(frozen=True, eq=False)
class Seen:
    """A training batch behind its pass through the network, and a way to ask the network more.

    ``inputs`` (M, B, q), soft ``targets`` (M, B, C) and row ``weights`` (M, B, 1) of mean 1 are
    as the batch hooks left them, ``outputs`` (M, B, C) what the network made of them.
    ``answer(inputs)`` gives the outputs for other inputs with the very noise (dropped units, for
    example) of this pass; ``answer(inputs, draws)`` draws the noise of the technique that asks
    anew, from these draws, and keeps that of the others.
    """

    inputs: Tensor
    targets: Tensor
    outputs: Tensor
    weights: Tensor
    criterion: Criterion
    answer: Callable[..., Tensor]

    def divergence(self, outputs: Tensor, others: Tensor) -> Tensor:
        """How far predictions lie apart, (M, B, 1): Kullback-Leibler, or squared for means.

        It is the loss of ``others`` against what ``outputs`` (both (M, B, C)) predict, less the
        least possible one.
        """
        means = self.criterion.means(outputs)
        return self.criterion(others, means) - self.criterion(outputs, means)


def joint_norm(parts: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all numbers of a model, (M, 1, 1), from tensors (M, a, b)."""
    squares = [part.square().sum(dim=(1, 2), keepdim=True) for part in parts]
    return sum(squares[1:], squares[0]).sqrt()


def rows_at(values: Tensor, rows: Tensor) -> Tensor:
    """Of values (M, B, q) the rows (M, B), by their numbers, of each model."""
    import torch

    models, length = rows.shape
    first = torch.arange(models, device=rows.device).mul_(values.shape[1]).unsqueeze(1)
    found = values.flatten(0, 1).index_select(0, (rows + first).flatten())
    return found.view(models, length, -1)


def mixed(values: Tensor, rows: Tensor, part: Tensor) -> Tensor:
    """Values (M, B, q) that take so large a ``part`` (M, B, 1) of other ``rows`` (M, B).

    Step by step, not by ``lerp``, so that it is the same bits wherever it is computed.
    """
    return rows_at(values, rows).sub_(values).mul_(part).add_(values)


def top_direction(weights: Tensor) -> Tensor:
    """The direction (M, out, 1) of length 1 in which each matrix (M, in, out) stretches most.

    By 40 steps of the power method: its matrix squared three times makes 8 steps at once, and the
    start is the best of all unit vectors behind the first 8. Where the largest singular values
    are close, the stretch in this direction can be 1 % smaller than the largest one.
    """
    if weights.shape[1] < weights.shape[2]:  # (W'W)^8 is W' (W W')^7 W: smaller products
        gram = _scaled(weights @ weights.mT)
        second = _scaled(gram @ gram)
        gram = weights.mT @ (second @ second @ second @ gram @ weights)
    else:
        gram = weights.mT @ weights
        for _ in range(3):
            gram = _scaled(gram)
            gram = gram @ gram
    best = gram.diagonal(dim1=1, dim2=2).argmax(dim=1)[:, None, None]
    direction = gram.take_along_dim(best, dim=2)
    for _ in range(4):
        direction = direction / direction.square().sum(dim=1, keepdim=True).sqrt().clamp(min=TINY)
        direction = gram @ direction
    return direction / direction.square().sum(dim=1, keepdim=True).sqrt().clamp(min=TINY)


def _scaled(gram: Tensor) -> Tensor:
    """Matrices (M, n, n) divided by the sum of their eigenvalues."""
    return gram / gram.diagonal(dim1=1, dim2=2).sum(dim=1).clamp(min=TINY)[:, None, None]
