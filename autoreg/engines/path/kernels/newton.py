"""Whole paths for likelihoods and for wide tables: proximal Newton steps with a lazy Hessian.

A step minimizes a penalized quadratic on a small working set: the exact slope at the current
scores, and a weighted Gram matrix that is kept from step to step, and from strength to strength,
until steps with it gain too little. Only the certificate, taken at the current scores, says
when to stop; so an old Hessian costs steps and never exactness.

Source: Lee, Sun & Saunders 2014, SIAM Journal on Optimization 24(3) (proximal Newton).
"""

from __future__ import annotations

import numpy as np

from autoreg.engines.path.kernels.compiling import compiled
from autoreg.engines.path.kernels.faces import descend_faces
from autoreg.engines.path.kernels.gram import free_inputs, zeroing
from autoreg.engines.path.kernels.groups import descend_groups, groups_within, make_whole, size_of
from autoreg.engines.path.kernels.likelihood import look
from autoreg.engines.path.kernels.quadratic import (
    ROUNDING,
    Terms,
    bent,
    descend,
    room_for,
    tolerance_at,
)
from autoreg.engines.path.kernels.state import (
    FEWEST,
    State,
    begin,
    check,
    enter,
    forget,
    grown,
    join,
    keep_only,
    rebuild,
    renew,
)

STEPS = 500  # Newton steps on one scope
HALVINGS = 30
AT_ONCE = 8.0  # operations of a product of matrices, in the time of one that is alone
LOOK = 40.0  # operations behind the loss of a row
PRODUCTS = 20.0  # with the Hessian in a step
FARTHEST = 1.0  # times the last change of a path, it is moved on in advance
MANY = 100  # coordinates, from which on factorizations cost too much
INEXACT = 0.1  # the share of the violation that a step's own problem may leave
NULL = 1e-10  # the violation that the null model may leave


@compiled
def proposal(state, A, H, terms, level, shrink, height, tolerance):
    """The minimum of the quadratic model on the working set A."""
    new, slope, lowest = state.w[A], state.slopes[A], terms.lowest[A]
    if len(height):
        inner = np.empty((len(A), len(A)))
        for a in range(len(A)):
            for b in range(len(A)):
                inner[a, b] = H[state.place[A[a]], state.place[A[b]]]
        starts, own = groups_within(A, terms.starts, height)
        descend_groups(inner, slope, new, level, shrink, lowest, starts, own, tolerance)
    elif len(A) > MANY and (np.any(level > 0.0) or np.any(lowest == 0.0)):
        descend_faces(H, slope, new, level, shrink, lowest, tolerance)
    else:
        descend(H, slope, new, level, shrink, lowest, tolerance, room_for(len(A)))
    return new


