"""Whether an unpenalized likelihood has a finite optimum, or grows on for ever.

Classes: where scores put every row strictly on the side of its class, larger ones are always
better (Albert & Anderson 1984, Biometrika 71(1)).

Counts: there is no finite optimum exactly where some change of the scores leaves all rows with a
count above 0 as they are, lowers rows with a count of 0 and raises none (Correia, Guimaraes &
Zylkin 2019, arXiv 1903.01633, proposition 1): their means then go to 0 and never get there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from autoreg.data.dataset import Floats
from autoreg.engines.linear_objective import Sample

ROUNDING = 1e-9
SOME = 1e-6  # the sum of falls that is more than rounding: where there are any, one of them is 1


def is_separable(sample: Sample, scores: Floats) -> bool:
    """Whether scores (n, k) of an unpenalized fit tell that larger ones are always better."""
    if sample.kind == "count":
        return zeros_are_separable(sample.X, sample.Y[:, 0] == 0)
    if sample.kind == "binary":
        return bool(((2 * sample.Y - 1) * scores > 0).all())
    if sample.kind == "multiclass":
        own = (sample.Y * scores).sum(axis=1)
        others = np.where(sample.Y == 1, -np.inf, scores).max(axis=1)
        return bool((own > others).all())
    return False


def zeros_are_separable(X: Floats, zero: NDArray[np.bool_]) -> bool:
    """Whether the scores of rows ``zero`` (n,) of inputs X (n, q) can fall with no other moving.

    A linear program asks for the largest sum of falls between 0 and 1, over the changes that leave
    the other rows alone. These are few, mostly none, so it is a small one.

    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> zeros_are_separable(X, X[:, 0] < 3), zeros_are_separable(X, X[:, 0] == 1)
    (True, False)
    """
    inputs = np.column_stack([X, np.ones(len(X))])
    falls = inputs[zero] @ _null_space(inputs[~zero])
    if falls.size == 0:
        return False
    bounds = np.repeat([1.0, 0.0], len(falls))
    sides = np.vstack([falls, -falls])
    found = linprog(-falls.sum(axis=0), A_ub=sides, b_ub=bounds, bounds=(None, None))
    return bool(found.status == 0 and -found.fun > SOME)


def _null_space(rows: Floats) -> Floats:
    """Orthonormal columns (q, d) that all rows (n, q) turn to 0."""
    n, q = rows.shape
    _, sizes, axes = np.linalg.svd(rows, full_matrices=n < q)
    rank = int((sizes > ROUNDING * max(sizes.max(initial=0.0), 1.0)).sum())
    return axes[rank:].T
