"""Solutions in closed form, from the spectrum of the Gram matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autoreg.data.dataset import Floats, Rows
from autoreg.engines.path.design import Design, Solutions
from autoreg.engines.path.kernels.newton import components_path
from autoreg.engines.separable import zeros_are_separable

COLLINEAR = 1e-12  # directions below this share of the largest eigenvalue carry nothing
PRECISION = 1e-6  # the violation that an unpenalized likelihood may leave


def closed(W: Floats, freedom: Floats, l2: Floats | None = None) -> Solutions:
    """Solutions (S, q) of squared error that are exact; the target is centred."""
    b, nothing = np.zeros((len(W), 1)), np.zeros(len(W))
    return Solutions(W[:, :, None], b, nothing, nothing, nothing if l2 is None else l2, (), freedom)


def ridge(design: Design, l2: float, strengths: Sequence[float]) -> Solutions:
    """Ridge at all strengths from one decomposition (Hoerl & Kennard 1970)."""
    penalties = l2 * design.largest_eigenvalue * np.array(strengths)
    if design.cells is None and design.q > len(design.rows):
        return dual_ridge(design, penalties)
    values, vectors = design.spectrum
    projected = vectors.T @ design.slope[:, 0]
    shrunk = values[:, None] + penalties
    freedom = (values[:, None] / shrunk).sum(axis=0)
    return closed((projected[:, None] / shrunk).T @ vectors.T, freedom, penalties)


def dual_ridge(design: Design, penalties: Floats) -> Solutions:
    """Ridge as combinations of the rows, where there are fewer of them than inputs.

    What a row leaves is its own multiplier times the penalty. Source: Saunders, Gammerman &
    Vovk 1998, ICML (ridge regression in dual variables).
    """
    values, left = design.dual
    shrunk = values[:, None] + penalties
    multipliers = left @ ((left.T @ (design.y * np.sqrt(design.v)))[:, None] / shrunk)
    found = closed(multipliers.T, (values[:, None] / shrunk).sum(axis=0), penalties)
    losses = ((penalties * multipliers) ** 2).sum(axis=0)
    return replace(found, axes=design.rooted.T, losses=losses)


def least_squares(design: Design) -> Solutions:
    """The minimum-norm solution without a penalty."""
    values, vectors, rank = leading(design)
    W = vectors[:, :rank] @ (vectors[:, :rank].T @ design.slope[:, 0] / values[:rank])
    return closed(W[None], np.array([float(rank)]))


def leading(design: Design) -> tuple[Floats, Floats, int]:
    """Eigenvalues, largest first, eigenvectors in columns, and the number that is not zero."""
    values, vectors = (part[..., ::-1] for part in design.spectrum)
    return values, vectors, int((values > COLLINEAR * values[0]).sum()) if values[0] > 0 else 0


def components(design: Design, kind: str, shares: Sequence[float]) -> Solutions:
    """Fits on the leading principal components: a share of them, at least one."""
    values, vectors, rank = leading(design)
    counts = np.maximum(1, np.ceil(np.array(shares) * rank - 1e-9)).astype(np.int64)
    counts = np.minimum(counts, rank)
    if kind == "regression":
        one_by_one = vectors[:, :rank] * (vectors[:, :rank].T @ design.slope[:, 0] / values[:rank])
        sums = np.concatenate([np.zeros((design.q, 1)), np.cumsum(one_by_one, axis=1)], axis=1)
        return closed(sums[:, counts].T, counts.astype(np.float64))
    unit = vectors[:, :rank] / np.sqrt(values[:rank])
    return rotated(design, kind, unit, counts)


def rotated(design: Design, kind: str, axes: Floats, counts: Rows) -> Solutions:
    """Likelihoods on the first few of some axes (q, m) of the inputs, for each count."""
    K, distinct = design.columns, np.unique(counts)
    inputs = design.inputs @ axes
    sample = design.sample(kind, inputs)
    W = np.empty((len(distinct), (axes.shape[1] + 1) * K))
    left = np.empty(len(distinct))
    components_path(sample, K, distinct, PRECISION, W, left)
    W = W.reshape(len(distinct), -1, K)
    turned = axes @ sum_free(W[:, :-1])
    flags = remarks(design, kind, inputs[:, : distinct[-1]], inputs @ W[-1, :-1] + W[-1, -1])
    at = np.searchsorted(distinct, counts)
    nothing, freedom = np.zeros(len(counts)), counts.astype(np.float64) * max(1, K - 1)
    allowed = np.full(len(counts), PRECISION)
    return Solutions(turned[at], W[at, -1], left[at], allowed, nothing, flags, freedom)


def sum_free(W: Floats) -> Floats:
    """Coefficients (..., K) that nothing penalizes, moved so that they sum to 0 over the classes.

    A softmax does not see the move; without it rounding would choose among equal solutions.
    """
    return W - W.mean(axis=-1, keepdims=True) if W.shape[-1] > 1 else W


def remarks(design: Design, kind: str, inputs: Floats, scores: Floats) -> tuple[str, ...]:
    """``separable`` where an unpenalized fit on these inputs (n, q) has no finite optimum.

    The scores (n, K) are those of the fit.

    Sources as in :mod:`autoreg.engines.separable`.
    """
    y = design.y
    apart = False
    if kind == "count":
        apart = bool((y == 0).any()) and zeros_are_separable(inputs, y == 0)
    elif kind == "binary":
        apart = bool(((2 * y - 1) * scores[:, 0] > 0).all())
    elif kind == "multiclass":
        rows, classes = np.arange(len(y)), y.astype(np.int64)
        own, others = scores[rows, classes], scores.copy()
        others[rows, classes] = -np.inf
        apart = bool((own > others.max(axis=1)).all())
    return ("separable",) if apart else ()
