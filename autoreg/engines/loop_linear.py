"""The plain linear engine: one training set and one path of strengths at a time.

What is minimized is told in ``linear_objective.py``, and how, in ``linear.py``.
"""

from __future__ import annotations

import time

from autoreg.data.dataset import Dataset
from autoreg.engines.base import Fit, Job, Outcome, checked, mean_losses
from autoreg.engines.linear import solve
from autoreg.engines.linear_objective import Sample
from autoreg.preprocess import Preprocessor
from autoreg.techniques.base import Penalty, Range

SEAMS = frozenset({"penalty"})


def fit_linear(job: Job, table: Dataset) -> Outcome:
    """Fit one linear candidate, on its whole path of strengths if it has one.

    Predictions and training losses come in the order of ``job.strengths``. Raises ValueError
    where the candidate's path is open and the job gives no strengths.
    """
    start = time.perf_counter()
    rows = job.training.rows
    weights = table.weights[rows]
    scaling = Preprocessor.fit(table.X[rows], table.columns, weights)
    sample = Sample.of(scaling.transform(table.X[rows]), table, rows)
    path = solve(sample, combined(job), chosen_strengths(job))
    predictions = path.predictions(scaling.transform(table.X[job.predict]), sample)
    fit = Fit(
        predictions=predictions,
        losses=mean_losses(table, job.predict, predictions),
        train_loss=mean_losses(table, rows, path.predictions(sample.X, sample)),
        flags=path.flags,
        seconds=time.perf_counter() - start,
        model=path.parameters(scaling) if job.keep_model else None,
    )
    return checked(fit)


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
