"""From a technique to solutions: which solver, on what, and what the constraints ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoreg.candidate import Candidate
from autoreg.data.dataset import Floats, Rows
from autoreg.engines.path.closed import (
    PRECISION,
    components,
    leading,
    least_squares,
    remarks,
    ridge,
    sum_free,
)
from autoreg.engines.path.design import Design, Solutions
from autoreg.engines.path.evidence import evidence
from autoreg.engines.path.kernels.gram import gram_path
from autoreg.engines.path.kernels.newton import newton_path
from autoreg.engines.path.kernels.quadratic import Terms
from autoreg.engines.path.kernels.rows import row_path
from autoreg.engines.path.terms import Constraints, for_columns, plain_terms
from autoreg.spec import LinearSpec
from autoreg.techniques.base import Penalty

TARGET = 1e-4  # the violation that solvers may leave, relative to the penalty's pull
FLOOR = 1e-7  # ... but never less: losses are means over standardized inputs
EXACT = 1e-6  # ... by a fit whose coefficients become weights: small ones count relative to size
INITIAL = 1e-2  # strength of the ridge fit behind adaptive weights
HEAVIEST = 1e6  # adaptive weight of an input that the initial fit gives nothing
RATIO = 0.5  # a single strength is reached through stronger ones in this ratio
RATIO_CONCAVE = 0.9  # ... finer where the way decides which stationary point is reached
ROUNDING = 1 + 1e-10  # the greatest strength must give zeros in spite of rounding


def solve(
    design: Design, candidate: Candidate, strengths: Sequence[float], linear: LinearSpec
) -> Solutions:
    """The solutions of a candidate at all strengths, in their order."""
    kind = kind_of(design, linear)
    (chosen,) = candidate.techniques
    if (prior := chosen.prior()) is not None:
        return evidence(design, prior)
    if chosen.components():
        return components(design, kind, strengths)
    constraints = design.constraints(linear)
    penalty = chosen.penalty()
    found = _solve(design, kind, penalty, strengths, constraints)
    if linear.at_most is None:
        return found
    return _at_most(design, kind, penalty, strengths, constraints, found, linear.at_most)


def kind_of(design: Design, linear: LinearSpec) -> str:
    """The loss that is minimized."""
    task = design.table.task
    return "huber" if task == "regression" and linear.loss == "huber" else task


def _solve(
    design: Design,
    kind: str,
    penalty: Penalty,
    strengths: Sequence[float],
    constraints: Constraints,
    target: float = TARGET,
) -> Solutions:
    if kind == "regression" and constraints.free and not penalty.zeroes:
        if penalty.is_null:
            return least_squares(design)
        return ridge(design, penalty.l2, strengths)
    if constraints.free and not penalty.zeroes and design.q > len(design.rows):
        return in_row_space(design, kind, penalty, strengths, target)
    return _walked(design, kind, penalty, strengths, constraints, target)


def in_row_space(
    design: Design, kind: str, penalty: Penalty, strengths: Sequence[float], target: float
) -> Solutions:
    """More inputs than rows, no L1: turn the inputs so that only as many as rows are not zero.

    The best coefficients are combinations of the rows, and turning keeps their squared size.
    Source: Hastie & Tibshirani 2004, Biostatistics 5(3), theorem 1.
    """
    _, axes, rank = leading(design)
    axes = axes[:, : max(rank, 1)]
    falling = np.array(sorted(set(strengths), reverse=True))
    m, K = axes.shape[1], design.columns
    terms = for_columns(plain_terms(penalty, m), K)
    sample = design.sample(kind, design.inputs @ axes)
    W, left = np.empty((len(falling), (m + 1) * K)), np.empty(len(falling))
    top = design.largest_eigenvalue
    allowed = tolerances(penalty, falling, top, target)
    newton_path(sample, K, falling, allowed, top, terms, W, left)
    split = W.reshape(len(falling), m + 1, K)
    if penalty.is_null:
        split[:, :-1] = sum_free(split[:, :-1])
    out = np.concatenate([axes @ split[:, :-1], split[:, -1:]], axis=1)
    walked = _Walked(out, left, allowed, top)
    return _in_order(design, kind, penalty, strengths, falling, walked)


def _walked(
    design: Design,
    kind: str,
    penalty: Penalty,
    strengths: Sequence[float],
    constraints: Constraints,
    target: float,
) -> Solutions:
    """Walk from the strongest to the weakest, each starting where the last one ended."""
    falling = np.array(sorted(set(strengths), reverse=True))
    steps = _approach(falling, penalty)
    bend = _adaptive(design, kind, penalty, constraints)
    order, terms = constraints.order, constraints.terms(penalty, bend)
    top = 0.0 if penalty.zeroes else design.largest_eigenvalue
    if kind == "regression" and design.cells is not None:
        walked = _by_gram(design, penalty, order, terms, steps, top, target)
    elif kind == "regression" and penalty.zeroes and penalty.is_convex and not penalty.group:
        walked = _by_residuals(design, penalty, order, terms, steps, target)
    else:
        walked = _by_rows(design, kind, penalty, order, terms, steps, top, target)
    return _in_order(design, kind, penalty, strengths, steps, walked)


@dataclass(frozen=True, eq=False)
class _Walked:
    """Falling steps: coefficients and intercepts W (T, q + 1, K), the violations left (T,) and
    allowed (T,), the scale of strengths, and the training loss (T,) where a solver tells it.
    """

    W: Floats
    left: Floats
    allowed: Floats
    scale: float
    losses: Floats | None = None


def _in_order(
    design: Design,
    kind: str,
    penalty: Penalty,
    strengths: Sequence[float],
    steps: Floats,
    walked: _Walked,
) -> Solutions:
    """The solutions of falling steps in the order that was asked for."""
    places = np.searchsorted(-steps, -np.array(strengths))
    as_walked = np.array_equal(places, np.arange(len(steps)))
    at = slice(None) if as_walked else places  # a slice copies nothing
    W = walked.W
    flags: tuple[str, ...] = ()
    if penalty.is_null:
        flags = remarks(design, kind, design.inputs, design.inputs @ W[-1, :-1] + W[-1, -1])
    return Solutions(
        W[at, :-1],
        W[at, -1],
        walked.left[at],
        walked.allowed[at],
        penalty.l2 * walked.scale * np.array(strengths),
        flags,
        losses=None if walked.losses is None else walked.losses[at],
    )


def _approach(falling: Floats, penalty: Penalty) -> Floats:
    """The strengths to walk: a gap before the first one is filled, or a cold start is slow."""
    first = falling[0]
    if penalty.is_null or not penalty.zeroes or len(falling) > 1 or first >= 1.0:
        return falling
    ratio = RATIO_CONCAVE if penalty.concave else RATIO
    count = int(np.ceil(np.log(first) / np.log(ratio)))
    return np.append(np.geomspace(1.0, first, count + 1)[:-1], first)


def tolerances(penalty: Penalty, strengths: Floats, scale: float, target: float = TARGET) -> Floats:
    """The violation that may be left at each strength: small beside the penalty's pull."""
    if penalty.is_null:
        return np.full(len(strengths), PRECISION)
    pull = strengths * scale * (penalty.l1 + penalty.group or penalty.l2)
    return np.asarray(np.maximum(target * np.minimum(pull, 1.0), FLOOR))


