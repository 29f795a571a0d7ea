"""Plain solvers for linear models: from a sample and a penalty to solutions along a path.

Why these solvers: ridge has a closed form; for squared error with L1 scikit-learn's coordinate
descent is exact and quick; two classes or counts with L1 are a handful of such least squares
problems (proximal Newton); every other loss is smooth, or becomes smooth under bounds when W is
split into its positive and negative part, and that is what L-BFGS-B is made for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from autoreg.data.dataset import Floats
from autoreg.engines.linear_objective import Objective, Sample, State
from autoreg.engines.separable import is_separable
from autoreg.model import linked
from autoreg.techniques.base import Penalty

GAP = 1e-10  # duality gap of coordinate descent, relative to the null model's squared error
SWEEPS = 5000  # of coordinate descent, at one strength
NEWTON_STEPS = 50  # quadratic models at one strength
CAP = 5000  # iterations of L-BFGS at one strength
CAP_NONE = 500  # without a penalty there may be no optimum to find
RESTARTS = 5  # of L-BFGS that stops early; each uses up its share of the iterations
BATCH = 50  # features that enter a working set at once, at least
ROUNDING = 1e-10  # the greatest strength must give zeros in spite of rounding


@dataclass(frozen=True, eq=False)
class Path:
    """Solutions: coefficients (S, q, k), intercepts (S, k), and remarks on the way there.

    ``l2`` (S,) is the absolute strength of half the sum of squares; ``freedom`` (S,) are effective
    degrees of freedom, where a solver knows them by itself.
    """

    coefficients: Floats
    intercepts: Floats
    flags: tuple[str, ...] = ()
    l2: Floats | None = None
    freedom: Floats | None = None

    def in_units(self, sample: Sample) -> Path:
        """The same solutions for the target in its own units."""
        W, b = self.coefficients * sample.scale, self.intercepts * sample.scale + sample.shift
        return replace(self, coefficients=W, intercepts=b)

    def predictions(self, X: Floats, sample: Sample) -> Floats:
        """Predictions (S, n, C) for preprocessed inputs (n, q)."""
        return linked(X @ self.coefficients + self.intercepts[:, None, :], sample.task)


def solve(sample: Sample, penalty: Penalty, strengths: Sequence[float]) -> Path:
    """The solutions of L1 and L2 penalties at all strengths, in their order, standardized.

    Solvers walk from the strongest to the weakest, each starting where the last one ended.
    """
    path = _standardized(sample, penalty, strengths)
    l2 = np.zeros(len(strengths))
    if penalty.l2 > 0:
        l2 = penalty.l2 * strength_max(sample, penalty) * np.array(strengths)
    return replace(path, l2=l2)


def _standardized(sample: Sample, penalty: Penalty, strengths: Sequence[float]) -> Path:
    if sample.kind == "regression" and penalty.l1 == 0:
        return closed_form(sample, penalty, np.array(strengths))
    if penalty.l1 == 0 and sample.X.shape[1] > len(sample.X):
        return _in_row_space(sample, penalty, strengths)
    if penalty.is_null:
        return likelihood_alone(sample, len(strengths))
    return _walk(sample, penalty, strengths)


def _in_row_space(sample: Sample, penalty: Penalty, strengths: Sequence[float]) -> Path:
    """More inputs than rows, no L1: turn the inputs so that only as many as rows are not zero.

    The best coefficients are combinations of the rows, and turning keeps their squared size.
    Source: Hastie & Tibshirani 2004, Biostatistics 5(3), theorem 1.
    """
    axes = np.linalg.svd(sample.X, full_matrices=False)[2]
    path = _standardized(replace(sample, X=sample.X @ axes.T), penalty, strengths)
    return replace(path, coefficients=axes.T @ path.coefficients)


# ---- squared error ---------------------------------------------------------------------------


def closed_form(sample: Sample, penalty: Penalty, strengths: Floats) -> Path:
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
    shrunk = values[:, None] + penalty.l2 * positive(values[-1]) * strengths
    projected = vectors.T @ (b if wide else A.T @ b)
    W: Floats = vectors @ (projected[:, None] / shrunk)
    return A.T @ W if wide else W


# ---- paths without a closed form -------------------------------------------------------------

Solver = Callable[[Objective, State], State]


def likelihood_alone(sample: Sample, count: int) -> Path:
    """No penalty: L-BFGS, capped; flagged where no finite optimum exists or none was found."""
    objective = Objective(sample, Penalty(), 0.0)
    W, b = _lbfgs(objective, _unpenalized_start(sample), cap=CAP_NONE)
    flags: tuple[str, ...] = ()
    if is_separable(sample, sample.X @ W + b):
        flags = ("separable",)
    elif objective.residual((W, b)) > objective.accepted:
        flags = ("not converged",)
    return Path(np.repeat(W[None], count, axis=0), np.repeat(b[None], count, axis=0), flags)


def _unpenalized_start(sample: Sample) -> State:
    """The featureless model; for Huber's loss least squares, which is optimal where it is exact."""
    if sample.kind != "huber":
        return sample.null
    squared = closed_form(sample, Penalty(), np.ones(1))
    return squared.coefficients[0], squared.intercepts[0]


