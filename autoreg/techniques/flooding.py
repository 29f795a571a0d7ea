"""Keep the training loss of a batch from falling below a level: it climbs again there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Seen, Technique

if TYPE_CHECKING:
    from torch import Tensor


class Flooding(Technique):
    """Keep the training loss of a batch from falling below a level: it climbs again there."""

    families = ("network",)
    tasks = ("regression", "binary", "multiclass")  # a loss of counts has no zero to stay above
    dials = (
        Range(
            "level",
            0.01,
            0.2,
            default=0.05,
            off=0.0,
            about="the lowest mean loss: nats, or squared standard deviations of the target",
        ),
    )
    rank = 2
    references = (
        "Ishida et al. 2020, Do we need zero training loss after achieving zero training error?, "
        "arXiv 2002.08709, equation 2",
    )

    @staticmethod
    def loss(losses: Tensor, seen: Seen, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Row losses (M, B, 1) of mean ``|L - level| + level``."""
        mean = (losses * seen.weights).mean(dim=1, keepdim=True)
        return losses.where(mean >= dials["level"], 2.0 * dials["level"] - losses)
