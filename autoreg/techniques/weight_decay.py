"""Shrink all weights of a network by a fixed share at every step, decoupled from the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class WeightDecay(Technique):
    """Shrink all weights of a network by a fixed share at every step, decoupled from the loss.

    The dial is the product of learning rate and decay, so its meaning does not move with the
    learning rate: 1e-3 takes 0.1 % off every weight at every step.
    """

    families = ("network",)
    dials = (
        Range(
            "decay",
            1e-5,
            2e-2,
            default=1e-2,
            log=True,
            off=0.0,
            about="relative shrink of a weight per step (learning rate x weight decay)",
        ),
    )
    rank = 1
    acts_as = "factor"
    holds_alone = True
    references = (
        "Loshchilov & Hutter 2019, Decoupled weight decay regularization, ICLR, algorithm 2",
        "Krogh & Hertz 1991, A simple weight decay can improve generalization, NeurIPS 4",
    )

    @staticmethod
    def step(weights: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """Weights (M, in, out), each model's shrunk by its own share."""
        return weights * (1.0 - dials["decay"] * moment.rate)
