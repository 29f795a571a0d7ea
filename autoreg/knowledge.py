"""What finished studies teach the next one: their best settings on similar data, not their scores.

One SQLite file in the home folder: for each finished study what its table was like (meta-features)
and the best setting of each technique set. A new study that asks for it tries first what worked on
the tables nearest to its own. Likeness is measured on the scale of the tables that are known: each
meta-feature by its rank among them, so that none counts for more because its numbers are larger.

Source: Feurer, Springenberg & Hutter 2015, AAAI (warm starts by the likeness of tables).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoreg.data.dataset import Dataset, Floats
from autoreg.disk import made, transaction
from autoreg.folds import FINAL
from autoreg.trial import Trial

NEIGHBOURS = 5
TABLE = """
CREATE TABLE IF NOT EXISTS studies (
  key TEXT PRIMARY KEY, study TEXT NOT NULL, data TEXT NOT NULL, task TEXT NOT NULL,
  features TEXT NOT NULL, settings TEXT NOT NULL
)
"""


@dataclass(frozen=True)
class Lesson:
    """One finished study: its table's digest and meta-features, and its best settings in order."""

    key: str
    study: str
    data: str
    task: str
    features: Mapping[str, float]
    settings: tuple[dict[str, Any], ...]


class Knowledge:
    """The knowledge base of a home folder.

    >>> import tempfile
    >>> base = Knowledge(Path(tempfile.mkdtemp()))
    >>> base.learn(Lesson("k", "s", "d", "binary", {"rows": 5.0}, ({"family": "linear"},)))
    >>> base.settings_for("binary", {"rows": 4.0}, 3)
    [{'family': 'linear'}]
    """

    def __init__(self, home: Path) -> None:
        self.path = made(home) / "knowledge.db"
        with transaction(self.path) as connection:
            connection.execute(TABLE)

    def learn(self, lesson: Lesson) -> None:
        """Keep a finished study; learning it again changes nothing."""
        row = (
            *(lesson.key, lesson.study, lesson.data, lesson.task),
            *(json.dumps(dict(lesson.features)), json.dumps(list(lesson.settings))),
        )
        with transaction(self.path) as connection:
            connection.execute("INSERT OR REPLACE INTO studies VALUES (?, ?, ?, ?, ?, ?)", row)

    def lessons(self, task: str | None = None) -> list[Lesson]:
        """All that is known, of one task or of all, by key."""
        with transaction(self.path) as connection:
            rows = connection.execute("SELECT * FROM studies ORDER BY key").fetchall()
        found = [
            Lesson(key, study, data, of, json.loads(features), tuple(json.loads(settings)))
            for key, study, data, of, features, settings in rows
        ]
        return [one for one in found if task in (None, one.task)]

    def settings_for(
        self, task: str, features: Mapping[str, float], count: int, *, without: str = ""
    ) -> list[dict[str, Any]]:
        """At most so many settings that worked on similar tables of the same task.

        The nearest tables take turns, each with its next best. ``without`` is the digest of a
        table that must not be asked: the own one, where it is to be learned what others teach.
        """
        known = [one for one in self.lessons(task) if one.data != without]
        near = nearest(features, known, NEIGHBOURS)
        turns = (one.settings[k] for k in range(count) for one in near if k < len(one.settings))
        unique: dict[str, dict[str, Any]] = {}
        for setting in turns:
            unique.setdefault(json.dumps(setting, sort_keys=True), setting)
        return list(unique.values())[:count]


def lesson_of(key: str, study: str, table: Dataset, trials: Iterable[Trial]) -> Lesson:
    """What a finished study teaches."""
    settings = tuple(best_settings(trials, 10))
    return Lesson(key, study, table.digest, table.task, meta_features(table), settings)


