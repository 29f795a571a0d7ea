"""What can be read off fitted linear models: the columns they use, how free they are.

Every linear engine reads its solutions by these functions, so that they tell the same thing.
Degrees of freedom are those of the fit to the targets, the intercept not counted: the trace of
the matrix that turns targets into fitted values.

* Squared error with an L2 part: ``tr(A (A'A + l2 I)^-1 A')``, A being the inputs in use, centred
  and weighted (Hastie, Tibshirani & Friedman 2009, equation 3.50; Zou 2005, section 3.5).
* L1 alone: the number of coefficients that are not zero (Zou, Hastie & Tibshirani 2007, Annals
  of Statistics 35(5)); nothing penalized: the rank of the inputs.
* Other losses: the same with A'A times the curvature that the loss has at the null model (at the
  solution it would be another matrix for each strength, and for small probabilities a smaller
  one). Where classes use different inputs, the smaller of two upper bounds is told: each class
  counted for itself, and all classes on the inputs that any of them uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Floats, Rows
from autoreg.engines.base import Fit
from autoreg.model import Parameters
from autoreg.preprocess import Preprocessor

Spectrum = Callable[[NDArray[np.bool_]], Floats]
ROUNDING = 8 * float(np.finfo(np.float64).eps)
FLAT = 1e-9  # of the greatest curvature: along such scores the loss does not change


def selected_columns(
    W: Floats, groups: Rows, p: int, axes: Floats | None = None
) -> NDArray[np.bool_]:
    """Which of p raw columns are used at each strength, shape (S, p).

    ``W`` (S, q, C) are coefficients, ``groups`` (q,) the raw column that each input comes from.
    Where ``axes`` (q, m) are given, ``W`` (S, m, C) belongs to inputs turned onto them, and uses
    each input that is not zero on any axis.

    >>> W = np.array([[[0.0], [0.5], [0.0]]])
    >>> selected_columns(W, np.array([0, 0, 1]), 3)
    array([[ True, False, False]])
    """
    nonzero: NDArray[np.bool_] = W[:, :, 0] != 0 if W.shape[2] == 1 else (W != 0).any(axis=2)
    if axes is not None:
        nonzero = np.outer(nonzero.any(axis=1), (axes != 0).any(axis=1))
    if np.array_equal(groups, np.arange(p)):
        return nonzero
    strengths, inputs = np.nonzero(nonzero)
    used = np.zeros((len(W), p), dtype=np.bool_)
    used[strengths, groups[inputs]] = True
    return used


def turned_back(coefficients: Floats, axes: Floats | None) -> Floats:
    """Coefficients (..., q, K) of inputs, from those (..., m, K) on axes (q, m); None: the same."""
    return coefficients if axes is None else np.asarray(axes @ coefficients)


def with_model(fit: Fit, scaling: Preprocessor, coefficients: Floats, intercepts: Floats) -> Fit:
    """The fit with its coefficients, and with its model where it has one strength.

    ``coefficients`` (S, q, C) and ``intercepts`` (S, C) belong to preprocessed inputs.
    """
    W, b = scaling.original_units(coefficients, intercepts)
    model = None
    if len(coefficients) == 1:
        arrays = {"coefficients": coefficients[0], "intercept": intercepts[0]}
        model = Parameters("linear", arrays, scaling, {})
    return replace(fit, model=model, coefficients=W, intercepts=b)


def freedom(spectrum: Spectrum, W: Floats, l2: Floats, curvature: Floats) -> Floats:
    """Effective degrees of freedom at each strength, shape (S,).

    ``spectrum`` gives the eigenvalues of the Gram matrix of some inputs, (q,) booleans; it is
    asked once for every set of inputs that occurs. ``W`` (S, q, C) are coefficients of
    inputs that vary, ``l2`` (S,) the absolute strength of half their sum of squares, ``curvature``
    (C, C) the mean second derivative of the loss in the scores at the null model.

    >>> A = np.diag([2.0, 1.0])
    >>> freedom(spectrum_of(A), np.ones((2, 2, 1)), np.array([0.0, 1.0]), np.eye(1)).tolist()
    [2.0, 1.3]
    """
    known: dict[bytes, Floats] = {}

    def counted(used: NDArray[np.bool_], ridge: float, bends: Floats) -> float:
        if ridge == 0 and not used.all():
            return float(used.sum()) * len(bends)
        key = used.tobytes()
        if key not in known:
            known[key] = spectrum(used)
        return shrunk(np.outer(bends, known[key]).ravel(), ridge)

    bends = np.linalg.eigvalsh(curvature)
    together = bends[bends > FLAT * bends.max()]
    apart = np.diag(curvature)
    found = []
    for used, ridge in zip(W != 0, l2, strict=True):
        bound = counted(used.any(axis=1), ridge, together)
        if (used != used[:, :1]).any():
            classes = zip(used.T, apart, strict=True)
            single = sum(counted(own, ridge, np.array([bend])) for own, bend in classes)
            bound = min(bound, single)
        found.append(bound)
    return np.array(found)


def shrunk(values: Floats, ridge: float) -> float:
    """The sum of ``d / (d + ridge)`` over eigenvalues d that are not zero; their number at 0.

    >>> shrunk(np.array([3.0, 1.0, 0.0]), 1.0), shrunk(np.array([3.0, 1.0, 0.0]), 0.0)
    (1.25, 2.0)
    """
    positive = values[values > values.max(initial=0.0) * len(values) * ROUNDING]
    return float((positive / (positive + ridge)).sum())


def spectrum_of(A: Floats) -> Spectrum:
    """The eigenvalues of ``A_s' A_s`` for sets s of the columns of A (n, q), zeros left out."""

    def spectrum(used: NDArray[np.bool_]) -> Floats:
        part = A[:, used]
        n, q = part.shape
        gram = part @ part.T if q > n else part.T @ part
        return np.asarray(np.maximum(np.linalg.eigvalsh(gram), 0.0))

    return spectrum
