"""Compiled parts of the path engine against slow and obvious ones."""

import numpy as np
import pytest
from scipy.optimize import minimize

from autoreg.engines.path.design import losses_of_scores
from autoreg.engines.path.kernels.faces import conjugate, descend_faces
from autoreg.engines.path.kernels.newton import foresee
from autoreg.engines.path.kernels.quadratic import back_solve, descend, factorize, room_for
from autoreg.engines.path.kernels.state import Sample, begin
from autoreg.engines.path.kernels.sums import losses_by_sums, merge
from autoreg.engines.path.terms import plain_terms
from autoreg.metrics.base import row_losses
from autoreg.model import linked
from autoreg.moments import Moments, merged
from autoreg.techniques.base import Penalty


@pytest.mark.parametrize(("task", "classes"), [("binary", 1), ("multiclass", 4), ("count", 1)])
def test_losses_of_scores_are_those_of_predictions(task, classes):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(30, 7, classes)) * np.geomspace(0.1, 50.0, 7)[:, None]
    y = rng.integers(0, 2 if classes == 1 else classes, 30)
    share = rng.dirichlet(np.ones(30))
    expected = [share @ row_losses(task, y, linked(scores[:, s], task)) for s in range(7)]
    np.testing.assert_allclose(losses_of_scores(task, y, share, scores), expected, rtol=1e-12)


