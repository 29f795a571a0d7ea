"""A study for a caller who reads its result only: no report, no MLflow, no alarms that stop it.

Where a class has too few rows to be cut into folds nothing can be searched or judged. Then the
default recipe of the space is fitted as it is, with a warning, so that a pipeline over many small
tables does not end at one of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autoreg.candidate import Candidate
from autoreg.clock import Window
from autoreg.data import load
from autoreg.engines import engine_for
from autoreg.engines.base import Failure, Job, TrainingSet
from autoreg.errors import NoValidTrialError
from autoreg.lease import leased
from autoreg.ledger import Ledger
from autoreg.model import Model
from autoreg.progress import Silent
from autoreg.result import StudyResult
from autoreg.sealed import Openings
from autoreg.space import Space
from autoreg.spec import SpaceSpec
from autoreg.study import conducted, prepare, read, searched

if TYPE_CHECKING:
    import pandas as pd

CLOSING = 1.0  # seconds behind the last fit: there is no report to write


class UnjudgedWarning(UserWarning):
    """Too few rows to search: the default recipe was fitted, and nobody knows how good it is."""


def answered(
    study: Mapping[str, Any], data: pd.DataFrame, workers: int | None, within: float | None
) -> StudyResult:
    """Run a study from its beginning, within so many minutes; its ledger lives as long as it runs.

    Raises BudgetError where they are over before anything could be compared.
    """
    window = Window.of(within, CLOSING)
    ready = prepare(study, data, workers=workers)
    with tempfile.TemporaryDirectory(prefix="autoreg-") as place:
        folder = Path(place)
        ledger = Ledger.open(folder / "ledger.jsonl", ready.header)
        with leased(folder) as lease:
            trials = searched(ready, ledger, Silent(), window, lease)
        openings = Openings(folder)
        findings, model = conducted(ready, trials, ledger, Silent(), openings, reopen=False)
    return StudyResult(findings, model, folder)


def unjudged(study: Mapping[str, Any], data: pd.DataFrame) -> tuple[Candidate, Model]:
    """The default recipe of a study's space, fitted on all rows.

    Raises DataError for a table that cannot be read, NoValidTrialError where the fit fails.
    """
    spec = read(study)
    table = load(spec.data, data)
    assert isinstance(spec.space, SpaceSpec)
    space = Space.build(
        spec.space, table.task, spec.linear, first=spec.first, own=spec.own, **table.traits
    )
    one = next(c for c in space.design() if c.technique_set == space.incumbent)
    if one.path is not None:
        one = one.at(one.path.default)
    rows = np.arange(table.n)
    job = Job(
        one,
        TrainingSet(rows, ()),
        rows[:1],
        spec.seed,
        settings=spec.training,
        linear=spec.linear,
        keep_model=True,
    )
    (outcome,) = engine_for([one], table.task, spec.own).run([job], table)
    if isinstance(outcome, Failure):
        raise NoValidTrialError(f"the fit of {one.describe()} failed: {outcome.reason}")
    assert outcome.model is not None, "it was asked for"
    about = {"study": spec.study, "candidate": one.to_data()}
    return one, Model(table.columns, table.task, table.target, table.classes, outcome.model, about)
