"""Distances in time: which moments stand too near to the rows that judge."""

from __future__ import annotations

import numpy as np

from autoreg.data.dataset import Rows
from autoreg.spec import OrderSpec

WINDOWS = {
    "expanding": "expanding window over time",
    "rolling": "rolling window over time",
    "both_sides": "blocks of time, trained on both sides",
}


def left_out(order: OrderSpec) -> str:
    """What is left out around the rows that judge, in parentheses; empty where nothing is.

    >>> left_out(OrderSpec(gap=2))
    ' (gap 2)'
    """
    names = ("gap", "purge", "embargo")
    parts = [f"{name} {value}" for name in names if (value := getattr(order, name))]
    return f" ({', '.join(parts)})" if parts else ""


def forbidden(test: Rows, order: OrderSpec) -> tuple[int, int]:
    """The moments, first and last, that no training row may have beside these test moments.

    Before the test: forecasts are made ``gap`` moments ahead, from rows whose target was known
    by then, ``purge`` moments after the row itself. After it: targets of test rows reach
    ``purge`` moments ahead, and neighbours are alike for an ``embargo`` more; the past alone
    trains where both sides are not asked for. Source: Lopez de Prado 2018, Advances in
    Financial Machine Learning, section 7.4.
    """
    low = int(test.min()) - order.gap - order.purge
    if order.window != "both_sides":
        return low, np.iinfo(np.int64).max
    return low, int(test.max()) + order.purge + order.embargo


def too_near(moment: Rows, train: Rows, test: Rows, order: OrderSpec) -> bool:
    """Whether some training row stands at a moment that the test rows forbid."""
    low, high = forbidden(moment[test], order)
    return bool(((moment[train] >= low) & (moment[train] <= high)).any())
