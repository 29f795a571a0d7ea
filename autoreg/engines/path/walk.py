"""From a technique to solutions: which solver, on what, and what the constraints ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

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
from autoreg.engines.path.kernels.quadratic import CONCAVE, Terms
from autoreg.spec import LinearSpec
from autoreg.techniques.base import Penalty

TARGET = 1e-4  # the violation that solvers may leave, relative to the penalty's pull
FLOOR = 1e-7  # ... but never less: losses are means over standardized inputs
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
    constraints = Constraints.of(design, linear)
    penalty = chosen.penalty()
    found = _solve(design, kind, penalty, strengths, constraints)
    if linear.at_most is None:
        return found
    return _at_most(design, kind, penalty, strengths, constraints, found, linear.at_most)


def kind_of(design: Design, linear: LinearSpec) -> str:
    """The loss that is minimized."""
    task = design.table.task
    return "huber" if task == "regression" and linear.loss == "huber" else task


class Constraints:
    """What the user knows of coefficients, for each input: lowest value, penalized, allowed."""

    def __init__(
        self, lowest: Floats, penalized: NDArray[np.bool_], allowed: NDArray[np.bool_]
    ) -> None:
        self.lowest, self.penalized, self.allowed = lowest, penalized, allowed

    @classmethod
    def of(cls, design: Design, linear: LinearSpec) -> Constraints:
        """From columns by name to inputs."""
        columns = design.table.columns
        groups = design.preprocessor.groups
        names = [column.name for column in columns]
        if linear.non_negative == "all":
            bounded = np.array([not column.is_categorical for column in columns])
        else:
            bounded = np.isin(names, linear.non_negative)
        lowest = np.where(bounded[groups], 0.0, -np.inf)
        penalized = ~np.isin(names, linear.unpenalized)[groups]
        return cls(lowest, penalized, np.ones(design.q, dtype=np.bool_))

    @property
    def free(self) -> bool:
        """Whether nothing is asked for."""
        return bool(np.isinf(self.lowest).all() and self.penalized.all() and self.allowed.all())

    def only(self, allowed: NDArray[np.bool_]) -> Constraints:
        """The same with some inputs ruled out."""
        return Constraints(self.lowest, self.penalized, allowed)


def _solve(
    design: Design,
    kind: str,
    penalty: Penalty,
    strengths: Sequence[float],
    constraints: Constraints,
) -> Solutions:
    if kind == "regression" and constraints.free and not penalty.zeroes:
        if penalty.is_null:
            return least_squares(design)
        return ridge(design, penalty.l2, strengths)
    if constraints.free and not penalty.zeroes and design.q > len(design.rows):
        return in_row_space(design, kind, penalty, strengths)
    return _walked(design, kind, penalty, strengths, constraints)


def in_row_space(
    design: Design, kind: str, penalty: Penalty, strengths: Sequence[float]
) -> Solutions:
    """More inputs than rows, no L1: turn the inputs so that only as many as rows are not zero.

    The best coefficients are combinations of the rows, and turning keeps their squared size.
    Source: Hastie & Tibshirani 2004, Biostatistics 5(3), theorem 1.
    """
    _, axes, rank = leading(design)
    axes = axes[:, : max(rank, 1)]
    falling = np.array(sorted(set(strengths), reverse=True))
    m, K = axes.shape[1], design.columns
    terms = _for_columns(plain_terms(penalty, m), K)
    sample = design.sample(kind, design.inputs @ axes)
    W, left = np.empty((len(falling), (m + 1) * K)), np.empty(len(falling))
    top = design.largest_eigenvalue
    allowed = tolerances(penalty, falling, top)
    newton_path(sample, K, falling, allowed, top, terms, W, left)
    split = W.reshape(len(falling), m + 1, K)
    if penalty.is_null:
        split[:, :-1] = sum_free(split[:, :-1])
    out = np.concatenate([axes @ split[:, :-1], split[:, -1:]], axis=1)
    return _in_order(design, kind, penalty, strengths, falling, out, left, top)


def _walked(
    design: Design,
    kind: str,
    penalty: Penalty,
    strengths: Sequence[float],
    constraints: Constraints,
) -> Solutions:
    """Walk from the strongest to the weakest, each starting where the last one ended."""
    falling = np.array(sorted(set(strengths), reverse=True))
    steps = _approach(falling, penalty)
    bend = _adaptive(design, kind, penalty, constraints)
    order, terms = terms_for(design, penalty, constraints, bend)
    top = 0.0 if penalty.zeroes else design.largest_eigenvalue
    if kind == "regression" and design.cells is not None:
        W, left, scale = _by_gram(design, penalty, order, terms, steps, top)
    else:
        W, left, scale = _by_rows(design, kind, penalty, order, terms, steps, top)
    return _in_order(design, kind, penalty, strengths, steps, W, left, scale)


def _in_order(
    design: Design,
    kind: str,
    penalty: Penalty,
    strengths: Sequence[float],
    steps: Floats,
    W: Floats,
    left: Floats,
    scale: float,
) -> Solutions:
    """The solutions W (T, q + 1, K) of falling steps in the order that was asked for."""
    at = np.searchsorted(-steps, -np.array(strengths))
    allowed = tolerances(penalty, steps, scale)[at]
    flags: tuple[str, ...] = ()
    if penalty.is_null:
        flags = remarks(design, kind, design.inputs, design.inputs @ W[-1, :-1] + W[-1, -1])
    l2 = penalty.l2 * scale * np.array(strengths)
    return Solutions(W[at, :-1], W[at, -1], left[at], allowed, l2, flags)


def _approach(falling: Floats, penalty: Penalty) -> Floats:
    """The strengths to walk: a gap before the first one is filled, or a cold start is slow."""
    first = falling[0]
    if penalty.is_null or not penalty.zeroes or len(falling) > 1 or first >= 1.0:
        return falling
    ratio = RATIO_CONCAVE if penalty.concave else RATIO
    count = int(np.ceil(np.log(first) / np.log(ratio)))
    return np.append(np.geomspace(1.0, first, count + 1)[:-1], first)


def tolerances(penalty: Penalty, strengths: Floats, scale: float) -> Floats:
    """The violation that may be left at each strength: small beside the penalty's pull."""
    if penalty.is_null:
        return np.full(len(strengths), PRECISION)
    pull = strengths * scale * (penalty.l1 + penalty.group or penalty.l2)
    return np.asarray(np.maximum(TARGET * np.minimum(pull, 1.0), FLOOR))


