"""Train on rows of which a random part comes from another row, and targets likewise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Technique, rows_at

if TYPE_CHECKING:
    from torch import Tensor


class Cutmix(Technique):
    """Train on rows of which a random part comes from another row, and targets likewise.

    Whole columns come from the partner (a square, of an image), and the target is blended by
    the share of columns that do. Every row keeps at least about one half of itself.
    """

    families = ("network",)
    dials = (
        Range(
            "alpha",
            0.05,
            2.0,
            default=0.2,
            log=True,
            off=0.0,
            about="shares are drawn from Beta(alpha, alpha); larger mixes more evenly",
        ),
    )
    rank = 3
    references = ("Yun et al. 2019, CutMix, arXiv 1905.04899, equations 1 and 2",)

    @staticmethod
    def batch(
        inputs: Tensor, targets: Tensor, dials: Dials, draws: Draws, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        """Inputs (M, B, q) and targets (M, B, C), each row pieced together with another one."""
        import torch

        rows, facts = inputs.shape[1], moment.facts
        own = draws.beta(dials["alpha"], rows)
        foreign = facts.region(1.0 - torch.maximum(own, 1.0 - own), draws)
        partner = draws.permutation(rows)
        other_inputs, other_targets = rows_at(inputs, partner), rows_at(targets, partner)
        share = facts.share(foreign)
        return (
            other_inputs.where(foreign, inputs),
            targets + share * (other_targets - targets),
        )