@compiled
def step(sample, state, H, terms, base, shrink, height, tolerance, loss):
    """One proximal Newton step; whether anything moved, and the loss behind it."""
    A = state.members[: state.size[0]].copy()
    if len(height):
        A.sort()  # groups lie side by side
    classes, n = state.scores.shape
    old, ridge = state.w[A], shrink[A]
    level = np.empty(len(A))
    for a in range(len(A)):
        level[a] = bent(terms, base[A[a]], old[a])
    new = proposal(state, A, H, terms, level, ridge, height, tolerance)
    move = np.zeros((classes, n))
    for a in range(len(A)):
        change = new[a] - old[a]
        if change != 0.0:
            x, along = sample.X[A[a] // classes], move[A[a] % classes]
            for i in range(n):
                along[i] += change * x[i]
    starts, own = groups_within(A, terms.starts, height)
    before = loss + size_of(old, level, ridge, starts, own)
    share, taken = 1.0, 0.0
    for _ in range(HALVINGS):
        state.scores[:] += (share - taken) * move
        taken = share
        loss = look(sample.kind, sample.knee, state.scores, sample.y, sample.v, state.spare)
        trial = new if share == 1.0 else old + share * (new - old)
        after = loss + size_of(trial, level, ridge, starts, own)
        if after <= before + 1e-14 * abs(before):
            state.w[A] = trial
            return np.any(trial != old), loss
        share /= 2.0
    state.scores[:] -= taken * move
    return False, look(sample.kind, sample.knee, state.scores, sample.y, sample.v, state.spare)


@compiled
def joining(state, among, broken, terms, height, tolerance):
    """What breaks its condition and is not in the working set yet; groups come whole."""
    if len(height):
        members = np.zeros(len(broken), np.bool_)
        for j in among:
            members[j] = broken[j] > tolerance
        make_whole(members, terms.starts)
        return np.flatnonzero(members & (state.place < 0))
    new, count = np.empty(len(among), np.int64), 0
    for j in among:
        if broken[j] > tolerance and state.place[j] < 0:
            new[count] = j
            count += 1
    return new[:count]


@compiled
def rebuilding_pays(state, looked_at, worst, before, tolerance):
    """Whether a new Hessian costs less than the steps that it saves at the rate of the last one."""
    classes, n = state.scores.shape
    m = state.size[0]
    if worst >= before:
        return True
    saved = np.log(tolerance / worst) * (1.0 / np.log(worst / before) - 1.0 / np.log(INEXACT))
    step = n * (m + looked_at + LOOK * classes) + PRODUCTS * m * m
    return saved * step > n * m * m * (classes + 1) / (2.0 * classes) / AT_ONCE


@compiled
def settle(sample, state, H, among, terms, base, shrink, height, tolerance):
    """Step until no condition among some coefficients is broken; Hessian and violation left."""
    broken = np.zeros(len(state.w))
    before, fresh = np.inf, False
    loss = look(sample.kind, sample.knee, state.scores, sample.y, sample.v, state.spare)
    worst = np.inf
    for _ in range(STEPS):
        renew(sample, state)
        worst = check(sample, state, among, terms, base, shrink, height, broken)
        if worst <= tolerance:
            break
        new = joining(state, among, broken, terms, height, tolerance)
        size = state.size[0]
        H = grown(H, size + len(new))
        renewed = fresh
        fresh = 4 * len(new) >= size or (
            not renewed and rebuilding_pays(state, len(among), worst, before, tolerance)
        )
        for j in new:
            if fresh:
                enter(state, j)
            else:
                join(sample, state, j, H)
        if fresh:
            rebuild(sample, state, H)
        before = worst
        inner = max(0.3 * tolerance, INEXACT * worst)
        moved, loss = step(sample, state, H, terms, base, shrink, height, inner, loss)
        if not moved and fresh:
            break  # rounding stops it; the violation tells how near it came
        if not moved:
            before = 0.0  # so the old Hessian is at fault
    return H, worst


@compiled
def solve_at(sample, state, H, scope, terms, base, shrink, height, tolerance):
    """Solve in the scope, widen it by what breaks its condition, repeat; the violation left."""
    broken = np.zeros(len(state.w))
    while True:
        among, others = np.flatnonzero(scope), np.flatnonzero(~scope)
        H, worst = settle(sample, state, H, among, terms, base, shrink, height, tolerance)
        if check(sample, state, others, terms, base, shrink, height, broken) <= tolerance:
            return H, worst
        for j in others:
            scope[j] = broken[j] > tolerance


@compiled
def relaxed(sample, state, H, terms, base, shrink, height, tolerance):
    """Fit the inputs in use again with another L1 part, beside the path.

    Gives coefficients and violation.
    """
    aside = State(
        state.w.copy(),
        state.slopes.copy(),
        state.seen.copy(),
        state.members.copy(),
        state.place.copy(),
        state.size.copy(),
        state.travel.copy(),
        state.scores.copy(),
        state.residuals.copy(),
        state.spare.copy(),
        state.pulls.copy(),
        state.known.copy(),
    )
    scope = state.w != 0.0
    scope[len(scope) - len(state.travel) :] = True
    inner = H.copy()
    keep_only(aside, scope, inner)
    among = np.flatnonzero(scope)
    _, worst = settle(sample, aside, inner, among, terms, base, shrink, height, tolerance)
    return aside.w, worst


@compiled
def likely(state, free, terms, base, fallen, whole):
    """What is in use or may come into it, by the sequential strong rule."""
    scope = np.empty(len(state.w), np.bool_)
    for j in range(len(scope)):
        near = abs(state.slopes[j]) >= base[j] - fallen * terms.bend[j]
        scope[j] = whole or free[j] or near or state.place[j] >= 0
    return scope


@compiled
def foresee(sample, state, terms, last_w, last_scores, ahead):
    """Move on by the last step times ``ahead``, up to where signs change; the past is kept."""
    classes, n = state.scores.shape
    for k in range(classes):
        for i in range(n):
            now = state.scores[k, i]
            state.scores[k, i] += ahead * (now - last_scores[k, i])
            last_scores[k, i] = now
    for j in range(len(last_w)):
        now = state.w[j]
        if now == last_w[j]:
            continue
        new = now + ahead * (now - last_w[j])
        bound = terms.l1 * terms.bend[j] > 0.0 or terms.lowest[j] == 0.0
        if bound and new * now <= 0.0:
            x, scores = sample.X[j // classes], state.scores[j % classes]
            for i in range(n):
                scores[i] -= new * x[i]
            new = 0.0
        state.w[j], last_w[j] = new, now


@compiled
def newton_path(sample, classes, strengths, top, aim, terms, W, left, allowed):
    """Fill W (S, q * K); the strength scale.

    As :func:`autoreg.engines.path.kernels.gram.gram_path`; the last input is the intercept.
    """
    state = begin(sample, classes)
    many = len(state.w)
    H = np.zeros((min(many, FEWEST), min(many, FEWEST)))
    free = free_inputs(terms)
    everything, broken = np.arange(many), np.empty(many)
    nothing, heights = np.zeros(many), terms.group * terms.heights
    null = np.flatnonzero(free)
    H, _ = settle(sample, state, H, null, terms, nothing, nothing, nothing[:0], NULL)
    check(sample, state, everything, terms, nothing, nothing, nothing[:0], broken)
    if top == 0.0:
        top = zeroing(state.slopes, terms) * ROUNDING
    last_w, last_scores = state.w.copy(), state.scores.copy()
    before, last = top, top
    for position in range(len(strengths)):
        s = strengths[position] * top
        tolerance = tolerance_at(s, aim)
        allowed[position] = tolerance
        base, shrink = s * terms.l1 * terms.bend, s * terms.l2 * terms.shrink
        if last < before and terms.concave == 0:
            ahead = min((last - s) / (before - last), FARTHEST)
            foresee(sample, state, terms, last_w, last_scores, ahead)
        forget(state, free, terms, H)
        scope = likely(state, free, terms, base, (last - s) * terms.l1, len(heights) > 0)
        H, left[position] = solve_at(
            sample, state, H, scope, terms, base, shrink, s * heights, tolerance
        )
        W[position] = state.w
        if terms.relax < 1.0:
            W[position], left[position] = relaxed(
                sample, state, H, terms, terms.relax * base, shrink, s * heights, tolerance
            )
        before, last = last, s
    return top


@compiled
def components_path(sample, classes, counts, tolerance, W, left):
    """Fill W (S, q * K) with unpenalized fits on the first ``counts`` inputs, which rise."""
    state = begin(sample, classes)
    many = len(state.w)
    H = np.zeros((min(many, FEWEST), min(many, FEWEST)))
    nothing = np.zeros(many)
    unpenalized = no_terms(many)
    for position in range(len(counts)):
        among = np.append(np.arange(counts[position] * classes), np.arange(many - classes, many))
        H, left[position] = settle(
            sample, state, H, among, unpenalized, nothing, nothing, nothing[:0], tolerance
        )
        W[position] = state.w


@compiled
def no_terms(many):
    """A penalty that touches nothing."""
    zeros = np.zeros(many)
    none = np.zeros(1, np.int64)
    return Terms(0.0, 0.0, 0.0, zeros, zeros, zeros - np.inf, none, zeros[:0], 0, 1.0, 1.0)
