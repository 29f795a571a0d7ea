"""Keep the factors of users and of items short, so that tastes must be well supported (L2)."""

from autoreg.techniques.base import Range, Shrinkage, Technique


class FactorShrinkage(Technique):
    """Keep the factors of users and of items short, so that tastes must be well supported (L2).

    A strong enough penalty sets all tastes to zero: the trace norm of the matrix of tastes is
    what it bounds.
    """

    families = ("factorization",)
    tasks = ("regression",)
    dials = (
        Range(
            "strength",
            1e-2,
            1e2,
            default=3.0,
            log=True,
            about="in rows, of a target with standard deviation 1",
        ),
    )
    rank = 1
    references = (
        "Koren, Bell & Volinsky 2009, Computer 42(8), equations 2 and 5",
        "Srebro, Rennie & Jaakkola 2004, NIPS (the trace norm)",
    )
    on_by_default = True

    def shrinkage(self) -> Shrinkage:
        return Shrinkage(factors=float(self["strength"]))
