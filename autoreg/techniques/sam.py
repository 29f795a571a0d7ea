"""Take each step by the gradient at the worst weights nearby: flat minima are preferred."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique, joint_norm

if TYPE_CHECKING:
    from torch import Tensor


class Sam(Technique):
    """Take each step by the gradient at the worst weights nearby: flat minima are preferred.

    Each batch is passed twice, the second time at weights that are displaced uphill.
    """

    families = ("network",)
    dials = (
        Range(
            "rho",
            0.01,
            0.5,
            default=0.05,
            log=True,
            off=0.0,
            about="Euclidean length of the displacement of all weights together",
        ),
    )
    rank = 3
    references = ("Foret et al. 2021, Sharpness-aware minimization, arXiv 2010.01412, equation 2",)

    @staticmethod
    def ascent(gradients: Sequence[Tensor], dials: Dials, moment: Moment) -> Sequence[Tensor]:
        """Displacements (M, a, b): uphill, together of length rho in each model."""
        scale = dials["rho"] / (joint_norm(gradients) + 1e-12)
        return [scale * one for one in gradients]
