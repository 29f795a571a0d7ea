"""The best inner loss lies below the whole interval of the nested one: the search was lucky."""

from __future__ import annotations

from autoreg.checks.base import StudyCheck
from autoreg.findings import Findings


class OptimisticSearch(StudyCheck):
    """The best inner loss lies below the whole interval of the nested one: it was lucky."""

    title = "the best inner loss is better than the nested one can be explained with"
    severity = "info"
    remedy = "report the nested score; fewer trials, or more rows, narrow the gap"
    references = (
        "Cawley & Talbot 2010, JMLR 11",
        "Schneider, Bischl & Feurer 2025, AutoML (overtuning)",
    )

    def seen(self, findings: Findings) -> str | None:
        """Compare the two."""
        verdict = findings.verdict
        inner, nested = verdict.inner_best_loss, verdict.nested_loss
        if inner >= nested.low:
            return None
        return f"{inner:.4g} inside, {nested.low:.4g} to {nested.high:.4g} nested"