def _walk(sample: Sample, penalty: Penalty, strengths: Sequence[float]) -> Path:
    """Solutions from the strongest to the weakest, each starting where the last one ended."""
    greatest = strength_max(sample, penalty)
    state, solver, solved = sample.null, _solver(sample, penalty), True
    solutions: dict[float, State] = {}
    for strength in sorted(set(strengths), reverse=True):
        objective = Objective(sample, penalty, strength * greatest)
        state = solutions[strength] = _on_working_sets(solver, objective, state)
        solved = solved and objective.residual(state) <= objective.accepted
    W, b = (np.stack(part) for part in zip(*(solutions[s] for s in strengths), strict=True))
    return Path(W, b, () if solved else ("not converged",))


def strength_max(sample: Sample, penalty: Penalty) -> float:
    """The absolute strength that a strength of 1 stands for on a training set."""
    return _zeroing(sample, penalty) if penalty.l1 > 0 else largest_eigenvalue(sample)


def _zeroing(sample: Sample, penalty: Penalty) -> float:
    """The smallest strength that zeroes all coefficients, from the null model's gradient."""
    slope, _ = Objective(sample, Penalty(), 0.0).slope(sample.null)
    return positive(float(np.abs(slope).max()) / penalty.l1) * (1 + ROUNDING)


def largest_eigenvalue(sample: Sample) -> float:
    """Of the weighted, centred Gram matrix; for counts times their mean, the null curvature."""
    A = sample.centred(sample.v, sample.v)[0]
    n, q = A.shape
    bend = float(sample.v @ sample.Y[:, 0]) if sample.kind == "count" else 1.0
    return positive(bend * float(np.linalg.eigvalsh(A @ A.T if q > n else A.T @ A)[-1]))


def positive(strength: float) -> float:
    """A strength scale of zero (nothing to learn) must not be divided by."""
    return max(strength, float(np.finfo(float).tiny) * 1e8)


def _solver(sample: Sample, penalty: Penalty) -> Solver:
    if penalty.l1 == 0 or sample.kind in ("multiclass", "huber"):
        return _lbfgs
    return _least_squares if sample.kind == "regression" else _proximal_newton


def _on_working_sets(solver: Solver, objective: Objective, state: State) -> State:
    """Solve on the features in use, add those that break the optimality conditions, repeat.

    A set at most doubles, so the few features that matter are found without solving for all.
    Source: Johnson & Guestrin 2015, Blitz, ICML.
    """
    if objective.l1 == 0:
        return solver(objective, state)
    keep = (state[0] != 0).any(axis=1)
    while True:
        broken = np.where(keep, 0.0, objective.violations(state)[0].max(axis=1))
        worst = np.argsort(-broken, kind="stable")[: max(BATCH, int(keep.sum()))]
        keep[worst] |= broken[worst] > objective.tolerance
        if not keep.any():
            return state
        inner, b = solver(objective.features(keep), (state[0][keep], state[1]))
        W = np.zeros_like(state[0])
        W[keep] = inner
        state = W, b
        outside = objective.violations(state)[0][~keep]
        if outside.max(initial=0.0) <= objective.tolerance:
            return state


