"""Penalize by L1 what an initial fit thinks small, and hardly what it thinks large."""

from autoreg.techniques.base import ZEROING_STRENGTH, Choice, Penalty, Technique


class AdaptiveLasso(Technique):
    """Penalize by L1 what an initial fit thinks small, and hardly what it thinks large.

    The weight of input j is ``|ridge_j|^-gamma``, from a ridge fit on the same training rows,
    scaled so that the smallest weight is one. With the right weights the true inputs are found
    and estimated as if they had been known.
    """

    families = ("linear",)
    dials = (
        ZEROING_STRENGTH,
        Choice("gamma", (0.5, 1, 2), default=1, about="how strongly the initial fit counts"),
    )
    rank = 4
    references = ("Zou 2006, JASA 101(476)",)

    def penalty(self) -> Penalty:
        return Penalty(l1=1.0, adapt=float(self["gamma"]))
