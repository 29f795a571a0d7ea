"""One training set as solvers see it: standardized inputs and target, as sums or as rows.

Solutions live in standardized units: inputs by the training rows' means and deviations, the
target of a regression likewise (see ``autoreg.engines.linear_objective`` for why). A design
knows how to score solutions on any rows; for squared error sums over those rows are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Dataset, Floats, Rows, Task
from autoreg.engines.linear_objective import huber_location, huber_threshold
from autoreg.engines.path.cells import Cells, Layout, targets_of
from autoreg.engines.path.kernels.likelihood import KINDS, log_losses
from autoreg.engines.path.kernels.state import Sample
from autoreg.engines.path.kernels.sums import losses_by_sums, standardize
from autoreg.engines.path.terms import Constraints
from autoreg.engines.reading import freedom, spectrum_of, turned_back
from autoreg.metrics.base import CLIP, Target, row_losses
from autoreg.model import linked
from autoreg.moments import Moments
from autoreg.preprocess import Preprocessor
from autoreg.spec import LinearSpec

AT_ONCE = 250_000  # predictions that are scored together
SMALLEST = float(np.finfo(float).tiny) * 1e8  # nothing to learn: must not be divided by


@dataclass(frozen=True, eq=False)
class Solutions:
    """Coefficients (S, q, K) and intercepts (S, K) in standardized units.

    Where ``axes`` (q, m) are given, coefficients (S, m, K) belong to inputs turned onto them: more
    inputs than rows need no coefficient of their own until somebody looks at a model.
    ``left`` (S,) are the violations of the optimality conditions and ``allowed`` (S,) what may
    be left. ``l2`` (S,) is the absolute strength of half the sum of squares; ``freedom`` (S,) are
    the effective degrees of freedom and ``losses`` (S,) the training losses, in squares of the
    standardized target, where a solver knows them.
    """

    coefficients: Floats
    intercepts: Floats
    left: Floats
    allowed: Floats
    l2: Floats
    flags: tuple[str, ...] = ()
    freedom: Floats | None = None
    losses: Floats | None = None
    axes: Floats | None = None

    def whole(self, position: int | slice = slice(None)) -> Floats:
        """Coefficients (..., q, K) of the inputs themselves, at one strength or some."""
        return turned_back(self.coefficients[position], self.axes)


class Design:
    """The training rows of one fit; everything that is costly is made on first use.

    ``cells`` is None where sums would be larger than the rows (wide tables). ``constraints`` are
    those that are known of designs with the same inputs.
    """

    def __init__(
        self,
        table: Dataset,
        rows: Rows,
        cells: Cells | None,
        constraints: dict[LinearSpec, Constraints] | None = None,
    ) -> None:
        self.table, self.rows, self.cells = table, rows, cells
        self.layout: Layout | None = None
        self.moments: Moments | None = None
        self._summaries: dict[int, tuple[Rows, tuple[Floats, Floats] | None]] = {}
        self._constraints = {} if constraints is None else constraints
        parts = cells.of(rows) if cells else None
        if cells is None or parts is None:
            self.cells = None
            self.preprocessor = Preprocessor.of(table, rows)
        else:
            self.preprocessor, self.layout, self.moments = cells.preprocessor(parts)

    @cached_property
    def weights(self) -> Floats:
        """Row weights (n,), as given."""
        return self.table.weights[self.rows]

    @property
    def q(self) -> int:
        """The number of inputs."""
        return len(self.preprocessor.names)

    @property
    def columns(self) -> int:
        """K, the number of columns of scores."""
        return len(self.table.classes) if self.table.task == "multiclass" else 1

    @cached_property
    def v(self) -> Floats:
        """Row weights (n,) that sum to one."""
        return np.asarray(self.weights / self.weights.sum())

    @cached_property
    def target(self) -> tuple[float, float]:
        """What is taken off the target and what it is divided by: 0 and 1 but for regression."""
        if self.table.task != "regression":
            return 0.0, 1.0
        if self.moments is not None:
            variance = float(self.moments.cross[-1, -1] / self.moments.weight)
            return float(self.moments.mean[-1]), float(np.sqrt(variance)) or 1.0
        y = self.table.y[self.rows]
        shift = float(self.v @ y)
        return shift, float(np.sqrt(self.v @ (y - shift) ** 2)) or 1.0

    @cached_property
    def y(self) -> Floats:
        """The standardized target (n,), or positions of classes."""
        shift, scale = self.target
        return (self.table.y[self.rows].astype(np.float64) - shift) / scale

    @cached_property
    def inputs(self) -> Floats:
        """Standardized inputs (n, q)."""
        return self.preprocessor.inputs(self.table.X[self.rows])

    @cached_property
    def rooted(self) -> Floats:
        """Standardized inputs times the roots of the row weights, (n, q)."""
        return self.inputs * np.sqrt(self.v)[:, None]

    @cached_property
    def lying(self) -> Floats:
        """The same with an input in each row, (q, n)."""
        return np.ascontiguousarray(self.rooted.T)

    @property
    def knee(self) -> float:
        """Where Huber's loss turns from a parabola into a line."""
        return huber_threshold(self.y, self.v)

    def constraints(self, linear: LinearSpec) -> Constraints:
        """What the user asks of the inputs."""
        if linear not in self._constraints:
            made = Constraints.of(self.table.columns, self.preprocessor.groups, linear)
            self._constraints[linear] = made
        return self._constraints[linear]

    def sample(self, kind: str, inputs: Floats | None = None) -> Sample:
        """The rows for the proximal Newton solver; ``inputs`` stand in for the design's own."""
        X = self.inputs if inputs is None else inputs
        rows = np.ones((X.shape[1] + 1, len(X)))
        rows[:-1] = X.T
        knee = self.knee if kind == "huber" else 1.0
        return Sample(KINDS[kind], knee, rows, self.y, self.v)

    @cached_property
    def _divisors(self) -> Floats:
        scale = self.preprocessor.scale
        return np.where(scale > 0, scale, np.inf)

    @cached_property
    def gram(self) -> Floats:
        """The weighted Gram matrix of the standardized inputs, (q, q)."""
        if self.moments is None:
            return self.rooted.T @ self.rooted
        return self._standardized[0]

    @cached_property
    def slope(self) -> Floats:
        """Weighted products of inputs and the centred target, (q, t)."""
        if self.moments is None:
            Y = targets_of(self.table, self.rows)
            Y = (Y - self.v @ Y) / self.target[1]
            return self.inputs.T @ (self.v[:, None] * Y)
        return self._standardized[1]

    @property
    def variance(self) -> float:
        """Of the standardized target of a regression: 1, or 0 where it does not vary."""
        assert (moments := self.moments) is not None, "there are sums to divide"
        return float(moments.cross[-1, -1] / (self.target[1] ** 2 * moments.weight))

    @cached_property
    def _standardized(self) -> tuple[Floats, Floats]:
        assert (moments := self.moments) is not None, "there are sums to divide"
        q, targets = self.q, len(moments.mean) - self.q
        scale = np.concatenate([self._divisors, np.full(targets, self.target[1])])
        gram, slope = np.empty((q, q)), np.empty((q, targets))
        standardize(moments.cross, moments.weight, scale, gram, slope)
        return gram, slope

    @cached_property
    def dual(self) -> tuple[Floats, Floats]:
        """Eigenvalues of the rows' weighted products, ascending, and eigenvectors (n, n)."""
        values, left = np.linalg.eigh(self.rooted @ self.rooted.T)
        return np.maximum(values, 0.0), left

    @cached_property
    def spectrum(self) -> tuple[Floats, Floats]:
        """Eigenvalues of the Gram matrix, ascending, and eigenvectors (q, m); m = min(n, q)."""
        if self.q <= len(self.rows):
            values, vectors = np.linalg.eigh(self.gram)
            return np.maximum(values, 0.0), vectors
        values, left = self.dual
        lengths = np.sqrt(np.where(values > SMALLEST, values, np.inf))
        return values, self.rooted.T @ left / lengths

    @property
    def largest_eigenvalue(self) -> float:
        """Of the Gram matrix; the scale of strengths without an L1 part.

        For counts times their mean, which is what their loss is curved by: beside a loss of
        hundreds of events an hour the Gram matrix alone would be no penalty at all.
        """
        bend = float(self.v @ self.y) if self.table.task == "count" else 1.0
        values, _ = self.spectrum if self.q <= len(self.rows) else self.dual
        return max(bend * float(values[-1]), SMALLEST)

    def curvature(self, kind: str) -> Floats:
        """The mean second derivative (K, K) of the loss in the scores, at the null model."""
        if kind == "multiclass":
            shares = np.bincount(self.y.astype(np.int64), self.v, minlength=self.columns)
            return np.asarray(np.diag(shares) - np.outer(shares, shares), dtype=np.float64)
        if kind == "huber":
            away = np.abs(self.y - huber_location(self.y, self.v, self.knee))
            return np.array([[float(self.v @ (away < self.knee))]])
        mean = float(self.v @ self.y)
        return np.array([[{"binary": mean * (1 - mean), "count": mean}.get(kind, 1.0)]])

    def freedom(self, kind: str, W: Floats, l2: float) -> float:
        """The effective degrees of freedom of coefficients (q, K)."""
        varies = self.preprocessor.scale > 0
        by_sums = self.cells is not None and self.q <= len(self.rows)
        gram = self.gram[np.ix_(varies, varies)] if by_sums else None

        def spectrum(used: NDArray[np.bool_]) -> Floats:
            if gram is not None:
                return np.asarray(np.maximum(np.linalg.eigvalsh(gram[np.ix_(used, used)]), 0.0))
            return spectrum_of(self.rooted[:, varies])(used)

        return float(freedom(spectrum, W[None, varies], np.array([l2]), self.curvature(kind))[0])

    # ---- scoring ------------------------------------------------------------------------------

    def losses(self, rows: Rows, solutions: Solutions) -> Floats:
        """The mean of the task's loss on some rows, (S,)."""
        coefficients, intercepts = solutions.coefficients, solutions.intercepts
        shift, scale = self.target
        axes = solutions.axes
        summary = self._summary(rows) if axes is None else None
        if summary is not None:
            found = np.empty(len(coefficients))
            losses_by_sums(*summary, coefficients[:, :, 0], intercepts[:, 0], scale, found)
            return found
        weights, y = self.table.weights[rows], self.table.y[rows]
        X = self.inputs if rows is self.rows else self.preprocessor.transform(self.table.X[rows])
        share = weights / weights.sum()
        used = np.flatnonzero(coefficients.any(axis=(0, 2)))
        if axes is not None:
            X = X @ axes
        elif 2 * len(used) < X.shape[1]:
            X, coefficients = X[:, used], coefficients[:, used]
        strengths, q, K = coefficients.shape
        # Many strengths in one product, as many as fit into the cache.
        step = max(1, AT_ONCE // (len(y) * K))
        parts = []
        for first in range(0, strengths, step):
            W, b = coefficients[first : first + step], intercepts[first : first + step]
            flat = W.transpose(1, 0, 2).reshape(q, len(W) * K)
            scores = (X @ flat + b.ravel()).reshape(len(y), len(W), K) * scale + shift
            parts.append(losses_of_scores(self.table.task, y, share, scores))
        return np.concatenate(parts)

    def _summary(self, rows: Rows) -> tuple[Floats, Floats] | None:
        """Means and covariances (q + 1) of the standardized inputs and target on some rows.

        None where sums do not tell the losses, or the rows are no union of cells.
        """
        if self.cells is None or self.table.task != "regression":
            return None
        # The rows are kept, so no other array can be known by the same number.
        if id(rows) not in self._summaries:
            parts = self.cells.of(rows)
            self._summaries[id(rows)] = rows, None if parts is None else self._summed(parts)
        return self._summaries[id(rows)][1]

    def _summed(self, parts: Rows) -> tuple[Floats, Floats]:
        assert self.cells is not None, "there are sums to add"
        assert self.layout is not None, "and a layout with them"
        moments = self.cells.moments(parts, self.layout)
        shift, unit = self.target
        scale = np.append(self._divisors, unit)
        mean = (moments.mean - np.append(self.preprocessor.mean, shift)) / scale
        return mean, moments.cross / moments.weight / scale / scale[:, None]


def losses_of_scores(task: Task, y: Target, share: Floats, scores: Floats) -> Floats:
    """Means (S,) of the task's loss under shares of rows (n,), for scores (n, S, K)."""
    if task in ("binary", "multiclass"):
        return np.asarray(log_losses(scores, y, share, -np.log(CLIP)))
    n, many, K = scores.shape
    predicted = linked(scores.reshape(n * many, K), task)
    losses = row_losses(task, y.repeat(many), predicted)
    return np.asarray(share @ losses.reshape(n, many))