def meta_features(table: Dataset) -> dict[str, float]:
    """What a table is like, in numbers that are cheap and say nothing of a single row.

    >>> from autoreg.data import load
    >>> from autoreg.spec import DataSpec
    >>> found = meta_features(load(DataSpec(source="wine")))
    >>> round(found["log_rows"], 2), found["classes"]
    (5.18, 3.0)
    """
    kinds = np.array([column.is_categorical for column in table.columns], dtype=bool)
    X = table.X[:, ~kinds] if (~kinds).any() else np.zeros((table.n, 1))
    y = table.y.astype(float)
    counts = np.bincount(table.y.astype(int)) if table.classes else np.ones(1)
    shares = counts[counts > 0] / counts.sum()
    found = {
        "log_rows": float(np.log(max(table.size, 1))),
        "log_columns": float(np.log(len(table.columns))),
        "log_ratio": float(np.log(len(table.columns) / max(table.size, 1))),
        "categorical": float(kinds.mean()),
        "missing": float(np.isnan(table.X).mean()),
        "classes": float(len(table.classes)),
        "rarest": float(shares.min()) if table.classes else 1.0,
        "ordered": float(table.time is not None),
        "grouped": float(table.group is not None),
    }
    return found | _of_columns(X, y)


def best_settings(trials: Iterable[Trial], count: int) -> list[dict[str, Any]]:
    """The best settings of a study as plain data: of each technique set its best, best sets first.

    Path strengths stay open: the next study walks the path itself. Of a study without a final
    search all searches count.
    """
    known = [one for one in trials if not one.failure]
    own = [one for one in known if one.search == FINAL] or known
    best: dict[tuple[str, str], Trial] = {}
    for one in sorted(own, key=lambda trial: trial.loss):
        best.setdefault(one.candidate.technique_set, one)
    return [one.candidate.to_data() for one in list(best.values())[:count]]


def nearest(features: Mapping[str, float], lessons: Sequence[Lesson], count: int) -> list[Lesson]:
    """The lessons of the most similar tables, the nearest first; of one table only the first."""
    if not lessons:
        return []
    names = sorted(features)
    rows = np.array([[one.features.get(name, np.nan) for name in names] for one in lessons])
    mine = np.array([features[name] for name in names])
    distances = np.abs(_ranked(rows, rows) - _ranked(rows, mine[None, :])).mean(axis=1)
    found: dict[str, Lesson] = {}
    for k in np.argsort(distances, kind="stable"):
        found.setdefault(lessons[k].data, lessons[k])
    return list(found.values())[:count]


def _of_columns(X: Floats, y: Floats) -> dict[str, float]:
    """Shapes of the numeric columns and their ties to each other and to the target."""
    rows = np.linspace(0, len(X) - 1, min(len(X), 2000)).astype(int)
    Z, target = X[rows], y[rows]
    Z = np.where(np.isnan(Z), np.nanmean(X, axis=0), Z)
    spread = Z.std(axis=0)
    Z = (Z - Z.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    if Z.shape[1] == 0:
        return {"skew": 0.0, "rank": 0.0, "tie": 0.0, "tail": 0.0}
    strength = np.linalg.svd(Z, compute_uv=False) ** 2
    shares = strength / strength.sum()
    effective = np.exp(-(shares[shares > 0] * np.log(shares[shares > 0])).sum()) / Z.shape[1]
    ties = np.abs(Z.T @ (target - target.mean())) / len(target) / max(float(target.std()), 1e-12)
    return {
        "skew": float(np.abs((Z**3).mean(axis=0)).mean()),
        "rank": float(effective),
        "tie": float(ties.max()),
        "tail": float(np.log1p(np.abs(Z).max(axis=0)).mean()),
    }


def _ranked(known: Floats, values: Floats) -> Floats:
    """The share of the known values below each value, a half for equal ones, column by column."""
    with np.errstate(invalid="ignore"):
        below = (known[None] < values[:, None]).mean(axis=1)
        equal = (known[None] == values[:, None]).mean(axis=1)
    return np.asarray(below + equal / 2)
