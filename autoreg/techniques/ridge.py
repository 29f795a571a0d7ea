"""Shrink all coefficients of a linear model towards zero, none to exactly zero (L2)."""

from autoreg.techniques.base import Penalty, Range, Technique


class Ridge(Technique):
    """Shrink all coefficients of a linear model towards zero, none to exactly zero (L2)."""

    families = ("linear",)
    dials = (
        Range(
            "strength",
            1e-6,
            10.0,
            default=1e-2,
            log=True,
            path=True,
            about="fraction of the largest eigenvalue of the training set's Gram matrix",
        ),
    )
    rank = 1
    references = ("Hoerl & Kennard 1970, Technometrics 12(1)",)

    def penalty(self) -> Penalty:
        return Penalty(l2=1.0)
