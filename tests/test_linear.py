"""The plain linear engine: laws over every linear technique and task, and other solvers' answers.

The reference formulas below are written from the definition of the objective and share no code
with the engine. ``huber`` stands for a regression with outliers that is fitted by Huber's loss.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from linear_definition import inputs_and_target
from scipy.optimize import linprog, minimize
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import ElasticNet, LogisticRegression, PoissonRegressor, Ridge

from autoreg.candidate import Candidate, candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.engines import linear
from autoreg.engines.base import Job, TrainingSet
from autoreg.engines.linear_objective import huber_location, huber_threshold, weighted_median
from autoreg.engines.loop_linear import fit_linear
from autoreg.engines.separable import zeros_are_separable
from autoreg.metrics import row_losses
from autoreg.spec import LinearSpec
from autoreg.techniques import catalogue, technique
from autoreg.techniques.base import Penalty

TASKS = ("regression", "huber", "count", "binary", "multiclass")
REAL = ("regression", "huber")
CLASSES = ("binary", "multiclass")
TRAIN, TEST = np.arange(90), np.arange(90, 120)


def settings():
    """Every technique of one L1 and L2 penalty, its other dials at their ends and default."""
    for kind in catalogue().values():
        if "linear" not in kind.families or not kind.seams() <= {"penalty"}:
            continue
        others = [dial for dial in kind.dials if not dial.path]
        values = {tuple(dial.at(u) for dial in others) for u in (0.0, 0.5, 1.0)}
        for chosen in sorted(values):
            named = dict(zip((dial.name for dial in others), chosen, strict=True))
            one = candidate("linear", [kind(**named)] if kind.key != "none" else [], {})
            penalty = one.techniques[0].penalty()
            if penalty != Penalty(l1=penalty.l1, l2=penalty.l2):
                continue
            yield pytest.param(one, id="-".join([kind.key, *(f"{v:g}" for v in chosen)]))


ALL = list(settings())
PATHS = [param for param in ALL if param.values[0].path is not None]
SPARSE = [p for p in PATHS if p.values[0].techniques[0].penalty().l1 > 0]


def table(task, n=120, p=5, classes=3, seed=0, weighted=True):
    """Correlated inputs on different scales, a noisy target, uneven weights."""
    rng = np.random.default_rng(seed)
    X, y = inputs_and_target(task, n, p, classes, rng)
    weight = rng.uniform(0.5, 2.0, n) if weighted else None
    columns = tuple(Column(f"x{i}", "numeric") for i in range(p))
    labels = tuple(range(int(y.max()) + 1)) if task in CLASSES else ()
    real = "regression" if task in REAL else task
    return Dataset(task, columns, X, y, real, "y", labels, weight=weight)


def fitted(one, data, strengths=None, train=TRAIN, predict=TEST, keep=False):
    if strengths is None:
        strengths = path(one)
    loss = LinearSpec(loss="huber" if data.name == "huber" else "squared")
    training = TrainingSet(train, ("f",))
    return fit_linear(Job(one, training, predict, 0, strengths, linear=loss, keep_model=keep), data)


def path(one, points=9):
    return () if one.path is None else tuple(one.path.at(u) for u in np.linspace(0, 1, points))


class Problem:
    """The objective, from its definition, on a data set's training rows."""

    def __init__(self, one: Candidate, data, rows=TRAIN):
        w = data.weights[rows]
        X = data.X[rows]
        self.v = w / w.sum()
        self.mean = self.v @ X
        scale = np.sqrt(self.v @ (X - self.mean) ** 2)
        self.scale = np.where(scale > 0, scale, 1.0)
        self.X = (X - self.mean) / self.scale
        self.y, self.task, self.penalty = data.y[rows], data.name, one.techniques[0].penalty()
        self.classes = len(data.classes)
        self.shift, self.unit = 0.0, 1.0
        if self.task in REAL:  # the definition: on the standardized target
            self.shift = self.v @ self.y
            self.unit = np.sqrt(self.v @ (self.y - self.shift) ** 2)
            self.y = (self.y - self.shift) / self.unit
        if self.task == "huber":
            away = np.abs(self.y - self.middle(self.y))
            self.knee = 1.345 * 1.4826 * self.middle(away)

    def middle(self, values):
        """The value from which the weighted distance to all others is smallest."""
        return values[(self.v @ np.abs(values[:, None] - values)).argmin()]

    def standardized(self, W, b):
        """A solution in original units, in the problem's."""
        return W / self.unit, (b - self.shift) / self.unit

    def scores(self, W, b):
        raw = self.X @ W + b
        return np.hstack([0 * raw, raw]) if self.task == "binary" else raw

    def loss(self, W, b):
        if self.task == "regression":
            return self.v @ (self.y - self.scores(W, b)[:, 0]) ** 2 / 2
        if self.task == "huber":
            r, d = np.abs(self.y - self.scores(W, b)[:, 0]), self.knee
            return self.v @ np.where(r <= d, r**2 / 2, d * r - d**2 / 2)
        if self.task == "count":
            score = self.scores(W, b)[:, 0]
            return self.v @ (np.exp(score) - self.y * score)
        return -self.v @ log_softmax(self.scores(W, b), axis=1)[np.arange(len(self.y)), self.y]

    def slopes(self, W, b):
        if self.task == "regression":
            residual = (self.scores(W, b)[:, 0] - self.y)[:, None]
        elif self.task == "huber":
            away = self.scores(W, b) - self.y[:, None]
            residual = np.where(np.abs(away) <= self.knee, away, self.knee * np.sign(away))
        elif self.task == "count":
            residual = np.exp(self.scores(W, b)) - self.y[:, None]
        else:
            residual = softmax(self.scores(W, b), axis=1) - np.eye(self.classes)[self.y]
            residual = residual[:, 1:] if self.task == "binary" else residual
        weighted = self.v[:, None] * residual
        return self.X.T @ weighted, weighted.sum(axis=0)

    def size(self, W):
        return self.penalty.l1 * np.abs(W).sum() + self.penalty.l2 / 2 * (W**2).sum()

    @property
    def null(self):
        shares = np.bincount(self.y.astype(int), self.v) if self.task in CLASSES else None
        return {
            "regression": lambda: np.array([self.v @ self.y]),
            "huber": lambda: np.array([self.location]),
            "count": lambda: np.log([self.v @ self.y]),
            "binary": lambda: np.log(shares[1:] / shares[0]),
            "multiclass": lambda: np.log(shares),
        }[self.task]()

    @property
    def location(self):
        """Huber's location by weights that fall with the distance, again and again."""
        place = self.middle(self.y)
        for _ in range(500):
            away = np.abs(self.y - place)
            trust = self.v * self.knee / np.maximum(away, self.knee)
            place = trust @ self.y / trust.sum()
        return place

    @property
    def steepest(self):
        b = self.null
        return np.abs(self.slopes(np.zeros((self.X.shape[1], len(b))), b)[0]).max()

    @property
    def strength_max(self):
        if self.penalty.l1 > 0:
            return self.steepest / self.penalty.l1
        bend = self.v @ self.y if self.task == "count" else 1.0
        return bend * np.linalg.eigvalsh(self.X.T @ (self.v[:, None] * self.X))[-1]

    def violation(self, strength, W, b):
        """The distance of zero from the subdifferential, relative to the null gradient."""
        s = 0.0 if self.penalty.is_null else strength * self.strength_max
        slope, slope_b = self.slopes(W, b)
        slope = slope + s * self.penalty.l2 * W
        bound = s * self.penalty.l1
        broken = np.where(
            W == 0, np.maximum(np.abs(slope) - bound, 0), np.abs(slope + bound * np.sign(W))
        )
        return max(broken.max(), np.abs(slope_b).max()) / self.steepest

    def objective(self, strength, W, b):
        return self.loss(W, b) + strength * self.strength_max * self.size(W)


