"""Skip whole layers of a network for random rows at every training step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from autoreg.techniques.base import Architecture, Dials, Draws, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class StochasticDepth(Technique):
    """Skip whole layers of a network for random rows at every training step.

    It adds skip connections, without which a layer could not be left out. The first hidden
    layer always stays, and the rate rises linearly up to the last one; so a network with one
    hidden layer is left as it is. A layer that stays is scaled up, so that means do not move.
    """

    families = ("network",)
    dials = (Range("rate", 0.05, 0.5, default=0.2, off=0.0, about="rate of the last hidden layer"),)
    rank = 3
    acts_as = "factor"
    references = ("Huang et al. 2016, Deep networks with stochastic depth, ECCV, equation 4",)

    def net(self, architecture: Architecture) -> Architecture:
        """The same shape with skip connections, unless the rate is 0."""
        return replace(architecture, skip=architecture.skip or bool(self.values.get("rate", 1)))

    @staticmethod
    def hidden(activations: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """What a layer adds (M, B, width): nothing for dropped rows, more for the others."""
        rate = dials["rate"] * (moment.layer / max(moment.depth - 1, 1))
        return activations * draws.kept(rate, activations.shape[1], 1)
