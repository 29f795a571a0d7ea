"""Almost no loss is left on rows that no search has seen: seldom true, often a leak."""

from __future__ import annotations

from autoreg.checks.base import StudyCheck
from autoreg.findings import Findings

LEFT = 0.002


class TooGood(StudyCheck):
    """Almost no loss is left on rows that no search has seen: seldom true, often a leak."""

    title = "almost no loss is left on rows that the searches never saw"
    severity = "warning"
    remedy = "look for a column that was made from the target or is known only after it"
    references = ("Kapoor & Narayanan 2023, Patterns 4(9)", "Kaufman et al. 2012, TKDD 6(4)")

    def seen(self, findings: Findings) -> str | None:
        """Compare with the featureless model."""
        verdict = findings.verdict
        share = verdict.nested_loss.value / max(verdict.baseline_loss.value, 1e-300)
        return f"{share:.2%} of the featureless model's loss" if share < LEFT else None
