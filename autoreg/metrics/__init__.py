"""The catalogue of metrics: one file of this folder is one metric, found by walking it."""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib import import_module

from autoreg.errors import SpecError
from autoreg.metrics.base import Metric, Target, baseline_predictions, row_losses

__all__ = [
    "Metric",
    "baseline_predictions",
    "default_metrics",
    "metric",
    "metrics",
    "row_losses",
    "undefined",
]


@cache
def metrics() -> dict[str, Metric]:
    """All metrics by name, in alphabetical order.

    >>> "auc" in metrics()
    True
    """
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: _metric_of(f"{__name__}.{name}") for name in names if name != "base"}


def metric(name: str, task: str | None = None) -> Metric:
    """The metric of that name, checked against the task if one is given.

    Raises SpecError, with the nearest known name or the metrics that the task has.

    >>> metric("rmse").greater_is_better
    False
    """
    known = metrics()
    found = known.get(name) or _variant(name)
    if found is None:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise SpecError(f"unknown metric {name!r}; {hint}")
    if task is not None and task not in found.tasks:
        fitting = ", ".join(one.name for one in known.values() if task in one.tasks)
        raise SpecError(f"metric {name} is not for {task} targets; choose from {fitting}")
    return found


def _variant(name: str) -> Metric | None:
    stem, _, suffix = name.rpartition("_")
    return metrics()[stem].variant(suffix) if stem in metrics() else None


def default_metrics(task: str, *, streamed: bool = False) -> tuple[str, ...]:
    """The metrics that are computed where a study names none; the first is shown.

    A ``streamed`` table knows sums over rows only.

    >>> default_metrics("binary")
    ('accuracy', 'log_loss', 'brier')
    """
    if streamed:
        return "r2", "rmse", "mse"
    if task == "regression":
        return "r2", "rmse", "mae"
    if task == "count":
        return "poisson_deviance", "r2", "mae"
    return "accuracy", "log_loss", "brier"


def undefined(one: Metric, y_by_fold: Iterable[Target], classes: int) -> str | None:
    """Why some fold cannot define a metric, in words; None where all can.

    A study asks before its first fit, with the targets of every fold that is scored.

    >>> import numpy as np
    >>> undefined(metric("auc"), [np.array([0, 1]), np.array([1, 1])], 2)
    'auc is undefined on fold 1: no row of class 0'
    """
    reasons = ((fold, one.needs(y, classes)) for fold, y in enumerate(y_by_fold))
    lacking = [f"{one.name} is undefined on fold {fold}: {why}" for fold, why in reasons if why]
    return lacking[0] if lacking else None


def _metric_of(module: str) -> Metric:
    members = vars(import_module(module)).values()
    kinds = [
        member
        for member in members
        if isinstance(member, type) and issubclass(member, Metric) and member.__module__ == module
    ]
    if len(kinds) != 1:
        raise TypeError(f"{module} must define exactly one metric, found {len(kinds)}")
    found: Metric = kinds[0]()
    return found