def solution(one, data, strength=None, train=TRAIN):
    """Coefficients and intercept, in the units of the problem's definition."""
    closed = one if strength is None else one.at(strength)
    fit = fitted(closed, data, (), train=train, predict=train, keep=True)
    assert fit.flags == ()
    arrays = fit.model.arrays
    return Problem(one, data, train).standardized(arrays["coefficients"], arrays["intercept"])


# ---- right answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("one", ALL)
class TestEveryTechnique:
    @pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9])
    def test_solutions_are_optimal(self, one, task, place):
        data = table(task)
        strength = one.path.at(place) if one.path else 1.0
        W, b = solution(one, data, strength if one.path else None)
        problem = Problem(one, data)
        assert problem.violation(strength, W, b) < 2e-5
        shifted = W.copy()
        shifted[0, 0] += 1e-2 * np.abs(W).max() + 1e-2
        assert problem.violation(strength, shifted, b) > 1e-4  # a planted fault is seen

    def test_shapes_and_a_model_that_predicts_the_same(self, one, task):
        data = table(task)
        strengths = path(one)
        fit = fitted(one, data)
        columns = {"binary": 2, "multiclass": 3}.get(task, 1)
        assert fit.predictions.shape == (max(len(strengths), 1), len(TEST), columns)
        assert fit.train_loss.shape == (max(len(strengths), 1),)
        assert fit.model is None
        closed = one.at(strengths[2]) if strengths else one
        kept = fitted(closed, data, (), keep=True)
        np.testing.assert_allclose(
            kept.model.predictions(data.X[TEST], data.task), kept.predictions[0], rtol=1e-12
        )
        weights = data.weights[TRAIN] / data.weights[TRAIN].sum()
        predicted = kept.model.predictions(data.X[TRAIN], data.task)
        own = row_losses(data.task, data.y[TRAIN], predicted)
        assert kept.train_loss[0] == pytest.approx(weights @ own)

    def test_a_fit_depends_on_its_training_rows_only(self, one, task):
        data = table(task, n=160)
        before = fitted(one, data)
        others = np.arange(120, 160)
        X, y, weight = data.X.copy(), data.y.copy(), data.weight.copy()
        X[others] = np.array([np.nan, 1e300, -1e9, 0.0, 1.0])
        y[others] = y[others][::-1] * 0
        weight[others] = 1e6
        after = fitted(one, replace(data, X=X, y=y, weight=weight))
        assert before.predictions.tobytes() == after.predictions.tobytes()
        assert before.train_loss.tobytes() == after.train_loss.tobytes()
        X[0] += 1.0  # a training row, so the test is not blind
        assert fitted(one, replace(data, X=X)).predictions.tobytes() != before.predictions.tobytes()

    def test_a_weight_is_a_number_of_equal_rows(self, one, task):
        data = table(task)
        times = np.random.default_rng(3).integers(1, 4, data.n)
        weighted = fitted(one, replace(data, weight=times.astype(float)))
        rows = np.repeat(np.arange(data.n), times)
        repeated = replace(data, weight=None).rows(rows)
        train, test = np.flatnonzero(rows < 90), np.searchsorted(rows, TEST)
        other = fitted(one, repeated, train=train, predict=test)
        scale = np.abs(weighted.predictions).max()
        np.testing.assert_allclose(other.predictions, weighted.predictions, atol=2e-4 * scale)
        np.testing.assert_allclose(other.train_loss, weighted.train_loss, rtol=1e-6)

    def test_units_and_order_of_the_columns_do_not_matter(self, one, task):
        data = table(task)
        order = np.array([3, 0, 4, 2, 1])
        units = np.array([1e-3, 7.0, -2.0, 1e4, 0.5])
        changed = fitted(one, replace(data, X=data.X[:, order] * units - 3))
        plain = fitted(one, data)
        scale = np.abs(plain.predictions).max()
        np.testing.assert_allclose(changed.predictions, plain.predictions, atol=2e-4 * scale)
        np.testing.assert_allclose(changed.train_loss, plain.train_loss, rtol=1e-6)

    def test_more_columns_than_rows(self, one, task):
        data = table(task, n=60, p=300)
        train, test = np.arange(45), np.arange(45, 60)
        fit = fitted(one, data, train=train, predict=test)
        assert fit.flags == (("separable",) if one.is_none and task not in REAL else ())
        if one.path:
            W, b = solution(one, data, one.path.at(0.5), train)
            assert Problem(one, data, train).violation(one.path.at(0.5), W, b) < 2e-5


