"""Shrink all coefficients as strongly as the evidence of the training rows asks for."""

from autoreg.techniques.base import Prior, Technique


class BayesianRidge(Technique):
    """Shrink all coefficients as strongly as the evidence of the training rows asks for.

    Ridge with a Gaussian prior whose precision, and the noise's, maximize the marginal likelihood,
    so no fold is needed to choose the strength.
    """

    families = ("linear",)
    tasks = ("regression",)
    rank = 2
    references = ("MacKay 1992, Neural Computation 4(3)",)

    def prior(self) -> Prior:
        return Prior()
