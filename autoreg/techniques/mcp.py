"""Zeros like the lasso, but large coefficients are not shrunk at all (MCP)."""

from autoreg.techniques.base import Penalty, Range, Technique


class MinimaxConcave(Technique):
    """Zeros like the lasso, but large coefficients are not shrunk at all (MCP).

    The objective is not convex: the solution is a stationary point, reached along the path from the
    strongest penalty.
    """

    families = ("linear",)
    dials = (
        Range(
            "strength",
            1e-4,
            1.0,
            default=1e-1,
            log=True,
            path=True,
            about="fraction of the smallest strength that sets every coefficient to zero",
        ),
        Range(
            "gamma",
            1.5,
            20.0,
            default=3.0,
            log=True,
            stronger="down",
            about="how far the penalty reaches; large values are the lasso",
        ),
    )
    rank = 5
    references = ("Zhang 2010, Annals of Statistics 38(2)",)

    def penalty(self) -> Penalty:
        return Penalty(l1=1.0, concave="mcp", gamma=float(self["gamma"]))
