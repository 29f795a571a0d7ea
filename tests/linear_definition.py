"""Linear problems from their definition, for tests: nothing here is shared with any engine.

``Problem`` holds the objective of a candidate on some training rows and tells how far a solution
is from optimal; ``table`` makes data, ``settings`` finds every linear technique.
"""

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import log_softmax, softmax

from autoreg.candidate import candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.engines.base import Fit, Job, TrainingSet
from autoreg.preprocess import Preprocessor
from autoreg.spec import LinearSpec
from autoreg.techniques import catalogue

LOSSES = ("regression", "huber", "count", "binary", "multiclass")
REAL = ("regression", "huber")
CLASSES = ("binary", "multiclass")
TRAIN, TEST = np.arange(90), np.arange(90, 120)
INITIAL = 1e-2  # the ridge fit behind adaptive weights
HEAVIEST = 1e6


def settings():
    """Every linear technique with its other dials at their ends and their default, by name."""
    for kind in catalogue().values():
        if "linear" not in kind.families:
            continue
        others = [dial for dial in kind.dials if not dial.path]
        values = {tuple(dial.at(u) for dial in others) for u in (0.0, 0.5, 1.0)}
        for chosen in sorted(values):
            named = dict(zip((dial.name for dial in others), chosen, strict=True))
            name = "-".join([kind.key, *(f"{value:g}" for value in chosen)])
            yield name, candidate("linear", [kind(**named)] if kind.key != "none" else [], {})


def cases(wanted=lambda one: True, losses=LOSSES):
    """Every (candidate, loss) that goes together, with its name."""
    for name, one in settings():
        for loss in losses:
            task = "regression" if loss == "huber" else loss
            if task in one.techniques[0].tasks and wanted(one):
                yield f"{name}-{loss}", one, loss


def inputs_and_target(loss, n, p, classes, rng):
    """Correlated inputs on different scales, and a noisy target of the loss."""
    latent = rng.normal(size=(n, p))
    X = (latent + 0.7 * latent[:, [0]]) * 10.0 ** rng.integers(-2, 3, p) + 5
    signal = latent[:, : min(p, 4)] @ np.linspace(2.0, -1.0, min(p, 4))
    if loss in REAL:
        y = 30 * signal + 100 + 20 * rng.normal(size=n)
        y[::11] += 300 * (loss == "huber")
    elif loss == "count":
        y = rng.poisson(np.exp(0.35 * signal + 0.7)).astype(float)
    else:
        count = 2 if loss == "binary" else classes
        noisy = signal + 1.5 * rng.normal(size=n)
        y = np.searchsorted(np.quantile(noisy, np.arange(1, count) / count), noisy)
    return X, y


def table(loss, n=120, p=5, classes=3, seed=0, groups=("", "a", "b"), rich=False):
    """Correlated inputs on different scales, a noisy target, uneven weights, feature groups.

    A rich table has missing cells and a categorical column too.
    """
    rng = np.random.default_rng(seed)
    X, y = inputs_and_target(loss, n, p, classes, rng)
    columns = [Column(f"x{i}", "numeric", group=groups[i % len(groups)]) for i in range(p)]
    if rich:
        X[rng.random(X.shape) < 0.08] = np.nan
        kinds = rng.choice(4, size=n, p=[0.45, 0.3, 0.2, 0.05]).astype(float)
        kinds[rng.random(n) < 0.1] = np.nan
        X = np.column_stack([X, kinds])
        columns.append(Column("kind", "categorical", ("p", "q", "r", "s")))
    labels = tuple(range(int(y.max()) + 1)) if loss in CLASSES else ()
    task = "regression" if loss in REAL else loss
    weight = rng.uniform(0.5, 2.0, n)
    return Dataset(loss, tuple(columns), X, y, task, "y", labels, weight=weight)


def strengths_of(one, points=7):
    """A path from the technique's lowest to its highest strength; none where it has none."""
    return () if one.path is None else tuple(one.path.at(u) for u in np.linspace(0, 1, points))


def job(one, data, strengths=None, train=TRAIN, predict=TEST, keep=True, **linear):
    """A job with the loss that the data's name tells."""
    strengths = strengths_of(one) if strengths is None else strengths
    spec = LinearSpec(loss="huber" if data.name == "huber" else "squared", **linear)
    training = TrainingSet(train, ("f",))
    return Job(one, training, predict, 0, strengths, linear=spec, keep_model=keep)


def fitted(engine, one, data, strengths=None, cells=None, **more):
    """The fit of one job."""
    (fit,) = engine.run([job(one, data, strengths, **more)], data, cells=cells)
    assert isinstance(fit, Fit), fit
    return fit


