"""Linear models whose strength the evidence chooses: Bayesian ridge and relevance determination.

Both maximize the marginal likelihood of the training rows over the precision of the noise and
of the coefficients, with flat priors on the logarithms of all precisions. Weights count as
repeated rows, but never for fewer rows than there are.

Sources: MacKay 1992, Neural Computation 4(3), equations 4.9-4.11; Tipping 2001, JMLR 1, equations
16-18.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autoreg.data.dataset import Floats, Rows
from autoreg.engines.path.closed import closed, leading
from autoreg.engines.path.design import Design, Solutions
from autoreg.techniques.base import Prior

ROUNDS = 1000
SETTLED = 1e-6  # relative change of a coefficient or a precision
USELESS = 1e6  # precision of a standardized coefficient that takes its input out
TINY = 1e-10


def evidence(design: Design, prior: Prior) -> Solutions:
    """The posterior mean, as the only solution."""
    count = max(float(len(design.rows)), float(design.weights.sum()))
    if prior.relevance:
        w, freedom, settled = relevance(design, count)
    else:
        w, freedom, settled = shared_precision(design, count)
    found = closed(w[None], np.array([freedom]))
    return found if settled else replace(found, flags=("not converged",))


def shared_precision(design: Design, count: float) -> tuple[Floats, float, bool]:
    """One precision for all coefficients: coefficients, degrees of freedom, if it settled."""
    values, vectors, rank = leading(design)
    # Where inputs interpolate the rows nothing else keeps directions of mere rounding small.
    values, vectors = values[:rank], vectors[:, :rank]
    values, projected = values * count, vectors.T @ design.slope[:, 0] * count
    noise, precision = 1.0, 1.0
    before = np.zeros_like(projected)
    for _ in range(ROUNDS):
        ratio = precision / noise
        turned = projected / (values + ratio)
        freedom = float((values / (values + ratio)).sum())
        errors = count + float(turned @ (values * turned - 2 * projected))
        precision = (freedom + TINY) / (float(turned @ turned) + TINY)
        noise = (count - freedom + TINY) / (max(errors, 0.0) + TINY)
        if np.abs(turned - before).max(initial=0.0) <= SETTLED * np.abs(turned).max(initial=TINY):
            return vectors @ turned, freedom, True
        before = turned
    return vectors @ turned, freedom, False


def relevance(design: Design, count: float) -> tuple[Floats, float, bool]:
    """A precision for each coefficient: coefficients, degrees of freedom, if it settled."""
    G, c = design.gram * count, design.slope[:, 0] * count
    q = len(c)
    kept = np.flatnonzero(np.diag(G) > 0)
    precisions, noise = np.ones(q), 1.0
    w, freedom = np.zeros(q), 0.0
    for _ in range(ROUNDS):
        mean, variances = _posterior(G, c, kept, precisions, noise)
        used = 1.0 - precisions[kept] * variances
        before, w = w, np.zeros(q)
        w[kept] = mean
        freedom = float(used.sum())
        precisions[kept] = (used + TINY) / (mean**2 + TINY)
        errors = count + float(mean @ (G[np.ix_(kept, kept)] @ mean - 2 * c[kept]))
        noise = (count - freedom + TINY) / (max(errors, 0.0) + TINY)
        if np.abs(w - before).max() <= SETTLED * max(np.abs(w).max(), TINY):
            return w, freedom, True
        kept = kept[precisions[kept] < USELESS]
        if not len(kept):
            return np.zeros(q), 0.0, True
    return w, freedom, False


def _posterior(
    G: Floats, c: Floats, kept: Rows, precisions: Floats, noise: float
) -> tuple[Floats, Floats]:
    """Mean and variances of the coefficients that are kept, scaled for a good condition."""
    root = 1.0 / np.sqrt(precisions[kept])
    inner = noise * G[np.ix_(kept, kept)] * root * root[:, None]
    inverse = np.linalg.inv(inner + np.eye(len(kept)))
    mean = noise * root * (inverse @ (root * c[kept]))
    return mean, np.diag(inverse) * root**2
