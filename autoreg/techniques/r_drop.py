"""Dropout, and the same prediction asked of two networks with different units dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Seen, Technique

if TYPE_CHECKING:
    from torch import Tensor


class RDrop(Technique):
    """Dropout, and the same prediction asked of two networks with different units dropped.

    The paper counts the loss of both passes; here it is that of the first, so that the weight
    alone says how much agreement counts.
    """

    families = ("network",)
    dials = (
        Range("rate", 0.05, 0.5, default=0.1, off=0.0, about="share of hidden units switched off"),
        Range(
            "weight",
            0.1,
            10.0,
            default=1.0,
            log=True,
            about="weight of the mean divergence between the two predictions",
        ),
    )
    rank = 4
    acts_as = "factor"
    references = (
        "Liang et al. 2021, R-Drop: regularized dropout for neural networks, arXiv 2106.14448, "
        "equations 2 and 4",
    )

    @staticmethod
    def hidden(activations: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Activations (M, B, width) with dropped units at 0 and the others scaled up."""
        return activations * draws.kept(dials["rate"], *activations.shape[1:])

    @staticmethod
    def loss(losses: Tensor, seen: Seen, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Row losses (M, B, 1) plus the weighted mean of the divergences in both directions."""
        first, second = seen.outputs, seen.answer(seen.inputs, draws)
        apart = seen.divergence(first, second) + seen.divergence(second, first)
        weight = dials["weight"] * (dials["rate"] > 0)  # exactly 0, not rounded to it
        return losses + 0.5 * weight * apart
