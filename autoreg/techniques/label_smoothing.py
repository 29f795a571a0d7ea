"""Take a share of each target away from its class and spread it evenly over all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Seen, Technique

if TYPE_CHECKING:
    from torch import Tensor


class LabelSmoothing(Technique):
    """Take a share of each target away from its class and spread it evenly over all classes."""

    families = ("network",)
    tasks = ("binary", "multiclass")
    dials = (
        Range(
            "share",
            5e-3,
            0.3,
            default=0.05,
            log=True,
            off=0.0,
            about="share of the target that goes to all classes evenly",
        ),
    )
    rank = 1
    references = ("Szegedy et al. 2016, Rethinking the Inception architecture, CVPR, section 7",)

    @staticmethod
    def loss(losses: Tensor, seen: Seen, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Row losses (M, B, 1), mixed with the losses against a uniform target."""
        import torch

        uniform = torch.full_like(seen.targets, 1.0 / seen.targets.shape[-1])
        share = dials["share"]
        return (1.0 - share) * losses + share * seen.criterion(seen.outputs, uniform)
