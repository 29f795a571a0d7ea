"""Replace random cells of a row by the same column of random other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class SwapNoise(Technique):
    """Replace random cells of a row by the same column of random other rows.

    Replacements come from the rows of the batch, so every cell keeps the distribution of its
    column. All indicators of a category are swapped together.
    """

    families = ("network",)
    dials = (Range("share", 0.01, 0.5, default=0.1, off=0.0, about="share of the cells swapped"),)
    rank = 2
    references = ("Bahri et al. 2022, SCARF, arXiv 2106.15147, algorithm 1 (corruption)",)

    @staticmethod
    def batch(
        inputs: Tensor, targets: Tensor, dials: Dials, draws: Draws, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        """Inputs (M, B, q) with swapped cells; targets unchanged."""
        rows, facts = inputs.shape[1], moment.facts
        swapped = facts.spread(draws.uniform(rows, facts.columns) < dials["share"])
        other = (draws.uniform(rows, facts.columns) * rows).long().clamp(max=rows - 1)
        return inputs.gather(1, facts.spread(other)).where(swapped, inputs), targets
