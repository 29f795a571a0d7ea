"""The held-out rows have been looked at before, so that choices may have followed them."""

from __future__ import annotations

from autoreg.checks.base import StudyCheck
from autoreg.findings import Findings


class HeldOutReused(StudyCheck):
    """The held-out rows have been looked at before, so that choices may have followed them."""

    title = "the held-out rows are not fresh"
    severity = "warning"
    remedy = "believe the nested score; collect new rows for a last test"
    references = ("Dwork et al. 2015, Science 349(6248)", "Blum & Hardt 2015, ICML")

    def seen(self, findings: Findings) -> str | None:
        """Read what the ledger of openings said."""
        judged = findings.verdict.held_out
        if judged is None or not judged.opening.startswith(("reused", "sealed")):
            return None
        return judged.opening
