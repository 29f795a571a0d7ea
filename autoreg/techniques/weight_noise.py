"""Add random noise to all weights of a network at every training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class WeightNoise(Technique):
    """Add random noise to all weights of a network at every training step.

    The gradient is taken at the noisy weights and moves the weights themselves; solutions that
    a small shift of the weights would spoil are left.
    """

    families = ("network",)
    dials = (
        Range(
            "sigma",
            1e-4,
            0.3,
            default=0.03,
            log=True,
            off=0.0,
            about="standard deviation of the Gaussian noise on each weight",
        ),
    )
    rank = 2
    references = ("Graves 2011, Practical variational inference for neural networks, NeurIPS 24",)

    @staticmethod
    def weights(weights: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Weights (M, in, out) with a fresh Gaussian number added to each; biases stay."""
        return weights + dials["sigma"] * draws.normal(*weights.shape[1:])