@pytest.mark.parametrize("task", REAL)
@pytest.mark.parametrize("one", ALL)
def test_units_of_the_target_do_not_matter(one, task):
    data = table(task)
    plain, other = fitted(one, data), fitted(one, replace(data, y=data.y * 1e-3 + 7))
    np.testing.assert_allclose(other.predictions, plain.predictions * 1e-3 + 7, rtol=1e-7)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("one", PATHS)
class TestEveryPath:
    def test_a_stronger_penalty_shrinks_and_fits_worse(self, one, task):
        data = table(task)
        problem = Problem(one, data)
        found = [solution(one, data, strength) for strength in path(one)]
        sizes = np.array([problem.size(W) for W, _ in found])
        losses = np.array([problem.loss(W, b) for W, b in found])
        assert (np.diff(sizes) <= 1e-5 * sizes[0]).all()
        assert (np.diff(losses) >= -1e-7 * np.abs(losses[-1])).all()
        assert sizes[-1] < sizes[0]
        told = fitted(one, data).train_loss
        if task != "huber":  # the squared error is told, and another loss was minimized
            assert (np.diff(told) >= -1e-7 * told[-1]).all()

    def test_the_path_equals_fits_at_single_strengths(self, one, task):
        data = table(task)
        strengths = path(one)
        whole = fitted(one, data)
        scale = np.abs(whole.predictions).max()
        for position in (0, 4, 7):
            single = fitted(one.at(strengths[position]), data, ())
            np.testing.assert_allclose(
                single.predictions[0], whole.predictions[position], atol=2e-4 * scale
            )
            assert single.train_loss[0] == pytest.approx(whole.train_loss[position], rel=1e-5)

    def test_strengths_keep_their_order(self, one, task):
        data = table(task)
        strengths = path(one)
        upside_down = fitted(one, data, strengths[::-1])
        straight = fitted(one, data, strengths)
        assert (upside_down.predictions[::-1] == straight.predictions).all()

    def test_a_vanishing_strength_approaches_none(self, one, task):
        data = table(task)
        nothing = fitted(candidate("linear", [], {}), data).train_loss[0]
        losses = fitted(one, data).train_loss
        assert nothing == pytest.approx(losses[0], rel=1e-3)
        if task != "huber":
            assert nothing <= losses[0] * (1 + 1e-9)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("one", SPARSE)
