"""Ask for the same prediction in the direction where it changes fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Range, Seen, Technique

if TYPE_CHECKING:
    from torch import Tensor

PROBE = 0.1  # length of the first, random shift, in which the fastest change is felt


class VirtualAdversarial(Technique):
    """Ask for the same prediction in the direction where it changes fastest.

    Targets play no part, so it smooths the network where the labels are noisy, too. Indicators
    of categories stay.
    """

    families = ("network",)
    dials = (
        Range(
            "weight",
            0.1,
            10.0,
            default=1.0,
            log=True,
            off=0.0,
            about="weight of the divergence between the two predictions",
        ),
        Range(
            "reach",
            0.05,
            3.0,
            default=0.5,
            log=True,
            about="Euclidean length of the shift of a row, in standard deviations of a feature",
        ),
    )
    rank = 4
    references = (
        "Miyato et al. 2018, Virtual adversarial training, arXiv 1704.03976, equations 6 and 13",
    )

    @staticmethod
    def loss(losses: Tensor, seen: Seen, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Row losses (M, B, 1) plus the weighted divergence that a worst shift causes."""
        import torch

        inputs, calm = seen.inputs.detach(), seen.outputs.detach()
        start = _unit(moment.facts.numeric * draws.normal(*inputs.shape[1:]))
        probe = (PROBE * start).requires_grad_()
        change = seen.divergence(calm, seen.answer(inputs + probe)).sum()
        (slopes,) = torch.autograd.grad(change, probe)
        worst = dials["reach"] * _unit(moment.facts.numeric * slopes)
        return losses + dials["weight"] * seen.divergence(calm, seen.answer(inputs + worst))


def _unit(rows: Tensor) -> Tensor:
    """Rows (M, B, q) of length 1; rows of length 0 stay."""
    return rows / rows.square().sum(dim=2, keepdim=True).sqrt().clamp(min=1e-12)
