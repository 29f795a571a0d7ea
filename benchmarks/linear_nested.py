"""Nested selection of a strength: the path engine against scikit-learn's and Optuna's ways."""

from __future__ import annotations

from measuring import Row, inputs, side_by_side

# isort: split
import numpy as np
import optuna
from sklearn.linear_model import ElasticNet, ElasticNetCV, Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from autoreg.candidate import candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.engines.base import Job, TrainingSet
from autoreg.engines.path import PathEngine
from autoreg.folds import plan
from autoreg.spec import FoldsSpec, LinearSpec, Training
from autoreg.techniques import technique

MIXES = (0.1, 0.5, 0.9)
FOLDS = 5
STRENGTHS = 100
FRACTIONS = np.geomspace(1e-3, 1.0, STRENGTHS)  # as ElasticNetCV's own
RIDGES = np.geomspace(1e-5, 1.0, STRENGTHS)
TRAINING, LINEAR = Training(), LinearSpec()  # shared by all jobs, as those of a study
SAMPLED = slice(12, None, 25)  # of the strengths, where a side is measured at a few only
POINTS = len(MIXES) * len(FRACTIONS[SAMPLED])
TIMES = FOLDS * len(MIXES) * STRENGTHS / POINTS  # what all of it takes
SHAPES = ((500, 20), (2_000, 200), (20_000, 100))
SMALL = ((200, 10), (400, 40))


def regression(n: int, p: int, correlation: float = 0.5, seed: int = 0) -> Dataset:
    """A sparse truth among equicorrelated inputs; noise and signal are equally large.

    The target has deviation 1: then all sides minimize the same objective.
    """
    rng = np.random.default_rng(seed)
    X = inputs(n, p, correlation, rng)
    y = X[:, :10] @ rng.normal(size=min(p, 10))
    y += rng.normal(size=n) * y.std()
    columns = tuple(Column(f"x{j}", "numeric") for j in range(p))
    return Dataset("made", columns, X, (y - y.mean()) / y.std(), "regression", "y")


# ---- ours --------------------------------------------------------------------------------------


def nested(data: Dataset, folds, candidates, strengths) -> float:
    """Search every strength of every candidate, refit the best: the mean outer loss."""
    engine = PathEngine()
    strengths = tuple(strengths)
    asked = [
        (outer, number, inner)
        for outer, search in enumerate(folds.outer)
        for number in range(len(candidates))
        for inner in folds.inner[search.name]
    ]
    jobs = [_job(candidates[number], inner, strengths) for _, number, inner in asked]
    sums = np.zeros((len(folds.outer), len(candidates), len(strengths)))
    fits = engine.run(jobs, data, cells=folds.cells)
    for (outer, number, inner), fit in zip(asked, fits, strict=True):
        sums[outer, number] += fit.losses * len(inner.test)
    refits = []
    for search, losses in zip(folds.outer, sums, strict=True):
        number, best = np.unravel_index(losses.argmin(), losses.shape)
        refits.append(_job(candidates[number].at(float(strengths[best])), search))
    fits = engine.run(refits, data, cells=folds.cells)
    sizes = [len(search.test) for search in folds.outer]
    return float(np.average([fit.losses[0] for fit in fits], weights=sizes))


def _job(one, fold, strengths=()) -> Job:
    training = TrainingSet(fold.train, fold.excluded)
    return Job(one, training, fold.test, 0, strengths, TRAINING, LINEAR)


def warm_up() -> None:
    """Compile what is not in numba's cache."""
    for shape in ((60, 5), (20, 1_600)):
        data = regression(*shape)
        for key in ("elastic_net", "ridge"):
            one = technique(key)(mix=0.5) if key == "elastic_net" else technique(key)()
            nested(
                data, plan(data, FoldsSpec(outer=3), 0), [candidate("linear", [one], {})], RIDGES
            )


# ---- theirs ------------------------------------------------------------------------------------


