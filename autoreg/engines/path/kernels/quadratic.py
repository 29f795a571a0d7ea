"""Penalized quadratics: minimize ``w'Hw / 2 - u'w + penalty(w)`` to an optimality certificate.

Everything here is compiled. The slope ``g = u - Hw`` is kept current, so the certificate, the
largest distance of zero from the subdifferential, costs one pass over the coordinates.

Coordinate descent is quick until inputs are nearly collinear. Then a leap helps: on the
coordinates in use, with their signs held, the problem is a linear system; the step to its
solution ends where the first sign would change. Both only ever lower the objective. A leap is
taken where it costs less than the sweeps that are still to come at the rate of the last one.

The factor of a leap is kept: at the next strengths most of the support is the same, and only the
rows of new coordinates have to be factorized. It is let go when a leap gains too little.

Sources: Friedman, Hastie & Tibshirani 2010, Journal of Statistical Software 33(1) (coordinate
descent on a Gram matrix); Zou & Li 2008, Annals of Statistics 36(4) (concave penalties by
reweighting).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autoreg.data.dataset import Floats, Rows
from autoreg.engines.path.kernels.compiling import compiled, inlined

MOST = 20_000  # sweeps at one strength
LEAPS = 5  # at most, one behind the other: more are no nearer
SLOWEST = 1 - 1e-6  # the rate of sweeps that gain nothing
SMALLEST = 1e-300  # of a pivot: rounding may leave less than nothing
STALE = 0.1  # the share of a violation that a leap may leave, if its factor is to be kept
JITTER = 1e-12  # of the largest diagonal, so that a singular system has a solution
ROUNDING = 1 + 1e-10  # the greatest strength must give zeros in spite of rounding
CONCAVE = {"": 0, "mcp": 1, "scad": 2}


class Terms(NamedTuple):
    """A penalty in numbers; every array has one entry for each input, groups lie side by side.

    ``bend`` multiplies the L1 part of an input, ``shrink`` its L2 part, ``lowest`` bounds it
    from below (0 or minus infinity). Group g holds inputs ``starts[g]`` up to ``starts[g + 1]``
    and has the factor ``heights[g]``; no groups where ``group`` is 0.
    """

    l1: float
    l2: float
    group: float
    bend: Floats
    shrink: Floats
    lowest: Floats
    starts: Rows
    heights: Floats
    concave: int
    gamma: float
    relax: float


class Aim(NamedTuple):
    """The violation that may be left at absolute strength s: ``target * min(s * pull, 1)``.

    Small beside the penalty's pull, but never below ``floor``.
    """

    target: float
    pull: float
    floor: float


@compiled
def tolerance_at(s, aim):
    """The violation that may be left."""
    return max(aim.target * min(s * aim.pull, 1.0), aim.floor)


@inlined
def soft(z, level):
    """The soft threshold: towards zero by ``level``."""
    if z > level:
        return z - level
    if z < -level:
        return z + level
    return 0.0


@compiled
def bent(terms, base, w):
    """The slope of the L1 part at |w|: constant, or falling where the penalty is concave."""
    size = abs(w)
    if terms.concave == 1:
        return max(0.0, base - size / terms.gamma)
    if terms.concave == 2 and size > base:
        return max(0.0, terms.gamma * base - size) / (terms.gamma - 1.0)
    return base


@inlined
def violation(g, w, level, shrink, lowest):
    """The distance of zero from the subdifferential in one coordinate."""
    pull = g - shrink * w
    if w > 0.0:
        return abs(pull - level)
    if w < 0.0:
        return abs(pull + level)
    if lowest == 0.0:
        return max(0.0, pull - level)
    return max(0.0, abs(pull) - level)


class Room(NamedTuple):
    """Where :func:`descend` works on one matrix: listed coordinates (m,) and a step (m,).

    ``inverse`` (m,) are the curvatures along the coordinates, inverted; 0 where there is none.
    The Cholesky factor (m, m) of the last leap is ``kept`` with its coordinates in their order
    (m + 1,), their number first.
    """

    active: Rows
    inverse: Floats
    kept: Rows
    factor: Floats
    toward: Floats


@compiled
def room_for(m):
    """Room for m coordinates."""
    kept = np.zeros(m + 1, np.int64)
    return Room(np.empty(m, np.int64), np.empty(m), kept, np.empty((m, m)), np.empty(m))


@inlined
def factorize(A, first, m):
    """The Cholesky factor of the leading m rows in place, with its diagonal inverted.

    The rows before the ``first`` are factorized already.
    """
    for i in range(first, m):
        row = A[i]
        for j in range(i):
            other, rest = A[j], row[j]
            for k in range(j):
                rest -= row[k] * other[k]
            row[j] = rest * other[j]
        rest = row[i]
        for k in range(i):
            rest -= row[k] * row[k]
        row[i] = 1.0 / np.sqrt(max(rest, SMALLEST))


@inlined
def back_solve(A, d, m):
    """Solve in place with what :func:`factorize` left in A."""
    for i in range(m):
        row, rest = A[i], d[i]
        for k in range(i):
            rest -= row[k] * d[k]
        d[i] = rest * row[i]
    for i in range(m - 1, -1, -1):
        row = A[i]
        d[i] *= row[i]
        for k in range(i):
            d[k] -= row[k] * d[i]


@inlined
def move(H, g, w, j, new):
    """Set one coordinate, and bring the slope up to date.

    One at a time: with several in one sum, processes that filled the cache of compiled code side
    by side were seen to differ in the last digits.
    """
    change = new - w[j]
    w[j] = new
    row = H[j]
    for i in range(len(g)):
        g[i] -= change * row[i]


@inlined
def list_used(H, w, level, shrink, lowest, room):
    """List the coordinates in use; how many of them the kept factor holds, and their number.

    The kept ones come first, in their order, up to the first that is no longer in use.
    """
    kept, mark = room.kept, room.toward
    for j in range(len(w)):
        free = level[j] == 0.0 and lowest[j] < 0.0 and H[j, j] + shrink[j] > 0.0
        mark[j] = 1.0 if w[j] != 0.0 or free else 0.0
    first = 0
    while first < kept[0] and mark[kept[first + 1]] > 0.0:
        mark[kept[first + 1]] = 0.0
        first += 1
    count = first
    for j in range(len(w)):
        if mark[j] > 0.0:
            count += 1
            kept[count] = j
    kept[0] = first
    return first, count


@inlined
def leap(H, g, w, level, shrink, lowest, room, first, count):
    """A step to the solution on the support, up to the first change of a sign; the share of it.

    Rows of the factor that are kept from earlier strengths have the larger ``shrink`` of then:
    the step is a little short, and lowers the objective all the same.
    """
    support, A, d = room.kept[1:], room.factor, room.toward
    for a in range(first, count):
        j = support[a]
        for b in range(a):
            A[a, b] = H[j, support[b]]
        A[a, a] = (H[j, j] + shrink[j]) * (1.0 + JITTER)
    for a in range(count):
        j = support[a]
        d[a] = g[j] - shrink[j] * w[j] - level[j] * np.sign(w[j])
    factorize(A, first, count)
    room.kept[0] = count
    back_solve(A, d, count)
    step, blocking = 1.0, -1
    for a in range(count):
        j = support[a]
        bound = level[j] > 0.0 or lowest[j] == 0.0
        if bound and (w[j] + d[a]) * w[j] <= 0.0 and -w[j] / d[a] < step:
            step, blocking = -w[j] / d[a], j
    for a in range(count):
        j = support[a]
        move(H, g, w, j, 0.0 if j == blocking else w[j] + step * d[a])
    return step


@inlined
def leaps(H, g, w, level, shrink, lowest, room, first, count):
    """Leap until nothing is in the way; ``first`` and ``count`` as :func:`list_used` tells them."""
    for _ in range(LEAPS):
        if leap(H, g, w, level, shrink, lowest, room, first, count) == 1.0:
            return
        first, count = list_used(H, w, level, shrink, lowest, room)


@inlined
def invert(H, shrink, room):
    """Get the room ready for sweeps."""
    for j in range(len(shrink)):
        h = H[j, j] + shrink[j]
        room.inverse[j] = 1.0 / h if h > 0.0 else 0.0


@inlined
def sweep(H, g, w, level, lowest, room, count):
    """Minimize along each active coordinate in turn."""
    for a in range(count):
        j = room.active[a]
        new = max(soft(g[j] + H[j, j] * w[j], level[j]) * room.inverse[j], lowest[j])
        if new != w[j] and room.inverse[j] > 0.0:
            move(H, g, w, j, new)


@inlined
def survey(g, w, level, shrink, lowest, active):
    """List the coordinates that are not zero or break their condition; violation and number."""
    worst, count = 0.0, 0
    for j in range(len(w)):
        broken = violation(g[j], w[j], level[j], shrink[j], lowest[j])
        worst = max(worst, broken)
        if w[j] != 0.0 or broken > 0.0:
            active[count] = j
            count += 1
    return worst, count


@inlined
def leaping_pays(m, first, count, worst, before, tolerance):
    """Whether a leap costs less than the sweeps that are still to come at this rate."""
    rate = min(worst / before, SLOWEST)
    rounds = np.log(tolerance / worst) / np.log(rate)
    factor = (count * count - first * first * first / count) / 6.0
    return rounds * m > factor + count + m


@compiled
def descend(H, g, w, level, shrink, lowest, tolerance, room):
    """Minimize in place from w, with its slope g; the violation that is left."""
    m = len(w)
    straight = True
    for j in range(m):
        straight = straight and level[j] == 0.0 and lowest[j] < 0.0
    invert(H, shrink, room)
    before, leapt = np.inf, np.inf
    for done in range(MOST):
        worst, active = survey(g, w, level, shrink, lowest, room.active)
        if worst <= tolerance or (straight and done == LEAPS):
            return worst
        stale = worst > STALE * leapt
        if straight or stale:
            room.kept[0] = 0
        first, count = list_used(H, w, level, shrink, lowest, room)
        factorized = first == count == active and not stale
        if count and (
            straight or factorized or leaping_pays(m, first, count, worst, before, tolerance)
        ):
            leaps(H, g, w, level, shrink, lowest, room, first, count)
            before, leapt = np.inf, worst
            continue
        before, leapt = worst, np.inf
        sweep(H, g, w, level, lowest, room, active)
    return worst
