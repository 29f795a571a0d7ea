"""The plain linear engine: one training set and one path of strengths at a time.

What is minimized is told in ``linear_objective.py``, and how, in ``linear.py``.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from autoreg.data.dataset import Dataset, Floats
from autoreg.engines.base import Fit, Job, Outcome, checked, mean_losses
from autoreg.engines.linear import Path, solve, strength_max
from autoreg.engines.linear_objective import Sample
from autoreg.engines.reading import freedom, selected_columns, spectrum_of
from autoreg.preprocess import Preprocessor
from autoreg.techniques.base import Penalty, Range

SEAMS = frozenset({"penalty"})
NUDGE = 1e-4  # of an intercept, to see how the slope of a loss changes


def fit_linear(job: Job, table: Dataset) -> Outcome:
    """Fit one linear candidate, on its whole path of strengths if it has one.

    Predictions and training losses come in the order of ``job.strengths``. Raises ValueError
    where the candidate's path is open and the job gives no strengths.
    """
    start = time.perf_counter()
    rows = job.training.rows
    weights = table.weights[rows]
    scaling = Preprocessor.fit(table.X[rows], table.columns, weights)
    sample = Sample.of(scaling.transform(table.X[rows]), table, rows, job.linear.loss)
    penalty, strengths = combined(job), chosen_strengths(job)
    path = solve(sample, penalty, strengths)
    predictions = path.predictions(scaling.transform(table.X[job.predict]), sample)
    fit = Fit(
        predictions=predictions,
        losses=mean_losses(table, job.predict, predictions),
        train_loss=mean_losses(table, rows, path.predictions(sample.X, sample)),
        flags=path.flags,
        selected=selected_columns(_varying(path, scaling), scaling.groups, table.X.shape[1]),
        freedom=_freedom(path, scaling, sample, _l2(sample, penalty, strengths)),
        seconds=time.perf_counter() - start,
    )
    return checked(_kept(fit, path, scaling) if job.keep_model else fit)


def _varying(path: Path, scaling: Preprocessor) -> Floats:
    """The coefficients (S, q, C); rounding must not make one of a constant input count."""
    return np.where(scaling.scale[:, None] > 0, path.coefficients, 0.0)


def _freedom(path: Path, scaling: Preprocessor, sample: Sample, l2: Floats) -> Floats:
    """The effective degrees of freedom at each strength, (S,)."""
    varies = scaling.scale > 0
    inputs = sample.features(varies).centred(sample.v, sample.v)[0]
    return freedom(spectrum_of(inputs), path.coefficients[:, varies], l2, null_curvature(sample))


def _kept(fit: Fit, path: Path, scaling: Preprocessor) -> Fit:
    """The fit with its coefficients, and with its model where it has one strength."""
    coefficients, intercepts = scaling.original_units(path.coefficients, path.intercepts)
    model = path.parameters(scaling) if len(coefficients) == 1 else None
    return replace(fit, model=model, coefficients=coefficients, intercepts=intercepts)


def _l2(sample: Sample, penalty: Penalty, strengths: tuple[float, ...]) -> Floats:
    """The absolute strength of the L2 part, (S,)."""
    if penalty.l2 == 0:
        return np.zeros(len(strengths))
    return penalty.l2 * strength_max(sample, penalty) * np.array(strengths)


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


def combined(job: Job) -> Penalty:
    """The sum of the penalties of all techniques of a candidate."""
    penalties = [chosen.penalty() for chosen in job.candidate.techniques]
    return Penalty(sum(one.l1 for one in penalties), sum(one.l2 for one in penalties))


def chosen_strengths(job: Job) -> tuple[float, ...]:
    """The strengths to fit: the job's path, or the one that the candidate has chosen.

    A candidate without a path dial is fitted at 1, the strength that its penalty states.
    """
    if job.candidate.path is not None:
        if not job.strengths:
            raise ValueError(f"the strength of {job.candidate.label} is open, and no path is given")
        return job.strengths
    closed = [
        float(chosen[dial.name])
        for chosen in job.candidate.techniques
        for dial in chosen.dials
        if isinstance(dial, Range) and dial.path
    ]
    return tuple(closed[:1]) or (1.0,)
