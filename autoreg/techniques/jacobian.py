"""Penalize how steeply the outputs of a network change with its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Seen, Technique

if TYPE_CHECKING:
    from torch import Tensor


class Jacobian(Technique):
    """Penalize how steeply the outputs of a network change with its inputs.

    The squared Frobenius norm of each row's Jacobian, estimated along one random direction of
    the outputs (and exact for a single output).
    """

    families = ("network",)
    dials = (
        Range(
            "strength",
            1e-4,
            1.0,
            default=1e-2,
            log=True,
            off=0.0,
            about="weight of half the squared norm of a row's Jacobian",
        ),
    )
    rank = 3
    references = (
        "Hoffman, Roberts & Yaida 2019, Robust learning with Jacobian regularization, "
        "arXiv 1908.02729, algorithm 1",
    )

    @staticmethod
    def loss(losses: Tensor, seen: Seen, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Row losses (M, B, 1) plus half the strength times each row's squared Jacobian."""
        import torch

        inputs = seen.inputs.detach().requires_grad_()
        direction = draws.normal(*seen.outputs.shape[1:])
        direction = direction / direction.square().sum(dim=2, keepdim=True).sqrt()
        along = (seen.answer(inputs) * direction).sum()
        (slopes,) = torch.autograd.grad(along, inputs, create_graph=True)
        squares = seen.outputs.shape[2] * slopes.square().sum(dim=2, keepdim=True)
        return losses + 0.5 * dials["strength"] * squares
