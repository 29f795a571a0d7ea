"""Shrink each weight matrix of a network in the direction it stretches most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique, top_direction

if TYPE_CHECKING:
    from torch import Tensor


class SpectralPenalty(Technique):
    """Shrink each weight matrix of a network in the direction it stretches most.

    The decoupled step of a penalty on the squared largest singular value: other directions,
    which may carry weaker signals, are left alone.
    """

    families = ("network",)
    dials = (
        Range(
            "shrink",
            1e-6,
            1e-1,
            default=1e-2,
            log=True,
            off=0.0,
            about="relative shrink of the largest singular value per step",
        ),
    )
    rank = 2
    references = (
        "Yoshida & Miyato 2017, Spectral norm regularization, arXiv 1705.10941, algorithm 1",
    )

    @staticmethod
    def step(weights: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """Weights (M, in, out), less a share of ``sigma u v^T`` of each matrix."""
        right = top_direction(weights)
        return weights - dials["shrink"] * moment.rate * (weights @ right) @ right.mT