# ---- solvers ---------------------------------------------------------------------------------


def _least_squares(objective: Objective, state: State) -> State:
    """Squared error with L1: coordinate descent on the centred rows."""
    sample = objective.sample
    A, b, means, mean = sample.centred(sample.v, sample.Y[:, 0])
    w = _coordinate_descent(A, b, objective, state[0][:, 0])
    return w[:, None], np.array([mean - means @ w])


def _coordinate_descent(A: Floats, b: Floats, objective: Objective, start: Floats) -> Floats:
    """Minimize |b - A w|^2 / 2 + penalty over w (q,).

    scikit-learn divides squared errors by 2 n, and calls the strength alpha.
    """
    n, q = A.shape
    both = objective.l1 + objective.l2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the residual tells it better
        _, solutions, _ = enet_path(
            A,
            b,
            l1_ratio=objective.l1 / both,
            alphas=[both / n],
            precompute=np.ascontiguousarray(A.T @ A) if q < n else False,
            Xy=A.T @ b if q < n else None,
            coef_init=start.copy(),
            check_input=False,
            tol=GAP,
            max_iter=SWEEPS,
        )
    return np.asarray(solutions[:, 0])


def _proximal_newton(objective: Objective, state: State) -> State:
    """Two classes or counts with L1: penalized least squares on quadratic models, repeated.

    Source: Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33(1), section 3;
    the step is halved until the objective falls (Lee, Sun & Saunders 2014, SIAM J. Optim. 24(3)).
    """
    best = objective.value(state)
    for _ in range(NEWTON_STEPS):
        if objective.residual(state) <= objective.tolerance:
            break
        step = _newton_step(objective, state)
        for size in 0.5 ** np.arange(20):
            trial = state[0] + size * step[0], state[1] + size * step[1]
            value = objective.value(trial)
            if value < best:
                break
        else:
            break
        state, best = trial, value
    return state


def _newton_step(objective: Objective, state: State) -> State:
    """The way to the minimum of the quadratic model around a state."""
    (W, b), sample = state, objective.sample
    scores = sample.X @ W + b
    h = sample.curvature(scores)
    working = scores[:, 0] - sample.loss(scores)[1][:, 0] / h
    A, t, means, mean = sample.centred(h, working)
    new = _coordinate_descent(A, t, objective, W[:, 0])[:, None]
    return new - W, (mean - means @ new) - b


def _lbfgs(objective: Objective, state: State, cap: int | None = None) -> State:
    """Minimize with L-BFGS-B; with L1 on the positive and negative parts of W, bounded at zero.

    A step along the bounds that gains nothing ends a run early: then a fresh one goes on.
    Source: Byrd, Lu, Nocedal & Zhu 1995, SIAM Journal on Scientific Computing 16(5).
    """
    W, b = state
    split = objective.l1 > 0
    signs = (1.0, -1.0) if split else (1.0,)
    size = W.size * len(signs)

    def unpacked(point: Floats) -> State:
        return np.tensordot(signs, point[:size].reshape(len(signs), *W.shape), 1), point[size:]

    def target(point: Floats) -> tuple[float, Floats]:
        value, slope, slope_b = objective.smooth(unpacked(point))
        slopes = [(sign * slope + objective.l1).ravel() for sign in signs]
        return value + objective.l1 * float(point[:size].sum()), np.concatenate([*slopes, slope_b])

    parts = [np.maximum(sign * W, 0.0) for sign in signs] if split else [W]
    point = np.concatenate([*(part.ravel() for part in parts), b])
    bounds = [(0.0, None)] * size + [(None, None)] * len(b) if split else None
    options = {"maxcor": 20, "gtol": objective.tolerance, "ftol": 1e-16}
    left = limit = cap or CAP
    while left > 0 and objective.residual(unpacked(point)) > objective.tolerance:
        budget = {"maxiter": left, "maxfun": 2 * left}
        found = minimize(
            target, point, jac=True, method="L-BFGS-B", bounds=bounds, options=options | budget
        )
        point = found.x
        left -= max(found.nit, limit // RESTARTS)
    return unpacked(point)
