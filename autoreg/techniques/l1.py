"""Pull every weight of a network towards zero by a fixed amount a step, small ones to exact 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class L1(Technique):
    """Pull every weight of a network towards zero by a fixed amount a step, small ones to exact 0.

    The penalty acts through its proximal operator and not through a subgradient, which would
    jump around zero and never rest there.
    """

    families = ("network",)
    dials = (
        Range(
            "threshold",
            1e-6,
            1e-2,
            default=3e-4,
            log=True,
            off=0.0,
            about="how far a weight moves towards zero per step (learning rate x L1 strength)",
        ),
    )
    rank = 2
    references = (
        "Tibshirani 1996, JRSS B 58(1)",
        "Parikh & Boyd 2014, Proximal algorithms, section 6.5.2 (soft threshold)",
    )

    @staticmethod
    def prox(weights: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """Weights (M, in, out) behind the soft threshold ``sign(w) max(|w| - t, 0)``."""
        # Written as w minus its clipped self, the zeros and the identity at t = 0 are exact.
        threshold = dials["threshold"] * moment.rate
        return weights - weights.clamp(-threshold, threshold)
