"""What has changed since the last tuning: the columns, the rows, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoreg.data.dataset import Column, Dataset
from autoreg.data.parts import MISSING
from autoreg.data.view import viewed
from autoreg.errors import DataError
from autoreg.sealed import row_hashes
from autoreg.watch.drift import TARGET, Shift, shifts
from autoreg.watch.watching import DriftSpec, WatchSpec

NAMED = 3  # of many columns that moved


@dataclass(frozen=True)
class Change:
    """How many rows are new, how far they lie from those of then, and which columns are new."""

    fresh: int
    moved: tuple[Shift, ...] = ()
    columns: tuple[str, ...] = ()

    def reason(self, spec: WatchSpec, skipped: int) -> str | None:
        """Why to tune again, in words; None where there is no reason."""
        if self.fresh < spec.fresh:
            return None
        if far := [one for one in self.moved if one.moved]:
            more = f" and {len(far) - NAMED} more" if len(far) > NAMED else ""
            what = "the target moved" if far[0].column == TARGET else "columns moved"
            return f"{what}: {', '.join(map(str, far[:NAMED]))}{more}"
        if self.columns:
            return f"columns are new: {', '.join(self.columns)}"
        if spec.every is not None and skipped >= spec.every:
            return f"{skipped} ticks were skipped since the last tuning"
        return None

    def calm(self, least: int) -> str:
        """Why not to, in words."""
        if self.fresh < least:
            return f"only {self.fresh} rows are new; it takes {least}"
        most = f"; the farthest is {self.moved[0]}" if self.moved else ""
        return f"{self.fresh} new rows, and nothing has moved{most}"


def changed(now: Dataset, then: Dataset | None, key: str, spec: DriftSpec) -> Change:
    """Compare today's table with that of then, under the columns and classes of then.

    Raises DataError naming every column that is gone or has become something else.
    """
    if then is None:
        return Change(now.n)
    new = _new_columns(then, now)
    view = _relabelled(viewed(now, then.columns), then)
    known = set(row_hashes(then, key))
    fresh = np.flatnonzero([one not in known for one in row_hashes(view, key)])
    if not len(fresh):
        return Change(0, (), new)
    return Change(len(fresh), tuple(shifts(then, view.rows(fresh), spec)), new)


def _new_columns(then: Dataset, now: Dataset) -> tuple[str, ...]:
    """Columns of the source that were not there then. Raises DataError where the others differ."""
    before, today = (_kinds(one.columns) for one in (then, now))
    wrong = [f"column {name!r} is gone" for name in before if name not in today]
    wrong += [
        f"column {name!r} was {kind} and is {today[name]} now"
        for name, kind in before.items()
        if today.get(name, kind) != kind
    ]
    if then.task != now.task:
        few = ", ".join(map(str, now.classes[:4]))
        wrong.append(
            f"the target {now.target!r} was {then.task} and is {now.task} now"
            f"{f' ({len(now.classes)} classes: {few}, ...)' if now.classes else ''}"
        )
    if wrong:
        raise DataError(
            f"the source has changed, and the champion needs it as it was: {'; '.join(wrong)}. "
            f"Mend the source (data: categorical and data: task say what a column is), or begin a "
            f"watch of another name"
        )
    return tuple(name for name in today if name not in before)


def _kinds(columns: Sequence[Column]) -> dict[str, str]:
    """What each column of the source is taken for; marks of gaps are none of its own."""
    own = [column for column in columns if column.part != MISSING]
    return {column.read_from: "dates" if column.part else column.kind for column in own}


def _relabelled(now: Dataset, then: Dataset) -> Dataset:
    """The rows under the classes of then, those that are new behind them."""
    if not then.classes:
        return now
    classes = (*then.classes, *sorted(set(now.classes) - set(then.classes), key=str))
    places = {label: k for k, label in enumerate(classes)}
    y = np.array([places[now.classes[int(k)]] for k in now.y], dtype=np.int64)
    return replace(now, y=y, classes=classes)
