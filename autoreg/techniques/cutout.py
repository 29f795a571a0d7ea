"""Hide random cells of each row from a network: they are set to the column's mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class Cutout(Technique):
    """Hide random cells of each row from a network: they are set to the column's mean.

    Each row hides its own cells. All indicators of a category are hidden together. Of an image
    a square is hidden.
    """

    families = ("network",)
    dials = (Range("share", 0.01, 0.5, default=0.1, off=0.0, about="share of the cells hidden"),)
    rank = 2
    references = (
        "DeVries & Taylor 2017, Improved regularization with cutout, arXiv 1708.04552",
        "Kadra et al. 2021, Well-tuned simple nets excel on tabular datasets, arXiv 2106.11189",
    )

    @staticmethod
    def batch(
        inputs: Tensor, targets: Tensor, dials: Dials, draws: Draws, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        """Inputs (M, B, q) with hidden cells at 0; targets unchanged."""
        share = dials["share"].expand(-1, inputs.shape[1], 1)
        return inputs.masked_fill(moment.facts.region(share, draws), 0.0), targets
