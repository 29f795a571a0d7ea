"""Row losses of linear models, compiled: value, residual and curvature of one column of scores.

Scores are (K, n): one row for squared error, two classes (the logit of the second), counts (log
of the mean) and Huber's loss, one row for each of more than two classes (softmax). All losses
are means with row weights v that sum to one.
"""

from __future__ import annotations

import numpy as np

from autoreg.engines.path.kernels.compiling import compiled

SQUARED, LOGISTIC, POISSON, HUBER, SOFTMAX = range(5)
KINDS = {
    "regression": SQUARED,
    "binary": LOGISTIC,
    "count": POISSON,
    "huber": HUBER,
    "multiclass": SOFTMAX,
}
HIGHEST = 700.0  # scores beyond are as good as infinite: exp would overflow
FLATTEST = 1e-6  # no row's curvature counts as less


@compiled
def look(kind, knee, scores, y, v, out):
    """The mean loss; ``out`` (K, n) becomes the residuals, d loss / d score."""
    if kind == 4:
        return look_softmax(scores, y, v, out)
    loss = 0.0
    eta, rest = scores[0], out[0]
    n = len(y)
    if kind == 0:
        for i in range(n):
            rest[i] = eta[i] - y[i]
            loss += v[i] * rest[i] ** 2 / 2.0
    elif kind == 1:
        for i in range(n):
            small = np.exp(-abs(eta[i]))
            chance = (1.0 if eta[i] > 0.0 else small) / (1.0 + small)
            rest[i] = chance - y[i]
            loss += v[i] * (max(eta[i], 0.0) + np.log1p(small) - y[i] * eta[i])
    elif kind == 2:
        for i in range(n):
            mean = np.exp(min(eta[i], HIGHEST))
            rest[i] = mean - y[i]
            loss += v[i] * (mean - y[i] * eta[i])
    else:
        for i in range(n):
            error = eta[i] - y[i]
            rest[i] = min(max(error, -knee), knee)
            loss += v[i] * rest[i] * (error - rest[i] / 2.0)
    return loss


@compiled
def look_softmax(scores, y, v, out):
    """The same for a softmax over the columns; y holds the positions of the classes."""
    classes, n = scores.shape
    loss = 0.0
    for i in range(n):
        top = scores[0, i]
        for k in range(1, classes):
            top = max(top, scores[k, i])
        total = 0.0
        for k in range(classes):
            out[k, i] = np.exp(scores[k, i] - top)
            total += out[k, i]
        own = np.int64(y[i])
        loss += v[i] * (np.log(total) + top - scores[own, i])
        for k in range(classes):
            out[k, i] /= total
        out[own, i] -= 1.0
    return loss


@compiled
def log_losses(scores, y, share, largest):
    """Mean log losses (S,) of scores (n, S, K) under shares of rows (n,), which sum to one.

    ``y`` holds the positions of the classes; no row's loss counts as more than ``largest``.
    """
    n, many, classes = scores.shape
    means = np.zeros(many)
    for i in range(n):
        own = np.int64(y[i])
        for s in range(many):
            row = scores[i, s]
            if classes == 1:
                against = row[0] if own == 0 else -row[0]
                loss = max(against, 0.0) + np.log1p(np.exp(-abs(against)))
            else:
                top, total = row.max(), 0.0
                for k in range(classes):
                    total += np.exp(row[k] - top)
                loss = np.log(total) + top - row[own]
            means[s] += share[i] * min(loss, largest)
    return means


@compiled
def remember(kind, knee, residuals, y, out):
    """What the second derivatives are made of, (K, n): class chances, or they themselves.

    For Huber's loss, which is flat beyond the knee, rows there count as flat.
    """
    classes, n = residuals.shape
    if kind == 4:
        for i in range(n):
            for k in range(classes):
                out[k, i] = residuals[k, i] + (1.0 if np.int64(y[i]) == k else 0.0)
        return
    rest = residuals[0]
    for i in range(n):
        if kind == 0:
            out[0, i] = 1.0
        elif kind == 1:
            chance = rest[i] + y[i]
            out[0, i] = max(chance * (1.0 - chance), FLATTEST)
        elif kind == 2:
            out[0, i] = max(rest[i] + y[i], FLATTEST)
        else:
            out[0, i] = 1.0 if abs(rest[i]) < knee else FLATTEST


@compiled
def curvature(kind, known, k, other, out):
    """The second derivative of each row's loss in the scores of two columns, (n,)."""
    n = known.shape[1]
    if kind != 4:
        for i in range(n):
            out[i] = known[0, i]
    elif k == other:
        for i in range(n):
            out[i] = max(known[k, i] * (1.0 - known[k, i]), FLATTEST)
    else:
        for i in range(n):
            out[i] = -known[k, i] * known[other, i]


@compiled
def start_scores(kind, knee, y, v, classes):
    """The intercepts of the featureless model, (K,)."""
    start = np.zeros(classes)
    if kind == 4:
        for i in range(len(y)):
            start[np.int64(y[i])] += v[i]
        for k in range(classes):
            start[k] = np.log(max(start[k], 1e-12))
        return start
    mean = 0.0
    for i in range(len(y)):
        mean += v[i] * y[i]
    if kind == 1:
        mean = min(max(mean, 1e-12), 1.0 - 1e-12)
        start[0] = np.log(mean / (1.0 - mean))
    elif kind == 2:
        start[0] = np.log(max(mean, 1e-12))
    elif kind == 3:
        start[0] = middle(y, v)
    else:
        start[0] = mean
    return start


@compiled
def middle(values, v):
    """The weighted median of values (n,) with weights that sum to one."""
    order = np.argsort(values)
    below = 0.0
    for i in order:
        below += v[i]
        if below >= 0.5:
            return values[i]
    return values[order[-1]]
