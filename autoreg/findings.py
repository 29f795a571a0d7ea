"""Everything that a finished study found, in one frozen value: what report and tracking read.

Report and tracking format; they never compute. Whatever they show is here already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoreg.alarm import Advice, Alarm, SheetItem
from autoreg.attribution import Attribution
from autoreg.budget import Budget
from autoreg.certificate import Certificate
from autoreg.coefficients import CoefficientPath
from autoreg.evidence import Evidence
from autoreg.importance import Importance
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
    model along its path, where it is linear. ``budget`` is what the outer searches would have
    given after fewer trials. ``certificate`` is the proof that nothing leaked, where there is one.
    ``alarms`` are those of the table and of the study, ``evidence`` corrections and tests beside
    the verdict, ``sheet`` the model info sheet, ``attribution`` what the winner's ingredients are
    worth. ``importance`` says which decisions of the searches mattered, ``advice`` what to try
    next.
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
    budget: tuple[Budget, ...] = ()
    certificate: Certificate | None = None
    alarms: tuple[Alarm, ...] = ()
    evidence: Evidence = Evidence()
    sheet: tuple[SheetItem, ...] = ()
    importance: tuple[Importance, ...] = ()
    advice: tuple[Advice, ...] = ()
    attribution: Attribution | None = None

    @property
    def final(self) -> Selection:
        """The selection on all development rows."""
        return self.selections["final"]

    @property
    def lead(self) -> str:
        """The search that the final selection comes from; its trials are the ones shown."""
        return self.final.source or self.final.search

    @property
    def has_model(self) -> bool:
        """Whether a final model was asked for, and can be stored."""
        return self.spec.select.makes_model and self.final.chosen.candidate.family not in (
            self.spec.own
        )
