"""The problem that linear engines solve, in numbers; what is optimal, and how nearly.

Minimized is ``mean weighted loss + s * (l1 * |W|_1 + l2 / 2 * |W|_2^2)`` over coefficients W of
the preprocessed inputs, with a free intercept. The loss is half the squared error, or log loss
of a logit (two classes) or of a softmax with one column for each class. The absolute strength s
is the chosen strength times the training set's own ``strength_max``: with an L1 share the
smallest that zeroes all coefficients, otherwise the largest eigenvalue of the weighted,
centred Gram matrix, the same for all losses.

Why a standardized target: squared error is in the target's units squared, so in original units
a mix of L1 and L2 would mean something else for metres than for millimetres. The target's
weighted mean and deviation on the training rows are taken out before a fit and put back behind
it; plain lasso and plain ridge are the same either way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.techniques.base import Penalty

TARGET = 1e-5  # solvers stop at this optimality residual, relative to the penalty's pull
ACCEPTED = 100  # times that residual, where rounding stops them before; beyond, it is flagged
NOISE = 1e-6  # ... but no residual below this counts: losses are means over standardized inputs
FLOOR = 1e-7  # they never work for a smaller residual, whatever the penalty's pull
RAREST = 1e-12  # the share of a class without a training row, where the null model starts

State = tuple[Floats, Floats]  # coefficients (q, k) and intercepts (k,)


@dataclass(frozen=True, eq=False)
class Sample:
    """Training rows as solvers see them.

    ``X`` (n, q) is preprocessed, ``Y`` (n, k) the standardized target (k = 1), the 0/1 of the
    second of two classes (k = 1), or one 0/1 column for each class. ``v`` (n,) are the row
    weights, scaled to sum to one. ``scale`` and ``shift`` bring scores to original units.
    """

    X: Floats
    Y: Floats
    v: Floats
    kind: str
    scale: float = 1.0
    shift: float = 0.0

    @classmethod
    def of(cls, X: Floats, table: Dataset, rows: Rows) -> Sample:
        """The sample of some rows of a table, whose preprocessed inputs are X."""
        y, weights = table.y[rows].astype(np.float64), table.weights[rows]
        v = weights / weights.sum()
        if table.task == "multiclass":
            return cls(X, np.eye(len(table.classes))[y.astype(np.int64)], v, table.task)
        if table.task == "binary":
            return cls(X, y[:, None], v, table.task)
        shift = float(v @ y)
        scale = float(np.sqrt(v @ (y - shift) ** 2)) or 1.0
        return cls(X, (y - shift)[:, None] / scale, v, table.task, scale, shift)

    @property
    def start(self) -> Floats:
        """The intercepts (k,) of the null model."""
        shares = np.clip(self.v @ self.Y, RAREST, 1 - RAREST)
        if self.kind == "regression":
            return self.v @ self.Y
        return np.log(shares / (1 - shares)) if self.kind == "binary" else np.log(shares)

    def loss(self, scores: Floats) -> tuple[float, Floats]:
        """The mean weighted loss of scores (n, k), and its gradient (n, k) in the scores."""
        if self.kind == "regression":
            errors = scores - self.Y
            return float(self.v @ errors[:, 0] ** 2) / 2, self.v[:, None] * errors
        if self.kind == "binary":
            losses = np.logaddexp(0.0, scores) - self.Y * scores
            return float(self.v @ losses[:, 0]), self.v[:, None] * (expit(scores) - self.Y)
        logs = log_softmax(scores, axis=1)
        losses = -(self.Y * logs).sum(axis=1)
        return float(self.v @ losses), self.v[:, None] * (np.exp(logs) - self.Y)

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

        Gradients of the losses are at most about one, as inputs and target are standardized.
        """
        pull = self.l1 or self.l2
        return max(TARGET * min(pull, 1.0), FLOOR)

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