class TestEverySparsePath:
    @pytest.mark.parametrize("p", [5, 200])
    def test_full_strength_zeroes_everything_and_a_little_less_does_not(self, one, task, p):
        data = table(task, p=p)
        W, b = solution(one, data, 1.0)
        assert (W == 0).all()
        np.testing.assert_allclose(b, Problem(one, data).null, atol=1e-9)
        assert (solution(one, data, 0.98)[0] != 0).any()


def by_scikit_learn(problem, strength):
    """The same objective in scikit-learn's terms, solved tightly."""
    l1, l2 = problem.penalty.l1, problem.penalty.l2
    s = strength * problem.strength_max
    weights = problem.v * len(problem.v)
    if problem.task == "huber" or (problem.task == "count" and l1):
        return by_scipy(problem, strength)
    if problem.task == "count":
        model = PoissonRegressor(alpha=s * l2, solver="newton-cholesky", tol=1e-10, max_iter=1000)
        model.fit(problem.X, problem.y, sample_weight=weights)
        return model.coef_[:, None], np.atleast_1d(model.intercept_)
    if problem.task in CLASSES:
        model = LogisticRegression(
            C=1 / (s * (l1 + l2) * len(weights)),
            l1_ratio=l1 / (l1 + l2),
            solver="saga" if l1 else "lbfgs",
            tol=1e-8,
            max_iter=50_000,
            random_state=0,
        ).fit(problem.X, problem.y, sample_weight=weights)
        return model.coef_.T, model.intercept_
    if l1 == 0:
        model = Ridge(alpha=s * l2 * len(weights), tol=1e-12)
    else:
        model = ElasticNet(
            alpha=s * (l1 + l2), l1_ratio=l1 / (l1 + l2), tol=1e-12, max_iter=100_000
        )
    model.fit(problem.X, problem.y, sample_weight=weights)
    return model.coef_[:, None], np.atleast_1d(model.intercept_)