def _adaptive(
    design: Design, kind: str, penalty: Penalty, constraints: Constraints
) -> Floats | None:
    """Factors of the L1 part from an initial ridge fit, the smallest one; None without it."""
    if penalty.adapt == 0.0:
        return None
    ridge = Penalty(l2=1.0)
    first = _solve(design, kind, ridge, (INITIAL,), constraints, EXACT).coefficients[0]
    size = np.sqrt((first**2).sum(axis=1))
    largest = size.max() or 1.0
    return np.asarray(np.minimum(np.maximum(size / largest, 1e-12) ** -penalty.adapt, HEAVIEST))


def _by_gram(
    design: Design,
    penalty: Penalty,
    order: Rows | slice,
    terms: Terms,
    steps: Floats,
    top: float,
    target: float,
) -> _Walked:
    """Squared error, from sums."""
    G, c = design.gram, design.slope[:, 0]
    if not isinstance(order, slice):
        G, c = G[np.ix_(order, order)], c[order]
    c = np.ascontiguousarray(c)
    W, left = np.empty((len(steps), len(c))), np.empty(len(steps))
    fitted = np.empty(len(steps))
    if top == 0.0:
        none = steps[:0]
        top = gram_path(G, c, none, none, 0.0, terms, W[:0], left[:0], fitted[:0]) * ROUNDING
    allowed = tolerances(penalty, steps, top, target)
    gram_path(G, c, steps, allowed, top, terms, W, left, fitted)
    out = np.zeros((len(steps), design.q + 1, 1))
    out[:, :-1][:, order, 0] = W
    return _Walked(out, left, allowed, top, np.maximum(design.variance - fitted, 0.0))


