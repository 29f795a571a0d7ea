"""Adam for the models of a stack, each at a learning rate of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from autoreg.data.dataset import Floats
from autoreg.engines.pack.crowd import Crowd
from autoreg.engines.pack.kernels.moves import BETA_1, BETA_2, adam, paces


class StackedAdam:
    """Adam for M models with a learning rate each, on the first P numbers of their rows.

    ``rows`` are the crowd's state and both moments; ``fading`` (M, 2) is beta^t of both.

    Source: Kingma & Ba 2015, Adam, ICLR, algorithm 1, in the order of section 2's last lines.
    """

    def __init__(self, crowd: Crowd) -> None:
        self._rates = np.array([one.rate for one in crowd.members])
        self.rows = crowd.rows["state"], crowd.rows["first"], crowd.rows["second"]
        self.fading: Floats = crowd.rows["fading"].numpy()

    def rates(self, rate: Tensor) -> Floats:
        """Learning rates (S, M) of the next steps; given are those relative to the first ones."""
        found: Floats = self._rates * rate.reshape(-1, len(self._rates)).cpu().numpy()
        return found

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: Tensor) -> None:
        """Move all models once, at a learning rate relative to each one's own, (M, 1, 1)."""
        now = np.empty((len(self._rates), 2), np.float32)
        paces(self.fading, self.rates(rate)[0], now)
        if gradients[0].device.type == "cpu":
            rows, start = [one.numpy() for one in self.rows], 0
            for one in gradients:  # joined, they would leave the caches
                part = one.flatten(1).contiguous().numpy()
                adam(*rows, part, start, now)
                start += part.shape[1]
        else:
            gradient = torch.cat([one.flatten(1) for one in gradients], dim=1)
            plain_adam(*self.rows, gradient, torch.from_numpy(now))


def plain_adam(
    rows: Tensor, first: Tensor, second: Tensor, gradient: Tensor, paces: Tensor
) -> None:
    """What the compiled step does, in operations that every device has."""
    first.mul_(BETA_1).add_(gradient, alpha=1 - BETA_1)
    second.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
    length, floor = paces.to(gradient.device).split(1, dim=1)
    rows[:, : gradient.shape[1]].addcdiv_(length * first, second.sqrt().add_(floor), value=-1)
