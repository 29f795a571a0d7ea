"""Shrink coefficients of a linear model and set the useless ones to exactly zero (L1)."""

from autoreg.techniques.base import Penalty, Range, Technique


class Lasso(Technique):
    """Shrink coefficients of a linear model and set the useless ones to exactly zero (L1)."""

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
    )
    rank = 2
    references = ("Tibshirani 1996, JRSS B 58(1)",)

    def penalty(self) -> Penalty:
        return Penalty(l1=1.0)
