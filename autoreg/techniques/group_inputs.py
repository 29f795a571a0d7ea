"""Pull all first-layer weights of an input column towards zero together: it is used or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Moment, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor


class GroupInputs(Technique):
    """Pull all first-layer weights of an input column towards zero together: it is used or not.

    A group lasso on the rows of the first weight matrix that belong to one raw column; columns
    of no use end with weights that are exactly 0, so a network selects its inputs.
    """

    families = ("network",)
    needs_layers = True
    dials = (
        Range(
            "threshold",
            1e-5,
            1e-1,
            default=3e-3,
            log=True,
            off=0.0,
            about="how far a column's weights move towards zero per step, as one vector",
        ),
    )
    rank = 2
    references = (
        "Yuan & Lin 2006, JRSS B 68(1), equation 2.4",
        "Scardapane et al. 2017, Group sparse regularization for deep neural networks",
    )

    @staticmethod
    def prox(weights: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """First-layer weights (M, in, out), each group's norm less its share, but not below 0."""
        if moment.layer:
            return weights
        groups, squares = moment.facts.first, weights.square().sum(dim=2)
        empty = weights.new_zeros(len(weights), moment.facts.columns)
        norms = empty.scatter_add(1, groups, squares).sqrt()
        sizes = empty.scatter_add(1, groups, squares.new_ones(squares.shape))
        reach = (dials["threshold"] * moment.rate)[:, 0] * sizes.sqrt()
        gone = (reach / norms.clamp(min=1e-30)).clamp(max=1.0)
        return weights * (1.0 - gone.gather(1, groups)).unsqueeze(2)