def _adaptive(design: Design, kind: str, penalty: Penalty, constraints: Constraints) -> Floats:
    """Factors of the L1 part from an initial ridge fit, the smallest one; ones without it."""
    if penalty.adapt == 0.0:
        return np.ones(design.q)
    first = _solve(design, kind, Penalty(l2=1.0), (INITIAL,), constraints).coefficients[0]
    size = np.sqrt((first**2).sum(axis=1))
    largest = size.max() or 1.0
    return np.asarray(np.minimum(np.maximum(size / largest, 1e-12) ** -penalty.adapt, HEAVIEST))


def terms_for(
    design: Design, penalty: Penalty, constraints: Constraints, bend: Floats
) -> tuple[Rows, Terms]:
    """The penalty in numbers, and the order of inputs in which groups lie side by side."""
    columns = design.table.columns
    labels = [columns[j].group or columns[j].name for j in design.preprocessor.groups]
    # An input that no penalty touches leaves its group.
    labels = [
        label if kept else f"{label}\0{position}"
        for position, (label, kept) in enumerate(zip(labels, constraints.penalized, strict=True))
    ]
    first = {label: position for position, label in reversed(list(enumerate(labels)))}
    ids = np.array([first[label] for label in labels], dtype=np.int64)
    order = np.flatnonzero(constraints.allowed)
    order = order[np.argsort(ids[order], kind="stable")]
    touched = constraints.penalized[order].astype(np.float64)
    starts, heights = np.zeros(1, dtype=np.int64), np.zeros(0)
    if penalty.group > 0.0:
        bounds = np.flatnonzero(np.diff(ids[order], prepend=-1, append=-2))
        starts = bounds.astype(np.int64)
        heights = np.sqrt(np.diff(bounds)) * touched[bounds[:-1]]
    terms = plain_terms(penalty, len(order))._replace(
        bend=np.ascontiguousarray(bend[order] * touched),
        shrink=touched,
        lowest=np.ascontiguousarray(constraints.lowest[order]),
        starts=starts,
        heights=heights,
    )
    return order, terms