def _by_residuals(
    design: Design,
    penalty: Penalty,
    order: Rows | slice,
    terms: Terms,
    steps: Floats,
    target: float,
) -> _Walked:
    """Squared error where there are too many inputs for sums."""
    Z = design.lying[order]
    t = design.y * np.sqrt(design.v)
    W, left = np.empty((len(steps), len(Z))), np.empty(len(steps))
    losses, none = np.empty(len(steps)), steps[:0]
    top = row_path(Z, t, none, none, 0.0, terms, W[:0], left[:0], losses[:0]) * ROUNDING
    allowed = tolerances(penalty, steps, top, target)
    row_path(Z, t, steps, allowed, top, terms, W, left, losses)
    out = np.zeros((len(steps), design.q + 1, 1))
    out[:, :-1][:, order, 0] = W
    return _Walked(out, left, allowed, top, losses)


def _by_rows(
    design: Design,
    kind: str,
    penalty: Penalty,
    order: Rows | slice,
    terms: Terms,
    steps: Floats,
    top: float,
    target: float,
) -> _Walked:
    """Any loss, from the rows."""
    K, q = design.columns, len(terms.bend)
    sample = design.sample(kind, design.inputs[:, order])
    many = for_columns(terms, K)
    W, left = np.empty((len(steps), (q + 1) * K)), np.empty(len(steps))
    if top == 0.0:
        none = steps[:0]
        top = newton_path(sample, K, none, none, 0.0, many, W[:0], left[:0])
        top *= ROUNDING
    allowed = tolerances(penalty, steps, top, target)
    newton_path(sample, K, steps, allowed, top, many, W, left)
    split = W.reshape(len(steps), q + 1, K)
    idle = (terms.lowest < 0.0) & ((terms.shrink == 0.0) | penalty.is_null)
    split[:, :-1][:, idle] = sum_free(split[:, :-1][:, idle])
    if isinstance(order, slice):
        return _Walked(split, left, allowed, top)
    out = np.zeros((len(steps), design.q + 1, K))
    out[:, :-1][:, order], out[:, -1] = split[:, :-1], split[:, -1]
    return _Walked(out, left, allowed, top)


def _at_most(
    design: Design,
    kind: str,
    penalty: Penalty,
    strengths: Sequence[float],
    constraints: Constraints,
    found: Solutions,
    most: int,
) -> Solutions:
    """Where too many raw columns are used, solve again on those with the largest coefficients.

    Columns that no penalty touches stay. What a strength gives does not depend on the others.
    """
    groups, columns = design.preprocessor.groups, len(design.table.columns)
    coefficients, intercepts = found.coefficients.copy(), found.intercepts.copy()
    left, allowed, l2 = found.left.copy(), found.allowed.copy(), found.l2.copy()
    always = np.zeros(columns, dtype=np.bool_)
    always[groups[~constraints.penalized]] = True
    for position, W in enumerate(found.coefficients):
        size = np.zeros(columns)
        np.add.at(size, groups, (W**2).sum(axis=1))
        if (size > 0).sum() <= most:
            continue
        size[always] = np.inf
        best = np.argsort(-size, kind="stable")[:most]
        narrow = constraints.only(np.isin(groups, best))
        again = _solve(design, kind, penalty, (strengths[position],), narrow)
        coefficients[position], intercepts[position] = again.coefficients[0], again.intercepts[0]
        left[position], allowed[position] = again.left[0], again.allowed[0]
        l2[position] = again.l2[0]
    return replace(
        found,
        coefficients=coefficients,
        intercepts=intercepts,
        left=left,
        allowed=allowed,
        l2=l2,
        freedom=None,
        losses=None,
    )
