"""Where a path stands, and its working set: what the proximal Newton solver keeps up to date.

Slopes are lazy. A standardized input has norm one under the row weights, so its slope cannot
have changed by more than the residuals have moved since it was last computed; an input whose
old slope is further than that from breaking its condition is not looked at.

Coefficients of K columns of scores are one long vector, those of one input side by side: K = 1
but for more than two classes. So the Hessian holds what ties the classes together, and a
feature group holds its inputs for all classes.

Source: Ndiaye, Fercoq, Gramfort & Salmon 2017, JMLR 18(128) (safe screening by a bound on
residuals).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autoreg.data.dataset import Floats, Rows
from autoreg.engines.path.kernels.compiling import compiled
from autoreg.engines.path.kernels.groups import make_whole, violations
from autoreg.engines.path.kernels.likelihood import curvature, remember, start_scores
from autoreg.engines.path.kernels.quadratic import bent, violation

FEWEST = 64  # room for a working set, at first
DEAD = 50  # so many unused members of a working set are put up with


class Sample(NamedTuple):
    """Training rows: inputs (q, n) in rows, the last one all ones; targets and weights (n,)."""

    kind: int
    knee: float
    X: Floats
    y: Floats
    v: Floats


class State(NamedTuple):
    """Where a path stands; coefficient ``j * K + k`` is that of input j in column k.

    ``w``, ``slopes``, ``seen``, ``members`` and ``place`` have one entry for each coefficient;
    ``scores``, ``residuals``, ``spare`` (a second set of residuals), ``pulls`` (residuals times
    row weights) and ``known`` (behind the Hessian) are (K, n). ``travel`` (K,) is how far the
    residuals of a column have moved in all, ``seen`` how far when a slope was computed.
    ``members`` lists the working set, ``size[0]`` long; ``place`` is where a coefficient stands
    in it (-1: nowhere).
    """

    w: Floats
    slopes: Floats
    seen: Floats
    members: Rows
    place: Rows
    size: Rows
    travel: Floats
    scores: Floats
    residuals: Floats
    spare: Floats
    pulls: Floats
    known: Floats


@compiled
def begin(sample, classes):
    """The featureless model."""
    q, n = sample.X.shape
    many = q * classes
    start = start_scores(sample.kind, sample.knee, sample.y, sample.v, classes)
    w = np.zeros(many)
    scores = np.empty((classes, n))
    for k in range(classes):
        w[many - classes + k] = start[k]
        scores[k] = start[k]
    return State(
        w,
        np.zeros(many),
        np.full(many, -np.inf),
        np.zeros(many, np.int64),
        np.full(many, -1, np.int64),
        np.zeros(1, np.int64),
        np.zeros(classes),
        scores,
        np.zeros((classes, n)),
        np.zeros((classes, n)),
        np.zeros((classes, n)),
        np.zeros((classes, n)),
    )


@compiled
def renew(sample, state):
    """Take over the spare residuals; how far they moved is added to the travel."""
    for k in range(len(state.travel)):
        moved = 0.0
        old, new, pulls = state.residuals[k], state.spare[k], state.pulls[k]
        for i in range(len(new)):
            moved += sample.v[i] * (new[i] - old[i]) ** 2
            old[i] = new[i]
            pulls[i] = sample.v[i] * new[i]
        state.travel[k] += np.sqrt(moved)


@compiled
def slope_of(x, pulls):
    """Minus the derivative of the loss in a coefficient of input x (n,)."""
    total = 0.0
    for i in range(len(x)):
        total -= x[i] * pulls[i]
    return total


@compiled
def check(sample, state, among, terms, base, shrink, height, broken):
    """The largest violation among some coefficients; slopes that cannot matter are not computed.

    ``broken`` is filled for these coefficients, and for no others.
    """
    w, slopes, seen = state.w, state.slopes, state.seen
    classes = len(state.travel)
    worst = 0.0
    for j in among:
        k = j % classes if classes > 1 else 0  # a division costs more than all the rest
        level, travel = bent(terms, base[j], w[j]), state.travel[k]
        idle = w[j] == 0.0 and len(height) == 0
        if idle and abs(slopes[j]) + travel - seen[j] <= level:
            broken[j] = 0.0
            continue
        if seen[j] != travel:
            slopes[j] = slope_of(sample.X[j // classes], state.pulls[k])
            seen[j] = travel
        broken[j] = violation(slopes[j], w[j], level, shrink[j], terms.lowest[j])
        worst = max(worst, broken[j])
    if len(height):
        worst = check_groups(state, among, terms, base, shrink, height, broken)
    return worst


@compiled
def check_groups(state, among, terms, base, shrink, height, broken):
    """The same for coefficients in groups, all of whose slopes are known."""
    w = state.w
    level, every = np.empty(len(w)), np.empty(len(w))
    for j in range(len(w)):
        level[j] = bent(terms, base[j], w[j])
    violations(state.slopes, w, level, shrink, terms.lowest, terms.starts, height, every)
    worst = 0.0
    for j in among:
        broken[j] = every[j]
        worst = max(worst, every[j])
    return worst


@compiled
def enter(state, j):
    """Take coefficient j into the working set."""
    state.members[state.size[0]] = j
    state.place[j] = state.size[0]
    state.size[0] += 1


@compiled
def join(sample, state, j, H):
    """Take coefficient j into the working set, with its row of the known Hessian."""
    classes, n = state.known.shape
    enter(state, j)
    size = state.size[0]
    weighted = np.empty((classes, n))
    x = sample.X[j // classes]
    for k in range(classes):
        curvature(sample.kind, state.known, j % classes, k, weighted[k])
        for i in range(n):
            weighted[k, i] *= x[i] * sample.v[i]
    for a in range(size):
        other = state.members[a]
        value = -slope_of(sample.X[other // classes], weighted[other % classes])
        H[size - 1, a] = value
        H[a, size - 1] = value


@compiled
def rebuild(sample, state, H):
    """The Hessian of the working set at the current scores."""
    classes, n = state.known.shape
    remember(sample.kind, sample.knee, state.residuals, sample.y, state.known)
    members = state.members[: state.size[0]]
    weights = np.empty(n)
    for k in range(classes):
        own = np.flatnonzero(members % classes == k)
        for other in range(k + 1):
            theirs = np.flatnonzero(members % classes == other)
            curvature(sample.kind, state.known, k, other, weights)
            right = np.empty((len(theirs), n))
            for b in range(len(theirs)):
                right[b] = sample.X[members[theirs[b]] // classes]
            left = np.empty((len(own), n))
            for a in range(len(own)):
                x = sample.X[members[own[a]] // classes]
                for i in range(n):
                    left[a, i] = x[i] * sample.v[i] * weights[i]
            block = np.dot(left, right.T)
            for a in range(len(own)):
                for b in range(len(theirs)):
                    H[own[a], theirs[b]] = block[a, b]
                    H[theirs[b], own[a]] = block[a, b]


@compiled
def grown(H, size):
    """The same Hessian with room for at least ``size`` members."""
    if size <= len(H):
        return H
    larger = np.zeros((2 * size, 2 * size))
    larger[: len(H), : len(H)] = H
    return larger


@compiled
def forget(state, free, terms, H):
    """Drop members without a coefficient, where they are many."""
    used = free | (state.w != 0.0)
    make_whole(used, terms.starts)
    count = 0
    for a in range(state.size[0]):
        count += used[state.members[a]]
    if state.size[0] > 2 * count + DEAD:
        keep_only(state, used, H)


@compiled
def keep_only(state, used, H):
    """Drop the members that are not used."""
    size, kept = state.size[0], 0
    keep = np.empty(size, np.int64)
    for a in range(size):
        if used[state.members[a]]:
            keep[kept] = a
            kept += 1
    state.place[:] = -1
    for a in range(kept):
        j = state.members[keep[a]]
        state.members[a] = j
        state.place[j] = a
        for b in range(kept):
            H[a, b] = H[keep[a], keep[b]]
    state.size[0] = kept
