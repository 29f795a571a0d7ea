"""Bound how far each layer of a network can stretch its input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique, top_direction

if TYPE_CHECKING:
    from torch import Tensor


class SpectralNorm(Technique):
    """Bound how far each layer of a network can stretch its input.

    After each step a weight matrix whose largest singular value exceeds the bound is scaled
    down to it, which bounds the Lipschitz constant of the layer.
    """

    families = ("network",)
    dials = (
        Range(
            "bound",
            0.5,
            10.0,
            default=2.0,
            log=True,
            off=math.inf,
            stronger="down",
            about="the largest singular value that a weight matrix may have",
        ),
    )
    rank = 2
    references = (
        "Gouk et al. 2021, Regularisation of neural networks by enforcing Lipschitz continuity",
        "Miyato et al. 2018, Spectral normalization, arXiv 1802.05957, section 2.1",
    )

    @staticmethod
    def step(weights: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """Weights (M, in, out), those of too large a spectral norm scaled down to the bound."""
        longest = weights @ top_direction(weights)
        stretch = longest.square().sum(dim=1, keepdim=True).sqrt()
        return weights * (dials["bound"] / stretch).clamp(max=1.0)