def by_scipy(problem, strength):
    """The objective, from its definition, over the positive and the negative part of W."""
    q = problem.X.shape[1]
    s = strength * problem.strength_max

    def target(point):
        W, b = (point[:q] - point[q:-1])[:, None], point[-1:]
        slope, slope_b = problem.slopes(W, b)
        slope = slope[:, 0] + s * problem.penalty.l2 * W[:, 0]
        l1 = s * problem.penalty.l1
        value = problem.loss(W, b) + s * problem.penalty.l2 / 2 * (W**2).sum()
        value += l1 * point[:-1].sum()
        return value, np.concatenate([slope + l1, l1 - slope, slope_b])

    start = np.concatenate([np.zeros(2 * q), problem.null])
    bounds = [(0, None)] * (2 * q) + [(None, None)]
    tight = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-11}
    for _ in range(3):
        start = minimize(target, start, jac=True, bounds=bounds, options=tight).x
    return (start[:q] - start[q:-1])[:, None], start[-1:]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("one", PATHS)
@pytest.mark.parametrize("strength", [1e-2, 0.2])
def test_solutions_equal_scikit_learn(one, task, strength):
    data = table(task)
    problem = Problem(one, data)
    W, b = solution(one, data, strength)
    other_W, other_b = by_scikit_learn(problem, strength)
    ours, theirs = (problem.objective(strength, *each) for each in ((W, b), (other_W, other_b)))
    assert ours == pytest.approx(theirs, rel=1e-6)
    np.testing.assert_allclose(W, other_W, atol=1e-3 * np.abs(other_W).max())


def test_least_squares_of_wide_data_has_the_smallest_norm():
    data = table("regression", n=60, p=100)
    train = np.arange(45)
    problem = Problem(candidate("linear", [], {}), data, train)
    W, _ = solution(candidate("linear", [], {}), data, train=train)
    root = np.sqrt(problem.v)
    centred = problem.y - problem.v @ problem.y
    smallest = np.linalg.pinv(root[:, None] * problem.X, rcond=1e-10) @ (root * centred)
    np.testing.assert_allclose(W[:, 0], smallest, atol=1e-8 * np.abs(smallest).max())


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_likelihood_without_penalty_equals_scikit_learn(task):
    data = table(task)
    one = candidate("linear", [], {})
    problem = Problem(one, data)
    W, b = solution(one, data)
    model = LogisticRegression(C=np.inf, tol=1e-9, max_iter=5000)
    model.fit(problem.X, problem.y, sample_weight=problem.v * len(problem.v))
    assert problem.loss(W, b) == pytest.approx(
        problem.loss(model.coef_.T, model.intercept_), rel=1e-7
    )
    np.testing.assert_allclose(W, model.coef_.T, atol=1e-3 * np.abs(W).max())


def test_counts_without_penalty_equal_scikit_learn():
    data = table("count")
    one = candidate("linear", [], {})
    problem = Problem(one, data)
    W, b = solution(one, data)
    model = PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    model.fit(problem.X, problem.y, sample_weight=problem.v * len(problem.v))
    assert problem.loss(W, b) == pytest.approx(
        problem.loss(model.coef_[:, None], np.atleast_1d(model.intercept_)), rel=1e-9
    )
    np.testing.assert_allclose(W[:, 0], model.coef_, atol=1e-4 * np.abs(W).max())


def test_huber_without_penalty_equals_its_definition():
    data = table("huber")
    one = candidate("linear", [], {})
    W, b = solution(one, data)
    other_W, other_b = by_scipy(Problem(one, data), 0.0)
    np.testing.assert_allclose(W, other_W, atol=1e-5)
    np.testing.assert_allclose(b, other_b, atol=1e-5)