def plain_terms(penalty: Penalty, q: int) -> Terms:
    """A penalty on q inputs, without groups and constraints, in numbers."""
    return Terms(
        penalty.l1,
        penalty.l2,
        penalty.group,
        np.ones(q),
        np.ones(q),
        np.full(q, -np.inf),
        np.zeros(1, dtype=np.int64),
        np.zeros(0),
        CONCAVE[penalty.concave],
        penalty.gamma,
        penalty.relax,
    )


def _by_gram(
    design: Design, penalty: Penalty, order: Rows, terms: Terms, steps: Floats, top: float
) -> tuple[Floats, Floats, float]:
    """Squared error from sums: coefficients and intercept (S, q + 1, 1), violations, scale."""
    G = np.ascontiguousarray(design.gram[np.ix_(order, order)])
    c = np.ascontiguousarray(design.slope[order, 0])
    W, left = np.empty((len(steps), len(order))), np.empty(len(steps))
    if top == 0.0:
        top = gram_path(G, c, steps[:0], steps[:0], 0.0, terms, W[:0], left[:0]) * ROUNDING
    allowed = tolerances(penalty, steps, top)
    gram_path(G, c, steps, allowed, top, terms, W, left)
    out = np.zeros((len(steps), design.q + 1, 1))
    out[:, order, 0] = W
    return out, left, top


def _by_rows(
    design: Design,
    kind: str,
    penalty: Penalty,
    order: Rows,
    terms: Terms,
    steps: Floats,
    top: float,
) -> tuple[Floats, Floats, float]:
    """Any loss from the rows: coefficients and intercept (S, q + 1, K), violations, scale."""
    K, q = design.columns, len(order)
    moved = q < design.q or np.any(np.diff(order) < 0)
    sample = design.sample(kind, design.inputs[:, order] if moved else None)
    many = _for_columns(terms, K)
    W, left = np.empty((len(steps), (q + 1) * K)), np.empty(len(steps))
    if top == 0.0:
        none = steps[:0]
        top = newton_path(sample, K, none, none, 0.0, many, W[:0], left[:0])
        top *= ROUNDING
    allowed = tolerances(penalty, steps, top)
    newton_path(sample, K, steps, allowed, top, many, W, left)
    split = W.reshape(len(steps), q + 1, K)
    idle = (terms.lowest < 0.0) & ((terms.shrink == 0.0) | penalty.is_null)
    split[:, :-1][:, idle] = sum_free(split[:, :-1][:, idle])
    if not moved:
        return split, left, top
    out = np.zeros((len(steps), design.q + 1, K))
    out[:, order], out[:, -1] = split[:, :-1], split[:, -1]
    return out, left, top


def _for_columns(terms: Terms, K: int) -> Terms:
    """The same penalty for K columns of scores, with the intercepts behind."""

    def each(values: Floats, intercept: float) -> Floats:
        return np.append(np.repeat(values, K), np.full(K, intercept))

    starts, heights = terms.starts * K, terms.heights
    if len(heights):
        starts, heights = np.append(starts, starts[-1] + K), np.append(heights, 0.0)
    return terms._replace(
        bend=each(terms.bend, 0.0),
        shrink=each(terms.shrink, 0.0),
        lowest=each(terms.lowest, -np.inf),
        starts=starts,
        heights=heights,
    )


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
    )