def theirs(data: Dataset, folds, selector) -> float:
    """The mean outer loss of a selector: ``cross_validate`` with the inner folds given.

    ``selector`` makes an estimator from inner folds and the training rows; it stands behind
    a StandardScaler in a pipeline.
    """
    losses = []
    for search in folds.outer:
        inner = inner_of(folds, search)
        made = make_pipeline(StandardScaler(), selector(inner, data.X[search.train]))
        made.fit(data.X[search.train], data.y[search.train])
        losses.append(np.mean((made.predict(data.X[search.test]) - data.y[search.test]) ** 2))
    sizes = [len(search.test) for search in folds.outer]
    return float(np.average(losses, weights=sizes))


def inner_of(folds, search) -> list[tuple[np.ndarray, np.ndarray]]:
    """The inner folds of a search, as positions in its own rows."""
    at = search.train
    return [
        (np.searchsorted(at, inner.train), np.searchsorted(at, inner.test))
        for inner in folds.inner[search.name]
    ]


def elastic_net_cv(inner, X):
    return ElasticNetCV(l1_ratio=list(MIXES), eps=1e-3, alphas=STRENGTHS, cv=inner)


def ridge_cv(inner, X):
    Z = StandardScaler().fit_transform(X)
    return RidgeCV(alphas=largest_eigenvalue(Z) * RIDGES, cv=inner)


def grid(data: Dataset, folds):
    """GridSearchCV of the whole pipeline at a few points in one outer fold."""
    inner, X, y, tops = _first(data, folds)
    points = [
        {"elasticnet__l1_ratio": [mix], "elasticnet__alpha": top * FRACTIONS[SAMPLED]}
        for mix, top in tops.items()
    ]
    pipeline = make_pipeline(StandardScaler(), ElasticNet())
    search = GridSearchCV(pipeline, points, scoring="neg_mean_squared_error", cv=inner, refit=False)
    return lambda: search.fit(X, y)


def loop(data: Dataset, folds):
    """The usual loop, ``cross_val_score`` in an Optuna objective, as many trials in one fold."""
    inner, X, y, tops = _first(data, folds)

    def loss(trial) -> float:
        mix = trial.suggest_categorical("mix", MIXES)
        level = tops[mix] * trial.suggest_float("strength", FRACTIONS[0], 1.0, log=True)
        made = make_pipeline(StandardScaler(), ElasticNet(alpha=level, l1_ratio=mix))
        return -cross_val_score(made, X, y, scoring="neg_mean_squared_error", cv=inner).mean()

    def search() -> None:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(loss, n_trials=POINTS)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return search


def _first(data: Dataset, folds):
    """Of the first outer fold: inner folds, rows, and the strongest level of each mix."""
    search = folds.outer[0]
    X, y = data.X[search.train], data.y[search.train]
    Z = StandardScaler().fit_transform(X)
    top = np.abs(Z.T @ (y - y.mean())).max() / len(y)
    return inner_of(folds, search), X, y, {mix: top / mix for mix in MIXES}


# ---- sections ----------------------------------------------------------------------------------


def elastic_net(quick: bool, **_) -> tuple[str, list[Row]]:
    goals = {
        (500, 20): (40, 80, 1000),
        (2_000, 200): (5, 10, 150),
        (20_000, 100): (25, 50, 1000),
    }
    rows = []
    for shape in SMALL if quick else SHAPES:
        for correlation in (0.0, 0.5):
            rows += _elastic_net(shape, correlation, goals.get(shape, (None, None, None)))
    return f"Elastic net, {STRENGTHS} strengths x 3 mixes, nested 5 x 5", rows


def wide(quick: bool, **_) -> tuple[str, list[Row]]:
    rows = _elastic_net((60, 300) if quick else (100, 5_000), 0.0, (10, None, None))
    return "The same with more columns than rows", rows


