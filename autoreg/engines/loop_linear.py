"""The plain linear engine: one training set and one path of strengths at a time.

What is minimized is told in ``linear_objective.py``; L1 and L2 alone are solved in
``linear.py``, other penalties and all constraints in ``proximal.py``, the rest in ``plain.py``.
"""

from __future__ import annotations

import time

import numpy as np

from autoreg.data.dataset import Dataset, Floats
from autoreg.engines.base import Fit, Job, Outcome, checked, mean_losses
from autoreg.engines.burden import Inputs
from autoreg.engines.linear import Path, solve
from autoreg.engines.linear_objective import Sample
from autoreg.engines.plain import components, evidence
from autoreg.engines.proximal import at_most, walk
from autoreg.engines.reading import freedom, selected_columns, spectrum_of, with_model
from autoreg.preprocess import Preprocessor

SEAMS = frozenset({"penalty", "prior", "components"})
NUDGE = 1e-4  # of an intercept, to see how the slope of a loss changes


def fit_linear(job: Job, table: Dataset) -> Outcome:
    """Fit one linear candidate, on its whole path of strengths if it has one.

    Predictions and training losses come in the order of ``job.strengths``. Raises ValueError
    where the candidate's path is open and the job gives no strengths.
    """
    start = time.perf_counter()
    rows = job.training.rows
    weights = table.weights[rows]
    scaling = Preprocessor.of(table, rows)
    sample = Sample.of(scaling.inputs(table.X[rows]), table, rows, job.linear.loss)
    inputs = Inputs.of(table.columns, scaling.groups, job.linear)
    path = solved(job, sample, inputs, max(float(len(rows)), float(weights.sum())))
    path = path.in_units(sample)
    predictions = path.predictions(scaling.transform(table.X[job.predict]), sample)
    fit = Fit(
        predictions=predictions,
        losses=mean_losses(table, job.predict, predictions),
        train_loss=mean_losses(table, rows, path.predictions(sample.X, sample)),
        flags=path.flags,
        selected=selected_columns(_varying(path, scaling), scaling.groups, table.X.shape[1]),
        freedom=_freedom(path, scaling, sample),
        seconds=time.perf_counter() - start,
    )
    if job.keep_model:
        fit = with_model(fit, scaling, path.coefficients, path.intercepts)
    return checked(fit)


def solved(job: Job, sample: Sample, inputs: Inputs, count: float) -> Path:
    """The solutions of a job's candidate, standardized; weights count as ``count`` rows."""
    (chosen,) = job.candidate.techniques
    if (prior := chosen.prior()) is not None:
        return evidence(sample, prior, count)
    if chosen.components():
        return components(sample, job.walked)
    penalty = chosen.penalty()
    if penalty.is_plain and inputs.is_free:
        path = solve(sample, penalty, job.walked)
    else:
        path = walk(sample, penalty, job.walked, inputs)
    if job.linear.at_most is None:
        return path
    return at_most(job.linear.at_most, sample, penalty, job.walked, inputs, path)


def _varying(path: Path, scaling: Preprocessor) -> Floats:
    """The coefficients (S, q, C); rounding must not make one of a constant input count."""
    return np.where(scaling.scale[:, None] > 0, path.coefficients, 0.0)


def _freedom(path: Path, scaling: Preprocessor, sample: Sample) -> Floats:
    """The effective degrees of freedom at each strength, (S,)."""
    if path.freedom is not None:
        return path.freedom
    varies = scaling.scale > 0
    inputs = sample.features(varies).centred(sample.v, sample.v)[0]
    l2 = np.zeros(len(path.coefficients)) if path.l2 is None else path.l2
    return freedom(spectrum_of(inputs), path.coefficients[:, varies], l2, null_curvature(sample))


def null_curvature(sample: Sample) -> Floats:
    """The mean second derivative (k, k) of the loss in the scores, at the null model.

    From the slopes on both sides of each intercept, so that every loss can be asked.
    """

    def slopes(b: Floats) -> Floats:
        scores = np.tile(b, (len(sample.X), 1))
        return np.asarray(sample.loss(scores)[1].sum(axis=0))

    start = sample.null[1]
    steps = NUDGE * np.eye(len(start))
    changes = [slopes(start + step) - slopes(start - step) for step in steps]
    return np.asarray(np.array(changes) / (2 * NUDGE))
