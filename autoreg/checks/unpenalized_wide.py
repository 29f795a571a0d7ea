"""There are more columns than rows, and models without any penalty are in the space."""

from __future__ import annotations

from autoreg.checks.base import Look, TableCheck
from autoreg.spec import SpaceSpec


class UnpenalizedWide(TableCheck):
    """There are more columns than rows, and models without any penalty are in the space."""

    title = "there are more columns than rows, and the space offers no regularization at all"
    severity = "info"
    remedy = "it fits the training rows exactly (least norm), as a yardstick; do not choose it"
    references = ("Hastie et al. 2022, Annals of Statistics 50(2) (ridgeless least squares)",)

    def seen(self, look: Look) -> str | None:
        """Compare the numbers."""
        space = look.spec.space
        offered = isinstance(space, SpaceSpec) and any(
            "none" in family.techniques for family in space.families.values()
        )
        wide = look.X.shape[1] > look.n
        return f"{look.X.shape[1]} columns, {look.n} rows" if offered and wide else None
