"""Predict with the plain mean of the weights of a network over the end of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING = 1e-2  # of a step: progress is a rounded number


class Swa(Technique):
    """Predict with the plain mean of the weights of a network over the end of training.

    Every step from the start on counts the same. Training itself is not changed; the stop-set
    is watched with the mean, too.
    """

    families = ("network",)
    dials = (
        Range(
            "start",
            0.5,
            0.9,
            default=0.7,
            off=1.0,
            stronger="down",
            about="share of the longest training after which the mean begins",
        ),
    )
    rank = 1
    references = (
        "Izmailov et al. 2018, Averaging weights leads to wider optima, arXiv 1803.05407",
    )

    @staticmethod
    def average(kept: Tensor, current: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """The mean (M, a, b): of n tensors the n-th counts 1 / n; before the start, the current."""
        since = (moment.progress - dials["start"]) * moment.longest
        earlier = (since + ROUNDING).floor().clamp(min=0.0)
        return kept.lerp(current, 1.0 / (earlier + 1.0))
