"""How right a model still is where each row may be moved against it: predictions under attack.

Every number of a row that is there may move by as much as ``reach`` standard deviations of its
column (the box of the L-infinity norm); gaps, categories, text and dates stay what they are. A row
is predicted at that point of the box, of those that were looked at, where its own class leads least
or is behind most.

For a linear model these are the corners against each other class, and no point is worse: exact.
For a network they are the corner uphill of the row itself (one step), and the points of projected
ascents in several, from the row and from random places in its box; a better attack may exist, so
that accuracy is an upper bound.

What is climbed is the lead of the best other class, not the log loss: a model that is very sure has
a loss that is flat in floating point, and would seem robust.

Sources: Goodfellow, Shlens & Szegedy 2015, ICLR (one step; section 5: linear models exactly); Madry
et al. 2018, ICLR (projected ascent); Carlini & Wagner 2017, IEEE S&P (the lead of another class).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Column, Floats
from autoreg.model import Parameters, softmax
from autoreg.spec import seed_for

STARTS, STEPS = 3, 10  # places from which to climb, the row itself among them; steps from each
STRIDE = 2.5  # the steps together could walk through the box and back


def movable(columns: Sequence[Column]) -> NDArray[np.bool_]:
    """Which columns (p,) are numbers that an attack may move.

    >>> movable([Column("age", "numeric"), Column("city", "categorical", ("a", "b"))]).tolist()
    [True, False]
    """
    return np.array([not (column.is_categorical or column.part) for column in columns])


def attacked(
    model: Parameters, columns: Sequence[Column], X: Floats, y: NDArray[np.int64], reach: float
) -> Floats:
    """Class probabilities (n, C) of rows X (n, p) of classes y (n,), each moved against the model.

    >>> from autoreg.preprocess import Preprocessor
    >>> columns = (Column("a", "numeric"),)
    >>> scaler = Preprocessor.fit(np.array([[-1.0], [1.0]]), columns)
    >>> line = {"coefficients": np.array([[2.0]]), "intercept": np.zeros(1)}
    >>> model = Parameters("linear", line, scaler)
    >>> attacked(model, columns, np.array([[0.3]]), np.array([1]), 0.5).round(2)
    array([[0.6, 0.4]])
    """
    scaler = model.preprocessor
    inputs = scaler.transform(X)
    free = movable(columns)[scaler.groups] & (scaler.scale > 0) & ~np.isnan(X[:, scaler.groups])
    box = np.full(free.shape, reach) * free
    worst, least = np.empty((0, 0)), np.full(len(X), np.inf)
    for chances in _looked_at(model, inputs, y, box):
        leads = lead(chances, y)
        if not worst.size:
            worst = chances.copy()
        lower = leads < least
        worst[lower], least[lower] = chances[lower], leads[lower]
    return worst


def lead(chances: Floats, y: NDArray[np.int64]) -> Floats:
    """By how much a row's own class leads the best other one, (n,), from any scores (n, C)."""
    own = np.arange(len(y)), y
    others = chances.copy()
    others[own] = -np.inf
    return np.asarray(chances[own] - others.max(axis=1))


def _looked_at(
    model: Parameters, inputs: Floats, y: NDArray[np.int64], box: Floats
) -> Iterator[Floats]:
    """The predictions (n, C) at the rows themselves, and at points of their boxes."""
    if model.family == "linear":
        yield from _corners(model, inputs, y, box)
        return
    from autoreg.engines.slopes import Differentiable

    network = Differentiable(model)
    yield network.chances(inputs)
    yield network.chances(inputs + box * network.uphill(inputs, y))
    draws = np.random.default_rng(seed_for("attack"))
    for number in range(STARTS):
        moved = box * draws.uniform(-1.0, 1.0, inputs.shape) if number else np.zeros_like(inputs)
        for _ in range(STEPS):
            uphill = network.uphill(inputs + moved, y)
            moved = np.clip(moved + STRIDE / STEPS * box * uphill, -box, box)
            yield network.chances(inputs + moved)


def _corners(
    model: Parameters, inputs: Floats, y: NDArray[np.int64], box: Floats
) -> Iterator[Floats]:
    """A linear model's predictions where each class in turn gains most on the row's own."""
    W, b = model.arrays["coefficients"], model.arrays["intercept"]
    if W.shape[1] == 1:  # two classes: the score of the second one
        W = np.concatenate([np.zeros_like(W), W], axis=1)
        b = np.concatenate([np.zeros_like(b), b])
    yield softmax(inputs @ W + b)
    for other in range(W.shape[1]):
        slopes = W[:, [other]].T - W[:, y].T
        yield softmax((inputs + box * np.sign(slopes)) @ W + b)
