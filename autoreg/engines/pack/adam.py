"""Adam for the models of a stack, each at a learning rate of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from autoreg.data.dataset import Floats
from autoreg.engines.pack.crowd import Crowd
from autoreg.engines.pack.kernels.moves import BETA_1, BETA_2, EPSILON, adam, paces


class StackedAdam:
    """Adam for M models with a learning rate each, on the first P numbers of their rows.

    ``rows`` are the crowd's state and both moments; ``fading`` (M, 2) is beta^t of both.

    Source: Kingma & Ba 2015, Adam, ICLR, algorithm 1, in the order of section 2's last lines.
    """

    def __init__(self, crowd: Crowd) -> None:
        self.rows = crowd.rows["state"], crowd.rows["first"], crowd.rows["second"]
        self._fading = crowd.rows["fading"]
        rates = torch.tensor([one.rate for one in crowd.members], dtype=torch.float64)
        self._rates = rates.to(self._fading.device)

    @property
    def fading(self) -> Floats:
        """How far the moments faded, where the processor trains."""
        return np.asarray(self._fading.numpy())

    def rates(self, rate: Tensor) -> Tensor:
        """Learning rates (S, M) of the next steps; given are those relative to the first ones."""
        return self._rates * rate.reshape(-1, len(self._rates))

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: Tensor) -> None:
        """Move all models once, at a learning rate relative to each one's own, (M, 1, 1)."""
        rates = self.rates(rate)[0]
        if gradients[0].device.type != "cpu":
            gradient = torch.cat([one.flatten(1) for one in gradients], dim=1)
            plain_adam(*self.rows, gradient, *plain_paces(self._fading, rates))
            return
        now = np.empty((len(rates), 2), np.float32)
        paces(self.fading, rates.numpy(), now)
        rows, start = [one.numpy() for one in self.rows], 0
        for one in gradients:  # joined, they would leave the caches
            part = one.flatten(1).contiguous().numpy()
            adam(*rows, part, start, now)
            start += part.shape[1]


# What the compiled steps do, in operations that every device has; nothing is read back from it.


def plain_paces(fading: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
    """Step size and least divisor (M, 1) of each model's next step; ``fading`` (M, 2) goes on."""
    fade_1, fade_2 = fading.unbind(1)
    fade_1.mul_(BETA_1)
    fade_2.mul_(BETA_2)
    root = (1 - fade_2).sqrt()
    length, floor = rates * root / (1 - fade_1), EPSILON * root
    return length.float().unsqueeze(1), floor.float().unsqueeze(1)


def plain_adam(
    rows: Tensor, first: Tensor, second: Tensor, gradient: Tensor, length: Tensor, floor: Tensor
) -> None:
    """Move the rows by a gradient (M, P), with what :func:`plain_paces` gives."""
    first.mul_(BETA_1).add_(gradient, alpha=1 - BETA_1)
    second.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
    rows[:, : gradient.shape[1]].addcdiv_(length * first, second.sqrt().add_(floor), value=-1)