def _elastic_net(shape, correlation: float, goals) -> list[Row]:
    data = regression(*shape, correlation)
    own = plan(data, FoldsSpec(outer=FOLDS, inner=FOLDS), 0)
    shared = plan(data, FoldsSpec(outer=FOLDS), 0)
    asked = [candidate("linear", [technique("elastic_net")(mix=mix)], {}) for mix in MIXES]
    found = side_by_side(
        {
            "own": lambda: nested(data, own, asked, FRACTIONS),
            "shared": lambda: nested(data, shared, asked, FRACTIONS),
            "cv": lambda: theirs(data, own, elastic_net_cv),
            "cv shared": lambda: theirs(data, shared, elastic_net_cv),
            "grid": grid(data, own),
            "loop": loop(data, own),
        }
    )
    (own_s, own_loss), (shared_s, shared_loss) = found["own"], found["shared"]
    (cv_s, cv_loss), (both_s, both_loss) = found["cv"], found["cv shared"]
    name = f"{shape[0]:,} x {shape[1]:,}, r = {correlation:g}"
    separate, symmetric = "separate inner folds", "symmetric scheme"
    grid_s, loop_s = found["grid"][0] * TIMES, found["loop"][0] * TIMES
    points = f"{POINTS} of {len(MIXES) * STRENGTHS} points, 1 of {FOLDS} outer folds"
    same = same_settings(data, own, asked[1], FRACTIONS[SAMPLED], half_mixed)
    return [
        Row(
            name,
            "ElasticNetCV",
            separate,
            cv_s,
            own_s,
            goals[0],
            apart(own_loss, cv_loss),
            f"at the same settings {same:.0e}",
        ),
        Row(name, "ElasticNetCV", symmetric, cv_s, shared_s, goals[1]),
        Row(
            name,
            "ElasticNetCV, 4 inner folds",
            symmetric,
            both_s,
            shared_s,
            None,
            apart(shared_loss, both_loss),
        ),
        Row(name, "GridSearchCV(pipeline)*", separate, grid_s, own_s, goals[2], note=points),
        Row(name, "Optuna + cross_val_score*", separate, loop_s, own_s, note=points),
    ]


def ridge(quick: bool, **_) -> tuple[str, list[Row]]:
    shapes = SMALL if quick else (*SHAPES, (100, 5_000))
    rows = [_ridge(shape) for shape in shapes]
    return f"Ridge, {STRENGTHS} strengths, nested 5 x 5", rows


def _ridge(shape) -> Row:
    data = regression(*shape)
    own = plan(data, FoldsSpec(outer=FOLDS, inner=FOLDS), 0)
    one = candidate("linear", [technique("ridge")()], {})
    found = side_by_side(
        {
            "ours": lambda: nested(data, own, [one], RIDGES),
            "theirs": lambda: theirs(data, own, ridge_cv),
        }
    )
    (our_s, our_loss), (their_s, their_loss) = found["ours"], found["theirs"]
    same = same_settings(data, own, one, RIDGES[SAMPLED], one_ridge)
    return Row(
        f"{shape[0]:,} x {shape[1]:,}",
        "RidgeCV(cv=5)",
        "separate inner folds",
        their_s,
        our_s,
        30,
        apart(our_loss, their_loss),
        f"at the same settings {same:.0e}",
    )


def apart(one: float, other: float) -> float:
    return abs(one - other) / abs(other)


def same_settings(data: Dataset, folds, one, strengths, estimator) -> float:
    """How far the engine's losses are from scikit-learn's at the same settings, at most.

    At a few strengths in each outer fold. ``estimator`` makes an estimator from standardized
    inputs and target and a strength; selection plays no part.
    """
    jobs = [_job(one, search, tuple(strengths)) for search in folds.outer]
    fits = PathEngine().run(jobs, data, cells=folds.cells)
    worst = 0.0
    for search, fit in zip(folds.outer, fits, strict=True):
        scaler = StandardScaler().fit(data.X[search.train])
        Z, y = scaler.transform(data.X[search.train]), data.y[search.train]
        shift, spread = y.mean(), y.std()
        for strength, ours in zip(strengths, fit.losses, strict=True):
            made = estimator(Z, (y - shift) / spread, strength).fit(Z, (y - shift) / spread)
            guess = made.predict(scaler.transform(data.X[search.test])) * spread + shift
            worst = max(worst, apart(ours, np.mean((guess - data.y[search.test]) ** 2)))
    return worst


def half_mixed(Z, y, strength):
    level = strength * np.abs(Z.T @ y).max() / len(y) / 0.5
    return ElasticNet(alpha=level, l1_ratio=0.5, tol=1e-9, max_iter=100_000)


def one_ridge(Z, y, strength):
    return Ridge(alpha=strength * largest_eigenvalue(Z))


def largest_eigenvalue(Z) -> float:
    return float(np.linalg.eigvalsh(Z @ Z.T if len(Z) < Z.shape[1] else Z.T @ Z)[-1])