@pytest.mark.parametrize("mean", [1e-2, 1.0, 300.0, 1e6])
@pytest.mark.parametrize("one", ALL)
def test_counts_of_any_size_are_fitted(one, mean):
    rng = np.random.default_rng(4)
    data = table("count", n=400)
    y = rng.poisson(mean * np.exp(0.2 * (data.X[:, 0] - data.X[:, 0].mean()) / data.X[:, 0].std()))
    data = replace(data, y=y.astype(float))
    train = np.arange(300)
    fit = fitted(one, data, train=train, predict=np.arange(300, 400))
    falls_for_ever = by_linear_programming(data.X[train], data.y[train] == 0)
    assert fit.flags == (("separable",) if one.is_none and falls_for_ever else ())
    if one.path:
        W, b = solution(one, data, one.path.at(0.5), train)
        assert Problem(one, data, train).violation(one.path.at(0.5), W, b) < 2e-5


def test_outliers_pull_on_the_squared_loss_and_not_on_huber():
    """The same rows with their outliers ten times as far away."""
    data = table("huber")
    far = data.y.copy()
    far[::11] += 3000
    ridge = candidate("linear", [technique("ridge")(strength=1e-3)], {})
    moved = {}
    for name in REAL:
        before, after = (
            fitted(ridge, replace(data, name=name, y=y), ()).predictions[0] for y in (data.y, far)
        )
        moved[name] = np.abs(after - before).max()
    assert moved["huber"] < 0.1 * moved["regression"]


# ---- Huber's threshold -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 6, 101])
def test_the_threshold_is_made_of_medians(n):
    y = np.random.default_rng(n).normal(size=n).round(1)
    v = np.full(n, 1 / n)
    assert weighted_median(y, v) == pytest.approx(np.median(y))
    spread = np.median(np.abs(y - np.median(y)))
    expected = 1.345 * (1.4826 * spread or 1.0)
    assert huber_threshold(y, v) == pytest.approx(expected)
    times = np.random.default_rng(n + 1).integers(1, 4, n)
    repeated = np.repeat(y, times)
    weighted = huber_threshold(y, times / times.sum())
    assert weighted == pytest.approx(
        huber_threshold(repeated, np.full(len(repeated), 1 / len(repeated)))
    )


def test_a_target_that_is_mostly_one_number_has_the_threshold_of_its_deviation():
    y = np.array([0.0] * 8 + [1.0, 9.0])
    assert huber_threshold(y, np.full(10, 0.1)) == 1.345
    assert huber_location(np.full(4, 2.0), np.full(4, 0.25), 1.0) == 2.0
    assert huber_location(np.array([-3.0, 1.0]), np.full(2, 0.5), 0.5) == pytest.approx(-1, abs=2)


# ---- remarks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_separable_rows_are_told_where_nothing_is_penalized(task):
    source = load_breast_cancer(return_X_y=True) if task == "binary" else load_iris(return_X_y=True)
    X, y = (part[::7] for part in source)
    columns = tuple(Column(f"x{i}", "numeric") for i in range(X.shape[1]))
    data = Dataset("separable", columns, X, y, task, "y", tuple(np.unique(y).tolist()))
    rows = np.arange(len(y))
    assert fitted(candidate("linear", [], {}), data, (), rows, rows).flags == ("separable",)
    ridge = candidate("linear", [technique("ridge")(strength=1e-6)], {})
    assert fitted(ridge, data, (), rows, rows).flags == ()


@pytest.mark.parametrize("task", ["count", "binary", "multiclass"])
def test_overlapping_classes_are_not_called_separable(task):
    assert fitted(candidate("linear", [], {}), table(task)).flags == ()


def test_counts_that_a_level_zeroes_are_called_separable():
    """The mean of the rows in which the input is 1 can only fall for ever."""
    data = table("count")
    X = data.X.copy()
    X[:, 0] = data.y == 0
    X[:9, 0] = 0
    spoilt = data.y.copy()
    spoilt[np.flatnonzero(X[:, 0])[3]] = 1.0
    none, ridge = (
        candidate("linear", made, {}) for made in ([], [technique("ridge")(strength=0.1)])
    )
    assert fitted(none, replace(data, X=X)).flags == ("separable",)
    assert fitted(ridge, replace(data, X=X), ()).flags == ()
    assert fitted(none, replace(data, X=X, y=spoilt)).flags == ()


