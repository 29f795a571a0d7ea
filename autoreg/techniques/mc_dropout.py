"""Dropout that stays on in predictions, which are the mean over networks with units dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import PASSES, Dials, Draws, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class McDropout(Technique):
    """Dropout that stays on in predictions, which are the mean over networks with units dropped.

    The mean of 32 passes, each with other units switched off, approximates what a Bayesian network
    would predict: it is less certain where the passes disagree. Which units are off in which
    pass is fixed when training ends, so the same row always gets the same prediction; early
    stopping watches a single pass with all units on.
    """

    families = ("network",)
    dials = (
        Range("rate", 0.05, 0.5, default=0.15, off=0.0, about="share of hidden units switched off"),
    )
    rank = 3
    acts_as = "dropout"
    references = (
        "Gal & Ghahramani 2016, Dropout as a Bayesian approximation, ICML, equation 6 (mean of "
        "passes)",
    )

    @staticmethod
    def hidden(activations: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Activations (M, B, width) with dropped units at 0 and the others scaled up."""
        return activations * draws.kept(dials["rate"], *activations.shape[1:])

    @staticmethod
    def drops(dials: Dials, moment: Moment) -> Tensor:
        """The rate, (M, 1, 1)."""
        return dials["rate"]

    @staticmethod
    def passes(width: int, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Factors (M, 32, width): which hidden units are on in each pass of a prediction."""
        return draws.kept(dials["rate"], PASSES, width)
