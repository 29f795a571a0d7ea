"""The chosen strength lies at the end of its range, so a better one may lie beyond it."""

from __future__ import annotations

from autoreg.checks.base import StudyCheck
from autoreg.findings import Findings

NEAR = 1e-9


class StrengthAtEdge(StudyCheck):
    """The chosen strength lies at the end of its range, so a better one may lie beyond it."""

    title = "the chosen strength lies at the end of its range"
    severity = "warning"
    remedy = "at the weak end regularization hardly helps; at the strong end little can be learned"
    references = ("Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33(1)",)

    def seen(self, findings: Findings) -> str | None:
        """Look at every strength of the final choice."""
        strengths = findings.final.chosen.candidate.strengths
        ends = {
            name: "weak" if place <= NEAR else "strong"
            for name, place in strengths.items()
            if place <= NEAR or place >= 1 - NEAR
        }
        words = [f"{name} at the {end} end" for name, end in ends.items()]
        return ", ".join(words) or None
