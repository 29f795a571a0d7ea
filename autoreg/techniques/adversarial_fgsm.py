"""Train on rows that are shifted a little in the direction that hurts most, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Seen, Technique

if TYPE_CHECKING:
    from torch import Tensor


class AdversarialFgsm(Technique):
    """Train on rows that are shifted a little in the direction that hurts most, too.

    Each numeric input moves by the same small amount, up or down, whichever raises the loss.
    Indicators of categories stay, and nothing is cut off at a range of values.
    """

    families = ("network",)
    dials = (
        Range("weight", 0.05, 0.5, default=0.25, off=0.0, about="share of the shifted rows' loss"),
        Range(
            "reach",
            3e-3,
            0.3,
            default=0.03,
            log=True,
            about="how far an input moves, in standard deviations of a feature",
        ),
    )
    rank = 3
    references = (
        "Goodfellow, Shlens & Szegedy 2015, Explaining and harnessing adversarial examples, "
        "arXiv 1412.6572, section 6",
    )

    @staticmethod
    def loss(losses: Tensor, seen: Seen, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Row losses (M, B, 1), mixed with the losses of the shifted rows."""
        import torch

        inputs = seen.inputs.detach().requires_grad_()
        total = seen.criterion(seen.answer(inputs), seen.targets).sum()
        (slopes,) = torch.autograd.grad(total, inputs)
        shifted = inputs.detach() + dials["reach"] * moment.facts.numeric * slopes.sign()
        worse = seen.criterion(seen.answer(shifted), seen.targets)
        return losses + dials["weight"] * (worse - losses)