def quadratic(kind, m=40, seed=0):
    """A matrix, a linear part, L1 levels, L2 parts and bounds; ``kind`` says what is odd."""
    rng = np.random.default_rng(seed)
    rows = {"well": 3 * m, "singular": m // 2}.get(kind, m)
    Z = rng.normal(size=(rows, m)) + rng.normal(size=(rows, 1))
    if kind == "twins":
        Z[:, 1::2] = Z[:, ::2]
    level, shrink = np.full(m, 0.2), np.where(np.arange(m) % 3 == 0, 0.1, 0.0)
    level[-3:] = 0.0
    lowest = np.where(np.arange(m) % 5 == 1, 0.0, -np.inf)
    return Z.T @ Z / rows, Z.T @ rng.normal(size=rows) / rows, level, shrink, lowest


def by_halves(H, u, level, shrink, lowest):
    """The least objective, over positive and negative parts apart."""
    m = len(u)
    A = H + np.diag(shrink)

    def objective(halves):
        w = halves[:m] - halves[m:]
        slope = A @ w - u
        value = w @ A @ w / 2 - u @ w + level @ (halves[:m] + halves[m:])
        return value, np.concatenate([slope + level, level - slope])

    bounds = [(0, None)] * m + [(0, 0 if low == 0 else None) for low in lowest]
    options = {"maxiter": 20_000, "maxfun": 50_000, "ftol": 1e-15, "gtol": 1e-9}
    return minimize(objective, np.zeros(2 * m), jac=True, bounds=bounds, options=options).fun


@pytest.mark.parametrize("kind", ["well", "singular", "twins"])
def test_faces_reach_the_minimum(kind):
    H, u, level, shrink, lowest = quadratic(kind)
    w, g = np.zeros(len(u)), u.copy()
    left = descend_faces(H, g, w, level, shrink, lowest, 1e-9)
    assert left <= 1e-9
    np.testing.assert_allclose(g, u - H @ w, atol=1e-10)
    assert (w >= lowest).all()
    reached = w @ H @ w / 2 - u @ w + level @ np.abs(w) + shrink @ w**2 / 2
    assert reached == pytest.approx(by_halves(H, u, level, shrink, lowest), abs=1e-7)


@pytest.mark.parametrize("kind", ["well", "singular", "twins"])
def test_a_room_used_before_leads_to_the_minimum(kind):
    """Factors kept from supports and strengths of before must not spoil where the way ends."""
    H, u, level, shrink, lowest = quadratic(kind)
    room, w = room_for(len(u)), np.zeros(len(u))
    for strength in np.geomspace(10.0, 0.01, 12):
        levels, shrinks = strength * level, strength * shrink
        left = descend(H, u - H @ w, w, levels, shrinks, lowest, 1e-9, room)
        assert left <= 1e-9
        value = w @ H @ w / 2 + shrinks @ w**2 / 2 - u @ w + levels @ abs(w)
        assert value <= by_halves(H, u, levels, shrinks, lowest) + 1e-9


def test_a_factor_grows_by_rows():
    H = quadratic("well", m=6)[0]
    whole, grown = np.tril(H), np.tril(H)
    factorize(whole, 0, 6)
    factorize(grown, 0, 4)
    factorize(grown, 4, 6)
    np.testing.assert_array_equal(grown, whole)
    x = np.arange(6.0)
    d = H @ x
    back_solve(grown, d, 6)
    np.testing.assert_allclose(d, x, rtol=0, atol=1e-10)


def test_conjugate_gradients_stay_on_the_face_and_solve_there():
    H, pull, _, shrink, _ = quadratic("well")
    face = np.arange(0, len(pull), 2)
    step = conjugate(H, pull.copy(), shrink, face, len(face), 1e-11)
    inner = H[np.ix_(face, face)] + np.diag(shrink[face])
    np.testing.assert_allclose(step[face], np.linalg.solve(inner, pull[face]), atol=1e-9)
    assert not step[1::2].any()


@pytest.mark.parametrize("classes", [1, 3])
def test_scores_foreseen_belong_to_the_coefficients_foreseen(classes):
    rng = np.random.default_rng(1)
    n, q = 12, 6
    X = np.concatenate([rng.normal(size=(q, n)), np.ones((1, n))])
    kind = 1 if classes == 1 else 4
    y = (np.arange(n) % max(classes, 2)).astype(np.float64)
    sample = Sample(kind, 1.0, X, y, np.full(n, 1 / n))
    terms = plain_terms(Penalty(l1=1.0), (q + 1) * classes)
    state = begin(sample, classes)
    last = rng.normal(size=(q + 1, classes))
    # One grows, one is on its way through zero, one has got there, one rests.
    now = last * np.array([1.2, 0.3, 0.0, 1.0, 0.9, 1.1, 1.0])[:, None]
    state.w[:], state.scores[:] = now.ravel(), now.T @ X
    foresee(sample, state, terms, last.flatten(), last.T @ X, 0.8)
    found = state.w.reshape(q + 1, classes)
    np.testing.assert_allclose(state.scores, found.T @ X, atol=1e-12)
    expected = now + 0.8 * (now - last)
    expected[1:3] = 0.0
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("used", [2, 9])
def test_losses_by_sums_are_those_of_rows(used):
    rng = np.random.default_rng(0)
    n, q = 50, 9
    Z = rng.normal(3.0, 2.0, size=(n, q + 1))
    W, b = np.zeros((4, q)), rng.normal(size=4)
    W[:, :used] = rng.normal(size=(4, used))
    away = Z - Z.mean(axis=0)
    losses = np.empty(4)
    losses_by_sums(Z.mean(axis=0), away.T @ away / n, W, b, 3.0, losses)
    expected = 9.0 * ((Z[:, -1:] - Z[:, :-1] @ W.T - b) ** 2).mean(axis=0)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


def test_cells_merged_are_the_rows_together():
    rng = np.random.default_rng(0)
    parts = [Moments.of(rng.normal(5.0, 1.0, size=(n, 3)), rng.uniform(1, 3, n)) for n in (4, 9, 7)]
    mean, cross = np.empty(3), np.empty((3, 3))
    weights = np.array([one.weight for one in parts])
    means, crosses = np.array([one.mean for one in parts]), np.array([one.cross for one in parts])
    weight = merge(np.array([0, 2]), weights, means, crosses, mean, cross)
    expected = merged([parts[0], parts[2]])
    assert weight == pytest.approx(expected.weight, rel=1e-14)
    np.testing.assert_allclose(mean, expected.mean, rtol=1e-14)
    np.testing.assert_allclose(cross, expected.cross, rtol=1e-13)
    assert (cross == cross.T).all()
