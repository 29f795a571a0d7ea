"""Shorten the gradient of a network where it is longer than a bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique, joint_norm

if TYPE_CHECKING:
    from torch import Tensor


class GradientClipping(Technique):
    """Shorten the gradient of a network where it is longer than a bound."""

    families = ("network",)
    dials = (
        Range(
            "norm",
            0.1,
            10.0,
            default=1.0,
            log=True,
            off=math.inf,
            stronger="down",
            about="the longest gradient, as a Euclidean norm over all weights of the model",
        ),
    )
    rank = 1
    references = (
        "Pascanu, Mikolov & Bengio 2013, On the difficulty of training RNNs, ICML, algorithm 1",
    )

    @staticmethod
    def gradients(gradients: Sequence[Tensor], dials: Dials, moment: Moment) -> Sequence[Tensor]:
        """Gradients (M, a, b), all of a model multiplied by the same number of at most 1."""
        scale = (dials["norm"] / joint_norm(gradients)).clamp(max=1.0)
        return [scale * one for one in gradients]
