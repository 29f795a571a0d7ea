"""Shrink coefficients of a linear model and set the useless ones to exactly zero (L1)."""

from autoreg.techniques.base import ZEROING_STRENGTH, Penalty, Technique


class Lasso(Technique):
    """Shrink coefficients of a linear model and set the useless ones to exactly zero (L1)."""

    families = ("linear",)
    dials = (ZEROING_STRENGTH,)
    rank = 2
    references = ("Tibshirani 1996, JRSS B 58(1)",)

    def penalty(self) -> Penalty:
        return Penalty(l1=1.0)
