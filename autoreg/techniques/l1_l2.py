"""Pull weights of a network towards zero by an amount and by a share, small ones to exact 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class L1L2(Technique):
    """Pull weights of a network towards zero by an amount and by a share, small ones to exact 0.

    The proximal operator of an elastic net: a soft threshold, then a shrink.
    """

    families = ("network",)
    dials = (
        Range(
            "strength",
            1e-6,
            1e-2,
            default=3e-4,
            log=True,
            off=0.0,
            about="pull per step (learning rate x strength of the penalty)",
        ),
        Range("mix", 0.05, 0.95, default=0.5, about="share of L1 in the penalty; the rest is L2"),
    )
    rank = 3
    references = (
        "Zou & Hastie 2005, JRSS B 67(2)",
        "Parikh & Boyd 2014, Proximal algorithms, section 6.5.3 (elastic net)",
    )

    @staticmethod
    def prox(weights: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """Weights (M, in, out): ``soft(w, s mix) / (1 + s (1 - mix))``."""
        strength = dials["strength"] * moment.rate
        threshold = strength * dials["mix"]
        kept = weights - weights.clamp(-threshold, threshold)
        return kept / (1.0 + strength * (1.0 - dials["mix"]))
