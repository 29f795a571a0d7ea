"""The factorization engine: users and items of one training set, sweep by sweep.

It reads two columns, those of the roles user and item, by the positions of their levels; other
columns tell it nothing. The target is standardized on the fitted rows, so that a strength means the
same for stars and for percent; what is kept is in original units.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from autoreg.candidate import RATING
from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.engines.base import (
    Failure,
    Fit,
    Job,
    Outcome,
    checked,
    mean_losses,
    no_stop_set,
    thinned,
)
from autoreg.engines.factorization import FIRST, Side, sweeps, told
from autoreg.errors import DataError
from autoreg.forward import places_of
from autoreg.metrics.base import row_losses
from autoreg.model import Parameters
from autoreg.preprocess import Preprocessor
from autoreg.spec import seed_for
from autoreg.splitters import stop_rows
from autoreg.techniques.base import Shrinkage, Technique

SEAMS = frozenset({"shrinkage", "stop"})


def fit_factorization(job: Job, table: Dataset) -> Outcome:
    """Fit one factorization; a Failure where no stop-set can be cut or no columns are declared."""
    start = time.perf_counter()
    if table.rated is None:
        return Failure("no columns are users and items (data: user, data: item)")
    fitted, watched = job.training.rows, job.training.rows[:0]
    if job.stops_early:
        try:
            fitted, watched = stop_rows(table, fitted, job.settings.stop_share, job.stop_seed)
        except DataError as error:
            return no_stop_set(error, time.perf_counter() - start)
    ground = Ground.of(table, fitted)
    steps, sides, curve = _trained(job, ground, watched)
    predictions = ground.predicted(sides, job.predict)[None]
    own = ground.predicted(sides, job.training.rows)[None]
    return checked(
        Fit(
            predictions=predictions,
            losses=mean_losses(table, job.predict, predictions),
            train_loss=mean_losses(table, job.training.rows, own),
            steps=steps,
            curve={name: thinned(values) for name, values in curve.items() if values},
            seconds=time.perf_counter() - start,
            model=ground.parameters(sides) if job.keep_model else None,
        )
    )


@dataclass(frozen=True, eq=False)
class Ground:
    """The fitted rows of a job: their mean and spread, and the users and items that they name.

    ``known`` are the positions of the levels, of users and of items, that some fitted row has.
    """

    table: Dataset
    rows: Rows
    mean: float
    scale: float
    known: tuple[Rows, Rows]

    @classmethod
    def of(cls, table: Dataset, rows: Rows) -> Ground:
        """Learn the mean and spread of ratings, and who rates what; cells without a level do not
        count."""
        assert table.rated is not None
        weights = table.weights[rows]
        mean = float(np.average(table.y[rows], weights=weights))
        variance = float(np.average((table.y[rows] - mean) ** 2, weights=weights))
        cells = [table.X[rows, position] for position in table.rated]
        users, items = (np.unique(one[one >= 0]).astype(np.int64) for one in cells)
        return cls(table, rows, mean, math.sqrt(variance) or 1.0, (users, items))

    def who(self, rows: Rows) -> tuple[Rows, Rows]:
        """The numbers of users and items (n,) of some rows; those unknown have the last number."""
        assert self.table.rated is not None
        users, items = (
            places_of(self.table.X[rows, position], levels)
            for levels, position in zip(self.known, self.table.rated, strict=True)
        )
        return users, items

    def first(self, job: Job) -> tuple[Side, Side]:
        """Users and items before any sweep, with factors drawn at random."""
        width = int(dict(job.candidate.architecture).get("factors", RATING[0].default))
        sides = []
        for role, levels, who in zip(
            ("user", "item"), self.known, self.who(self.rows), strict=True
        ):
            draws = np.random.default_rng(seed_for(job.fit_seed, role))
            factors = draws.normal(0.0, FIRST, (len(levels), width))
            sides.append(Side.first(who, len(levels), factors))
        return sides[0], sides[1]

    def predicted(self, sides: tuple[Side, Side], rows: Rows) -> Floats:
        """Ratings (n, 1) of some rows, in original units."""
        users, items = (replace(a, who=b) for a, b in zip(sides, self.who(rows), strict=True))
        return (self.mean + self.scale * told(users, items))[:, None]

    def loss(self, sides: tuple[Side, Side], rows: Rows) -> float:
        """The weighted mean squared error on some rows."""
        losses = row_losses(self.table.task, self.table.y[rows], self.predicted(sides, rows))
        return float(np.average(losses, weights=self.table.weights[rows]))

    def parameters(self, sides: tuple[Side, Side]) -> Parameters:
        """What was learned of those that are known, in original units."""
        assert self.table.rated is not None
        users, items = sides
        arrays = {
            "mean": np.array([self.mean]),
            "user_bias": self.scale * users.bias[:-1],
            "item_bias": self.scale * items.bias[:-1],
            "user_factors": self.scale * users.factors[:-1],
            "item_factors": items.factors[:-1],
        }
        info = dict(zip(("user", "item"), self.table.rated, strict=True))
        known = {"users": self.known[0].tolist(), "items": self.known[1].tolist()}
        scaler = Preprocessor.of(self.table, self.rows)
        return Parameters("factorization", arrays, scaler, info | known)


def _trained(
    job: Job, ground: Ground, watched: Rows
) -> tuple[int, tuple[Side, Side], dict[str, list[float]]]:
    """Sweep until the job's steps are taken or patience is over; the best or the last sides."""
    rows, v = ground.rows, ground.table.weights[ground.rows]
    y = np.asarray(ground.table.y[rows] - ground.mean, dtype=np.float64) / ground.scale
    limit = job.settings.longest if job.steps is None else max(1, job.steps)
    curve: dict[str, list[float]] = {"train": [], "stop": [], "norm": []}
    best, steps, kept = math.inf, 0, ground.first(job)
    walk = sweeps(*kept, y, v, strengths_of(job.candidate.techniques))
    for number, sides in enumerate(islice(walk, limit), start=1):
        curve["train"].append(ground.loss(sides, rows))
        curve["norm"].append(math.sqrt(sum(side.length for side in sides)))
        if not math.isfinite(curve["train"][-1]):
            return number, sides, curve
        if len(watched):
            curve["stop"].append(ground.loss(sides, watched))
            if curve["stop"][-1] >= best:
                if _is_over(job.candidate.techniques, number - steps):
                    break
                continue
            best = curve["stop"][-1]
        steps, kept = number, sides
    return steps, kept, curve


def strengths_of(techniques: Sequence[Technique]) -> Shrinkage:
    """The strengths of all techniques together."""
    parts = [one.shrinkage() for one in techniques]
    return Shrinkage(sum(one.biases for one in parts), sum(one.factors for one in parts))


def _is_over(techniques: Sequence[Technique], since: int) -> bool:
    """Whether a technique that stops has had enough; its hook takes arrays as well as tensors."""
    epochs: Any = np.array([float(since)])
    for one in techniques:
        dials: dict[str, Any] = {name: np.array([value]) for name, value in one.values.items()}
        if "stop" in one.seams() and bool(one.stop(epochs, dials).all()):
            return True
    return False
