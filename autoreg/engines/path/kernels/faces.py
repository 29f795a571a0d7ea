"""Penalized quadratics with many coordinates: sweeps find the signs, conjugate gradients the rest.

With its signs held, a penalized quadratic is a linear system on the coordinates in use. Where
these are hundreds, and tied together as the classes of a softmax are, sweeps over them creep and
a factorization costs more than the whole of the descent. Conjugate gradients need a few products
instead; what would change its sign on the way becomes zero, as long as the objective falls.
Near a singular matrix they fail, and the factorizations have the last word.

Sources: Moré & Toraldo 1991, SIAM Journal on Optimization 1(1) (projections between conjugate
gradients); Byrd, Chin, Nocedal & Oztoprak 2016, Mathematical Programming 157(2) (L1 penalties).
"""

from __future__ import annotations

import numpy as np

from autoreg.engines.path.kernels.compiling import compiled
from autoreg.engines.path.kernels.quadratic import descend, invert, room_for, survey, sweep

ROUNDS = 5  # of sweeps and conjugate gradients; what takes more is too near singular for them
SWEEPS = 2  # between two faces
PRODUCTS = 100  # with the matrix on one face, at most
HALVINGS = 20
FLAT = 1e-8  # a curvature that is less, beside that of the coordinates alone, is rounding
NEAR = 0.1  # the share of a face's slope that is left there


@compiled
def product(H, rows, count, d, out):
    """The given rows of ``Hd``."""
    for a in range(count):
        row, total = H[rows[a]], 0.0
        for i in range(len(d)):
            total += row[i] * d[i]
        out[rows[a]] = total


@compiled
def conjugate(H, pull, shrink, face, count, tolerance):
    """The step on a face that leaves at most the tolerance of its pull, or nearly that."""
    m = len(pull)
    step, along, toward = np.zeros(m), np.zeros(m), np.zeros(m)
    before = 1.0
    for k in range(PRODUCTS):
        steep, size = 0.0, 0.0
        for a in range(count):
            j = face[a]
            size = max(size, abs(pull[j]))
            steep += pull[j] ** 2 / (H[j, j] + shrink[j])
        if size <= tolerance:
            break
        for a in range(count):
            j = face[a]
            toward[j] = pull[j] / (H[j, j] + shrink[j]) + steep / before * toward[j] * (k > 0)
        product(H, face, count, toward, along)
        bend, most = 0.0, 0.0
        for a in range(count):
            j = face[a]
            along[j] += shrink[j] * toward[j]
            bend += toward[j] * along[j]
            most += (H[j, j] + shrink[j]) * toward[j] ** 2
        if bend <= FLAT * most:
            break
        before = steep
        for a in range(count):
            j = face[a]
            step[j] += steep / bend * toward[j]
            pull[j] -= steep / bend * along[j]
    return step


@compiled
def cut(w, step, level, lowest, share, out):
    """The change by a share of the step, where what changes its sign stops at zero."""
    for j in range(len(w)):
        new = w[j] + share * step[j]
        if (level[j] > 0.0 or lowest[j] == 0.0) and new * w[j] < 0.0:
            new = 0.0
        out[j] = new - w[j]


@compiled
def face_step(H, g, w, level, shrink, lowest, tolerance):
    """Minimize on the coordinates in use, with their signs."""
    m = len(w)
    face, count, steepest = np.empty(m, np.int64), 0, 0.0
    pull = np.zeros(m)
    for j in range(m):
        free = level[j] == 0.0 and lowest[j] < 0.0
        if (w[j] != 0.0 or free) and H[j, j] + shrink[j] > 0.0:
            face[count] = j
            count += 1
            pull[j] = g[j] - shrink[j] * w[j] - level[j] * np.sign(w[j])
            steepest = max(steepest, abs(pull[j]))
    step = conjugate(H, pull, shrink, face, count, max(0.5 * tolerance, NEAR * steepest))
    change, along, rows = np.empty(m), np.empty(m), np.arange(m)
    share = 1.0
    for _ in range(HALVINGS):
        cut(w, step, level, lowest, share, change)
        product(H, rows, m, change, along)
        gain = 0.0
        for j in range(m):
            d = change[j]
            gain += d * (g[j] - shrink[j] * w[j] - (along[j] + shrink[j] * d) / 2.0)
            gain -= level[j] * (abs(w[j] + d) - abs(w[j]))
        if gain > 0.0:
            for j in range(m):
                w[j] += change[j]
                g[j] -= along[j]
            return
        share /= 2.0


@compiled
def descend_faces(H, g, w, level, shrink, lowest, tolerance):
    """Minimize ``w'Hw / 2 - u'w + penalty(w)`` in place from w, with its slope g = u - Hw."""
    m = len(w)
    room = room_for(m)
    invert(H, shrink, room)
    for _ in range(ROUNDS):
        worst, count = survey(g, w, level, shrink, lowest, room.active)
        if worst <= tolerance:
            return worst
        for _ in range(SWEEPS):
            sweep(H, g, w, level, lowest, room, count)
        face_step(H, g, w, level, shrink, lowest, tolerance)
    return descend(H, g, w, level, shrink, lowest, tolerance, room)
