"""Penalize by L1 what an initial fit thinks small, and hardly what it thinks large."""

from autoreg.techniques.base import Choice, Penalty, Range, Technique


class AdaptiveLasso(Technique):
    """Penalize by L1 what an initial fit thinks small, and hardly what it thinks large.

    The weight of input j is ``|ridge_j|^-gamma``, from a ridge fit on the same training rows,
    scaled so that the smallest weight is one. With the right weights the true inputs are found
    and estimated as if they had been known.
    """

    families = ("linear",)
    dials = (
        Range(
            "strength",
            1e-4,
            1.0,
            default=1e-1,
            log=True,
            path=True,
            about="fraction of the smallest strength that sets every coefficient to zero",
        ),
        Choice("gamma", (0.5, 1, 2), default=1, about="how strongly the initial fit counts"),
    )
    rank = 4
    references = ("Zou 2006, JASA 101(476)",)

    def penalty(self) -> Penalty:
        return Penalty(l1=1.0, adapt=float(self["gamma"]))
