"""Train on mixtures of two rows: inputs and targets are blended by the same random share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Technique, mixed

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
    acts_as = "mixture"
    references = ("Zhang et al. 2018, mixup: beyond empirical risk minimization, arXiv 1710.09412",)

    @staticmethod
    def batch(
        inputs: Tensor, targets: Tensor, dials: Dials, draws: Draws, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        """Inputs (M, B, p) and targets (M, B, C), each row blended with a random other one."""
        part, partner = Mixup.mixes(dials, draws, inputs.shape[1])
        return mixed(inputs, partner, part), mixed(targets, partner, part)

    @staticmethod
    def mixes(dials: Dials, draws: Draws, rows: int) -> tuple[Tensor, Tensor]:
        """How much each row takes of another one, (M, rows, 1), and of which, (M, rows)."""
        share = draws.beta(dials["alpha"], rows)
        # Blending a with b or b with a is the same set of mixtures; the larger share stays with
        # the row itself, so its weight in the loss still belongs to it.
        return share.minimum(1.0 - share), draws.permutation(rows)
