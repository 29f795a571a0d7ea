"""Whole paths for squared error, from the Gram matrix alone: no row is looked at.

Minimized is ``w'Gw / 2 - c'w + s * penalty(w)``. Strengths fall; each solution starts where the
last one ended, on the inputs that the sequential strong rule keeps, and is accepted when the
optimality conditions of ALL inputs hold to the tolerance.

Source: Tibshirani, Bien, Friedman, Hastie, Simon, Taylor & Tibshirani 2012, JRSS B 74(2)
(strong rules, which may err and are therefore checked).
"""

from __future__ import annotations

import numpy as np

from autoreg.engines.path.kernels.compiling import compiled, inlined
from autoreg.engines.path.kernels.groups import (
    descend_groups,
    groups_within,
    make_whole,
    violations,
)
from autoreg.engines.path.kernels.quadratic import (
    ROUNDING,
    bent,
    descend,
    move,
    room_for,
    soft,
    tolerance_at,
)

ROUNDS = 200  # of widening the working set, or of bending a concave penalty, at one strength
HALVINGS = 100
DENSE = 4  # a working set of more than one in so many inputs is not copied out
FEW = 48  # ... nor is one of so few inputs: that costs more than sweeping the idle ones
NULL = 1e-12  # the violation that the null model may leave


@compiled
def group_top(g, k, terms):
    """The smallest strength that zeroes one group whose slope is g."""
    high = 0.0
    first, last = terms.starts[k], terms.starts[k + 1]
    height = terms.group * terms.heights[k]
    for j in range(first, last):
        high += max(g[j], 0.0 if terms.lowest[j] == 0.0 else -g[j]) ** 2
    high = np.sqrt(high) / height
    if terms.l1 == 0.0:
        return high
    low = 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        reach = 0.0
        for j in range(first, last):
            z = soft(g[j], middle * terms.l1 * terms.bend[j])
            reach += max(z, terms.lowest[j]) ** 2
        if np.sqrt(reach) > middle * height:
            low = middle
        else:
            high = middle
    return high


@compiled
def zeroing(g, terms):
    """The smallest strength that zeroes every penalized coefficient, from the null slope."""
    top = 0.0
    if terms.group > 0.0:
        for k in range(len(terms.heights)):
            if terms.heights[k] > 0.0:
                top = max(top, group_top(g, k, terms))
    elif terms.l1 > 0.0:
        for j in range(len(g)):
            size = g[j] if terms.lowest[j] == 0.0 else abs(g[j])
            if terms.bend[j] > 0.0:
                top = max(top, size / (terms.l1 * terms.bend[j]))
    return top


@compiled
def free_inputs(terms):
    """Which inputs no penalty touches."""
    q = len(terms.bend)
    free = np.empty(q, np.bool_)
    for j in range(q):
        free[j] = terms.l1 * terms.bend[j] == 0.0 and terms.l2 * terms.shrink[j] == 0.0
    for k in range(len(terms.heights)):
        if terms.group * terms.heights[k] > 0.0:
            free[terms.starts[k] : terms.starts[k + 1]] = False
    return free


@compiled
def solve_on(G, c, g, w, members, terms, base, shrink, height, tolerance):
    """Minimize over the members only; g and w are brought up to date for all inputs."""
    A = np.flatnonzero(members)
    H = np.empty((len(A), len(A)))
    for a in range(len(A)):
        for b in range(len(A)):
            H[a, b] = G[A[a], A[b]]
    inner, slope = w[A], g[A]
    level = np.empty(len(A))
    for a in range(len(A)):
        level[a] = bent(terms, base[A[a]], inner[a])
    if len(height):
        starts, own = groups_within(A, terms.starts, height)
        descend_groups(H, slope, inner, level, shrink[A], terms.lowest[A], starts, own, tolerance)
    else:
        room = room_for(len(A))
        descend(H, slope, inner, level, shrink[A], terms.lowest[A], tolerance, room)
    w[A] = inner
    g[:] = c
    for a in range(len(A)):
        if inner[a] != 0.0:
            for i in range(len(g)):
                g[i] -= inner[a] * G[A[a], i]


@inlined
def ahead_of(s, last, before, l2):
    """How far strength s lies beyond the last one, in steps from the one before it.

    Measured in ``s / (1 + s * l2)``: where inputs are uncorrelated a solution is a straight line
    in that, ``(c - s * l1) / (1 + s * l2)``.
    """
    return (last - s) / (before - last) * (1.0 + before * l2) / (1.0 + s * l2)


@inlined
def move_on(now, last, ahead):
    """Move on by the last step times ``ahead``; what it was becomes the last."""
    for j in range(len(now)):
        was = now[j]
        now[j] += ahead * (was - last[j])
        last[j] = was


