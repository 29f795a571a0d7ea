"""What weighs on the coefficients of a linear model: penalties and bounds, one by one.

Minimized is ``loss + sum_jk l1_jk |w_jk| + l2_j / 2 w_jk^2 + sum_g height_g |w_g|_2`` with w at or
above ``lowest``. Group g holds all coefficients of its inputs, those of all classes together; its
height is the root of the number of its inputs. The last row of a point is the intercept, on
which nothing weighs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Column, Floats, Rows
from autoreg.engines.linear_objective import Sample
from autoreg.spec import LinearSpec
from autoreg.techniques.base import Penalty

HALVINGS = 200  # of an interval, to the last bit


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is known of q inputs, (q,) each.

    ``columns`` is the raw column that each comes from, ``groups`` numbers their feature groups,
    ``lowest`` (0 or minus infinity) bounds coefficients, ``penalized`` is false for inputs that
    no penalty may touch; such an input is a group of its own.
    """

    columns: Rows
    groups: Rows
    lowest: Floats
    penalized: NDArray[np.bool_]

    @classmethod
    def of(cls, columns: Sequence[Column], origins: Rows, linear: LinearSpec) -> Inputs:
        """From what a study says of columns; ``origins`` (q,) is the column of each input.

        >>> columns = (Column("a", "numeric", group="g"), Column("b", "numeric", group="g"))
        >>> made = Inputs.of(columns, np.arange(2), LinearSpec(non_negative=("b",)))
        >>> made.groups.tolist(), made.lowest.tolist(), made.is_free
        ([0, 0], [-inf, 0.0], False)
        """
        every = linear.non_negative == "all"
        bounded = [
            not c.is_categorical if every else c.name in linear.non_negative for c in columns
        ]
        free = [column.name in linear.unpenalized for column in columns]
        labels = [
            (str(position), "alone") if free[j] else (columns[j].group or columns[j].name, "")
            for position, j in enumerate(origins)
        ]
        known: dict[tuple[str, str], int] = {}
        groups = np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int64)
        lowest = np.where(np.array(bounded)[origins], 0.0, -np.inf)
        return cls(origins, groups, lowest, ~np.array(free)[origins])

    @property
    def is_free(self) -> bool:
        """Whether no coefficient is bounded and all are penalized."""
        return bool(np.isinf(self.lowest).all() and self.penalized.all())

    def keep(self, kept: NDArray[np.bool_]) -> Inputs:
        """Some of the inputs."""
        _, groups = np.unique(self.groups[kept], return_inverse=True)
        parts = (self.columns[kept], groups, self.lowest[kept], self.penalized[kept])
        return Inputs(*parts)


