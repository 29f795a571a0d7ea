"""Alarms before and after a study: one file of this folder is one check, found by walking it."""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from autoreg.alarm import SEVERITIES, Alarm
from autoreg.checks.base import Check, Look, StudyCheck, TableCheck
from autoreg.data.dataset import Dataset
from autoreg.errors import DataError, SpecError
from autoreg.findings import Findings
from autoreg.spec import StudySpec

__all__ = [
    "Answers",
    "Check",
    "Look",
    "StudyCheck",
    "TableCheck",
    "checks",
    "look_at_study",
    "look_at_table",
    "refuse_errors",
]


@dataclass(frozen=True)
class Answers:
    """What the checks of a table said: alarms, worst first; who is content; who has no question."""

    alarms: tuple[Alarm, ...]
    passed: tuple[str, ...]
    not_asked: dict[str, str]

    @property
    def lines(self) -> list[str]:
        """The answers in words: alarms, worst first; then who is content, who has no question."""
        found = [f"{one.severity:<8} {one.line}" for one in self.alarms]
        quiet = [f"{'fine':<8} {', '.join(self.passed)}"] if self.passed else []
        return [*found, *quiet, *(f"{'unasked':<8} {k}: {v}" for k, v in self.not_asked.items())]

    def to_data(self) -> dict[str, Any]:
        """The answers as plain data."""
        alarms = [one.to_data() for one in self.alarms]
        return {"alarms": alarms, "passed": list(self.passed), "not_asked": self.not_asked}


@cache
def checks() -> dict[str, Check]:
    """All checks by code, in alphabetical order.

    >>> "duplicate_rows" in checks()
    True
    """
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: _check_of(f"{__name__}.{name}") for name in names if name != "base"}


def look_at_table(table: Dataset, spec: StudySpec) -> Answers:
    """Ask every check about a table, before its study; codes in ``spec.ignore`` are left out.

    Raises SpecError for an ignored code that no check has.

    >>> from autoreg.data import load
    >>> spec = StudySpec(study="s", data={"source": "breast_cancer"})
    >>> look_at_table(load(spec.data), spec).alarms
    ()
    """
    _know(spec.ignore)
    look, alarms, passed, not_asked = Look.at(table, spec), [], [], {}
    for check in checks().values():
        if not isinstance(check, TableCheck) or check.code in spec.ignore:
            continue
        reason = "the file is streamed" if table.streamed is not None else check.why_not(look)
        if reason:
            not_asked[check.code] = reason
        elif words := check.seen(look):
            alarms.append(_alarm(check, words))
        else:
            passed.append(check.code)
    return Answers(_sorted(alarms), tuple(passed), not_asked)


def look_at_study(findings: Findings) -> tuple[Alarm, ...]:
    """Ask every check about a finished study; worst first, those about its table included."""
    found = [
        _alarm(check, words)
        for check in checks().values()
        if isinstance(check, StudyCheck)
        and check.code not in findings.spec.ignore
        and (words := check.seen(findings))
    ]
    return _sorted([*findings.alarms, *found])


def refuse_errors(alarms: Iterable[Alarm]) -> None:
    """Raise DataError where an alarm is an error: no number of such a study would mean anything."""
    wrong = [one for one in alarms if one.severity == "error"]
    if wrong:
        codes = ", ".join(one.code for one in wrong)
        raise DataError("\n".join([*(one.line for one in wrong), f"(or set ignore: [{codes}])"]))


def _alarm(check: Check, words: str) -> Alarm:
    return Alarm(check.code, check.severity, check.title, words, check.remedy)


def _sorted(alarms: Iterable[Alarm]) -> tuple[Alarm, ...]:
    return tuple(sorted(alarms, key=lambda one: (SEVERITIES.index(one.severity), one.code)))


def _know(codes: Iterable[str]) -> None:
    for code in codes:
        if code not in checks():
            near = difflib.get_close_matches(code, checks(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(checks())}"
            raise SpecError(f"ignore: there is no check {code!r}; {hint}")


def _check_of(module: str) -> Check:
    members = vars(import_module(module)).values()
    kinds = [
        member
        for member in members
        if isinstance(member, type) and issubclass(member, Check) and member.__module__ == module
    ]
    if len(kinds) != 1:
        raise TypeError(f"{module} must define exactly one check, found {len(kinds)}")
    found: Check = kinds[0]()
    return found
