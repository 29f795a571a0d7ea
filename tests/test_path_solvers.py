"""Linear engines against independent solvers, and constraints against their meaning.

Convex penalties, with and without constraints, against CVXPY and its interior-point solver;
what scikit-learn fits as well, against scikit-learn.
"""

import warnings
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from linear_definition import CLASSES, LOSSES, TRAIN, Problem, fitted, settings, table
from sklearn.linear_model import (
    ARDRegression,
    BayesianRidge,
    ElasticNet,
    Lasso,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)

from autoreg.candidate import candidate
from autoreg.engines.loop import LoopEngine
from autoreg.engines.path import PathEngine
from autoreg.techniques import technique

ENGINES = {"path": PathEngine(), "loop": LoopEngine()}
CONVEX = {
    name: one
    for name, one in settings()
    if one.path is not None
    and not one.techniques[0].components()
    and one.techniques[0].penalty().is_convex
}
CONSTRAINTS = {
    "non-negative": {"non_negative": "all"},
    "unpenalized": {"unpenalized": ("x1", "x2")},
    "both": {"non_negative": ("x1", "x3"), "unpenalized": ("x2",)},
}
both_engines = pytest.mark.parametrize("engine", ENGINES.values(), ids=list(ENGINES))


def linear(key, **dials):
    return candidate("linear", [technique(key)(**dials)] if key != "none" else [], {})