@dataclass(frozen=True, eq=False)
class Burden:
    """All that weighs on points (q + 1, k): the last row of each array belongs to the intercept.

    ``l1`` (q + 1, k), ``l2`` and ``lowest`` (q + 1, 1); ``groups`` (q + 1,) numbers groups, whose
    ``heights`` (G,) are 0 where there is no group penalty.
    """

    l1: Floats
    l2: Floats
    lowest: Floats
    groups: Rows
    heights: Floats

    @classmethod
    def of(cls, penalty: Penalty, s: float, inputs: Inputs, bend: Floats, k: int) -> Burden:
        """A penalty at the absolute strength s; ``bend`` (q,) multiplies its L1 part."""
        touched = np.append(inputs.penalized, False).astype(float)[:, None]
        groups = np.append(inputs.groups, inputs.groups.max(initial=-1) + 1)
        members = np.bincount(groups, weights=touched[:, 0])
        l1 = s * penalty.l1 * np.append(bend, 0.0)[:, None] * touched
        return cls(
            np.repeat(l1, k, axis=1),
            s * penalty.l2 * touched,
            np.append(inputs.lowest, -np.inf)[:, None],
            groups,
            s * penalty.group * np.sqrt(members),
        )

    @property
    def is_idle(self) -> NDArray[np.bool_]:
        """Which rows of a point nothing penalizes, (q + 1,)."""
        idle = ~self.l1.any(axis=1) & (self.l2[:, 0] == 0) & (self.heights[self.groups] == 0)
        return np.asarray(idle)

    def norms(self, point: Floats) -> Floats:
        """The Euclidean size of each group, (G,)."""
        squares = (point**2).sum(axis=1)
        return np.sqrt(np.bincount(self.groups, weights=squares, minlength=len(self.heights)))

    def size(self, point: Floats) -> float:
        """The penalty."""
        absolute = float((self.l1 * np.abs(point)).sum())
        return absolute + float((self.l2 * point**2).sum() / 2 + self.heights @ self.norms(point))

    def softened(self, pull: Floats, step: float = 1.0) -> Floats:
        """A point nearer to zero by ``step`` times the L1 part, brought within its bounds."""
        nearer = np.sign(pull) * np.maximum(np.abs(pull) - step * self.l1, 0.0)
        return np.asarray(np.maximum(nearer, self.lowest))

    def nearest(self, point: Floats, step: float) -> Floats:
        """The proximal operator of everything that has a kink, for a step.

        Source: Simon, Friedman, Hastie & Tibshirani 2013, JCGS 22(2), section 3.
        """
        soft = self.softened(point, step)
        if not self.heights.any():
            return soft
        norms = self.norms(soft)
        share = 1 - step * self.heights / np.maximum(norms, np.finfo(float).tiny)
        return soft * np.maximum(share, 0.0)[self.groups, None]

    def violations(self, point: Floats, slope: Floats) -> Floats:
        """How far 0 is from the subdifferential at each coefficient, given the loss's slope.

        All coefficients of a group that is 0 share the number of their group.
        """
        norms = self.norms(point)
        height, norm = self.heights[self.groups, None], norms[self.groups, None]
        pull = -slope - self.l2 * point
        together = np.maximum(self.norms(self.softened(-slope)) - self.heights, 0.0)
        pull = pull - height * point / np.where(norm > 0, norm, 1.0)
        at_zero = np.maximum(np.where(self.lowest == 0, pull, np.abs(pull)) - self.l1, 0.0)
        elsewhere = np.abs(pull - self.l1 * np.sign(point))
        alone = np.where(point == 0, at_zero, elsewhere)
        return np.where((height > 0) & (norm == 0), together[self.groups, None], alone)

    def keeps_zero(self, slope: Floats) -> bool:
        """Whether a slope of the loss at the null model leaves all that is penalized at 0."""
        soft = self.softened(-slope)
        soft[self.is_idle] = 0.0
        return bool((self.norms(soft) <= self.heights).all())

    def bent(self, penalty: Penalty, point: Floats) -> Burden:
        """The L1 part as steep as a concave penalty is at a point; the same for others.

        Sources: Zhang 2010, Annals of Statistics 38(2), equation 2.1 (MCP); Fan & Li 2001, JASA
        96(456), equation 2.7 (SCAD).
        """
        size, gamma = np.abs(point), penalty.gamma
        if penalty.concave == "mcp":
            return replace(self, l1=np.maximum(self.l1 - size / gamma, 0.0) * (self.l1 > 0))
        if penalty.concave == "scad":
            falling = np.maximum(gamma * self.l1 - size, 0.0) / (gamma - 1)
            return replace(self, l1=np.where(size <= self.l1, self.l1, falling))
        return self


def zeroing(sample: Sample, slope: Floats, penalty: Penalty, inputs: Inputs, bend: Floats) -> float:
    """The smallest strength at which every penalized coefficient stays at 0, by bisection.

    ``slope`` (q + 1, k) is that of the loss at the null model.
    """
    k = sample.Y.shape[1]
    low, high = 0.0, 1.0
    while not Burden.of(penalty, high, inputs, bend, k).keeps_zero(slope):
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = Burden.of(penalty, middle, inputs, bend, k).keeps_zero(slope)
        low, high = (low, middle) if enough else (middle, high)
    return high
