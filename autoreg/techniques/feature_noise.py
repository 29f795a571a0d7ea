"""Add random noise to the inputs of a network at every training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class FeatureNoise(Technique):
    """Add random noise to the inputs of a network at every training step.

    Small noise acts like a penalty on the slope of the fitted function.
    """

    families = ("network",)
    dials = (
        Range(
            "sigma",
            1e-3,
            0.5,
            default=0.1,
            log=True,
            off=0.0,
            about="standard deviation of the Gaussian noise, in standard deviations of a feature",
        ),
    )
    rank = 2
    references = ("Bishop 1995, Training with noise is equivalent to Tikhonov regularization",)

    @staticmethod
    def batch(
        inputs: Tensor, targets: Tensor, dials: Dials, draws: Draws, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        """Inputs (M, B, p) with a fresh Gaussian number added to each cell; targets unchanged."""
        return inputs + dials["sigma"] * draws.normal(*inputs.shape[1:]), targets
