"""From a technique to solutions: which solver, on what, and what the constraints ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

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
from autoreg.engines.path.kernels.quadratic import Aim, Terms
from autoreg.engines.path.kernels.rows import row_path
from autoreg.engines.path.terms import Constraints, for_columns, plain_terms
from autoreg.engines.reading import turned_back
from autoreg.spec import LinearSpec
from autoreg.techniques.base import Penalty

TARGET = 1e-4  # the violation that solvers may leave, relative to the penalty's pull
FLOOR = 1e-7  # ... but never less: losses are means over standardized inputs
EXACT = 1e-6  # ... by a fit whose coefficients become weights: small ones count relative to size
INITIAL = 1e-2  # strength of the ridge fit behind adaptive weights
HEAVIEST = 1e6  # adaptive weight of an input that the initial fit gives nothing
RATIO = 0.5  # a single strength is reached through stronger ones in this ratio
RATIO_CONCAVE = 0.9  # ... finer where the way decides which stationary point is reached


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
    found = _solve(design, kind, penalty, strengths, constraints, TARGET)
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
    target: float,
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
    steps = falling(tuple(strengths))
    m, K = axes.shape[1], design.columns
    terms = for_columns(plain_terms(penalty, m), K)
    sample = design.sample(kind, design.inputs @ axes)
    W, left, allowed = _room(len(steps.walked), (m + 1) * K)
    top = design.largest_eigenvalue
    newton_path(sample, K, steps.walked, top, aim_at(penalty, target), terms, W, left, allowed)
    split = W.reshape(len(W), m + 1, K)
    if penalty.is_null:
        split[:, :-1] = sum_free(split[:, :-1])
    walked = _Walked(split[:, :-1], split[:, -1], left, allowed, top, axes=axes)
    return _in_order(design, kind, penalty, steps, walked)


def _walked(
    design: Design,
    kind: str,
    penalty: Penalty,
    strengths: Sequence[float],
    constraints: Constraints,
    target: float,
) -> Solutions:
    """Walk from the strongest to the weakest, each starting where the last one ended."""
    steps = falling(tuple(strengths), _ratio(penalty))
    bend = _adaptive(design, kind, penalty, constraints)
    order, terms = constraints.order, constraints.terms(penalty, bend)
    top = 0.0 if penalty.zeroes else design.largest_eigenvalue
    aim = aim_at(penalty, target)
    if kind == "regression" and design.cells is not None:
        walked = _by_gram(design, order, terms, steps.walked, top, aim)
    elif kind == "regression" and penalty.zeroes and penalty.is_convex and not penalty.group:
        walked = _by_residuals(design, order, terms, steps.walked, aim)
    else:
        walked = _by_rows(design, kind, penalty, order, terms, steps.walked, top, aim)
    return _in_order(design, kind, penalty, steps, walked)


@dataclass(frozen=True, eq=False)
class Steps:
    """Strengths that were ``asked`` for, those that are ``walked``, falling, and the ``places`` of
    the former among the latter; a slice, which copies nothing, where one will do.
    """

    asked: Floats
    walked: Floats
    places: Rows | slice


@lru_cache(maxsize=64)
def falling(strengths: tuple[float, ...], ratio: float = 0.0) -> Steps:
    """The way to some strengths; where it is one, through stronger ones in a ratio above 0.

    >>> falling((0.1, 1.0)).walked.tolist(), falling((0.25,), 0.5).walked.tolist()
    ([1.0, 0.1], [1.0, 0.5, 0.25])
    """
    asked = np.array(strengths)
    walked = np.unique(asked)[::-1].copy()
    if ratio and len(walked) == 1 and walked[0] < 1.0:
        count = int(np.ceil(np.log(walked[0]) / np.log(ratio)))
        walked = np.append(np.geomspace(1.0, walked[0], count + 1)[:-1], walked[0])
    for places in (slice(None), slice(None, None, -1)):
        if np.array_equal(walked[places], asked):
            return Steps(asked, walked, places)
    return Steps(asked, walked, np.searchsorted(-walked, -asked))


def _ratio(penalty: Penalty) -> float:
    """Of strengths on the way to a single one; 0 where a cold start is as quick."""
    if penalty.is_null or not penalty.zeroes:
        return 0.0
    return RATIO_CONCAVE if penalty.concave else RATIO


@dataclass(frozen=True, eq=False)
class _Walked:
    """Falling steps: coefficients (T, q, K), intercepts (T, K), the violations left (T,) and
    allowed (T,), the scale of strengths, and the training loss (T,) where a solver tells it.
    ``axes`` as in :class:`Solutions`.
    """

    coefficients: Floats
    intercepts: Floats
    left: Floats
    allowed: Floats
    scale: float
    losses: Floats | None = None
    axes: Floats | None = None


def _in_order(
    design: Design, kind: str, penalty: Penalty, steps: Steps, walked: _Walked
) -> Solutions:
    """The solutions of falling steps in the order that was asked for."""
    W, b, at = walked.coefficients, walked.intercepts, steps.places
    flags: tuple[str, ...] = ()
    if penalty.is_null:
        weakest = turned_back(W[-1], walked.axes)
        flags = remarks(design, kind, design.inputs, design.inputs @ weakest + b[-1])
    return Solutions(
        W[at],
        b[at],
        walked.left[at],
        walked.allowed[at],
        penalty.l2 * walked.scale * steps.asked,
        flags,
        losses=None if walked.losses is None else walked.losses[at],
        axes=walked.axes,
    )


def aim_at(penalty: Penalty, target: float) -> Aim:
    """How small violations must be beside the penalty's pull."""
    if penalty.is_null:
        return Aim(0.0, 0.0, PRECISION)
    return Aim(target, float(penalty.l1 + penalty.group or penalty.l2), FLOOR)


