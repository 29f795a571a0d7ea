"""A study that is ready to start: everything read and checked, before the first fit.

question + data -> checks -> sealed | development -> folds, space, engine -> Bench
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoreg import __version__
from autoreg.alarm import Alarm
from autoreg.checks import look_at_table
from autoreg.data import load
from autoreg.data.constraints import check_linear
from autoreg.data.dataset import Dataset
from autoreg.data.encoding import describe
from autoreg.data.stream import stream
from autoreg.engines import check_families, engine_for
from autoreg.engines.attack import movable
from autoreg.engines.pack import check_device
from autoreg.engines.spread import Spread
from autoreg.errors import DataError, SpecError
from autoreg.final import searches_for
from autoreg.folds import Plan, plan
from autoreg.knowledge import Knowledge, lesson_of, meta_features
from autoreg.metrics import default_metrics, metric, undefined
from autoreg.scoring import Bench
from autoreg.sealed import Sealed, seal
from autoreg.space import Space
from autoreg.spec import SpaceSpec, StudySpec, check_own, read_study, study_from
from autoreg.state import recorded_question
from autoreg.trial import Trial

if TYPE_CHECKING:
    import pandas as pd

LEDGER_FORMAT = 2


@dataclass(frozen=True, eq=False)
class Prepared:
    """A study that is ready to start: checked, its held-out rows sealed, nothing fitted."""

    spec: StudySpec
    bench: Bench
    held_out: Sealed | None
    facts: Mapping[str, Any]
    alarms: tuple[Alarm, ...] = ()

    @property
    def splits(self) -> dict[str, Any]:
        """Plain facts about the splits."""
        held_out = self.held_out.n if self.held_out else 0
        rows = {"development_rows": self.bench.table.size, "held_out_rows": held_out}
        return {**self.bench.plan.describe(), **rows}

    @property
    def header(self) -> dict[str, Any]:
        """What a ledger must agree with to be continued."""
        return {
            "format": LEDGER_FORMAT,
            "study": self.spec.study,
            "configuration": self.spec.digest,
            "data": self.bench.table.digest,
            "splits": self.bench.plan.digest,
        }

    def key(self, tick: str | None = None) -> str:
        """What tells this question from every other: configuration, data, code, and occasion.

        ``tick`` names the occasion, a date for example: the same question may be asked again.
        """
        parts = [self.header, __version__, tick]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


def prepare(
    study: StudySpec | Mapping[str, Any] | str | Path,
    data: pd.DataFrame | tuple[Any, Any] | None = None,
    *,
    workers: int | None = None,
    executor: str | None = None,
) -> Prepared:
    """Read and check everything that a study needs, before the first fit.

    Raises SpecError, DataError or SpaceError, naming the place and the remedy.

    >>> prepare("breast_cancer").held_out
    Sealed(114 rows)
    """
    spec = read(study)
    table = table_of(spec, data)
    assert isinstance(spec.space, SpaceSpec)
    alarms = look_at_table(table, spec).alarms
    check_linear(spec.linear, spec.space, table)
    check_own(spec)
    development, held_out = seal(table, spec.held_out)
    folds = plan(development, spec.folds, spec.seed, cheap=spec.is_linear)
    folds = searches_for(folds, spec.select.final)
    space = Space.build(
        spec.space, table.task, spec.linear, first=spec.first, own=spec.own, **table.traits
    )
    metrics = _metrics(spec, development, folds)
    check_families(spec.own, table)
    engine = engine_for(space.design(), table.task, spec.own)
    engine = Spread(engine, executor) if executor else engine
    check_device(spec.training.device)
    cores = workers or len(os.sched_getaffinity(0))
    spec = spec.model_copy(update={"training": spec.training.on(development.size)})
    bench = Bench(development, folds, space, spec, engine, metrics, cores)
    return Prepared(spec, bench, held_out, describe(table), alarms)


def taught(spec: StudySpec, data: Any, home: Path, count: int, *, anew: bool) -> StudySpec:
    """The study with settings to try first: what worked on similar tables in a home folder.

    A study that was begun keeps what it was begun with, whatever was learned in between, so that it
    can be continued; unless it is to begin ``anew``. Only tables that are not this one teach: what
    was found on the same rows would make the nested estimate optimistic.
    """
    begun = None if anew else recorded_question(home, spec.study)
    if begun is not None and begun.first[: len(spec.first)] == spec.first:
        return spec.model_copy(update={"first": begun.first})
    table = table_of(spec, data)
    development, _ = seal(table, spec.held_out)
    known = Knowledge(home)
    found = known.settings_for(
        table.task, meta_features(development), count, without=development.digest
    )
    return spec.model_copy(update={"first": (*spec.first, *found)})


def remember(ready: Prepared, trials: Mapping[str, Sequence[Trial]], home: Path) -> None:
    """Let a finished study teach later ones; streams are not kept in memory and teach nothing."""
    table = ready.bench.table
    if table.streamed is None:
        every = [trial for own in trials.values() for trial in own]
        Knowledge(home).learn(lesson_of(ready.key(), ready.spec.study, table, every))


def read(study: StudySpec | Mapping[str, Any] | str | Path) -> StudySpec:
    """A study in any of the forms in which it may be given."""
    if isinstance(study, StudySpec):
        return study
    return study_from(dict(study)) if isinstance(study, Mapping) else read_study(study)


def table_of(spec: StudySpec, data: pd.DataFrame | tuple[Any, Any] | None) -> Dataset:
    """All rows of a study, held-out ones included."""
    return stream(spec) if spec.data.stream else load(spec.data, data)


def _metrics(spec: StudySpec, table: Dataset, folds: Plan) -> tuple[str, ...]:
    """The metrics of a study; one that a fold cannot define is an error before the search."""
    by = () if spec.select.metric is None else (spec.select.metric,)
    default = default_metrics(table.task, streamed=table.streamed is not None)
    names = tuple(dict.fromkeys((*spec.metrics, *by) if spec.metrics else (*by, *default)))
    _check_monitored(spec, table, names)
    for name in names:
        scored = folds.folds if name in by else folds.outer
        targets = (table.y[fold.test] for fold in scored)
        if reason := undefined(metric(name, table.task), targets, len(table.classes)):
            raise DataError(f"{reason}; use fewer folds, or leave {name} out of `metrics`")
    return names


def _check_monitored(spec: StudySpec, table: Dataset, names: tuple[str, ...]) -> None:
    """Raise where a metric that needs a model is to choose or to be shown, or can move nothing."""
    monitored = [name for name in names if metric(name).reach]
    if not monitored:
        return
    one = monitored[0]
    if spec.select.metric in monitored or names[0] in monitored:
        role = "select: metric" if spec.select.metric in monitored else "the first of `metrics`"
        raise SpecError(
            f"{one} needs the models, which searches do not keep: it is monitored beside other "
            f"metrics and cannot be {role}; name accuracy there, for example"
        )
    if spec.own:
        raise SpecError(
            f"{one} moves rows against a model, and autoreg does not know how those of your own "
            f"are moved against: leave out {one}, or {' and '.join(spec.own)}"
        )
    if not movable(table.columns).any():
        raise DataError(f"{one} moves numbers, and no column holds any; leave it out of `metrics`")
