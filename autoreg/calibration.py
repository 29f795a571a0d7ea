"""How sure predictions are: calibration, and conformal sets and intervals, from out-of-fold rows.

Every development row has been predicted once by a refit that did not see it. These predictions
are paid for, and say how far probabilities can be trusted and how wide an interval has to be.
They come from choices made without the row's fold, so no choice has been tuned to them.

Why not a share of the rows of its own: few rows are dear. The price: the guarantee of split
conformal prediction holds for fresh rows of ONE model; here residuals come from K refits and
serve the final one (cross-conformal). So coverage is measured on the held-out rows and shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Dataset, Floats, Rows, Task
from autoreg.errors import DataError
from autoreg.metrics.base import CLIP, Target
from autoreg.model import Model

LEVEL = 0.90
BINS = 10


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions (n, C) of development rows (n,) by refits that did not see them."""

    rows: Rows
    predictions: Floats
    fold: Rows

    def target(self, table: Dataset) -> Target:
        """The true targets, (n,)."""
        return table.y[self.rows]


@dataclass(frozen=True)
class Bin:
    """Rows that are about equally sure: how sure, how often right, how many."""

    sure: float
    right: float
    rows: int


@dataclass(frozen=True)
class Calibration:
    """What out-of-fold rows say about a model's certainty.

    ``radius`` is the conformal quantile: of ``|y - mean|`` for numbers, of the same by
    ``sqrt(mean + 1/4)`` for counts, of ``1 - p(true class)`` for classes, so that about ``level``
    of new rows lie inside. ``temperature`` divides the log-probabilities: above 1 where the model
    is too sure. ``error`` is the expected calibration error of the most probable class, and
    ``error_after`` what is left of it with the temperature; both None for numbers.
    """

    task: str
    level: float
    radius: float
    rows: int
    temperature: float = 1.0
    error: float | None = None
    error_after: float | None = None
    bins: tuple[Bin, ...] = ()

    @classmethod
    def of(cls, found: OutOfFold, table: Dataset, *, level: float = LEVEL) -> Calibration:
        """Learn it from out-of-fold predictions."""
        y, predictions = found.target(table), found.predictions
        radius = conformal_quantile(scores(table.task, y, predictions), level)
        if not table.classes:
            return cls(table.task, level, radius, len(y))
        T = best_temperature(predictions, y)
        bins = reliability(predictions, y)
        after = reliability(cooled(predictions, T), y)
        return cls(table.task, level, radius, len(y), T, _error(bins), _error(after), bins)

    def intervals(self, predictions: Floats) -> Floats:
        """The lower and upper ends (n, 2) around predicted means (n, 1)."""
        means = predictions[:, 0]
        spread = self.radius * _unit(self.task, means)
        low = means - spread
        return np.column_stack(
            [np.maximum(low, 0) if self.task == "count" else low, means + spread]
        )

    def sets(self, predictions: Floats) -> NDArray[np.bool_]:
        """Which classes belong to each row's set, (n, C); the most probable one always does.

        Source: Sadinle, Lei & Wasserman 2019, JASA 114(525).
        """
        inside = 1 - predictions <= self.radius
        inside[np.arange(len(predictions)), predictions.argmax(axis=1)] = True
        return np.asarray(inside)

    def size(self, predictions: Floats) -> float | None:
        """The mean width of the intervals (None: infinite), or mean number of classes in a set."""
        if self.task in ("regression", "count"):
            width = float(np.diff(self.intervals(predictions), axis=1).mean())
            return width if math.isfinite(width) else None
        return float(self.sets(predictions).sum(axis=1).mean())

    def covered(self, y: Target, predictions: Floats) -> NDArray[np.bool_]:
        """Whether each row's true target lies in its set or interval, (n,)."""
        if self.task in ("regression", "count"):
            low, high = self.intervals(predictions).T
            return np.asarray((low <= y) & (y <= high))
        return self.sets(predictions)[np.arange(len(y)), y.astype(np.int64)]

    def to_data(self) -> dict[str, Any]:
        """The calibration as plain data; an infinite radius is None."""
        radius = self.radius if math.isfinite(self.radius) else None
        return {**vars(self), "radius": radius, "bins": [dict(vars(one)) for one in self.bins]}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Calibration:
        """The inverse of :meth:`to_data`."""
        radius = math.inf if data["radius"] is None else data["radius"]
        return cls(**{**data, "radius": radius, "bins": tuple(Bin(**b) for b in data["bins"])})


