"""What training needs of a network, whatever lies between its inputs and its outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, Self

from torch import Tensor

Act = Callable[[Tensor, int], Tensor]


def untouched(values: Tensor, layer: int) -> Tensor:
    """What acts where no technique does."""
    return values


class Trainable(Protocol):
    """What training needs of a network; every tensor is (M, a, b)."""

    @property
    def trained(self) -> list[Tensor]:
        """The tensors that follow the gradient."""

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The weight matrices (M, in, out) among them."""

    @property
    def state(self) -> list[Tensor]:
        """All that a trained network consists of."""

    @property
    def sizes(self) -> list[int]:
        """How many numbers each hidden layer gives to the next."""

    @property
    def passes(self) -> tuple[Tensor, ...]:
        """Factors of hidden units over which predictions are averaged, mostly none."""

    def copy(self) -> Self:
        """The same network in tensors of its own, which follow no gradient."""

    def training(
        self, inputs: Tensor, hidden: Act, weighted: Act = untouched, track: bool = True
    ) -> Tensor:
        """Outputs (M, B, C) in training."""

    def predicting(self, inputs: Tensor) -> Tensor:
        """Outputs (M, B, C) after training."""

    def answers(self, inputs: Tensor) -> Iterator[Tensor]:
        """The outputs (M, B, C) of each pass whose predictions are to be averaged."""
