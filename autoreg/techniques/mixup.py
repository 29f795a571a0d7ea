"""Train on mixtures of two rows: inputs and targets are blended by the same random share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Technique, rows_at

if TYPE_CHECKING:
    from torch import Tensor


class Mixup(Technique):
    """Train on mixtures of two rows: inputs and targets are blended by the same random share.

    Every row draws its own share and keeps at least one half of itself.
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
    references = ("Zhang et al. 2018, mixup: beyond empirical risk minimization, arXiv 1710.09412",)

    @staticmethod
    def batch(
        inputs: Tensor, targets: Tensor, dials: Dials, draws: Draws, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        """Inputs (M, B, p) and targets (M, B, C), each row blended with a random other one."""
        import torch

        rows = inputs.shape[1]
        share = draws.beta(dials["alpha"], rows)
        # Blending a with b or b with a is the same set of mixtures; the larger share stays with
        # the row itself, so its weight in the loss still belongs to it.
        share = torch.maximum(share, 1.0 - share)
        partner = draws.permutation(rows)
        return (
            rows_at(inputs, partner).lerp(inputs, share),
            rows_at(targets, partner).lerp(targets, share),
        )
