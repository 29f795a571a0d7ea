"""Mix L1 and L2: zeros like the lasso, but correlated features stay or go together."""

from autoreg.techniques.base import ZEROING_STRENGTH, Penalty, Range, Technique


class ElasticNet(Technique):
    """Mix L1 and L2: zeros like the lasso, but correlated features stay or go together."""

    families = ("linear",)
    dials = (
        ZEROING_STRENGTH,
        Range("mix", 0.05, 1.0, default=0.5, about="share of L1; the rest is L2"),
    )
    rank = 3
    references = ("Zou & Hastie 2005, JRSS B 67(2)",)

    def penalty(self) -> Penalty:
        mix = float(self["mix"])
        return Penalty(l1=mix, l2=1.0 - mix)
