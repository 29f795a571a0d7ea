"""What a training set needs, out of the sums of its cells, and losses out of sums.

The plain case: every cell has the same atoms, in the same order, and all of them are inputs or
targets.
"""

from __future__ import annotations

import numpy as np

from autoreg.engines.path.kernels.compiling import compiled


@compiled
def merge(numbers, weights, means, crosses, mean, cross):
    """Fill the moments ``mean`` (a,) and ``cross`` (a, a) of the listed cells; their weight.

    ``weights`` (k,), ``means`` (k, a) and ``crosses`` (k, a, a) are those of all cells. As
    :func:`autoreg.moments.merged`, in one pass.
    """
    total, a = 0.0, len(mean)
    mean[:] = 0.0
    for cell in numbers:
        total += weights[cell]
        for i in range(a):
            mean[i] += weights[cell] * means[cell, i]
    for i in range(a):
        mean[i] /= total
    cross[:] = 0.0
    away = np.empty(a)
    for cell in numbers:
        for i in range(a):
            away[i] = means[cell, i] - mean[i]
        for i in range(a):
            weighted, row, own = weights[cell] * away[i], cross[i], crosses[cell, i]
            for j in range(a):
                row[j] += own[j] + weighted * away[j]
    return total


@compiled
def extend(numbers, lows, highs, low, high):
    """Fill the lowest and the highest values (p,) of some cells, out of those of all (k, p)."""
    low[:], high[:] = np.inf, -np.inf
    for cell in numbers:
        for j in range(len(low)):
            low[j] = min(low[j], lows[cell, j])
            high[j] = max(high[j], highs[cell, j])


@compiled
def standardize(cross, weight, scale, gram, slope):
    """Fill ``gram`` (q, q) and ``slope`` (q, t): products divided by scales (q + t) and weight."""
    q = len(gram)
    inverse = 1.0 / scale
    for i in range(q):
        for j in range(q):
            gram[i, j] = cross[i, j] * (inverse[i] * inverse[j]) / weight
        for j in range(slope.shape[1]):
            slope[i, j] = cross[i, q + j] * (inverse[i] * inverse[q + j]) / weight


@compiled
def losses_by_sums(mean, covariance, W, b, unit, losses):
    """Fill mean squared errors (S,) of coefficients W (S, q) from moments; the target is last.

    All but ``losses`` are in units of the target of which each is ``unit``.
    """
    q = W.shape[1]
    spread = np.empty(q)
    for s in range(len(losses)):
        w, away, total = W[s], mean[q] - b[s], covariance[q, q]
        spread[:] = 0.0
        for j in range(q):
            if w[j] != 0.0:
                away -= w[j] * mean[j]
                row, own = covariance[j], w[j]
                for i in range(q):
                    spread[i] += own * row[i]
        for j in range(q):
            total += w[j] * (spread[j] - 2.0 * covariance[q, j])
        losses[s] = unit * unit * (max(total, 0.0) + away * away)


@compiled
def gather(X, rows, weights, targets, atoms, mean, low, high):
    """Fill ``atoms`` (n, p + t) with rows of X and of targets (n, t), centred on their ``mean``.

    Centred atoms are times the roots of the weights (n,) of these rows. ``low`` and ``high`` (p,)
    are the columns' extremes. Whether all cells are there; where not, nothing else is told.
    """
    n, p = len(rows), X.shape[1]
    total, missing = 0.0, 0
    mean[:], low[:], high[:] = 0.0, np.inf, -np.inf
    for i in range(n):
        x, out, weight = X[rows[i]], atoms[i], weights[i]
        total += weight
        for j in range(p):
            missing += x[j] != x[j]
            low[j], high[j] = min(low[j], x[j]), max(high[j], x[j])
            out[j] = x[j]
        for j in range(targets.shape[1]):
            out[p + j] = targets[i, j]
        for j in range(len(out)):
            mean[j] += weight * out[j]
    for j in range(len(mean)):
        mean[j] /= total
    for i in range(n):
        out, root = atoms[i], np.sqrt(weights[i])
        for j in range(len(out)):
            out[j] = (out[j] - mean[j]) * root
    return missing == 0
