"""Biased matrix factorization by alternating least squares: exact steps, one side after the other.

A rating of item i by user u is ``mean + b_u + b_i + p_u . q_i``. What is minimized is the weighted
sum of squared errors plus ``biases * (|b_u|^2 + |b_i|^2) + factors * (|p_u|^2 + |q_i|^2)``, summed
over all users and items. With the items as they are, the level and the factors of each user are a
small ridge regression of their own, solved in closed form; then the items likewise. The objective
never rises. The mean is that of the training rows and stays.

Why exact steps and no gradient descent: there is no learning rate to search, and a sweep depends on
nothing but its rows, so a fit is the same bit for bit wherever it is made.

Sources: Koren, Bell & Volinsky 2009, Computer 42(8), equation 5; Zhou, Wilkinson, Schreiber & Pan
2008, AAIM (alternating least squares). The strengths are not multiplied by the number of ratings,
as in Salakhutdinov & Mnih 2007, NIPS: a prior is as strong as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from autoreg.data.dataset import Floats, Rows
from autoreg.forward import rating
from autoreg.techniques.base import Shrinkage

FIRST = 0.1  # standard deviation of the first factors
MOST_CELLS = 2**22  # of the products of rows that are held at once
COLLINEAR = 1e-10  # singular values below this share of the largest one count as 0


@dataclass(frozen=True, eq=False)
class Side:
    """The users, or the items, of some ratings, and what is known of them.

    ``who`` (n,) numbers the one that each rating is of, the last number being nobody's: rows of
    users or items that have no name. ``bias`` (m + 1,) and ``factors`` (m + 1, K) belong to m of
    them and to nobody, who has 0.
    """

    who: Rows
    bias: Floats
    factors: Floats

    @classmethod
    def first(cls, who: Rows, count: int, factors: Floats) -> Side:
        """The side of ``count`` users or items before any sweep; ``factors`` are (count, K)."""
        return cls(who, np.zeros(count + 1), np.vstack([factors, np.zeros(factors.shape[1])]))

    @property
    def length(self) -> float:
        """The sum of squares of all that is known."""
        return float((self.bias**2).sum() + (self.factors**2).sum())

    def solved(self, other: Side, y: Floats, weights: Floats, strengths: Shrinkage) -> Side:
        """The same with the best levels and factors while the other side stays as it is."""
        inputs = np.column_stack([np.ones(len(y)), other.factors[other.who]])
        targets = y - other.bias[other.who]
        width = inputs.shape[1]
        penalty = np.full(width, strengths.factors)
        penalty[0] = strengths.biases
        found = np.zeros((len(self.bias), width))
        for rows, starts in _parts(self.who, len(self.bias) - 1, width):
            X, v = inputs[rows], weights[rows]
            products = np.add.reduceat(v[:, None, None] * X[:, :, None] * X[:, None, :], starts)
            sides = np.add.reduceat((v * targets[rows])[:, None] * X, starts)
            found[self.who[rows][starts]] = _minima(products, sides, penalty)
        return Side(self.who, found[:, 0].copy(), np.ascontiguousarray(found[:, 1:]))


def sweeps(
    users: Side, items: Side, y: Floats, weights: Floats, strengths: Shrinkage
) -> Iterator[tuple[Side, Side]]:
    """Users and items after one sweep, after two, and so on without end.

    ``y`` (n,) are ratings less their mean, ``weights`` (n,) count them as so many rows.
    """
    while True:
        users = users.solved(items, y, weights, strengths)
        items = items.solved(users, y, weights, strengths)
        yield users, items


def told(users: Side, items: Side) -> Floats:
    """What two sides say of their own ratings, less the mean; shape (n,)."""
    return rating(users.bias, items.bias, users.factors, items.factors, users.who, items.who)


def _parts(who: Rows, nobody: int, width: int) -> Iterator[tuple[Rows, Rows]]:
    """Rows in the order of whose they are, in parts, and where in each the next one's begin."""
    order = np.argsort(who, kind="stable")
    order = order[who[order] != nobody]
    ends = np.append(np.flatnonzero(np.diff(who[order])) + 1, len(order))
    limit = max(1, MOST_CELLS // width**2)
    first = 0
    while first < len(order):
        last = max(int(ends[ends > first][0]), int(ends[ends <= first + limit].max(initial=0)))
        inside = ends[(ends > first) & (ends < last)] - first
        yield order[first:last], np.append(0, inside)
        first = last


def _minima(products: Floats, sides: Floats, penalty: Floats) -> Floats:
    """The solutions (m, k) of m ridge regressions; the shortest where several are as good.

    Levels alone are always determined, and so is all of it where factors are penalized.
    """
    if len(penalty) == 1 or penalty[-1] > 0:
        return np.asarray(np.linalg.solve(products + np.diag(penalty), sides[:, :, None])[:, :, 0])
    inverse = np.linalg.pinv(products + np.diag(penalty), rcond=COLLINEAR, hermitian=True)
    return np.asarray((inverse @ sides[:, :, None])[:, :, 0])
