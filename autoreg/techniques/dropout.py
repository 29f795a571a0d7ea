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
    references = ("Srivastava et al. 2014, JMLR 15, section 10 (inverted scaling)",)

    @staticmethod
    def hidden(activations: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Activations (M, B, width) with dropped units at 0 and the others scaled up."""
        fading = dials["schedule"] * _faded_part(moment.progress)
        falling = dials["shape"] * (moment.layer / max(moment.depth, 1))
        rate = dials["rate"] * (1.0 - fading) * (1.0 - falling)
        kept = draws.chance(1.0 - rate, *activations.shape[1:])
        return activations * (kept / (1.0 - rate))


def _faded_part(progress: Tensor) -> Tensor:
    """How much of the rate is gone under ``flat_cos``: exactly 0 at first, 1 at the end."""
    late = ((progress - FLAT_SHARE) / (1.0 - FLAT_SHARE)).clamp(0.0, 1.0)
    return 0.5 - 0.5 * (math.pi * late).cos()