def by_linear_programming(X, zero):
    """Whether the largest sum of bounded falls of the zeros, all others unmoved, is not 0."""
    full = np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(len(X))])
    found = linprog(
        -full[zero].sum(axis=0),
        A_ub=np.vstack([-full[zero], full[zero]]),
        b_ub=np.repeat([0.0, 1.0], zero.sum()),
        A_eq=full[~zero],
        b_eq=np.zeros((~zero).sum()),
        bounds=(None, None),
    )
    return found.fun < -1e-6


def test_separable_zeros_are_those_of_linear_programming():
    told = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X = rng.integers(-2, 3, (12, 4)).astype(float)
        zero = rng.random(12) < 0.7
        told.append(zeros_are_separable(X, zero))
        assert told[-1] == by_linear_programming(X, zero), seed
    assert 10 < sum(told) < 50


@pytest.mark.parametrize("task", TASKS)
def test_a_solver_that_is_cut_off_is_told_and_never_warns(task, monkeypatch):
    monkeypatch.setattr(linear, "SWEEPS", 1)
    monkeypatch.setattr(linear, "NEWTON_STEPS", 1)
    monkeypatch.setattr(linear, "CAP", 2)
    one = candidate("linear", [technique("lasso")(strength=1e-3)], {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fitted(one, table(task), ()).flags == ("not converged",)


def test_an_unpenalized_likelihood_that_is_cut_off_is_told(monkeypatch):
    monkeypatch.setattr(linear, "CAP_NONE", 2)
    assert fitted(candidate("linear", [], {}), table("binary")).flags == ("not converged",)


def test_an_open_strength_needs_a_path():
    with pytest.raises(ValueError, match="the strength of lasso is open"):
        fitted(candidate("linear", [technique("lasso")()], {}), table("binary"), ())


# ---- poor rows -------------------------------------------------------------------------------


@pytest.mark.parametrize("one", ALL)
def test_a_class_without_training_rows_gets_no_chance(one):
    data = table("multiclass")
    data = replace(data, classes=(0, 1, 2, 3))
    fit = fitted(one, data)
    assert fit.predictions.shape[2] == 4
    assert fit.predictions[:, :, 3].max() < 1e-5
    np.testing.assert_allclose(fit.predictions.sum(axis=2), 1)
    without = fitted(one, table("multiclass"))
    np.testing.assert_allclose(fit.predictions[:, :, :3], without.predictions, atol=2e-4)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("one", ALL)
def test_constant_inputs_change_nothing_and_harm_nothing(one, task):
    data = table(task)
    X = np.column_stack([data.X, np.full(data.n, 7.0)])
    wider = replace(data, X=X, columns=(*data.columns, Column("c", "numeric")))
    scale = np.abs(fitted(one, data).predictions).max()
    np.testing.assert_allclose(
        fitted(one, wider).predictions, fitted(one, data).predictions, atol=2e-4 * scale
    )


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("one", ALL)
@pytest.mark.parametrize("poor", ["target", "inputs"])
def test_nothing_to_learn_gives_the_featureless_model(one, task, poor):
    data = table(task)
    if poor == "target":
        data = replace(data, y=np.full_like(data.y, 1))
    else:
        data = replace(data, X=np.full_like(data.X, 3.0))
    fit = fitted(one, data)
    weights = data.weights[TRAIN]
    y = data.y[TRAIN]
    if task == "huber" and poor == "inputs":
        problem = Problem(one, data)
        y = np.full(len(y), problem.location * problem.unit + problem.shift)
    expected = (
        np.array([np.average(y, weights=weights)])
        if not data.classes
        else np.bincount(y, weights, minlength=len(data.classes)) / weights.sum()
    )
    np.testing.assert_allclose(
        fit.predictions, np.broadcast_to(expected, fit.predictions.shape), atol=1e-5
    )
