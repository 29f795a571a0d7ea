"""Add random noise to the hidden units of a network at every training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class ActivationNoise(Technique):
    """Add random noise to the hidden units of a network at every training step."""

    families = ("network",)
    dials = (
        Range(
            "sigma",
            1e-4,
            0.3,
            default=0.1,
            log=True,
            off=0.0,
            about="standard deviation of the Gaussian noise on each hidden unit",
        ),
    )
    rank = 2
    acts_as = "shift"
    references = (
        "Poole, Sohl-Dickstein & Ganguli 2014, Analyzing noise in autoencoders, arXiv 1406.1831",
    )

    @staticmethod
    def hidden(activations: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Activations (M, B, width) with a fresh Gaussian number added to each."""
        return activations + dials["sigma"] * draws.normal(*activations.shape[1:])