def by_cvxpy(problem, strength):
    """The problem's objective, written down once more, for an interior-point solver."""
    n = len(problem.y)
    W, b = cp.Variable((problem.q, problem.k)), cp.Variable(problem.k)
    scores = problem.X @ W + np.ones((n, 1)) @ cp.reshape(b, (1, problem.k), order="C")
    y, v, penalty = problem.y, problem.v, problem.penalty
    row = {
        "regression": lambda: cp.square(y - scores[:, 0]) / 2,
        "huber": lambda: cp.huber(y - scores[:, 0], problem.knee) / 2,
        "count": lambda: cp.exp(scores[:, 0]) - cp.multiply(y, scores[:, 0]),
        "binary": lambda: cp.logistic(scores[:, 0]) - cp.multiply(y, scores[:, 0]),
        "multiclass": lambda: (
            cp.log_sum_exp(scores, axis=1)
            - cp.sum(cp.multiply(np.eye(problem.classes)[y], scores), axis=1)
        ),
    }[problem.loss_name]()
    s = strength * problem.scale
    touched = (~problem.free).astype(float)
    size = penalty.l1 * cp.sum(cp.multiply((problem.factors * touched)[:, None], cp.abs(W)))
    size += penalty.l2 / 2 * cp.sum_squares(cp.multiply(touched[:, None], W))
    for group in problem.members:
        if penalty.group and not problem.free[group].any():
            size += penalty.group * np.sqrt(len(group)) * cp.norm(W[group], "fro")
    limits = [W[problem.bounded] >= 0] if problem.bounded.any() else []
    limits += [cp.sum(b) == 0] if problem.k > 1 else []  # all may be moved together
    asked = cp.Problem(cp.Minimize(v @ row + s * size), limits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it gets no nearer: the comparison tells how near
        asked.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    assert asked.status in ("optimal", "optimal_inaccurate")
    return W.value, b.value


def differences(problem, fit, strength, position=0):
    """Of the objective, and of the largest coefficient's share, to the interior-point solver."""
    ours = problem.standardized(fit.coefficients[position], fit.intercepts[position])
    theirs = by_cvxpy(problem, strength)
    objectives = [problem.objective(strength, *each) for each in (ours, theirs)]
    W, expected = ours[0], theirs[0]
    if problem.k > 1:  # a softmax leaves one number open for inputs that nothing penalizes
        free = problem.free
        W, expected = W.copy(), expected.copy()
        W[free] -= W[free].mean(axis=1, keepdims=True)
        expected[free] -= expected[free].mean(axis=1, keepdims=True)
    return abs(np.diff(objectives)[0]), np.abs(W - expected).max() / np.abs(expected).max()


@both_engines
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", CONVEX)
def test_convex_penalties_equal_an_interior_point_solver(engine, name, loss):
    one, data, strengths = CONVEX[name], table(loss), (0.02, 0.3)
    fit = fitted(engine, one, data, strengths)
    for position, strength in enumerate(strengths):
        objective, coefficients = differences(Problem(one, data), fit, strength, position)
        assert objective < 1e-6
        assert coefficients < 1e-3


@both_engines
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize(
    "one",
    [linear("ridge"), linear("lasso"), linear("sparse_group_lasso", mix=0.5)],
    ids=lambda one: one.label,
)
def test_constraints_equal_an_interior_point_solver(engine, one, constraint, loss):
    data, rules = table(loss), CONSTRAINTS[constraint]
    fit = fitted(engine, one, data, (0.05,), **rules)
    objective, coefficients = differences(Problem(one, data, **rules), fit, 0.05)
    assert objective < 1e-6
    assert coefficients < 1e-3


@both_engines
@pytest.mark.parametrize("loss", LOSSES)
def test_bounds_without_a_penalty_equal_an_interior_point_solver(engine, loss):
    data, rules = table(loss), {"non_negative": ("x1", "x2", "x3")}
    one = linear("none")
    problem = Problem(one, data, **rules)
    fit = fitted(engine, one, data, (), **rules)
    W, b = problem.standardized(fit.coefficients[0], fit.intercepts[0])
    theirs = by_cvxpy(problem, 0.0)
    assert problem.loss(W, b) == pytest.approx(problem.loss(*theirs), rel=1e-6, abs=1e-7)
    assert (W[problem.bounded] >= 0).all()
    if loss != "multiclass":  # whose coefficients may all be moved until they are positive
        assert (W[problem.bounded] == 0).any()
        np.testing.assert_allclose(W, theirs[0], atol=1e-3 * np.abs(W).max())


# ---- constraints -----------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("key", ["none", "lasso", "group_lasso", "mcp", "adaptive_lasso"])
def test_constraints_hold_in_every_model(engine, key, loss):
    data = table(loss, rich=True)
    default = {"adaptive_lasso": {"gamma": 1}, "mcp": {"gamma": 3.0}}.get(key, {})
    one, strengths = linear(key, **default), () if key == "none" else (0.01, 0.2, 1.0)
    bounded = fitted(engine, one, data, strengths, non_negative="all")
    assert (bounded.coefficients[:, :5] >= 0).all()
    if strengths:
        free = fitted(engine, one, data, strengths, unpenalized=("x3",))
        assert (free.coefficients[:, 3] != 0).all()
        assert (free.coefficients[-1, [0, 1, 2, 4]] == 0).all()
    few = fitted(engine, one, data, strengths, at_most=2, unpenalized=("x3",))
    assert (few.selected.sum(axis=1) <= 2).all()
    assert few.selected[:, 3].all()
    plain = fitted(engine, one, data, strengths)
    assert (plain.selected[0]).sum() > 2  # without it there were more


@both_engines
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("key", ["none", "lasso", "sparse_group_lasso"])
def test_the_best_few_columns_are_fitted_as_if_there_were_no_others(engine, key, loss):
    data = table(loss)
    one = linear(key, **({"mix": 0.5} if key == "sparse_group_lasso" else {}))
    strengths = () if key == "none" else (0.05,)
    few = fitted(engine, one, data, strengths, at_most=2)
    kept = np.flatnonzero(few.selected[0])
    assert len(kept) == 2
    columns = tuple(data.columns[j] for j in kept)
    alone = fitted(engine, one, replace(data, X=data.X[:, kept], columns=columns), strengths)
    scale = np.abs(alone.coefficients).max(axis=(0, 2))[:, None]
    np.testing.assert_allclose(
        few.coefficients[0, kept] / scale, alone.coefficients[0] / scale, atol=3e-4
    )
    sizes = data.X[TRAIN].std(axis=0) * np.linalg.norm(
        fitted(engine, one, data, strengths).coefficients[0], axis=1
    )
    assert set(kept) == set(np.argsort(-sizes)[:2])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rules", [*CONSTRAINTS.values(), {"at_most": 2}], ids=str)
@pytest.mark.parametrize(
    "key", ["none", "ridge", "elastic_net", "relaxed_lasso", "group_lasso", "adaptive_lasso"]
)
def test_constrained_engines_agree(key, loss, rules):
    data = table(loss, rich=True)
    kind = technique(key)
    dials = {dial.name: dial.default for dial in kind.dials if not dial.path}
    one = linear(key, **dials)
    strengths = () if key == "none" else (0.02, 0.3)
    fast, plain = (fitted(engine, one, data, strengths, **rules) for engine in ENGINES.values())
    assert fast.flags == plain.flags == ()
    np.testing.assert_allclose(fast.train_loss, plain.train_loss, rtol=1e-4)
    for position in range(len(fast.losses)):
        scale = np.abs(plain.predictions[position]).max()
        np.testing.assert_allclose(
            fast.predictions[position], plain.predictions[position], atol=1e-3 * scale
        )


# ---- scikit-learn ----------------------------------------------------------------------------


def by_scikit_learn(problem, key, strength):
    s, n = strength * problem.scale, len(problem.y)
    l1, l2 = problem.penalty.l1, problem.penalty.l2
    tight = {"tol": 1e-12, "max_iter": 100_000}
    if problem.loss_name in CLASSES:
        tight = {"tol": 1e-8, "max_iter": 50_000, "random_state": 0}
        solver = "saga" if l1 else "lbfgs"
        model = LogisticRegression(
            C=1 / (s * (l1 + l2) * n), l1_ratio=l1 / (l1 + l2), solver=solver, **tight
        )
    elif problem.loss_name == "count":
        model = PoissonRegressor(alpha=s * l2, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    else:
        model = {
            "ridge": lambda: Ridge(alpha=s * n, tol=1e-12),
            "lasso": lambda: Lasso(alpha=s, **tight),
            "elastic_net": lambda: ElasticNet(alpha=s, l1_ratio=l1, **tight),
        }[key]()
    model.fit(problem.X, problem.y, sample_weight=problem.v * n)
    return np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)


@pytest.mark.parametrize("strength", [0.01, 0.2])
@pytest.mark.parametrize(
    ("key", "loss"),
    [
        (key, loss)
        for key in ("ridge", "lasso", "elastic_net")
        for loss in ("regression", "count", "binary", "multiclass")
        if key == "ridge" or loss != "count"  # there scikit-learn knows no L1
    ],
)
def test_solutions_equal_scikit_learn(key, loss, strength):
    data = table(loss)
    one = linear(key, **({"mix": 0.4} if key == "elastic_net" else {}))
    problem = Problem(one, data)
    fit = fitted(ENGINES["path"], one, data, (strength,))
    W, b = problem.standardized(fit.coefficients[0], fit.intercepts[0])
    other_W, other_b = by_scikit_learn(problem, key, strength)
    assert problem.objective(strength, W, b) == pytest.approx(
        problem.objective(strength, other_W, other_b), rel=1e-6
    )
    np.testing.assert_allclose(W, other_W, atol=1e-3 * np.abs(other_W).max())


FLAT = {"alpha_1": 1e-10, "alpha_2": 1e-10, "lambda_1": 1e-10, "lambda_2": 1e-10}


@both_engines
@pytest.mark.parametrize("p", [3, 20, 60])
@pytest.mark.parametrize("key", ["bayesian_ridge", "ard"])
def test_evidence_equals_scikit_learn(engine, key, p):
    """The same fixed point, from another start; weights of one, as its count is that of rows."""
    data = replace(table("regression", p=p), weight=None)
    problem = Problem(linear("none"), data)
    if key == "ard":
        model = ARDRegression(**FLAT, tol=1e-10, max_iter=5000, threshold_lambda=1e6)
    else:
        model = BayesianRidge(**FLAT, tol=1e-12, max_iter=5000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(problem.X, problem.y)
    fit = fitted(engine, linear(key), data)
    assert fit.flags == ()
    W, _ = problem.standardized(fit.coefficients[0], fit.intercepts[0])
    tolerance = 1e-3 * np.abs(model.coef_).max()
    np.testing.assert_allclose(W[:, 0], model.coef_, atol=tolerance)


@pytest.mark.parametrize("seed", range(3))
def test_evidence_of_rows_that_are_interpolated_keeps_predictions_in_bounds(seed):
    """With many more inputs than rows the evidence asks for no noise; rounding must not answer."""
    data = table("regression", n=50, p=1600, seed=seed)
    train, test = np.arange(40), np.arange(40, 50)
    fit = fitted(ENGINES["path"], linear("bayesian_ridge"), data, train=train, predict=test)
    spread = np.ptp(data.y[train])
    assert np.abs(fit.predictions[0][:, 0] - data.y[train].mean()).max() < 3 * spread


@both_engines
@pytest.mark.parametrize("loss", ["regression", "count", "binary"])
def test_components_equal_a_fit_on_rotated_inputs(engine, loss):
    data = table(loss, p=8)
    one = linear("principal_components")
    problem = Problem(linear("none"), data)
    shares = (0.01, 0.3, 0.5, 1.0)
    fit = fitted(engine, one, data, shares)
    covariance = problem.X.T @ (problem.v[:, None] * problem.X)
    axes = np.linalg.eigh(covariance)[1][:, ::-1]
    for share, W, b in zip(shares, fit.coefficients, fit.intercepts, strict=True):
        count = max(1, int(np.ceil(share * 8)))
        turned = problem.X @ axes[:, :count]
        weights = problem.v * len(problem.v)
        model = {
            "regression": lambda: Ridge(alpha=0),
            "count": lambda: PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-12),
            "binary": lambda: LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000),
        }[loss]()
        model.fit(turned, problem.y, sample_weight=weights)
        ours, ours_b = problem.standardized(W, b)
        expected = axes[:, :count] @ np.ravel(model.coef_)
        np.testing.assert_allclose(ours[:, 0], expected, atol=1e-4 * np.abs(expected).max())
        np.testing.assert_allclose(ours_b, np.ravel(model.intercept_), atol=1e-4)
    assert [fit.freedom[k] for k in range(4)] == [1, 3, 4, 8]
