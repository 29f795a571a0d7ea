"""Penalize predictions that are nearly certain: the entropy of the classes is kept up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Seen, Technique

if TYPE_CHECKING:
    from torch import Tensor


class ConfidencePenalty(Technique):
    """Penalize predictions that are nearly certain: the entropy of the classes is kept up."""

    families = ("network",)
    tasks = ("binary", "multiclass")
    dials = (
        Range(
            "strength",
            1e-3,
            1.0,
            default=0.1,
            log=True,
            off=0.0,
            about="weight of the negative entropy of the predicted classes",
        ),
    )
    rank = 2
    references = (
        "Pereyra et al. 2017, Regularizing neural networks by penalizing confident output "
        "distributions, arXiv 1701.06548, section 3",
    )

    @staticmethod
    def loss(losses: Tensor, seen: Seen, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Row losses (M, B, 1) plus the strength times ``sum p log p``."""
        logs = seen.outputs.log_softmax(dim=2)
        return losses + dials["strength"] * (logs.exp() * logs).sum(dim=2, keepdim=True)