def ranges(model: Model, predicted: Floats) -> dict[str, list[Any]]:
    """What holds for about 90 % of new rows: ``low`` and ``high``, or a ``set`` of classes.

    ``predicted`` is what ``model.raw`` gives. A set names its classes, most probable first, with
    `` | `` between them.
    Raises DataError where the model was stored without a calibration.
    """
    document = model.about.get("calibration")
    if not document:
        raise DataError(
            "the model holds no calibration: its study was streamed, or an outer refit failed"
        )
    known = Calibration.from_data(document)
    if not model.classes:
        low, high = known.intervals(predicted).T
        return {"low": low.tolist(), "high": high.tolist()}
    order, inside = np.argsort(-predicted, axis=1), known.sets(predicted)
    names = [
        " | ".join(str(model.classes[k]) for k in ranked if own[k])
        for ranked, own in zip(order, inside, strict=True)
    ]
    return {"set": names}


def scores(task: Task, y: Target, predictions: Floats) -> Floats:
    """How strange each row is, (n,): what conformal prediction ranks."""
    if task in ("regression", "count"):
        means = predictions[:, 0]
        return np.asarray(np.abs(y - means) / _unit(task, means))
    return np.asarray(1 - predictions[np.arange(len(y)), y.astype(np.int64)])


def conformal_quantile(strange: Floats, level: float) -> float:
    """The ceil((n + 1) * level)-th smallest score; infinite where n is too small for the level.

    Source: Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World, section 4.2.

    >>> conformal_quantile(np.arange(1.0, 11.0), 0.8)
    9.0
    >>> conformal_quantile(np.array([1.0, 2.0]), 0.9)
    inf
    """
    place = math.ceil((len(strange) + 1) * level)
    return float(np.sort(strange)[place - 1]) if place <= len(strange) else math.inf


def cooled(predictions: Floats, temperature: float) -> Floats:
    """Class probabilities (n, C) at another temperature.

    >>> cooled(np.array([[0.9, 0.1]]), 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    logs = np.log(np.clip(predictions, CLIP, 1)) / temperature
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def best_temperature(predictions: Floats, y: Target) -> float:
    """The temperature at which the log loss is lowest, between 0.1 and 10.

    Source: Guo et al. 2017, ICML.
    """
    from scipy.optimize import minimize_scalar

    rows, classes = np.arange(len(y)), y.astype(np.int64)

    def loss(log_temperature: float) -> float:
        chances = cooled(predictions, math.exp(log_temperature))[rows, classes]
        return float(-np.log(np.clip(chances, CLIP, 1)).mean())

    found = minimize_scalar(loss, bounds=(math.log(0.1), math.log(10)), method="bounded")
    return float(math.exp(found.x))


def reliability(predictions: Floats, y: Target) -> tuple[Bin, ...]:
    """Rows in bins of equal numbers by how sure the model is of its most probable class.

    Source: Naeini, Cooper & Hauskrecht 2015, AAAI.
    """
    sure, right = predictions.max(axis=1), predictions.argmax(axis=1) == y
    parts = np.array_split(np.argsort(sure, kind="stable"), min(BINS, len(y)))
    return tuple(Bin(float(sure[p].mean()), float(right[p].mean()), len(p)) for p in parts)


def _error(bins: tuple[Bin, ...]) -> float:
    rows = sum(one.rows for one in bins)
    return sum(one.rows * abs(one.sure - one.right) for one in bins) / rows


def _unit(task: str, means: Floats) -> Floats:
    return np.sqrt(np.maximum(means, 0) + 0.25) if task == "count" else np.ones_like(means)
