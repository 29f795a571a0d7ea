"""Penalize how steeply the loss of a network changes with its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Seen, Technique

if TYPE_CHECKING:
    from torch import Tensor


class GradientPenalty(Technique):
    """Penalize how steeply the loss of a network changes with its inputs.

    Double backpropagation: the squared gradient of each row's loss with respect to the row.
    """

    families = ("network",)
    dials = (
        Range(
            "strength",
            1e-4,
            10.0,
            default=0.1,
            log=True,
            off=0.0,
            about="weight of the squared slope of a row's loss, per squared standard deviation",
        ),
    )
    rank = 3
    references = (
        "Drucker & LeCun 1992, Improving generalization performance using double backpropagation",
    )

    @staticmethod
    def loss(losses: Tensor, seen: Seen, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Row losses (M, B, 1) plus the strength times each row's squared input gradient."""
        import torch

        inputs = seen.inputs.detach().requires_grad_()
        total = seen.criterion(seen.answer(inputs), seen.targets).sum()
        (slopes,) = torch.autograd.grad(total, inputs, create_graph=True)
        return losses + dials["strength"] * slopes.square().sum(dim=2, keepdim=True)
