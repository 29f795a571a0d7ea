"""Made-up tables with one leak each, and clean ones; all from a seed, for checks and experiments.

Each leaky table is drawn as people make it by mistake; the name says which alarms may ring for it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autoreg.data.dataset import Column, Dataset

LETTERS = tuple("abcdefghijklmnopqrst")


def dataset(X, y, classes=(), columns=None, **roles):
    """A data set of numeric columns x0, x1, ... unless they are given."""
    task = {0: "regression", 2: "binary"}.get(len(classes), "multiclass")
    columns = columns or tuple(Column(f"x{j}", "numeric") for j in range(X.shape[1]))
    return Dataset("made", columns, X, y, task, "y", classes, **roles)


def labels(rng, scores):
    """Two classes whose log odds are the scores."""
    return (scores + rng.logistic(size=len(scores)) > 0).astype(np.int64)


# ---- clean -------------------------------------------------------------------------------------


def normal(rng, n, p):
    return rng.normal(size=(n, p))


def skewed(rng, n, p):
    return np.exp(rng.normal(size=(n, p)))


def whole(rng, n, p):
    return rng.integers(0, rng.choice([5, 20, 100, 1000]), (n, p)).astype(float)


def correlated(rng, n, p):
    mixed = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) / np.sqrt(p)
    return mixed + 2 * rng.normal(size=(n, 1))


def rounded(rng, n, p):
    return rng.normal(size=(n, p)).round(int(rng.integers(0, 3)))


def gaps(rng, n, p):
    X = rng.normal(size=(n, p))
    X[1:][rng.random((n - 1, p)) < 0.1] = np.nan
    return X


def mixed(rng, n, p):
    X = rng.normal(size=(n, p))
    X[:, : (p + 1) // 2] = rng.integers(0, 5, (n, (p + 1) // 2))
    return X


CLEAN = (normal, skewed, whole, correlated, rounded, gaps, mixed)


def clean(seed):
    """An independent, identically distributed table of some kind and size, with some signal."""
    rng = np.random.default_rng(seed)
    kind = CLEAN[seed % len(CLEAN)]
    n, p = int(rng.choice([40, 60, 100, 200, 500, 1000])), int(rng.choice([2, 5, 20, 100, 300]))
    X = kind(rng, n, p)
    columns = None
    if kind is mixed:
        columns = tuple(
            Column(f"x{j}", "categorical", LETTERS[:5])
            if j < (p + 1) // 2
            else Column(f"x{j}", "numeric")
            for j in range(p)
        )
    signal = np.nan_to_num(X[:, -1])
    signal = (signal - signal.mean()) / (signal.std() or 1.0)
    strength = rng.choice([0.0, 1.0, 3.0])
    if rng.random() < 0.5:
        return dataset(X, strength * signal + rng.normal(size=n), columns=columns)
    y = labels(rng, strength * signal)
    y[:10] = np.arange(10) % 2
    return dataset(X, y, ("no", "yes"), columns)


# ---- leaky -------------------------------------------------------------------------------------


def persons(rng, shuffled, static):
    """50 persons with 8 rows each; what is measured varies around a mean of the person's own."""
    group = np.repeat(np.arange(50), 8)
    own = rng.normal(size=(50, 6))
    X = own[group] + 0.7 * rng.normal(size=(400, 6))
    if static:
        X = np.column_stack([X, rng.normal(size=(50, 2)).round(4)[group]])
    y = (rng.random(50) < 0.5).astype(np.int64)[group]
    order = rng.permutation(400) if shuffled else np.arange(400)
    return dataset(X[order], y[order], ("healthy", "ill"), group=group[order])


def undeclared_persons(rng):
    return drop_roles(persons(rng, shuffled=True, static=True))


def undeclared_persons_in_order(rng):
    return drop_roles(persons(rng, shuffled=False, static=False))


def drop_roles(data):
    return replace(data, group=None, time=None)


def repeated_rows(rng):
    X = rng.normal(size=(200, 8))
    y = labels(rng, X[:, 0])
    again = rng.choice(200, 30)
    rows = rng.permutation(np.concatenate([np.arange(200), again]))
    return dataset(X[rows], y[rows], ("no", "yes"))


