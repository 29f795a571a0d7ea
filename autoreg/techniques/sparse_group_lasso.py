"""Drop whole groups of inputs, and single inputs inside the groups that stay."""

from autoreg.techniques.base import ZEROING_STRENGTH, Penalty, Range, Technique


class SparseGroupLasso(Technique):
    """Drop whole groups of inputs, and single inputs inside the groups that stay."""

    families = ("linear",)
    dials = (
        ZEROING_STRENGTH,
        Range("mix", 0.05, 0.95, default=0.5, about="share of L1; the rest is on the groups"),
    )
    rank = 5
    references = ("Simon, Friedman, Hastie & Tibshirani 2013, JCGS 22(2)",)

    def penalty(self) -> Penalty:
        mix = float(self["mix"])
        return Penalty(l1=mix, group=1.0 - mix)
