"""Choose inputs like the lasso, then shrink the chosen ones less."""

from autoreg.techniques.base import ZEROING_STRENGTH, Penalty, Range, Technique


class RelaxedLasso(Technique):
    """Choose inputs like the lasso, then shrink the chosen ones less.

    ``relax`` multiplies the strength in a second fit on the inputs that the first one keeps: at 1
    it is the lasso, near 0 the chosen inputs are not shrunk at all (not 0 itself, at which classes
    that can be separated have no optimum).
    """

    families = ("linear",)
    dials = (
        ZEROING_STRENGTH,
        Range("relax", 0.01, 1.0, default=0.3, stronger="up", about="share of the strength left"),
    )
    rank = 4
    references = ("Meinshausen 2007, CSDA 52(1)",)

    def penalty(self) -> Penalty:
        return Penalty(l1=1.0, relax=float(self["relax"]))
