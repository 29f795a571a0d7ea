"""Predict with a moving average of the weights of a network over its last steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class Ema(Technique):
    """Predict with a moving average of the weights of a network over its last steps.

    Training itself is not changed; the stop-set is watched with the average, too. While the
    average is young it is the mean of all weights so far.
    """

    families = ("network",)
    dials = (
        Range(
            "pace",
            1e-3,
            0.1,
            default=1e-2,
            log=True,
            off=1.0,
            stronger="down",
            about="share of the newest weights in the average, 1 - decay; 0.01 is 100 steps long",
        ),
    )
    rank = 1
    references = (
        "Polyak & Juditsky 1992, SIAM J. Control Optim. 30(4)",
        "Tarvainen & Valpola 2017, Mean teachers, NeurIPS 30, equation 2",
    )

    @staticmethod
    def average(kept: Tensor, current: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """The average (M, a, b), the newest share of it current."""
        steps = moment.progress * moment.longest
        return kept.lerp(current, dials["pace"].maximum(1.0 / (steps + 1.0)))
