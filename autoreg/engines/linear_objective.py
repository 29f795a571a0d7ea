"""The problem that linear engines solve, in numbers; what is optimal, and how nearly.

Minimized is ``mean weighted loss + s * (l1 * |W|_1 + l2 / 2 * |W|_2^2)`` over coefficients W of
the preprocessed inputs, with a free intercept. The loss is half the squared error or Huber's loss
(regression), the negative log likelihood of a Poisson count with the score as the logarithm of its
mean, or log loss of a logit (two classes) or of a softmax with one column for each class. The
absolute strength s
is the chosen strength times the training set's own ``strength_max``: with an L1 share the
smallest that zeroes all coefficients, otherwise the largest eigenvalue of the weighted,
centred Gram matrix (for counts times their mean, the curvature of their loss).

Why a standardized target: squared error is in the target's units squared, so in original units
a mix of L1 and L2 would mean something else for metres than for millimetres. The target's
weighted mean and deviation on the training rows are taken out before a fit and put back behind
it; plain lasso and plain ridge are the same either way. Counts stay as they are: the logarithm of
their mean knows no units.

Huber's loss is r^2 / 2 of residuals r up to a threshold and d |r| - d^2 / 2 beyond, so that an
outlier pulls no harder than a row at the threshold (Huber 1964, Annals of Mathematical Statistics
35(1)). It changes how models are fitted; a search compares candidates by the squared error still.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_softmax

from autoreg.data.dataset import Dataset, Floats, Rows, Task
from autoreg.model import HIGHEST
from autoreg.techniques.base import Penalty

TARGET = 1e-5  # solvers stop at this optimality residual, relative to the penalty's pull
ACCEPTED = 100  # times that residual, where rounding stops them before; beyond, it is flagged
NOISE = 1e-6  # ... but no residual below this counts: losses are means over standardized inputs
FLOOR = 1e-7  # they never work for a smaller residual, whatever the penalty's pull
RAREST = 1e-12  # the share of a class without a training row, where the null model starts
FLATTEST = 1e-6  # no row's curvature counts as less, where its probability or mean is sure
KNEE = 1.345  # Huber's threshold in robust deviations: 95% efficient where errors are normal
NORMAL = 1.4826  # from median absolute deviation to standard deviation, where errors are normal
TIE = 1e-9  # half of the weight, up to rounding

State = tuple[Floats, Floats]  # coefficients (q, k) and intercepts (k,)


@dataclass(frozen=True, eq=False)
class Sample:
    """Training rows as solvers see them.

    ``X`` (n, q) is preprocessed, ``Y`` (n, k) the standardized target (k = 1), the count (k = 1),
    the 0/1 of the second of two classes (k = 1), or one 0/1 column for each class. ``v`` (n,) are
    the row weights, scaled to sum to one. ``kind`` is the loss: ``regression`` (squared),
    ``huber`` with its threshold ``knee``, ``count``, ``binary`` or ``multiclass``. ``scale`` and
    ``shift`` bring scores to original units.
    """

    X: Floats
    Y: Floats
    v: Floats
    kind: str
    scale: float = 1.0
    shift: float = 0.0
    knee: float = float("inf")

    @classmethod
    def of(cls, X: Floats, table: Dataset, rows: Rows, loss: str = "squared") -> Sample:
        """The sample of some rows of a table, whose preprocessed inputs are X.

        ``loss`` is that of regression, ``squared`` or ``huber``; other tasks have one loss only.
        """
        y, weights = table.y[rows].astype(np.float64), table.weights[rows]
        v = weights / weights.sum()
        if table.task == "multiclass":
            return cls(X, np.eye(len(table.classes))[y.astype(np.int64)], v, table.task)
        if table.task in ("binary", "count"):
            return cls(X, y[:, None], v, table.task)
        shift = float(v @ y)
        scale = float(np.sqrt(v @ (y - shift) ** 2)) or 1.0
        sample = cls(X, (y - shift)[:, None] / scale, v, table.task, scale, shift)
        if loss == "squared":
            return sample
        return replace(sample, kind="huber", knee=huber_threshold(sample.Y[:, 0], v))

    @property
    def task(self) -> Task:
        """The task, whatever its loss."""
        return "regression" if self.kind == "huber" else self.kind  # type: ignore[return-value]

    @property
    def start(self) -> Floats:
        """The intercepts (k,) of the null model."""
        means = self.v @ self.Y
        if self.kind == "huber":
            return np.array([huber_location(self.Y[:, 0], self.v, self.knee)])
        if self.kind == "regression":
            return means
        if self.kind == "count":
            return np.asarray(np.log(np.maximum(means, RAREST)))
        shares = np.clip(means, RAREST, 1 - RAREST)
        return np.log(shares / (1 - shares)) if self.kind == "binary" else np.log(shares)

    @property
    def unit(self) -> float:
        """How steep slopes can be at the null model: one, and for counts their deviation."""
        if self.kind != "count":
            return 1.0
        y = self.Y[:, 0]
        return float(np.sqrt(self.v @ (y - self.v @ y) ** 2)) or 1.0

    def loss(self, scores: Floats) -> tuple[float, Floats]:
        """The mean weighted loss of scores (n, k), and its gradient (n, k) in the scores."""
        if self.kind == "regression":
            errors = scores - self.Y
            return float(self.v @ errors[:, 0] ** 2) / 2, self.v[:, None] * errors
        if self.kind == "huber":
            errors = scores - self.Y
            pulls = np.clip(errors, -self.knee, self.knee)
            return float(self.v @ (pulls * (errors - pulls / 2))[:, 0]), self.v[:, None] * pulls
        if self.kind == "count":
            means = np.exp(np.minimum(scores, HIGHEST))
            losses = means - self.Y * scores
            return float(self.v @ losses[:, 0]), self.v[:, None] * (means - self.Y)
        if self.kind == "binary":
            losses = np.logaddexp(0.0, scores) - self.Y * scores
            return float(self.v @ losses[:, 0]), self.v[:, None] * (expit(scores) - self.Y)
        logs = log_softmax(scores, axis=1)
        losses = -(self.Y * logs).sum(axis=1)
        return float(self.v @ losses), self.v[:, None] * (np.exp(logs) - self.Y)

    def curvature(self, scores: Floats) -> Floats:
        """The second derivative (n,) of the loss in the scores (n, 1) of two classes or counts."""
        if self.kind == "count":
            bends = np.exp(np.minimum(scores[:, 0], HIGHEST))
        else:
            bends = expit(scores[:, 0]) * expit(-scores[:, 0])
        return np.asarray(self.v * np.maximum(bends, FLATTEST))

    def centred(self, h: Floats, target: Floats) -> tuple[Floats, Floats, Floats, float]:
        """Inputs and target (n,), centred with weights h and scaled by their roots; the means.

        Least squares on them is weighted least squares with a free intercept.
        """
        total = h.sum()
        means, mean = h @ self.X / total, float(h @ target / total)
        root = np.sqrt(h)
        inputs = np.asfortranarray(root[:, None] * (self.X - means))
        return inputs, root * (target - mean), means, mean

    @property
    def null(self) -> State:
        """The featureless model."""
        return np.zeros((self.X.shape[1], self.Y.shape[1])), self.start

    def features(self, keep: NDArray[np.bool_]) -> Sample:
        """The same rows with some of the inputs."""
        return replace(self, X=self.X[:, keep])


@dataclass(frozen=True, eq=False)
class Objective:
    """The penalized loss of a sample at the absolute strength s."""

    sample: Sample
    penalty: Penalty
    s: float

    @property
    def l1(self) -> float:
        """What multiplies the sum of absolute coefficients."""
        return self.s * self.penalty.l1

    @property
    def l2(self) -> float:
        """What multiplies half the sum of squared coefficients."""
        return self.s * self.penalty.l2

    @property
    def tolerance(self) -> float:
        """The residual at which solvers stop: small beside the pull of the penalty.

        Gradients of the losses are at most about one, as inputs and target are standardized; those
        of counts are about as large as the counts vary.
        """
        pull, unit = self.l1 or self.l2, self.sample.unit
        return max(TARGET * min(pull, unit), FLOOR * unit)

    @property
    def accepted(self) -> float:
        """The residual up to which a solution counts as found."""
        steepest = float(np.abs(self.slope(self.sample.null)[0]).max())
        return max(ACCEPTED * self.tolerance, NOISE * steepest)

    def smooth(self, state: State) -> tuple[float, Floats, Floats]:
        """The objective without its L1 part, and its gradient in coefficients and intercepts."""
        W, b = state
        loss, residuals = self.sample.loss(self.sample.X @ W + b)
        slope = self.sample.X.T @ residuals + self.l2 * W
        return loss + self.l2 / 2 * float((W**2).sum()), slope, residuals.sum(axis=0)

    def value(self, state: State) -> float:
        """The objective."""
        return self.smooth(state)[0] + self.l1 * float(np.abs(state[0]).sum())

    def slope(self, state: State) -> State:
        """The gradient of the smooth part."""
        return self.smooth(state)[1:]

    def violations(self, state: State) -> State:
        """How far each coefficient and intercept is from optimal: distance to the subgradient."""
        W, _ = state
        slope, slope_b = self.slope(state)
        at_zero = np.maximum(np.abs(slope) - self.l1, 0.0)
        broken = np.where(W == 0, at_zero, np.abs(slope + self.l1 * np.sign(W)))
        return broken, np.abs(slope_b)

    def residual(self, state: State) -> float:
        """The largest violation of the optimality conditions."""
        return float(max(part.max() for part in self.violations(state)))

    def features(self, keep: NDArray[np.bool_]) -> Objective:
        """The same objective for some of the inputs."""
        return replace(self, sample=self.sample.features(keep))


# ---- Huber's loss ----------------------------------------------------------------------------


def huber_threshold(y: Floats, v: Floats) -> float:
    """From where on a residual counts as an outlier's: 1.345 robust standard deviations of y.

    ``y`` (n,) is the standardized target, ``v`` (n,) are row weights that sum to one. The robust
    deviation is 1.4826 times the weighted median of ``|y - median|``; where more than half of the
    target is one number it is 0, and the plain deviation, 1, stands in for it.

    Source: Huber & Ronchetti 2009, Robust Statistics, sections 5.1 and 7.8.

    >>> huber_threshold(np.array([-1.0, 0.0, 1.0, 50.0]), np.full(4, 0.25)) / KNEE / NORMAL
    1.0
    """
    spread = weighted_median(np.abs(y - weighted_median(y, v)), v)
    return KNEE * (NORMAL * spread or 1.0)


def huber_location(y: Floats, v: Floats, knee: float) -> float:
    """The constant that minimizes Huber's loss of y (n,) with row weights v (n,)."""
    low, high = float(y.min()), float(y.max())
    if low == high:
        return low
    found = brentq(lambda m: float(v @ np.clip(m - y, -knee, knee)), low, high, xtol=1e-15)
    return float(found)


def weighted_median(values: Floats, v: Floats) -> float:
    """The middle of values (n,) with weights v (n,) that sum to one.

    Where half of the weight lies on either side of a gap, the middle of the gap.

    >>> weighted_median(np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.25, 0.25]))
    2.5
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(v[order])
    low, high = np.searchsorted(below, [0.5 - TIE, 0.5 + TIE])
    last = len(values) - 1
    return float(values[order[min(low, last)]] + values[order[min(high, last)]]) / 2
