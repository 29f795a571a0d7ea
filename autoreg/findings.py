"""Everything that a finished study found, in one frozen value: what report and tracking read.

Report and tracking format; they never compute. Whatever they show is here already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoreg.coefficients import CoefficientPath
from autoreg.select import Selection
from autoreg.space import Space
from autoreg.spec import StudySpec
from autoreg.trial import Trial
from autoreg.verdict import Verdict


@dataclass(frozen=True, eq=False)
class Findings:
    """A study's question, data, trials, selections and verdict.

    ``data`` and ``splits`` are facts in plain JSON types: of the data ``name``, ``source``,
    ``digest``, ``rows``, ``columns`` (features), ``numeric``, ``categorical``,
    ``missing_cells``, ``task``, ``target``, ``classes`` (label -> count, or {}), ``roles``
    (role -> column); of the splits ``splitter``, ``outer``, ``inner``, ``repeats``,
    ``development_rows``, ``held_out_rows``, ``digest``. ``coefficients`` are those of the final
    model along its path, where it is linear.
    """

    spec: StudySpec
    space: Space
    data: Mapping[str, Any]
    splits: Mapping[str, Any]
    trials: tuple[Trial, ...]
    selections: Mapping[str, Selection]
    verdict: Verdict
    seconds: float = 0.0
    versions: Mapping[str, str] | None = None
    remarks: tuple[str, ...] = ()
    coefficients: CoefficientPath | None = None

    @property
    def final(self) -> Selection:
        """The selection of the search over all development rows."""
        return self.selections["final"]
