"""Gaussian noise in proportion to each hidden unit, as a Bayesian network has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import PASSES, Dials, Draws, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class Variational(Technique):
    """Gaussian noise in proportion to each hidden unit, as a Bayesian network has it.

    The weights behind a unit have a Gaussian posterior around them, whose standard deviation is
    ``sigma`` times their size. Under a prior that is flat on the logarithmic scale, its divergence
    from the prior depends on sigma alone, so that with a given sigma training maximizes the
    evidence bound; sigma itself is searched by the validation loss. Predictions are the mean over
    32 draws, fixed when training ends; early stopping watches a single pass without noise.
    """

    families = ("network",)
    dials = (
        Range(
            "sigma",
            0.1,
            1.0,
            default=0.3,
            log=True,
            off=0.0,
            about="standard deviation of the noise on a hidden unit, as a share of the unit",
        ),
    )
    rank = 3
    acts_as = "factor"
    references = (
        "Kingma, Salimans & Welling 2015, Variational dropout and the local reparameterization "
        "trick, NeurIPS 28, section 3.1 (alpha = sigma^2)",
    )

    @staticmethod
    def hidden(activations: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Activations (M, B, width), each times a Gaussian number around 1."""
        return activations * _around_one(dials, draws, *activations.shape[1:])

    @staticmethod
    def passes(width: int, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Factors (M, 32, width) of the hidden units in each draw of a prediction."""
        return _around_one(dials, draws, PASSES, width)


def _around_one(dials: Dials, draws: Draws, *shape: int) -> Tensor:
    return 1 + dials["sigma"] * draws.normal(*shape)
