"""Pull the levels of users and of items towards the mean of all ratings (L2)."""

from autoreg.techniques.base import Range, Shrinkage, Technique


class BiasShrinkage(Technique):
    """Pull the levels of users and of items towards the mean of all ratings (L2).

    A level that few ratings speak for is believed less: with strength s and n ratings its mean
    deviation is multiplied by n / (n + s).
    """

    families = ("factorization",)
    tasks = ("regression",)
    dials = (Range("strength", 1e-2, 1e2, default=3.0, log=True, about="rows' worth of the mean"),)
    rank = 1
    references = (
        "Koren, Bell & Volinsky 2009, Computer 42(8), equation 5",
        "Koren 2008, KDD, section 2.1",
    )
    on_by_default = True

    def shrinkage(self) -> Shrinkage:
        return Shrinkage(biases=float(self["strength"]))
