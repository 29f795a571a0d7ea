"""One penalized quadratic whose coordinates lie in groups, to a certificate.

Source: Simon, Friedman, Hastie & Tibshirani 2013, JCGS 22(2) (block descent on groups).
"""

from __future__ import annotations

import numpy as np

from autoreg.engines.path.kernels.compiling import compiled
from autoreg.engines.path.kernels.quadratic import (
    JITTER,
    LEAPS,
    back_solve,
    factorize,
    soft,
    violation,
)

MOST_OF_GROUPS = 1000  # rounds over the groups at one strength
HALVINGS = 20
GROUP_STEPS = 100  # proximal steps on one group


@compiled
def group_violations(g, w, level, shrink, lowest, starts, height, out):
    """The same for coordinates in groups, (m,); a group that is out shares one number."""
    for k in range(len(height)):
        first, last = starts[k], starts[k + 1]
        norm = np.sqrt(np.sum(w[first:last] ** 2))
        if norm == 0.0:
            reach = 0.0
            for j in range(first, last):
                z = soft(g[j], level[j])
                reach += max(z, lowest[j]) ** 2
            out[first:last] = max(0.0, np.sqrt(reach) - height[k])
            continue
        for j in range(first, last):
            pull = g[j] - height[k] * w[j] / norm
            out[j] = violation(pull, w[j], level[j], shrink[j], lowest[j])


@compiled
def violations(g, w, level, shrink, lowest, starts, height, out):
    """The distance of zero from the subdifferential in every coordinate; the largest one."""
    if len(height):
        group_violations(g, w, level, shrink, lowest, starts, height, out)
    else:
        for j in range(len(w)):
            out[j] = violation(g[j], w[j], level[j], shrink[j], lowest[j])
    return out.max() if len(out) else 0.0


