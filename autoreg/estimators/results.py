"""A final search in the shape of scikit-learn's ``cv_results_``, and a candidate as flat dials."""

from __future__ import annotations

from typing import Any

import numpy as np

from autoreg.candidate import Candidate
from autoreg.result import StudyResult


def flat_params(candidate: Candidate) -> dict[str, Any]:
    """Every dial of a candidate by ``technique.dial``, its family, and a network's architecture.

    >>> from autoreg.candidate import candidate
    >>> from autoreg.techniques import technique
    >>> flat_params(candidate("linear", [technique("ridge")(strength=0.5)], {}))
    {'family': 'linear', 'ridge.strength': 0.5}
    """
    dials = {
        f"{one.key}.{name}": value
        for one in candidate.techniques
        for name, value in one.values.items()
    }
    return {"family": candidate.family, **dials, **dict(candidate.architecture)}


def cv_results(result: StudyResult) -> dict[str, Any]:
    """One entry a trial of the final search, at its best strength.

    Scores are the negative of what the search minimizes (mean squared error or log loss), so
    higher is better; they are those of the best of a path, and so optimistic. Failed trials have
    NaN and the last rank.
    """
    trials = [one for one in result.findings.trials if one.search == result.findings.lead]
    scores = np.array(
        [
            -one.losses[one.best] if not one.failure else np.full(len(one.weights), np.nan)
            for one in trials
        ]
    )
    weights = np.array([one.weights for one in trials])
    mean = (scores * weights).sum(axis=1) / weights.sum(axis=1)
    ranked = np.where(np.isnan(mean), -np.inf, mean)
    params = [flat_params(one.best_candidate) for one in trials]
    seconds = np.array([one.seconds for one in trials]) / scores.shape[1]
    found: dict[str, Any] = {
        "mean_fit_time": seconds,
        "std_fit_time": np.zeros_like(seconds),
        "mean_score_time": np.zeros_like(seconds),
        "std_score_time": np.zeros_like(seconds),
    }
    for name in dict.fromkeys(name for one in params for name in one):
        values = [one.get(name) for one in params]
        column = np.ma.MaskedArray(np.empty(len(values), dtype=object), mask=True)
        for position, value in enumerate(values):
            if value is not None:
                column[position] = value
        found[f"param_{name}"] = column
    found["params"] = params
    found |= {f"split{k}_test_score": scores[:, k] for k in range(scores.shape[1])}
    found["mean_test_score"] = mean
    found["std_test_score"] = scores.std(axis=1)
    found["rank_test_score"] = np.array(
        [1 + int((ranked > one).sum()) for one in ranked], dtype=np.int32
    )
    return found
