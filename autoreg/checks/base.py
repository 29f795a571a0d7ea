"""What a check is: one question to a table, or to a finished study, with a code of its own.

A check lives in one file of this folder and the folder is the registry: the file name is its
code. Checks of tables see ALL rows, held-out ones included, because leaks cross the split; they
tell columns and counts and never values, and nothing of what they see reaches a search.

Why thresholds are strict: an alarm that rings on clean data is soon ignored. Every question that
chance could answer with yes has its error bounded over all columns together
(:data:`CHANCE` for each check), so that all checks together ring on less than 5 % of clean tables.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from autoreg.alarm import Severity
from autoreg.data.dataset import Column, Dataset, Floats, Rows
from autoreg.findings import Findings
from autoreg.spec import StudySpec

CHANCE = 0.002  # of a false alarm, for each check and over all columns together
MOST_ROWS = 20_000  # that are looked at: the first ones
NAMED = 3  # columns that an alarm names
COUNTS_OF_TIME = r"(?:^|[_\W])(date|datetime|time|timestamp|year|month|week|day|t)(?:$|[_\W\d])"
COUNTS_OF_GROUPS = (
    r"(?:^|[_\W])(id|subject|patient|person|user|customer|client|household|family|site|school|"
    r"hospital|store|device|machine|batch|plate|animal|speaker|writer|session)(?:$|[_\W\d])"
)


@dataclass(frozen=True, eq=False)
class Look:
    """A table before its study, as checks see it: at most the first 20,000 rows."""

    table: Dataset
    spec: StudySpec

    @classmethod
    def at(cls, table: Dataset, spec: StudySpec) -> Look:
        """A look at a table."""
        few = table if table.n <= MOST_ROWS else table.rows(np.arange(MOST_ROWS))
        return cls(few, spec)

    @property
    def n(self) -> int:
        """The number of rows."""
        return self.table.n

    @property
    def X(self) -> Floats:
        """All feature cells (n, p); categorical ones are positions of levels."""
        return self.table.X

    @cached_property
    def names(self) -> list[str]:
        """The feature columns' names."""
        return [column.name for column in self.table.columns]

    @cached_property
    def distinct(self) -> Rows:
        """The number of distinct values of each column, (p,); missing cells are none."""
        ordered = np.sort(self.X, axis=0)  # missing cells come last
        steps = (ordered[1:] != ordered[:-1]) & ~np.isnan(ordered[1:])
        return np.asarray(steps.sum(axis=0) + (~np.isnan(ordered[0])).astype(int), dtype=np.int64)

    @cached_property
    def numeric(self) -> Rows:
        """Positions of numeric columns that vary; parts of dates repeat by their nature."""
        kinds = np.array(
            [column.kind == "numeric" and not column.part for column in self.table.columns],
            dtype=bool,
        )
        return np.flatnonzero(kinds & (self.distinct > 1))

    @cached_property
    def continuous(self) -> Rows:
        """Positions of numeric columns whose values hardly repeat, nothing missing."""
        gaps = np.atleast_1d(np.isnan(self.X).any(axis=0))
        many = self.distinct >= 0.8 * self.n
        return np.array([j for j in self.numeric if many[j] and not gaps[j]], dtype=np.int64)

    @cached_property
    def is_by_target(self) -> bool:
        """Whether the rows are sorted by a numeric target, or lie class by class."""
        if self.table.classes:
            return int((np.diff(self.table.y) != 0).sum()) < 2 * len(self.table.classes)
        steps = np.diff(self.table.y)
        return bool((steps >= 0).mean() > 0.95 or (steps <= 0).mean() > 0.95)

    @property
    def is_independent(self) -> bool:
        """Whether the study takes rows for independent: no role says how they hang together."""
        return self.table.group is None and self.table.time is None and self.table.fold is None


class Check(ABC):
    """One question; subclasses state ``title``, ``severity``, ``remedy`` and ``references``.

    The title is what is the matter where the alarm rings, in words; the remedy what to do then.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    severity: ClassVar[Severity]
    remedy: ClassVar[str]
    references: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Take the code from the file."""
        cls.code = cls.__module__.rpartition(".")[2]


class TableCheck(Check):
    """A question to a table, before its study."""

    def why_not(self, look: Look) -> str | None:
        """Why the question does not arise, in words; not to be confused with a clean answer."""
        return None

    @abstractmethod
    def seen(self, look: Look) -> str | None:
        """What is the matter, in words with numbers; None where nothing is."""


class StudyCheck(Check):
    """A question to a finished study."""

    @abstractmethod
    def seen(self, findings: Findings) -> str | None:
        """What is the matter, in words with numbers; None where nothing is."""


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    every = [repr(name) for name in names]
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more


def is_called(column: Column, pattern: str) -> bool:
    """Whether a column's name holds one of the words of a pattern.

    >>> is_called(Column("visit_date", "numeric"), COUNTS_OF_TIME)
    True
    >>> is_called(Column("update", "numeric"), COUNTS_OF_TIME)
    False
    """
    return re.search(pattern, column.name, re.IGNORECASE) is not None


def ranks(values: Floats) -> Floats:
    """Centred ranks (n, p) of the columns of (n, p), scaled to mean square 1; ties share theirs."""
    from scipy.stats import rankdata

    ranked = rankdata(values, axis=0)
    ranked -= ranked.mean(axis=0)
    scale = np.sqrt((ranked**2).mean(axis=0))
    return np.asarray(ranked / np.where(scale > 0, scale, 1.0))
