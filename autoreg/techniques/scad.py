"""Zeros like the lasso, with a penalty that fades out for large coefficients (SCAD)."""

from autoreg.techniques.base import ZEROING_STRENGTH, Penalty, Range, Technique


class SmoothlyClipped(Technique):
    """Zeros like the lasso, with a penalty that fades out for large coefficients (SCAD).

    The objective is not convex: the solution is a stationary point, reached along the path from the
    strongest penalty.
    """

    families = ("linear",)
    dials = (
        ZEROING_STRENGTH,
        Range(
            "gamma",
            2.1,
            20.0,
            default=3.7,
            log=True,
            stronger="down",
            about="how far the penalty reaches; large values are the lasso",
        ),
    )
    rank = 5
    references = ("Fan & Li 2001, JASA 96(456)",)

    def penalty(self) -> Penalty:
        return Penalty(l1=1.0, concave="scad", gamma=float(self["gamma"]))
