"""Linear models without a penalty to choose: by evidence, or on principal components.

Written from the papers' formulas with plain inverses; no part of it is shared with the fast
engine.

Conventions of the evidence: target and inputs are standardized, a weight counts as that many rows
but all weights together never as fewer rows than there are, and the priors of the logarithms of
all precisions are flat. Both precisions start at 1.

Sources: MacKay 1992, Neural Computation 4(3), equations 4.9-4.11; Tipping 2001, JMLR 1, equations
12, 13, 16 and 18; Hastie, Tibshirani & Friedman 2009, section 3.5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autoreg.data.dataset import Floats
from autoreg.engines.linear import Path, closed_form, likelihood_alone
from autoreg.engines.linear_objective import Sample
from autoreg.techniques.base import Penalty, Prior

ROUNDS = 1000
SETTLED = 1e-6  # relative change of the largest coefficient
USELESS = 1e6  # a precision beyond takes its input out
TINY = 1e-10  # nothing is divided by less
COLLINEAR = 1e-6  # singular values below this share of the largest one count as 0


def evidence(sample: Sample, prior: Prior, rows: float) -> Path:
    """The posterior mean at the precisions that maximize the evidence.

    ``rows`` is how many rows the weights count as.
    """
    A, y, means, mean = sample.centred(sample.v * rows, sample.Y[:, 0])
    w, freedom, settled = (_relevance if prior.relevance else _shared)(A, y, rows)
    flags = () if settled else ("not converged",)
    found = w[None, :, None]
    intercepts = np.array([[mean - means @ w]])
    return Path(found, intercepts, flags, np.zeros(1), np.array([freedom]))


def _shared(A: Floats, y: Floats, rows: float) -> tuple[Floats, float, bool]:
    """One precision for all coefficients: their mean, degrees of freedom, whether it settled."""
    n, q = A.shape
    wide = q > n  # then the same in terms of rows: A'(AA' + r)^-1 = (A'A + r)^-1 A'
    gram = A @ A.T if wide else A.T @ A
    noise = precision = 1.0
    w = np.zeros(q)
    for _ in range(ROUNDS):
        ratio = precision / noise
        inverse = np.linalg.inv(gram + ratio * np.eye(len(gram)))
        before, w = w, A.T @ (inverse @ y) if wide else inverse @ (A.T @ y)
        freedom = len(gram) - ratio * float(np.trace(inverse))
        if _settled(w, before):
            return w, freedom, True
        precision = (freedom + TINY) / (float(w @ w) + TINY)
        noise = (rows - freedom + TINY) / (float(((y - A @ w) ** 2).sum()) + TINY)
    return w, freedom, False


def _relevance(A: Floats, y: Floats, rows: float) -> tuple[Floats, float, bool]:
    """A precision for each coefficient; inputs whose precision runs away are taken out."""
    noise = 1.0
    precisions, w = np.ones(A.shape[1]), np.zeros(A.shape[1])
    used = (A != 0).any(axis=0)
    freedom = 0.0
    for _ in range(ROUNDS):
        part = A[:, used]
        variance = np.linalg.inv(noise * part.T @ part + np.diag(precisions[used]))
        before, w = w, np.zeros(len(w))
        w[used] = noise * variance @ (part.T @ y)
        determined = 1.0 - precisions[used] * np.diag(variance)
        freedom = float(determined.sum())
        if _settled(w, before):
            return w, freedom, True
        precisions[used] = (determined + TINY) / (w[used] ** 2 + TINY)
        noise = (rows - freedom + TINY) / (float(((y - A @ w) ** 2).sum()) + TINY)
        used &= precisions < USELESS
        if not used.any():
            return np.zeros(len(w)), 0.0, True
    return w, freedom, False


def _settled(w: Floats, before: Floats) -> bool:
    largest = np.abs(w).max(initial=TINY)
    return bool(np.abs(w - before).max(initial=0.0) <= SETTLED * largest)


def components(sample: Sample, shares: Sequence[float]) -> Path:
    """Unpenalized fits on the leading principal components: a share of the rank, at least one."""
    A = sample.centred(sample.v, sample.v)[0]
    _, sizes, axes = np.linalg.svd(A, full_matrices=False)
    rank = max(1, int((sizes > COLLINEAR * sizes.max(initial=0.0)).sum()))
    counts = [min(rank, max(1, int(np.ceil(share * rank - 1e-9)))) for share in shares]
    fits = {count: _on_axes(sample, axes[:count]) for count in set(counts)}
    paths = [fits[count] for count in counts]
    flags = tuple(sorted({flag for path in paths for flag in path.flags}))
    classes = max(1, sample.Y.shape[1] - 1)
    return Path(
        np.concatenate([path.coefficients for path in paths]),
        np.concatenate([path.intercepts for path in paths]),
        flags,
        np.zeros(len(paths)),
        np.array(counts, dtype=float) * classes,
    )


def _on_axes(sample: Sample, axes: Floats) -> Path:
    """The unpenalized fit to the projections on some axes (m, q)."""
    turned = replace(sample, X=sample.X @ axes.T)
    if sample.kind == "regression":
        path = closed_form(turned, Penalty(), np.ones(1))
    else:
        path = likelihood_alone(turned, 1)
    return Path(axes.T @ path.coefficients, path.intercepts, path.flags)
