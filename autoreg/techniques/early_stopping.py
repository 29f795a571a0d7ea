"""Stop training once the loss on rows set aside no longer falls; go back to the best weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class EarlyStopping(Technique):
    """Stop training once the loss on rows set aside no longer falls; go back to the best weights.

    The rows are cut out of the training rows; a refit needs none, because it trains for the
    number of steps that the search found best.
    """

    families = ("network", "factorization")
    dials = (
        Range(
            "patience",
            8,
            32,
            default=16,
            log=True,
            integer=True,
            off=math.inf,
            stronger="down",
            about="epochs without a new best loss before training ends",
        ),
    )
    rank = 1
    references = ("Prechelt 1998, Early stopping - but when?, LNCS 1524",)
    on_by_default = True

    @staticmethod
    def stop(since_best: Tensor, dials: Dials) -> Tensor:
        """Booleans (M,): whether each model's patience is over."""
        return since_best >= dials["patience"].flatten()
