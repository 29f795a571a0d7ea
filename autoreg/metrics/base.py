"""What a metric is, and the row losses that every search minimizes.

A metric lives in one file of this folder and the folder is the registry: the file name is its
name in studies, reports and MLflow.

Why ratios: a metric is known fold by fold, but a study wants ONE number over all folds. So a
metric gives two sums over rows, which are added over the folds before they are divided and
finished: root mean squared error is the root of the pooled mean, and R2 is
1 - sum SSE / sum SSE of the training means, never the mean of fold-wise values.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Target = NDArray[np.float64] | NDArray[np.int64]
Parts = tuple[float, float]

# No probability and no mean count is taken for smaller. A count's unit is one event, so a mean of
# 1e-7 where one happened says as much as a probability of 1e-7, and is as little a proof of it.
CLIP = 1e-7
STEP = 1e-4  # of a class's weight: error about 1e-8 of the slope, rounding about 1e-12
CLASSIFICATION = ("binary", "multiclass")
NUMERIC = ("regression", "count")
COUNT = ("count",)


def row_losses(task: str, y: Target, predictions: Floats) -> Floats:
    """The loss of each row: squared error, Poisson deviance, or log loss.

    Probabilities, and means of counts, count as at least 1e-7.

    ``predictions`` is (n, C): the mean (C = 1) for regression and counts, otherwise class
    probabilities; ``y`` is (n,), positions of classes for classification. Shape of the result
    (n,); infinite where the mean of a count is no finite number.

    >>> row_losses("regression", np.array([1.0, 2.0]), np.array([[1.0], [0.0]]))
    array([0., 4.])
    >>> row_losses("count", np.array([0.0, 2.0]), np.array([[1.5], [2.0]]))
    array([3., 0.])
    """
    if task == "regression":
        return np.asarray((y - predictions[:, 0]) ** 2)
    if task == "count":
        return _deviances(y, predictions[:, 0])
    return -np.log(np.clip(chances(y, predictions), CLIP, 1.0))


def baseline_predictions(
    task: str, y_train: Target, weights: Floats, classes: int, n: int
) -> Floats:
    """What the featureless model predicts for n rows: the training mean or the class shares.

    ``classes`` is the number of classes (not read where there are none); the result is (n, C).

    >>> baseline_predictions("binary", np.array([0, 1]), np.array([3.0, 1.0]), 2, 1)
    array([[0.75, 0.25]])
    """
    if task in NUMERIC:
        return np.full((n, 1), np.average(y_train, weights=weights))
    shares = np.bincount(y_train.astype(np.int64), weights=weights, minlength=classes)
    return np.tile(shares / weights.sum(), (n, 1))


def _deviances(y: Target, means: Floats) -> Floats:
    """Unit deviances 2 (y log(y / m) - (y - m)) of counts y from means m, both (n,).

    Source: McCullagh & Nelder 1989, Generalized Linear Models, table 2.1.
    """
    known = np.isfinite(means)
    m = np.where(known, np.maximum(means, CLIP), 1.0)
    return np.where(known, 2 * (y * np.log(np.where(y > 0, y, 1.0) / m) - (y - m)), np.inf)


def chances(y: Target, predictions: Floats) -> Floats:
    """The predicted probability of each row's own class, shape (n,)."""
    return np.asarray(predictions[np.arange(len(y)), y.astype(np.int64)])


def sums(row_values: NDArray[Any], weights: Floats) -> Parts:
    """The parts of a weighted mean over rows."""
    return float(weights @ row_values), float(weights.sum())


class Metric(ABC):
    """One metric: a ratio of two sums over rows, finished by a monotone function.

    Subclasses declare ``title`` (for people), ``tasks``, ``greater_is_better`` and
    ``references``; ``name`` is the file name; ``ceiling`` bounds the ratio, so that no interval
    promises more than perfection; ``from_sums`` marks what follows from sums of products of rows.
    Where ``reach`` is above 0 the predictions are those of rows that an attack has moved by up to
    so many standard deviations: such a metric needs the model and is monitored beside others.
    In all methods ``y`` is (n,), ``predictions`` and ``baseline`` are (n, C), the baseline being
    the featureless predictions of the same training rows, and ``weights`` is (n,).
    """

    name: str
    title: str
    tasks: ClassVar[tuple[str, ...]]
    greater_is_better: ClassVar[bool]
    references: ClassVar[tuple[str, ...]]
    ceiling: ClassVar[float] = math.inf
    from_sums: ClassVar[bool] = False
    reach: float = 0.0

    def __init_subclass__(cls) -> None:
        """Take the name from the file."""
        cls.name = cls.__module__.rpartition(".")[2]

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that it can take."""
        low, high = sorted((self.finish(0.0), self.finish(self.ceiling)))
        return low, high

    @abstractmethod
    def parts(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Parts:
        """Numerator and denominator of these rows; sums over folds are divided."""

    def by_class(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Floats:
        """What each class adds to the parts, (C, 2): their slopes in its weight. Adds up to them.

        Where the parts are sums over rows, which is the default, those of the rows of the class.
        """
        found = []
        for one in range(predictions.shape[1]):
            own = y == one
            found.append(self.parts(y[own], predictions[own], weights[own], baseline[own]))
        return np.array(found)

    def finish(self, ratio: float) -> float:
        """The metric from the ratio of the summed parts."""
        return ratio

    def score(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> float:
        """The metric on one set of rows."""
        return self.pooled([self.parts(y, predictions, weights, baseline)])

    def pooled(self, parts: list[Parts]) -> float:
        """The metric over several folds, from each fold's parts; NaN where it is undefined."""
        numerator, denominator = (sum(column) for column in zip(*parts, strict=True))
        return self.finish(numerator / denominator) if denominator else float("nan")

    def cost(self, value: float) -> float:
        """The value, turned so that lower is better."""
        return -value if self.greater_is_better else value

    def variant(self, suffix: str) -> Metric | None:
        """The metric of the name ``<name>_<suffix>``; None where there is none."""
        return None

    def needs(self, y: Target, classes: int) -> str | None:
        """Why the metric cannot be defined on rows with these targets; None where it can."""
        return None


class EveryClass(Metric):
    """A metric that each fold can define only where it has rows of every class.

    Its parts are no sums over rows, but like sums they double when all weights do.
    """

    def by_class(self, y: Target, predictions: Floats, weights: Floats, baseline: Floats) -> Floats:
        """The slopes by differences: a little more and a little less weight for each class."""
        found = []
        for one in range(predictions.shape[1]):
            more, less = (
                np.array(self.parts(y, predictions, weights * (1 + step * (y == one)), baseline))
                for step in (STEP, -STEP)
            )
            found.append((more - less) / (2 * STEP))
        return np.array(found)

    def needs(self, y: Target, classes: int) -> str | None:
        """Name the classes, by position, that have no row."""
        absent = sorted(set(range(classes)) - set(np.unique(y).astype(int).tolist()))
        return f"no row of class {', '.join(map(str, absent))}" if absent else None
