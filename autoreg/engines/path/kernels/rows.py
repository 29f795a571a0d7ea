"""Whole paths for squared error with more inputs than rows: coordinate descent on residuals.

Minimized is ``|t - Z'w|^2 / 2 + s * penalty(w)``. A coordinate costs as many operations as there
are rows, whatever the number of inputs; slopes of inputs that are out are lazy, as in
:mod:`autoreg.engines.path.kernels.state`: no slope can have changed by more than the residuals
have moved, because an input has at most norm one.

Sources: Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33(1) (naive
updates); Ndiaye, Fercoq, Gramfort & Salmon 2017, JMLR 18(128) (screening by a bound on residuals).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autoreg.data.dataset import Floats, Rows
from autoreg.engines.path.kernels.compiling import compiled
from autoreg.engines.path.kernels.gram import ahead_of, free_inputs, zeroing
from autoreg.engines.path.kernels.quadratic import (
    MOST,
    ROUNDING,
    SLOWEST,
    leaps,
    list_used,
    room_for,
    soft,
    tolerance_at,
    violation,
)

NULL = 1e-12  # the violation that the null model may leave
INEXACT = 0.1  # the share of the violation that is left before all inputs are looked at again
ROUNDS = 500  # of looking at all inputs at one strength


class Place(NamedTuple):
    """Where a path stands: coefficients w (q,) and residuals r (n,).

    ``slopes`` (q,) were computed when the residuals had moved by ``seen`` (q,) in all; by now it
    is ``travel`` (1,), up to the residuals ``known`` (n,). The first ``size[0]`` of ``active``
    are the inputs that are not left out, ``inside`` (q,) says which.
    """

    w: Floats
    r: Floats
    slopes: Floats
    seen: Floats
    travel: Floats
    known: Floats
    active: Rows
    inside: Rows
    size: Rows


@compiled
def begin(Z, t):
    """No coefficient is used yet."""
    q = len(Z)
    return Place(
        np.zeros(q),
        t.copy(),
        np.zeros(q),
        np.full(q, -np.inf),
        np.zeros(1),
        t.copy(),
        np.empty(q, np.int64),
        np.zeros(q, np.bool_),
        np.zeros(1, np.int64),
    )


@compiled
def product(x, r):
    """The inner product of two vectors."""
    total = 0.0
    for i in range(len(x)):
        total += x[i] * r[i]
    return total


@compiled
def shift(r, x, change):
    """Residuals behind a change of one coefficient."""
    for i in range(len(r)):
        r[i] -= change * x[i]


@compiled
def enter(place, j):
    """No longer leave an input out."""
    place.active[place.size[0]] = j
    place.inside[j] = True
    place.size[0] += 1


@compiled
def look(Z, place, base, shrink, lowest, tolerance):
    """Take in every input that breaks its condition; the largest violation."""
    moved = 0.0
    for i in range(len(place.r)):
        moved += (place.r[i] - place.known[i]) ** 2
        place.known[i] = place.r[i]
    place.travel[0] += np.sqrt(moved)
    travel, worst = place.travel[0], 0.0
    for j in range(len(place.w)):
        w = place.w[j]
        if w == 0.0 and abs(place.slopes[j]) + travel - place.seen[j] <= base[j]:
            continue
        if place.seen[j] != travel:
            place.slopes[j], place.seen[j] = product(Z[j], place.r), travel
        broken = violation(place.slopes[j], w, base[j], shrink[j], lowest[j])
        worst = max(worst, broken)
        if broken > tolerance and not place.inside[j]:
            enter(place, j)
    return worst


@compiled
def sweep(Z, sizes, place, base, shrink, lowest):
    """Minimize along each active coordinate in turn; the largest violation met, and the number."""
    worst, count = 0.0, 0
    for a in range(place.size[0]):
        j = place.active[a]
        h, w, x = sizes[j] + shrink[j], place.w[j], Z[j]
        if h <= 0.0:
            continue
        g = product(x, place.r)
        worst = max(worst, violation(g, w, base[j], shrink[j], lowest[j]))
        new = max(soft(g + sizes[j] * w, base[j]) / h, lowest[j])
        if new != w:
            shift(place.r, x, new - w)
            place.w[j] = new
        count += new != 0.0
    return worst, count


@compiled
def leap_over(Z, place, base, shrink, lowest):
    """Leaps on the coordinates in use, by their own Gram matrix."""
    active = place.active[: place.size[0]]
    free = (base[active] == 0.0) & (lowest[active] < 0.0)
    S = active[(place.w[active] != 0.0) | free]
    X, w = Z[S], place.w[S]
    H, g = np.dot(X, X.T), np.dot(X, place.r)
    old, room = w.copy(), room_for(len(S))
    level, own, bound = base[S], shrink[S], lowest[S]
    first, count = list_used(H, w, level, own, bound, room)
    leaps(H, g, w, level, own, bound, room, first, count)
    place.w[S] = w
    place.r[:] -= np.dot(w - old, X)


@compiled
def leaping_pays(n, count, worst, before, tolerance):
    """Whether leaps cost less than the sweeps that are still to come at this rate."""
    rate = min(worst / before, SLOWEST)
    rounds = np.log(tolerance / worst) / np.log(rate)
    return rounds * 2.0 * n > count * (count / 6.0 + n / 2.0) + n


@compiled
def settle(Z, sizes, place, base, shrink, lowest, tolerance):
    """Minimize over the active inputs, up to the violation that is allowed."""
    before, wait = np.inf, 1
    for _ in range(MOST):
        worst, count = sweep(Z, sizes, place, base, shrink, lowest)
        if worst <= tolerance:
            return
        wait -= 1
        if wait < 0 and leaping_pays(len(place.r), count, worst, before, tolerance):
            leap_over(Z, place, base, shrink, lowest)
            before, wait = np.inf, 1
        else:
            before = worst


@compiled
def foresee(Z, place, last_w, last_r, ahead):
    """Move on by the last step times ``ahead``, up to where signs change; the past is kept.

    As residuals are a line in the coefficients, they are moved on for nothing. Inputs that were
    not used at both strengths are left out again.
    """
    for i in range(len(place.r)):
        now = place.r[i]
        place.r[i] += ahead * (now - last_r[i])
        last_r[i] = now
    kept = 0
    for a in range(place.size[0]):
        j = place.active[a]
        now = place.w[j]
        new = now + ahead * (now - last_w[j])
        if new * now <= 0.0 and new != 0.0:
            shift(place.r, Z[j], -new)
            new = 0.0
        place.w[j], last_w[j] = new, now
        place.inside[j] = new != 0.0 or now != 0.0
        if place.inside[j]:
            place.active[kept] = j
            kept += 1
    place.size[0] = kept


@compiled
def row_path(Z, t, strengths, top, aim, terms, W, left, allowed, losses):
    """As :func:`autoreg.engines.path.kernels.gram.gram_path`, from rows.

    ``Z`` (q, n) are the inputs, centred and times the roots of the row weights; ``t`` (n,) is the
    target likewise. ``losses`` (S,) are those on the training rows. The penalty has no groups
    and is not concave.
    """
    place, q = begin(Z, t), len(Z)
    sizes = np.empty(q)
    for j in range(q):
        sizes[j] = product(Z[j], Z[j])
    nothing = np.zeros(q)
    free = free_inputs(terms)
    for j in range(q):
        if free[j]:
            enter(place, j)
    settle(Z, sizes, place, nothing, nothing, terms.lowest, NULL)
    look(Z, place, nothing, nothing, terms.lowest, np.inf)
    if top == 0.0:
        top = zeroing(place.slopes, terms) * ROUNDING
    last_w, last_r = place.w.copy(), place.r.copy()
    before, last = top, top
    for k in range(len(strengths)):
        s = strengths[k] * top
        base, shrink = s * terms.l1 * terms.bend, s * terms.l2 * terms.shrink
        if last < before:
            foresee(Z, place, last_w, last_r, ahead_of(s, last, before, terms.l2))
        allowed[k] = tolerance_at(s, aim)
        for _ in range(ROUNDS):
            left[k] = look(Z, place, base, shrink, terms.lowest, allowed[k])
            if left[k] <= allowed[k]:
                break
            goal = INEXACT * max(left[k], allowed[k])
            settle(Z, sizes, place, base, shrink, terms.lowest, goal)
        W[k], losses[k] = place.w, product(place.r, place.r)
        before, last = last, s
    return top
