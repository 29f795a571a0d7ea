"""What linear engines are made of: the problem in numbers, and plain solvers for it.

Minimized is ``mean weighted loss + s * (l1 * |W|_1 + l2 / 2 * |W|_2^2)`` over coefficients W of
the preprocessed inputs, with a free intercept. The loss is half the squared error, or log loss
of a logit (two classes) or of a softmax with one column for each class. The absolute strength s
is the chosen strength times the training set's own ``strength_max``: with an L1 share the
smallest that zeroes all coefficients, otherwise the largest eigenvalue of the weighted,
centred Gram matrix, the same for all losses.

Why these solvers: ridge has a closed form; for squared error with L1 scikit-learn's coordinate
descent is exact and quick; two classes with L1 are a handful of such least squares problems
(proximal Newton); every other likelihood is smooth, or becomes smooth under bounds when W is
split into its positive and negative part, and that is what L-BFGS-B is made for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.model import Parameters, softmax
from autoreg.preprocess import Preprocessor
from autoreg.techniques.base import Penalty

TARGET = 1e-5  # solvers stop at this optimality residual, relative to the absolute strength
ACCEPTED = 1e-3  # beyond this one, where rounding stopped them before, a fit is flagged
NOISE = 1e-6  # ... but no residual below this counts: losses are means over standardized inputs
GAP = 1e-10  # duality gap of coordinate descent, relative to the null model's squared error
SWEEPS = 5000  # of coordinate descent, at one strength
CAP = 5000  # iterations of L-BFGS at one strength
CAP_NONE = 500  # without a penalty there may be no optimum to find
BATCH = 50  # features that enter a working set at once, at least
ROUNDING = 1e-10  # the greatest strength must give zeros in spite of rounding
RAREST = 1e-12  # the share of a class without a training row, where the null model starts


State = tuple[Floats, Floats]
Solver = Callable[["Sample", Penalty, float, State], State]

# ---- the problem -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sample:
    """Training rows as solvers see them.

    ``X`` (n, q) is preprocessed, ``Y`` (n, k) the target in original units (k = 1), the 0/1 of
    the second of two classes (k = 1), or one 0/1 column for each class. ``v`` (n,) are the row
    weights, scaled to sum to one.
    """

    X: Floats
    Y: Floats
    v: Floats
    kind: str

    @classmethod
    def of(cls, X: Floats, table: Dataset, rows: Rows) -> Sample:
        """The sample of some rows of a table, whose preprocessed inputs are X."""
        y, weights = table.y[rows], table.weights[rows]
        Y = y[:, None].astype(np.float64)
        if table.task == "multiclass":
            Y = np.eye(len(table.classes))[y.astype(np.int64)]
        return cls(X, Y, weights / weights.sum(), table.task)

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

    def features(self, keep: NDArray[np.bool_]) -> Sample:
        """The same rows with some of the inputs."""
        return replace(self, X=self.X[:, keep])


@dataclass(frozen=True, eq=False)
class Path:
    """Solutions: coefficients (S, q, k), intercepts (S, k), and remarks on the way there."""

    coefficients: Floats
    intercepts: Floats
    flags: tuple[str, ...] = ()

    def predictions(self, X: Floats, sample: Sample) -> Floats:
        """Predictions (S, n, C) for preprocessed inputs (n, q)."""
        scores = X @ self.coefficients + self.intercepts[:, None, :]
        return scores if sample.kind == "regression" else softmax(scores)

    def parameters(self, scaling: Preprocessor) -> Parameters:
        """The only solution as the arrays of a model."""
        (coefficients,), (intercept,) = self.coefficients, self.intercepts
        arrays = {"coefficients": coefficients, "intercept": intercept}
        return Parameters("linear", arrays, scaling, {})


def solve(sample: Sample, penalty: Penalty, strengths: Sequence[float]) -> Path:
    """The solutions at all strengths, in their order.

    Solvers walk from the strongest to the weakest, each starting where the last one ended.
    """
    if sample.kind == "regression" and penalty.l1 == 0:
        return _closed_form(sample, penalty, np.array(strengths))
    if penalty.is_null:
        return _likelihood_alone(sample, len(strengths))
    return _walk(sample, penalty, strengths)


# ---- squared error ---------------------------------------------------------------------------


def _closed_form(sample: Sample, penalty: Penalty, strengths: Floats) -> Path:
    """Ridge, or the minimum-norm solution where nothing is penalized."""
    A, b, means, mean = sample.centred(sample.v, sample.Y[:, 0])
    if penalty.is_null:
        W = np.repeat(np.linalg.lstsq(A, b, rcond=None)[0][:, None], len(strengths), axis=1)
    else:
        W = _ridge(A, b, penalty, strengths)
    return Path(W.T[:, :, None], (mean - means @ W)[:, None])


def _ridge(A: Floats, b: Floats, penalty: Penalty, strengths: Floats) -> Floats:
    """Ridge solutions (q, S) from one eigendecomposition of the smaller Gram matrix."""
    n, q = A.shape
    wide = q > n
    values, vectors = np.linalg.eigh(A @ A.T if wide else A.T @ A)
    values = np.maximum(values, 0.0)
    shrunk = values[:, None] + penalty.l2 * _positive(values[-1]) * strengths
    projected = vectors.T @ (b if wide else A.T @ b)
    W = vectors @ (projected[:, None] / shrunk)
    return A.T @ W if wide else W


def _zeroing(steepest: float, penalty: Penalty) -> float:
    """The smallest strength that zeroes all coefficients, from the null model's gradient."""
    return _positive(steepest / penalty.l1) * (1 + ROUNDING)


