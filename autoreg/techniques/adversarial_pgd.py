"""Train on rows that several small steps uphill have made harder, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Seen, Technique

if TYPE_CHECKING:
    from torch import Tensor

MOST_STEPS = 5
STRIDE = 2.5  # the steps together could walk through the box and back


class AdversarialPgd(Technique):
    """Train on rows that several small steps uphill have made harder, too.

    The stronger form of one step: projected gradient ascent inside a box around each row, from
    a random place in it. Indicators of categories stay.
    """

    families = ("network",)
    dials = (
        Range("weight", 0.05, 0.5, default=0.25, off=0.0, about="share of the harder rows' loss"),
        Range(
            "reach",
            3e-3,
            0.3,
            default=0.03,
            log=True,
            about="how far an input may move, in standard deviations of a feature",
        ),
        Range("steps", 2, MOST_STEPS, default=3, integer=True, about="steps uphill"),
    )
    rank = 4
    references = (
        "Madry et al. 2018, Towards deep learning models resistant to adversarial attacks, "
        "arXiv 1706.06083, section 2.1",
    )

    @staticmethod
    def loss(losses: Tensor, seen: Seen, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Row losses (M, B, 1), mixed with the losses of the harder rows."""
        import torch

        centre, reach = seen.inputs.detach(), dials["reach"] * moment.facts.numeric
        stride = STRIDE * reach / dials["steps"]
        moved = reach * (2.0 * draws.uniform(*centre.shape[1:]) - 1.0)
        for number in range(MOST_STEPS):  # models of fewer steps stand still in the last ones
            inputs = (centre + moved).requires_grad_()
            total = seen.criterion(seen.answer(inputs), seen.targets).sum()
            (slopes,) = torch.autograd.grad(total, inputs)
            uphill = stride * slopes.sign() * (number < dials["steps"])
            moved = (moved + uphill).clamp(-reach, reach)
        worse = seen.criterion(seen.answer(centre + moved), seen.targets)
        return losses + dials["weight"] * (worse - losses)