def _room(steps: int, many: int) -> tuple[Floats, Floats, Floats]:
    """Where a compiled solver leaves coefficients (T, many) and violations, left and allowed."""
    return np.empty((steps, many)), np.empty(steps), np.empty(steps)


def _adaptive(
    design: Design, kind: str, penalty: Penalty, constraints: Constraints
) -> Floats | None:
    """Factors of the L1 part from an initial ridge fit, the smallest one; None without it."""
    if penalty.adapt == 0.0:
        return None
    ridge = Penalty(l2=1.0)
    first = _solve(design, kind, ridge, (INITIAL,), constraints, EXACT).whole(0)
    size = np.sqrt((first**2).sum(axis=1))
    largest = size.max() or 1.0
    return np.asarray(np.minimum(np.maximum(size / largest, 1e-12) ** -penalty.adapt, HEAVIEST))


def _by_gram(
    design: Design, order: Rows | slice, terms: Terms, steps: Floats, top: float, aim: Aim
) -> _Walked:
    """Squared error, from sums."""
    G, c = design.gram, design.slope[:, 0]
    if not isinstance(order, slice):
        G, c = G[np.ix_(order, order)], c[order]
    W, left, allowed = _room(len(steps), len(c))
    fitted = np.empty(len(steps))
    c = np.ascontiguousarray(c)
    top = gram_path(G, c, steps, top, aim, terms, W, left, allowed, fitted)
    losses = np.maximum(design.variance - fitted, 0.0)
    return _centred(design, order, W, left, allowed, top, losses)


def _by_residuals(
    design: Design, order: Rows | slice, terms: Terms, steps: Floats, aim: Aim
) -> _Walked:
    """Squared error where there are too many inputs for sums."""
    Z = design.lying[order]
    t = design.y * np.sqrt(design.v)
    W, left, allowed = _room(len(steps), len(Z))
    losses = np.empty(len(steps))
    top = row_path(Z, t, steps, 0.0, aim, terms, W, left, allowed, losses)
    return _centred(design, order, W, left, allowed, top, losses)


def _centred(
    design: Design,
    order: Rows | slice,
    W: Floats,
    left: Floats,
    allowed: Floats,
    top: float,
    losses: Floats,
) -> _Walked:
    """Coefficients (T, m) of the inputs in use, with a target that needs no intercept."""
    if not isinstance(order, slice):
        used, W = W, np.zeros((len(W), design.q))
        W[:, order] = used
    return _Walked(W[:, :, None], np.zeros((len(W), 1)), left, allowed, top, losses)


def _by_rows(
    design: Design,
    kind: str,
    penalty: Penalty,
    order: Rows | slice,
    terms: Terms,
    steps: Floats,
    top: float,
    aim: Aim,
) -> _Walked:
    """Any loss, from the rows."""
    K, q = design.columns, len(terms.bend)
    sample = design.sample(kind, design.inputs[:, order])
    W, left, allowed = _room(len(steps), (q + 1) * K)
    top = newton_path(sample, K, steps, top, aim, for_columns(terms, K), W, left, allowed)
    split = W.reshape(len(steps), q + 1, K)
    used, b = split[:, :-1], split[:, -1]
    idle = (terms.lowest < 0.0) & ((terms.shrink == 0.0) | penalty.is_null)
    used[:, idle] = sum_free(used[:, idle])
    if isinstance(order, slice):
        return _Walked(used, b, left, allowed, top)
    coefficients = np.zeros((len(steps), design.q, K))
    coefficients[:, order] = used
    return _Walked(coefficients, b, left, allowed, top)


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
    coefficients, intercepts = found.whole().copy(), found.intercepts.copy()
    left, allowed, l2 = found.left.copy(), found.allowed.copy(), found.l2.copy()
    always = np.zeros(columns, dtype=np.bool_)
    always[groups[~constraints.penalized]] = True
    for position, W in enumerate(found.whole()):
        size = np.zeros(columns)
        np.add.at(size, groups, (W**2).sum(axis=1))
        if (size > 0).sum() <= most:
            continue
        size[always] = np.inf
        best = np.argsort(-size, kind="stable")[:most]
        narrow = constraints.only(np.isin(groups, best))
        again = _solve(design, kind, penalty, (strengths[position],), narrow, TARGET)
        coefficients[position], intercepts[position] = again.whole(0), again.intercepts[0]
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
        axes=None,
    )