def _positive(strength: float) -> float:
    """A strength scale of zero (nothing to learn) must not be divided by."""
    return max(strength, float(np.finfo(float).tiny) * 1e8)


def _least_squares(sample: Sample, penalty: Penalty, s: float, state: State) -> State:
    """Squared error with L1: coordinate descent on the centred rows."""
    A, b, means, mean = sample.centred(sample.v, sample.Y[:, 0])
    w = _coordinate_descent(A, b, penalty, s, state[0][:, 0])
    return w[:, None], np.array([mean - means @ w])


def _coordinate_descent(A: Floats, b: Floats, penalty: Penalty, s: float, start: Floats) -> Floats:
    """Minimize |b - A w|^2 / 2 + s * penalty; the solver calls s alpha, and divides by 2 n."""
    n, q = A.shape
    shares = penalty.l1 + penalty.l2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the residual tells it better
        _, solutions, _ = enet_path(
            A,
            b,
            l1_ratio=penalty.l1 / shares,
            alphas=[s * shares / n],
            precompute=np.ascontiguousarray(A.T @ A) if q < n else False,
            Xy=A.T @ b if q < n else None,
            coef_init=start.copy(),
            check_input=False,
            tol=GAP,
            max_iter=SWEEPS,
        )
    return np.asarray(solutions[:, 0])


# ---- likelihoods, and paths with L1 ----------------------------------------------------------


def _likelihood_alone(sample: Sample, count: int) -> Path:
    """No penalty: L-BFGS, capped; flagged where no finite optimum exists or none was found."""
    W, b = _lbfgs(sample, Penalty(), 0.0, _null(sample), cap=CAP_NONE)
    flags: tuple[str, ...] = ()
    if _separates(sample, sample.X @ W + b):
        flags = ("separable",)
    elif _residual(sample, Penalty(), 0.0, (W, b)) > NOISE:
        flags = ("not converged",)
    return Path(np.repeat(W[None], count, axis=0), np.repeat(b[None], count, axis=0), flags)


def _separates(sample: Sample, scores: Floats) -> bool:
    """Whether the scores put every row strictly on the side of its class.

    Then larger coefficients are always better (Albert & Anderson 1984, Biometrika 71(1)).
    """
    if sample.kind == "binary":
        return bool(((2 * sample.Y - 1) * scores > 0).all())
    own = (sample.Y * scores).sum(axis=1)
    others = np.where(sample.Y == 1, -np.inf, scores).max(axis=1)
    return bool((own > others).all())


def _walk(sample: Sample, penalty: Penalty, strengths: Sequence[float]) -> Path:
    """Solutions from the strongest to the weakest, each starting where the last one ended."""
    state = _null(sample)
    steepest = float(np.abs(_gradient(sample, state)[0]).max())
    greatest = _zeroing(steepest, penalty) if penalty.l1 > 0 else _largest_eigenvalue(sample)
    solver, solved = _solver(sample, penalty), True
    solutions: dict[float, State] = {}
    for strength in sorted(set(strengths), reverse=True):
        s = strength * greatest
        state = _on_working_sets(solver, sample, penalty, s, state)
        accepted = max(ACCEPTED * s, NOISE * steepest)
        solved = solved and _residual(sample, penalty, s, state) <= accepted
        solutions[strength] = state
    W, b = (np.stack(part) for part in zip(*(solutions[s] for s in strengths), strict=True))
    return Path(W, b, () if solved else ("not converged",))


def _solver(sample: Sample, penalty: Penalty) -> Solver:
    if penalty.l1 == 0 or sample.kind == "multiclass":
        return _lbfgs
    return _least_squares if sample.kind == "regression" else _proximal_newton


def _largest_eigenvalue(sample: Sample) -> float:
    """Of the weighted, centred Gram matrix."""
    A = sample.centred(sample.v, sample.v)[0]
    n, q = A.shape
    return _positive(float(np.linalg.eigvalsh(A @ A.T if q > n else A.T @ A)[-1]))


def _null(sample: Sample) -> State:
    return np.zeros((sample.X.shape[1], sample.Y.shape[1])), sample.start


def _gradient(sample: Sample, state: State) -> State:
    """The gradient of the loss in coefficients (q, k) and intercepts (k,)."""
    W, b = state
    _, residuals = sample.loss(sample.X @ W + b)
    return sample.X.T @ residuals, residuals.sum(axis=0)