@compiled
def settle_group(block, z, w, level, shrink, lowest, height, steepest, tolerance):
    """Minimize ``w'Bw / 2 - z'w + penalty`` over one group by accelerated proximal steps."""
    m = len(w)
    ahead = w.copy()
    before = w.copy()
    slope = np.empty(m)
    momentum = 1.0
    for _ in range(GROUP_STEPS):
        norm = 0.0
        for j in range(m):
            pull = z[j] - shrink[j] * ahead[j]
            for i in range(m):
                pull -= block[j, i] * ahead[i]
            slope[j] = max(soft(ahead[j] + pull / steepest, level[j] / steepest), lowest[j])
            norm += slope[j] ** 2
        norm = np.sqrt(norm)
        scale = max(0.0, 1.0 - height / (steepest * norm)) if norm > 0.0 else 0.0
        moved, turned = 0.0, 0.0
        for j in range(m):
            w[j] = scale * slope[j]
            moved = max(moved, abs(w[j] - before[j]))
            turned += (ahead[j] - w[j]) * (w[j] - before[j])
        if moved * steepest <= 0.1 * tolerance:
            return
        momentum_next = 1.0 if turned > 0.0 else (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        push = 0.0 if turned > 0.0 else (momentum - 1.0) / momentum_next
        momentum = momentum_next
        for j in range(m):
            ahead[j] = w[j] + push * (w[j] - before[j])
            before[j] = w[j]


@compiled
def size_of(w, level, shrink, starts, height):
    """The penalty, for fixed L1 levels."""
    total = 0.0
    for j in range(len(w)):
        total += level[j] * abs(w[j]) + shrink[j] * w[j] ** 2 / 2.0
    for k in range(len(height)):
        total += height[k] * np.sqrt(np.sum(w[starts[k] : starts[k + 1]] ** 2))
    return total


@compiled
def bend_of_groups(w, level, shrink, starts, height, pull, A):
    """Take the penalty's slope at w off ``pull`` and add its curvature to A, where w is not 0."""
    for k in range(len(height)):
        first, last = starts[k], starts[k + 1]
        norm = np.sqrt(np.sum(w[first:last] ** 2))
        if norm == 0.0:
            continue
        for j in range(first, last):
            pull[j] -= shrink[j] * w[j] + level[j] * np.sign(w[j]) + height[k] * w[j] / norm
            A[j, j] += shrink[j] + height[k] / norm
            for i in range(first, last):
                A[j, i] -= height[k] * w[j] * w[i] / norm**3


@compiled
def leap_groups(H, g, w, level, shrink, lowest, starts, height):
    """A Newton step on the coordinates in use, halved until the objective falls; its share."""
    A, pull = H.copy(), g.copy()
    bend_of_groups(w, level, shrink, starts, height, pull, A)
    S = np.flatnonzero(w)
    inner = np.empty((len(S), len(S)))
    for a in range(len(S)):
        for b in range(len(S)):
            inner[a, b] = A[S[a], S[b]]
        inner[a, a] += JITTER * H[S[a], S[a]]
    d = np.zeros(len(w))
    if not len(S):
        return 1.0
    toward = pull[S]
    factorize(inner, 0, len(S))
    back_solve(inner, toward, len(S))
    d[S] = toward
    step = 1.0
    for j in S:
        bound = level[j] > 0.0 or lowest[j] == 0.0
        if bound and (w[j] + step * d[j]) * w[j] < 0.0:
            step = -w[j] / d[j]
    along = np.dot(H, d)
    slope, curvature = np.dot(g, d), np.dot(d, along)
    before = size_of(w, level, shrink, starts, height)
    for _ in range(HALVINGS):
        trial = w + step * d
        change = size_of(trial, level, shrink, starts, height) - before
        if change - step * slope + step**2 * curvature / 2.0 < 0.0:
            for j in S:
                bound = level[j] > 0.0 or lowest[j] == 0.0
                w[j] = 0.0 if bound and trial[j] * w[j] <= 0.0 else trial[j]
            g -= step * along
            return step
        step /= 2.0
    return 1.0


@compiled
def descend_groups(H, g, w, level, shrink, lowest, starts, height, tolerance):
    """The same as :func:`descend` for coordinates in groups, one group at a time."""
    m = len(w)
    count = len(height)
    broken = np.empty(m)
    steepest = np.empty(count)
    for k in range(count):
        first, last = starts[k], starts[k + 1]
        block = np.ascontiguousarray(H[first:last, first:last])
        steepest[k] = np.linalg.eigvalsh(block)[-1] + shrink[first:last].max()
    for done in range(MOST_OF_GROUPS):
        worst = violations(g, w, level, shrink, lowest, starts, height, broken)
        if worst <= tolerance:
            return worst
        if done % 3 == 2:
            for _ in range(LEAPS):
                if leap_groups(H, g, w, level, shrink, lowest, starts, height) == 1.0:
                    break
            violations(g, w, level, shrink, lowest, starts, height, broken)
        for k in range(count):
            first, last = starts[k], starts[k + 1]
            if steepest[k] <= 0.0 or broken[first:last].max() <= 0.0:
                continue
            block = np.ascontiguousarray(H[first:last, first:last])
            old = w[first:last].copy()
            z = g[first:last] + np.dot(block, old)
            new = old.copy()
            settle_group(
                block,
                z,
                new,
                level[first:last],
                shrink[first:last],
                lowest[first:last],
                height[k],
                steepest[k],
                tolerance,
            )
            for j in range(first, last):
                change = new[j - first] - w[j]
                if change != 0.0:
                    w[j] = new[j - first]
                    for i in range(m):
                        g[i] -= change * H[j, i]
    return violations(g, w, level, shrink, lowest, starts, height, broken)


@compiled
def make_whole(members, starts):
    """Let every group with one member have all of them."""
    for k in range(len(starts) - 1):
        if np.any(members[starts[k] : starts[k + 1]]):
            members[starts[k] : starts[k + 1]] = True


@compiled
def groups_within(A, starts, height):
    """The groups among the sorted coordinates A, which hold whole groups only."""
    inner_starts = np.zeros(len(height) + 1, np.int64)
    inner_height = np.empty(len(height))
    count, position = 0, 0
    for k in range(len(height)):
        if position < len(A) and A[position] == starts[k]:
            position += starts[k + 1] - starts[k]
            count += 1
            inner_starts[count] = position
            inner_height[count - 1] = height[k]
    return inner_starts[: count + 1], inner_height[:count]
