"""Fit on the leading principal components of the inputs only."""

from autoreg.techniques.base import Range, Technique


class PrincipalComponents(Technique):
    """Fit on the leading principal components of the inputs only.

    The components are those of the standardized training inputs; what varies little is left out
    whole, what varies much is not shrunk.
    """

    families = ("linear",)
    dials = (
        Range(
            "components",
            0.01,
            1.0,
            default=0.5,
            log=True,
            path=True,
            stronger="down",
            about="share of the components that is kept, at least one",
        ),
    )
    rank = 3
    references = ("Hastie, Tibshirani & Friedman 2009, section 3.5",)

    def components(self) -> bool:
        return True
