"""Give each coefficient a prior of its own and let the evidence switch inputs off (ARD)."""

from autoreg.techniques.base import Prior, Technique


class RelevanceDetermination(Technique):
    """Give each coefficient a prior of its own and let the evidence switch inputs off (ARD).

    Precisions that grow without bound take their inputs out of the model.
    """

    families = ("linear",)
    tasks = ("regression",)
    rank = 4
    references = ("Tipping 2001, JMLR 1",)

    def prior(self) -> Prior:
        return Prior(relevance=True)