def _objective(sample: Sample, penalty: Penalty, s: float, state: State) -> float:
    W, b = state
    size = penalty.l1 * np.abs(W).sum() + penalty.l2 / 2 * (W**2).sum()
    return sample.loss(sample.X @ W + b)[0] + s * float(size)


def _violations(sample: Sample, penalty: Penalty, s: float, state: State) -> State:
    """How far each coefficient and intercept is from optimal: distance to the subgradient."""
    W, _ = state
    slope, slope_b = _gradient(sample, state)
    slope = slope + s * penalty.l2 * W
    l1 = s * penalty.l1
    at_zero = np.maximum(np.abs(slope) - l1, 0.0)
    return np.where(W == 0, at_zero, np.abs(slope + l1 * np.sign(W))), np.abs(slope_b)


def _residual(sample: Sample, penalty: Penalty, s: float, state: State) -> float:
    """The largest violation of the optimality conditions."""
    return float(max(part.max() for part in _violations(sample, penalty, s, state)))


def _on_working_sets(
    solver: Solver, sample: Sample, penalty: Penalty, s: float, state: State
) -> State:
    """Solve on the features in use, add those that break the optimality conditions, repeat.

    A set at most doubles, so the few features that matter are found without solving for all.
    Source: Johnson & Guestrin 2015, Blitz, ICML.
    """
    keep = (state[0] != 0).any(axis=1)
    while True:
        broken = np.where(keep, 0.0, _violations(sample, penalty, s, state)[0].max(axis=1))
        worst = np.argsort(-broken, kind="stable")[: max(BATCH, int(keep.sum()))]
        keep[worst] |= broken[worst] > TARGET * s
        if not keep.any():
            return state
        inner, b = solver(sample.features(keep), penalty, s, (state[0][keep], state[1]))
        W = np.zeros_like(state[0])
        W[keep] = inner
        state = W, b
        outside = _violations(sample, penalty, s, state)[0][~keep]
        if outside.max(initial=0.0) <= TARGET * s:
            return state


def _lbfgs(sample: Sample, penalty: Penalty, s: float, state: State, cap: int = CAP) -> State:
    """Minimize with L-BFGS-B; with L1 on the positive and negative parts of W, bounded at zero.

    Source: Byrd, Lu, Nocedal & Zhu 1995, SIAM Journal on Scientific Computing 16(5).
    """
    X = sample.X
    W, b = state
    signs = (1.0, -1.0) if penalty.l1 > 0 else (1.0,)
    size = W.size * len(signs)
    l1, l2 = s * penalty.l1, s * penalty.l2

    def unpacked(point: Floats) -> State:
        parts = point[:size].reshape(len(signs), *W.shape)
        return np.tensordot(signs, parts, 1), point[size:]

    def target(point: Floats) -> tuple[float, Floats]:
        W, b = unpacked(point)
        value, residuals = sample.loss(X @ W + b)
        slope = X.T @ residuals + l2 * W
        slopes = [(sign * slope + l1).ravel() for sign in signs]
        value += l1 * point[:size].sum() + l2 / 2 * float((W**2).sum())
        return value, np.concatenate([*slopes, residuals.sum(axis=0)])

    parts = [np.maximum(sign * W, 0.0) for sign in signs] if penalty.l1 > 0 else [W]
    lowest = 0.0 if penalty.l1 > 0 else None
    found = minimize(
        target,
        np.concatenate([*(part.ravel() for part in parts), b]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(lowest, None)] * size + [(None, None)] * len(b),
        options={
            "maxiter": cap,
            "maxfun": 2 * cap,
            "maxcor": 20,
            "gtol": TARGET * min(s, 1.0) if s > 0 else NOISE / 10,
            "ftol": 1e-16,
        },
    )
    return unpacked(found.x)


def _proximal_newton(sample: Sample, penalty: Penalty, s: float, state: State) -> State:
    """Two classes with L1: penalized least squares on the log loss's quadratic model, repeated.

    Source: Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33(1), section 3;
    the step is halved until the objective falls (Lee, Sun & Saunders 2014, SIAM J. Optim. 24(3)).
    """
    best = _objective(sample, penalty, s, state)
    for _ in range(50):
        if _residual(sample, penalty, s, state) <= TARGET * s:
            break
        step = _newton_step(sample, penalty, s, state)
        for size in 0.5 ** np.arange(20):
            trial = state[0] + size * step[0], state[1] + size * step[1]
            value = _objective(sample, penalty, s, trial)
            if value < best:
                break
        else:
            break
        state, best = trial, value
    return state


def _newton_step(sample: Sample, penalty: Penalty, s: float, state: State) -> State:
    """The way to the minimum of the quadratic model around a state."""
    W, b = state
    scores = sample.X @ W + b
    chance = expit(scores[:, 0])
    h = sample.v * np.maximum(chance * (1 - chance), 1e-6)
    working = scores[:, 0] + sample.v * (sample.Y[:, 0] - chance) / h
    A, t, means, mean = sample.centred(h, working)
    new = _coordinate_descent(A, t, penalty, s, W[:, 0])[:, None]
    return new - W, (mean - means @ new) - b
