"""Fits of a user's own estimator: a fresh one for each training set, on preprocessed inputs.

It is given what all families are given: standardized inputs of the training rows, their targets as
the table has them (class labels, numbers in original units) and, where the study has weights, row
weights. Everything random in it is seeded by the name of the fit.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from autoreg.data.dataset import Dataset, Floats, Label, Rows
from autoreg.dials import Value
from autoreg.engines.base import Fit, Job, Outcome, checked, mean_losses
from autoreg.model import Parameters
from autoreg.own_spec import EstimatorSpec
from autoreg.preprocess import Preprocessor
from autoreg.spec import seed_for

RANDOM = "random_state"
ALONE = Lock()  # warnings and NumPy's global stream are one for all threads of a process
LONGEST = 120  # letters of a warning that are kept
CALIBRATED = "wrap it in scikit-learn's CalibratedClassifierCV, its dials become `estimator__...`"


@dataclass(frozen=True, eq=False)
class FittedEstimator:
    """A fitted estimator and the classes of its study; means are its ``predict``."""

    fitted: Any
    classes: tuple[Label, ...]

    def predictions(self, inputs: Floats) -> Floats:
        """Means (n, 1), or probabilities (n, C) in the order of the classes, for inputs (n, q).

        A class that no training row had gets 0.
        """
        if not self.classes:
            return np.asarray(self.fitted.predict(inputs), dtype=np.float64).reshape(-1, 1)
        places = {label: place for place, label in enumerate(self.classes)}
        seen = [places[label] for label in self.fitted.classes_.tolist()]
        found = np.zeros((len(inputs), len(self.classes)))
        found[:, seen] = self.fitted.predict_proba(inputs)
        return found


def fit_estimator(spec: EstimatorSpec, job: Job, table: Dataset) -> Outcome:
    """Fit one estimator; warnings that it gives become flags of the fit."""
    start = time.perf_counter()
    rows = job.training.rows
    scaling = Preprocessor.of(table, rows)
    inputs = scaling.inputs(table.X[rows])
    estimator = prepared(spec, dict(job.candidate.architecture), job.fit_seed)
    weights = {} if table.weight is None else {"sample_weight": table.weights[rows]}
    with ALONE, warnings.catch_warnings(record=True) as caught, seeded(job.fit_seed):
        warnings.simplefilter("always")
        estimator.fit(inputs, labels(table, rows), **weights)
        model = FittedEstimator(estimator, table.classes)
        predicted = model.predictions(scaling.transform(table.X[job.predict]))[None]
        trained = model.predictions(inputs)[None]
    fit = Fit(
        predictions=predicted,
        losses=mean_losses(table, job.predict, predicted),
        train_loss=mean_losses(table, rows, trained),
        flags=tuple(sorted({remark(one) for one in caught})),
        seconds=time.perf_counter() - start,
        model=Parameters(job.candidate.family, {}, scaling, own=model) if job.keep_model else None,
    )
    return checked(fit)


def remark(caught: warnings.WarningMessage) -> str:
    """A warning in a line: its kind, and what its first line says."""
    first = str(caught.message).strip().partition("\n")[0]
    return f"{caught.category.__name__}: {first[:LONGEST]}"


def labels(table: Dataset, rows: Rows) -> Any:
    """The targets (n,) of rows as the table has them: labels, or numbers."""
    if not table.classes:
        return table.y[rows]
    return np.array(table.classes)[table.y[rows].astype(np.int64)]


def prepared(spec: EstimatorSpec, dials: Mapping[str, Value], fit_seed: int) -> Any:
    """An estimator with its dials set, and a seed wherever it would be random otherwise.

    >>> from sklearn.svm import SVC
    >>> spec = EstimatorSpec(path="sklearn.svm.SVC", params={"probability": True})
    >>> prepared(spec, {"C": 2.0}, 7).C
    2.0
    """
    estimator = spec.fresh().set_params(**dials)
    for name, value in sorted(estimator.get_params(deep=True).items()):
        is_seed = name == RANDOM or name.endswith(f"__{RANDOM}")
        if is_seed and not isinstance(value, int | np.integer):
            estimator.set_params(**{name: seed_for(fit_seed, name)})
    return estimator


@contextmanager
def seeded(fit_seed: int) -> Iterator[None]:
    """NumPy's global random numbers seeded, for estimators that use them; put back afterwards."""
    before = np.random.get_state()  # noqa: NPY002 # it is the global one that is meant
    np.random.seed(seed_for(fit_seed, "global"))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def problem(spec: EstimatorSpec, table: Dataset) -> str | None:
    """Why an estimator cannot be part of a study of this table, in words; None where it can."""
    from sklearn.base import is_classifier, is_regressor
    from sklearn.utils.validation import has_fit_parameter

    defaults = {dial.name: dial.default for dial in spec.box}
    try:
        estimator = prepared(spec, defaults, 0)
    except (TypeError, ValueError) as error:
        return f"{spec.named} does not take {defaults}: {error}"
    if table.classes and is_regressor(estimator):
        return f"{spec.named} is a regressor, and the study has classes; leave it out"
    if not table.classes and is_classifier(estimator):
        return f"{spec.named} is a classifier, and the study predicts numbers; leave it out"
    if table.classes and not hasattr(estimator, "predict_proba"):
        return (
            f"{spec.named} has no predict_proba as it is set up, and candidates are compared by "
            f"the log loss of class probabilities; {CALIBRATED}"
        )
    if table.weight is not None and not has_fit_parameter(estimator, "sample_weight"):
        return (
            f"{spec.named} takes no sample_weight, and the study has weights; leave out one of them"
        )
    return None