def augmented_rows(rng):
    X = rng.normal(size=(200, 8))
    y = X[:, 0] + rng.normal(size=200)
    again = rng.choice(200, 40)
    X = np.vstack([X, X[again] + 0.005 * rng.normal(size=(40, 8))])
    y = np.concatenate([y, y[again]])
    rows = rng.permutation(240)
    return dataset(X[rows], y[rows])


def walk(rng, n=300):
    """Slow columns and a slow target that have nothing to do with each other."""
    X = np.cumsum(rng.normal(size=(n, 5)), axis=0)
    return X, np.cumsum(rng.normal(size=n))


def undeclared_time(rng):
    X, y = walk(rng)
    return dataset(X, y)


def undeclared_calendar(rng):
    X, y = walk(rng)
    order = rng.permutation(len(y))
    day = 20_200_101 + np.arange(len(y))
    columns = (Column("date", "numeric"), *(Column(f"x{j}", "numeric") for j in range(5)))
    return dataset(np.column_stack([day, X])[order], y[order], columns=columns)


def lags(rng):
    returns = rng.normal(size=305)
    X = np.column_stack([returns[5 - k : 305 - k] for k in range(1, 6)])
    y = (returns[5:] > 0).astype(np.int64)
    return dataset(X, y, ("down", "up"))


def encoded(rng, smoothing):
    """A category of 20 levels that has nothing to do with the target, encoded by its means."""
    level = rng.integers(0, 20, 150)
    y = rng.normal(size=150)
    counts = np.bincount(level, minlength=20)
    sums = np.bincount(level, weights=y, minlength=20)
    code = (sums + smoothing * y.mean()) / np.maximum(counts + smoothing, 1)
    return dataset(np.column_stack([code[level], rng.normal(size=(150, 4))]), y)


def encoded_before_split(rng):
    return encoded(rng, 0)


def encoded_and_smoothed_before_split(rng):
    return encoded(rng, 10)


def oversampled(rng, interpolated):
    """20 rare rows brought up to 100, by repetition or by interpolation between neighbours."""
    X = rng.normal(size=(120, 6))
    rare = X[:20] + 0.5
    first = rng.integers(0, 20, 80)
    if interpolated:
        distance = np.linalg.norm(rare[:, None] - rare[None], axis=2)
        near = np.argsort(distance, axis=1)[:, 1:6]
        second = near[first, rng.integers(0, 5, 80)]
        share = rng.random((80, 1))
        new = rare[first] + share * (rare[second] - rare[first])
    else:
        new = rare[first]
    X = np.vstack([X[20:], rare, new])
    y = np.repeat([0, 1], 100)
    order = rng.permutation(200)
    return dataset(X[order], y[order], ("common", "rare"))


def repeated_before_split(rng):
    return oversampled(rng, interpolated=False)


def interpolated_before_split(rng):
    return oversampled(rng, interpolated=True)


def after_the_fact(rng):
    """A column that is the target with a little noise: it was measured after it."""
    y = rng.normal(size=150)
    X = np.column_stack([rng.normal(size=(150, 4)), 3 * y + 0.3 * rng.normal(size=150)])
    return dataset(X, y)


def copied_target(rng):
    y = labels(rng, rng.normal(size=150))
    X = np.column_stack([rng.normal(size=(150, 4)), 5 - 2 * y])
    return dataset(X, y, ("no", "yes"))


def numbered_rows(rng):
    X = rng.normal(size=(150, 4))
    X[:, 2] = rng.permutation(150) + 1000
    return dataset(X, labels(rng, X[:, 0]), ("no", "yes"))


# What may ring for each leak: any of these codes.
LEAKS = {
    undeclared_persons: {"repeated_measures"},
    undeclared_persons_in_order: {"ordered_rows"},
    repeated_rows: {"duplicate_rows"},
    augmented_rows: {"near_duplicates"},
    undeclared_time: {"ordered_rows"},
    undeclared_calendar: {"time_column"},
    lags: {"ordered_rows"},
    encoded_before_split: {"target_encoded"},
    encoded_and_smoothed_before_split: {"target_encoded"},
    repeated_before_split: {"duplicate_rows"},
    interpolated_before_split: {"oversampled"},
    after_the_fact: {"tells_target"},
    copied_target: {"target_copy"},
    numbered_rows: {"id_column"},
}