@compiled
def foresee(G, g, w, last_g, last_w, ahead):
    """Move on by the last step times ``ahead``, up to where signs change; the past is kept.

    Between two changes of the support a solution is nearly a straight line in the strength. As
    the slope is a line in w, it is moved on for nothing.
    """
    move_on(w, last_w, ahead)
    move_on(g, last_g, ahead)
    for j in range(len(w)):
        if w[j] * last_w[j] <= 0.0 and w[j] != 0.0:
            move(G, g, w, j, 0.0)


@inlined
def dense(members):
    """Whether a working set is better worked on where it is."""
    return len(members) <= FEW or DENSE * members.sum() >= len(members)


@compiled
def settle(G, c, g, w, members, allowed, terms, base, shrink, height, tolerance, room):
    """Solve, add what breaks the conditions, bend, repeat; the violation that is left."""
    whole = len(height) == 0 and allowed.all() and dense(members)
    broken = np.zeros(len(w))
    level = np.empty(len(w))
    worst = 0.0
    for _ in range(ROUNDS):
        if whole:
            for j in range(len(w)):
                level[j] = bent(terms, base[j], w[j])
            descend(G, g, w, level, shrink, terms.lowest, tolerance, room)
        else:
            solve_on(G, c, g, w, members, terms, base, shrink, height, 0.5 * tolerance)
        for j in range(len(w)):
            level[j] = bent(terms, base[j], w[j])
        violations(g, w, level, shrink, terms.lowest, terms.starts, height, broken)
        worst = 0.0
        for j in range(len(w)):
            if allowed[j]:
                worst = max(worst, broken[j])
                members[j] = members[j] or broken[j] > tolerance
        if worst <= tolerance:
            return worst
    return worst


@compiled
def explained(c, g, w):
    """``2 c'w - w'Gw``, as ``Gw`` is c - g."""
    total = 0.0
    for j in range(len(w)):
        total += w[j] * (c[j] + g[j])
    return total


@compiled
def relaxed(G, c, g, w, terms, base, shrink, height, tolerance, room):
    """The inputs in use with a weaker L1 part: their coefficients, what is left and explained."""
    support = w != 0.0
    again, slope = w.copy(), g.copy()
    members, weaker = support.copy(), terms.relax * base
    aim = terms.relax * tolerance
    left = settle(G, c, slope, again, members, support, terms, weaker, shrink, height, aim, room)
    return again, left, explained(c, slope, again)


@compiled
def gram_path(G, c, strengths, top, aim, terms, W, left, allowed, fitted):
    """Fill W (S, q) with solutions; the strength scale.

    ``left`` (S,) are the violations of their conditions, ``allowed`` (S,) what was aimed at.

    ``fitted`` (S,) is the part of the target's variance that they take off the training loss.

    ``strengths`` fall and are relative to ``top``; where that is 0 it is the smallest strength
    that zeroes all coefficients.
    """
    q = len(c)
    w, g = np.zeros(q), c.copy()
    everything = np.ones(q, np.bool_)
    free = free_inputs(terms)
    nothing, heights = np.zeros(q), terms.group * terms.heights
    if free.any():
        # The null model holds the inputs that no penalty touches.
        solve_on(G, c, g, w, free, terms, nothing, nothing, nothing[:0], NULL)
    if top == 0.0:
        top = zeroing(g, terms) * ROUNDING
    plain = not len(heights) and terms.concave == 0
    room = room_for(q)
    last_w, last_g = w.copy(), g.copy()
    base, shrink, members = np.empty(q), np.empty(q), np.empty(q, np.bool_)
    before, last = top, top
    for k in range(len(strengths)):
        s = strengths[k] * top
        if terms.concave == 0 and last < before:
            foresee(G, g, w, last_g, last_w, ahead_of(s, last, before, terms.l2))
        for j in range(q):
            base[j], shrink[j] = s * terms.l1 * terms.bend[j], s * terms.l2 * terms.shrink[j]
            bound = base[j] - (last - s) * terms.l1 * terms.bend[j]
            members[j] = free[j] or w[j] != 0.0 or (abs(g[j]) >= bound and not len(heights))
        if len(heights):
            make_whole(members, terms.starts)
        allowed[k] = tolerance_at(s, aim)
        if plain and dense(members):
            left[k] = descend(G, g, w, base, shrink, terms.lowest, allowed[k], room)
        else:
            left[k] = settle(
                G, c, g, w, members, everything, terms, base, shrink, s * heights, allowed[k], room
            )
        W[k], fitted[k] = w, explained(c, g, w)
        if terms.relax < 1.0:
            W[k], left[k], fitted[k] = relaxed(
                G, c, g, w, terms, base, shrink, s * heights, allowed[k], room
            )
        before, last = last, s
    return top
