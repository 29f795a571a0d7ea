"""A class has so few rows that some fold lacks it, or learns it from almost none."""

from __future__ import annotations

import numpy as np

from autoreg.checks.base import Look, TableCheck


class RareClass(TableCheck):
    """A class has so few rows that some fold lacks it, or learns it from almost none."""

    title = "a class has fewer rows (or groups) than there are outer folds"
    severity = "error"
    remedy = "ask for fewer folds, merge the class with another, or leave its rows out"
    references = ("Kohavi 1995, IJCAI (stratification)",)

    def why_not(self, look: Look) -> str | None:
        """Numbers have no classes, and time cuts as it must."""
        if not look.table.classes:
            return "the target has no classes"
        return None if look.table.time is None else "time is declared"

    def seen(self, look: Look) -> str | None:
        """Count the rows of each class, or the groups that have such rows."""
        group = np.arange(look.n) if look.table.group is None else look.table.group
        counts = [len(np.unique(group[look.table.y == k])) for k in range(len(look.table.classes))]
        few = int(np.argmin(counts))
        if counts[few] >= look.spec.folds.outer or look.table.fold is not None:
            return None
        what = "rows" if look.table.group is None else "groups"
        label = look.table.classes[few]
        return f"class {label!r} has {counts[few]} {what}, for {look.spec.folds.outer} folds"