class Problem:
    """The objective of a candidate on a data set's training rows.

    Solutions are given in original units, W (q, k) and b (k,), and judged standardized.
    """

    def __init__(self, one, data, rows=TRAIN, **linear):
        spec = LinearSpec(**linear)
        w = data.weights[rows]
        self.v = w / w.sum()
        self.scaling = Preprocessor.fit(data.X[rows], data.columns, w)
        self.X = self.scaling.transform(data.X[rows])
        self.loss_name, self.classes = data.name, len(data.classes)
        self.penalty = one.techniques[0].penalty()
        self.y, self.shift, self.unit = data.y[rows], 0.0, 1.0
        if self.loss_name in REAL:
            self.shift = self.v @ self.y
            self.unit = np.sqrt(self.v @ (self.y - self.shift) ** 2)
            self.y = (self.y - self.shift) / self.unit
        if self.loss_name == "huber":
            self.knee = 1.345 * 1.4826 * self.middle(np.abs(self.y - self.middle(self.y)))
        self.k = self.classes if self.loss_name == "multiclass" else 1
        origin = [data.columns[j] for j in self.scaling.groups]
        self.q = len(origin)
        self.free = np.array([column.name in spec.unpenalized for column in origin])
        self.bounded = np.array(
            [
                not column.is_categorical
                if spec.non_negative == "all"
                else column.name in spec.non_negative
                for column in origin
            ]
        )
        names = [
            f"alone {i}" if self.free[i] else (column.group or column.name)
            for i, column in enumerate(origin)
        ]
        self.members = [
            np.array([i for i in range(self.q) if names[i] == name])
            for name in dict.fromkeys(names)
        ]
        self.factors = self.adaptive() if self.penalty.adapt else np.ones(self.q)

    def middle(self, values):
        """The value from which the weighted distance to all others is smallest."""
        return values[(self.v @ np.abs(values[:, None] - values)).argmin()]

    def standardized(self, W, b):
        """A solution in original units, in the problem's."""
        W, b = np.asarray(W), np.asarray(b)
        return (
            W * self.scaling.scale[:, None] / self.unit,
            (b + self.scaling.mean @ W - self.shift) / self.unit,
        )

    def tells_apart(self, W, b):
        """Whether scores of a standardized solution put each row into its own class."""
        scores = self.X @ W + b
        if self.loss_name == "binary":
            return bool(((2 * self.y - 1) * scores[:, 0] > 0).all())
        return self.loss_name == "multiclass" and bool((scores.argmax(axis=1) == self.y).all())

    # ---- the loss -----------------------------------------------------------------------------

    def loss(self, W, b):
        scores = self.X @ W + b
        if self.loss_name == "regression":
            return self.v @ (self.y - scores[:, 0]) ** 2 / 2
        if self.loss_name == "huber":
            r, d = np.abs(self.y - scores[:, 0]), self.knee
            return self.v @ np.where(r <= d, r**2 / 2, d * r - d**2 / 2)
        if self.loss_name == "count":
            return self.v @ (np.exp(scores[:, 0]) - self.y * scores[:, 0])
        if self.loss_name == "binary":
            scores = np.hstack([0 * scores, scores])
        return -self.v @ log_softmax(scores, axis=1)[np.arange(len(self.y)), self.y]

    def slopes(self, W, b):
        scores = self.X @ W + b
        if self.loss_name == "regression":
            residual = scores - self.y[:, None]
        elif self.loss_name == "huber":
            away = scores - self.y[:, None]
            residual = np.where(np.abs(away) <= self.knee, away, self.knee * np.sign(away))
        elif self.loss_name == "count":
            residual = np.exp(scores) - self.y[:, None]
        elif self.loss_name == "binary":
            chance = softmax(np.hstack([0 * scores, scores]), axis=1)[:, 1:]
            residual = chance - (self.y == 1)[:, None]
        else:
            residual = softmax(scores, axis=1) - np.eye(self.classes)[self.y]
        weighted = self.v[:, None] * residual
        return self.X.T @ weighted, weighted.sum(axis=0)

    def smooth_minimum(self, l2, inputs=None):
        """Minimize loss + half of l2 (q,) times squares over some inputs, within bounds."""
        inputs = np.arange(self.q) if inputs is None else inputs
        q, k = len(inputs), self.k

        def unpacked(point):
            W = np.zeros((self.q, k))
            W[inputs] = point[:-k].reshape(q, k)
            return W, point[-k:]

        def target(point):
            W, b = unpacked(point)
            slope, slope_b = self.slopes(W, b)
            shrunk = l2[:, None] * W
            value = self.loss(W, b) + (shrunk * W).sum() / 2
            return value, np.concatenate([(slope + shrunk)[inputs].ravel(), slope_b])

        low = np.repeat(np.where(self.bounded[inputs], 0.0, -np.inf), k)
        bounds = [(each if each == 0 else None, None) for each in low] + [(None, None)] * k
        point = np.zeros(q * k + k)
        tight = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 50}
        for _ in range(3):
            point = minimize(
                target, point, jac=True, method="L-BFGS-B", bounds=bounds, options=tight
            ).x
        return unpacked(point)

    # ---- the penalty --------------------------------------------------------------------------

    def adaptive(self):
        """|ridge_j|^-gamma from an initial ridge fit, the smallest one being 1."""
        l2 = INITIAL * self.largest_eigenvalue * ~self.free
        size = np.linalg.norm(self.smooth_minimum(l2)[0], axis=1)
        share = np.maximum(size / (size.max() or 1.0), 1e-12)
        return np.minimum(share**-self.penalty.adapt, HEAVIEST)

    @property
    def largest_eigenvalue(self):
        bend = self.v @ self.y if self.loss_name == "count" else 1.0
        return bend * np.linalg.eigvalsh(self.X.T @ (self.v[:, None] * self.X))[-1]

    @property
    def null(self):
        """The solution on the inputs that no penalty touches."""
        inputs = np.arange(self.q) if self.penalty.is_null else np.flatnonzero(self.free)
        return self.smooth_minimum(np.zeros(self.q), inputs)

    @property
    def steepest(self):
        return np.abs(self.slopes(*self.null)[0]).max()

    @property
    def scale(self):
        """The absolute strength that a strength of 1 stands for."""
        if not self.penalty.zeroes:
            return self.largest_eigenvalue
        pull = -self.slopes(*self.null)[0]
        return max(self.zeroing(pull[group], group) for group in self.members)

    def zeroing(self, pull, group):
        """The smallest strength that keeps a group with that pull at zero."""
        if self.free[group].any():
            return 0.0
        pull = np.where(self.bounded[group, None], np.maximum(pull, 0.0), pull)
        l1 = self.penalty.l1 * self.factors[group, None]
        if self.penalty.group == 0:
            return (np.abs(pull) / l1).max()
        height = self.penalty.group * np.sqrt(len(group))

        def reach(s):
            return np.linalg.norm(np.maximum(np.abs(pull) - s * l1, 0.0)) - s * height

        high = 1.001 * np.linalg.norm(pull) / height
        return brentq(reach, 0.0, high, xtol=1e-15, rtol=1e-14) if high > 0 else 0.0

    def level(self, s, W):
        """The slope of the L1 part at |w|, (q, k)."""
        base = s * self.penalty.l1 * (self.factors * ~self.free)[:, None] * np.ones_like(W)
        size, gamma = np.abs(W), self.penalty.gamma
        if self.penalty.concave == "mcp":
            return np.where(base > 0, np.maximum(base - size / gamma, 0.0), 0.0)
        if self.penalty.concave == "scad":
            faded = np.maximum(gamma * base - size, 0.0) / (gamma - 1)
            return np.where(size <= base, base, faded)
        return np.where(W != 0, self.penalty.relax * base, base)

    def size(self, W, s=1.0):
        """The penalty; of concave ones the integral of the level."""
        free = ~self.free
        total = s * self.penalty.l2 / 2 * (W[free] ** 2).sum()
        for group in self.members:
            if not self.free[group].any():
                norm = np.linalg.norm(W[group])
                total += s * self.penalty.group * np.sqrt(len(group)) * norm
        if not self.penalty.concave:
            return total + s * self.penalty.l1 * (self.factors * free) @ np.abs(W).sum(axis=1)
        steps = (np.arange(2000) + 0.5) / 2000
        return total + sum((self.level(s, t * W) * np.abs(W)).sum() for t in steps) / len(steps)

    def objective(self, strength, W, b):
        s = 0.0 if self.penalty.is_null else strength * self.scale
        return self.loss(W, b) + self.size(W, s)

    def pull(self, strength):
        """How strongly the penalty pulls: what residuals are compared with."""
        s = strength * self.scale
        return s * (self.penalty.l1 + self.penalty.group or self.penalty.l2)

    def violation(self, strength, W, b, relaxed=False):
        """The distance of zero from the subdifferential.

        Of a relaxed fit, in the coefficients that are not zero.
        """
        s = 0.0 if self.penalty.is_null else strength * self.scale
        slope, slope_b = self.slopes(W, b)
        pull = -slope - s * self.penalty.l2 * ~self.free[:, None] * W
        level = self.level(s, W)
        worst = np.abs(slope_b).max()
        for group in self.members:
            height = 0.0 if self.free[group].any() else s * self.penalty.group
            height *= np.sqrt(len(group))
            norm = np.linalg.norm(W[group])
            bounded = self.bounded[group, None]
            if height > 0 and norm == 0:
                z = np.sign(pull[group]) * np.maximum(np.abs(pull[group]) - level[group], 0.0)
                z = np.where(bounded, np.maximum(z, 0.0), z)
                worst = max(worst, np.linalg.norm(z) - height)
                continue
            left = pull[group] - (height / norm * W[group] if norm > 0 else 0.0)
            at_zero = np.where(bounded, left, np.abs(left)) - level[group]
            at_zero = np.zeros_like(left) if relaxed else np.maximum(at_zero, 0.0)
            there = np.abs(left - level[group] * np.sign(W[group]))
            worst = max(worst, np.where(W[group] == 0, at_zero, there).max())
            assert not (bounded & (W[group] < 0)).any()
        return worst
