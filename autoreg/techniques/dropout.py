"""Switch off a random part of the hidden units at every training step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoreg.techniques.base import Choice, Dials, Draws, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor

SCHEDULES = ("constant", "flat_cos")
SHAPES = ("flat", "funnel")
FLAT_SHARE = 0.7


class Dropout(Technique):
    """Switch off a random part of the hidden units at every training step.

    The units that stay are scaled up, so that the mean does not move and predictions need no
    correction. The schedule ``flat_cos`` keeps the rate for the first 70 % of the longest
    training and lets it fade to 0 along a cosine. The shape ``funnel`` lets it fall from layer to
    layer, evenly down to 0 behind the last one.
    """

    families = ("network",)
    dials = (
        Range("rate", 0.05, 0.6, default=0.2, off=0.0, about="share of hidden units switched off"),
        Choice("schedule", SCHEDULES, default="constant", about="how the rate changes over time"),
        Choice("shape", SHAPES, default="flat", about="how the rate changes over the layers"),
    )
    rank = 2
    acts_as = "dropout"
    references = ("Srivastava et al. 2014, JMLR 15, section 10 (inverted scaling)",)

    @staticmethod
    def hidden(activations: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Activations (M, B, width) with dropped units at 0 and the others scaled up."""
        return activations * draws.kept(Dropout.drops(dials, moment), *activations.shape[1:])

    @staticmethod
    def drops(dials: Dials, moment: Moment) -> Tensor:
        """The rate of a layer at a moment, (M, 1, 1)."""
        rate = dials["rate"] * _left(moment.progress, dials["schedule"])
        if moment.layer:
            rate = rate * (1.0 - dials["shape"] * (moment.layer / moment.depth))
        return rate


def _left(progress: Tensor, schedule: Tensor) -> Tensor:
    """How much of the rate is left: under ``flat_cos`` exactly 1 at first, 0 at the end."""
    late = (progress - FLAT_SHARE).clamp_(min=0.0)
    gone = late.mul_(math.pi / (1.0 - FLAT_SHARE)).cos_().sub_(1.0)  # twice, and negative
    return gone.mul_(0.5).mul_(schedule).add_(1.0)
