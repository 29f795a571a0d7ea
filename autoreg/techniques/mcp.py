"""Zeros like the lasso, but large coefficients are not shrunk at all (MCP)."""

from autoreg.techniques.base import ZEROING_STRENGTH, Penalty, Range, Technique


class MinimaxConcave(Technique):
    """Zeros like the lasso, but large coefficients are not shrunk at all (MCP).

    The objective is not convex: the solution is a stationary point, reached along the path from the
    strongest penalty.
    """

    families = ("linear",)
    dials = (
        ZEROING_STRENGTH,
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
