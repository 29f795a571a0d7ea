"""Switch off a random part of the weights of a network at every training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class DropConnect(Technique):
    """Switch off a random part of the weights of a network at every training step.

    The weights that stay are scaled up, so that the mean of a unit's input does not move. The
    rows of a batch share the weights that are off.
    """

    families = ("network",)
    dials = (Range("rate", 0.02, 0.5, default=0.1, off=0.0, about="share of weights switched off"),)
    rank = 2
    references = ("Wan et al. 2013, Regularization of neural networks using DropConnect, ICML",)

    @staticmethod
    def weights(weights: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Weights (M, in, out) with dropped ones at 0 and the others scaled up."""
        rate = dials["rate"]
        return weights * draws.kept(rate, *weights.shape[1:])
