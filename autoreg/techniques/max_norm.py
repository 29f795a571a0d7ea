"""Bound the length of the weight vector that leads into each hidden unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class MaxNorm(Technique):
    """Bound the length of the weight vector that leads into each hidden unit."""

    families = ("network",)
    needs_layers = True
    dials = (
        Range(
            "norm",
            0.5,
            8.0,
            default=1.0,
            log=True,
            off=math.inf,
            stronger="down",
            about="the longest weight vector into a hidden unit, as a Euclidean norm",
        ),
    )
    rank = 2
    references = ("Srivastava et al. 2014, JMLR 15, section 5.1 (max-norm regularization)",)

    @staticmethod
    def step(weights: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """Hidden weights (M, in, out), projected: columns that are too long are shortened."""
        if moment.layer == moment.depth:
            return weights
        norms = weights.square().sum(dim=1, keepdim=True).sqrt()
        return weights * (dials["norm"] / norms).clamp(max=1.0)
