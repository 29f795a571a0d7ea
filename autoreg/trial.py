"""One line of the ledger: a setting, tried on all inner folds of one search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from autoreg.candidate import Candidate
from autoreg.data.dataset import Floats
from autoreg.statistics import smoother, standard_error


@dataclass(frozen=True)
class Pruned:
    """Why a trial was given up before it was known in full.

    ``by`` is the rule, ``at`` the epochs or folds after which its mean ``loss`` (on the stop-sets,
    or on the validation rows of those folds) was above the ``limit``; ``told`` is what the tuner
    learns instead of a loss.
    """

    by: Literal["epochs", "folds"]
    at: int
    loss: float
    limit: float
    told: float

    @property
    def words(self) -> str:
        """The reason in words."""
        what = f"{self.at} {self.by if self.at > 1 else self.by[:-1]}"
        return f"after {what} the mean loss was {self.loss:.4g}, above {self.limit:.4g}"


@dataclass(frozen=True, eq=False)
class Trial:
    """What one search learned about one setting.

    ``losses`` and ``train_losses`` are (S, F): strengths of the path (S = 1 where there is no
    path) by inner folds; ``weights`` (F,) are the folds' sums of row weights; each row validates
    ``repeats`` times. ``scores`` are metrics by name at the best strength. ``steps`` are the
    folds' best optimizer steps. ``baseline`` is the featureless model's mean validation loss.
    Linear models tell the ``sparsity`` (S,), the number of columns that they use at each
    strength, and the effective degrees of ``freedom`` at the best one (along the whole path they
    would take longer to count than to fit), both means over the folds; ``stability`` is the share
    of the folds that use a column at the best strength, by its name, where the technique can
    leave columns out and some fold uses it; they are empty, or None, otherwise. ``failure`` is
    the reason why the trial is not eligible, or None. ``costs`` (S, F) is the metric that the
    study chooses by, turned so that lower is better; empty where it chooses by the loss.
    Where networks are pruned by epochs, ``rungs`` (R, F) are their best losses so far on the
    stop-sets at R rungs, NaN where a fold did not come so far. A ``pruned`` trial has no losses
    and is not eligible.
    """

    search: str
    number: int
    candidate: Candidate
    origin: Literal["design", "sampler"]
    strengths: tuple[float, ...]
    losses: Floats
    weights: Floats
    train_losses: Floats
    baseline: float = math.nan
    scores: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[int, ...] = ()
    curve: Mapping[str, list[float]] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    seconds: float = 0.0
    failure: str | None = None
    sparsity: Floats = field(default_factory=lambda: np.empty(0))
    freedom: float | None = None
    stability: Mapping[str, float] = field(default_factory=dict)
    repeats: int = 1
    costs: Floats = field(default_factory=lambda: np.empty(0))
    rungs: Floats = field(default_factory=lambda: np.empty(0))
    pruned: Pruned | None = None

    @property
    def is_valid(self) -> bool:
        """Whether it was fitted on all inner folds to the end, so that it can be chosen."""
        return self.failure is None and self.pruned is None

    @cached_property
    def smoothed(self) -> Floats:
        """The losses (S, F) of each fold, smoothed over neighbouring strengths of the path.

        What a refit makes of a strength is not exactly what the folds made of it, and the lowest
        of a hundred ragged losses is low by luck. So techniques are compared by what they lose
        around a strength: one that drops inputs one by one, in jumps, has no advantage.
        """
        return self._smooth(self.losses)

    def _smooth(self, values: Floats) -> Floats:
        dial = self.candidate.path
        if dial is None or not self.strengths:
            return values
        places = smoother(tuple(map(dial.strength, self.strengths)))
        return np.asarray(places @ values)

    @property
    def compared(self) -> Floats:
        """What candidates are chosen by, (S, F), lower is better: smoothed losses or costs."""
        return self._smooth(self.costs) if self.costs.size else self.smoothed

    @cached_property
    def means(self) -> Floats:
        """Row-weighted mean validation loss of each strength, smoothed, shape (S,)."""
        return np.asarray(self.smoothed @ (self.weights / self.weights.sum()))

    @property
    def errors(self) -> Floats:
        """The standard errors (S,) of the means over the folds of one cut; 0 with one fold."""
        return standard_error(self.smoothed, self.repeats)

    @property
    def best(self) -> int:
        """The position of the best strength on the path, by what candidates are chosen by."""
        return int(np.argmin(self.compared @ self.weights)) if self.is_valid else 0

    @property
    def loss(self) -> float:
        """The mean validation loss at the best strength; NaN for one that is not valid."""
        return float(self.means[self.best]) if self.is_valid else math.nan

    @property
    def train_loss(self) -> float:
        """The mean training loss at the best strength."""
        if not self.is_valid:
            return math.nan
        return float(self.train_losses[self.best] @ self.weights / self.weights.sum())

    @property
    def told(self) -> float:
        """What the tuner learns: the lowest loss; a failed trial counts like the baseline.

        A pruned one counts by the loss that it was pruned for, but never as better than the
        median of the finished trials that its search knew.
        """
        if self.pruned:
            return self.pruned.told
        return self.baseline if self.failure else float(self.means.min())

    @property
    def n_columns(self) -> float | None:
        """The mean number of columns used at the best strength; None where nobody counts them."""
        return float(self.sparsity[self.best]) if len(self.sparsity) else None

    @property
    def best_candidate(self) -> Candidate:
        """The candidate at its best strength."""
        return self.candidate_at(self.best)

    @property
    def best_steps(self) -> int:
        """The refit rule: the median of the best step counts over the inner folds."""
        return int(np.median(self.steps)) if self.steps else 0

    def candidate_at(self, position: int) -> Candidate:
        """The full candidate at one strength of the path."""
        return self.candidate.at(self.strengths[position]) if self.strengths else self.candidate

    @property
    def row(self) -> dict[str, Any]:
        """The trial as a row of a table, at its best strength."""
        best = self.best_candidate
        return {
            "search": self.search,
            "number": self.number,
            "family": best.family,
            "technique": best.label,
            "candidate": best.describe(),
            "origin": self.origin,
            "strength_norm": best.lead_strength,
            "val_loss": self.loss,
            "train_loss": self.train_loss,
            "gap": self.loss - self.train_loss,
            **self.scores,
            "n_columns": self.n_columns,
            "freedom": self.freedom,
            "fit_seconds": self.seconds,
            "flags": ", ".join(self.flags),
            "pruned": self.pruned.words if self.pruned else None,
            "failure": self.failure,
        }

    def to_data(self) -> dict[str, Any]:
        """The trial as plain data; floats survive a JSON round trip bit for bit."""
        return {
            "search": self.search,
            "number": self.number,
            "candidate": self.candidate.to_data(),
            "origin": self.origin,
            "strengths": list(self.strengths),
            "losses": self.losses.tolist(),
            "weights": self.weights.tolist(),
            "train_losses": self.train_losses.tolist(),
            "baseline": self.baseline,
            "scores": dict(self.scores),
            "steps": list(self.steps),
            "curve": {name: list(values) for name, values in self.curve.items()},
            "flags": list(self.flags),
            "sparsity": self.sparsity.tolist(),
            "freedom": self.freedom,
            "stability": dict(self.stability),
            "repeats": self.repeats,
            "costs": self.costs.tolist(),
            "rungs": [[None if np.isnan(x) else x for x in row] for row in self.rungs.tolist()],
            "pruned": vars(self.pruned) if self.pruned else None,
            "seconds": round(self.seconds, 4),
            "failure": self.failure,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Trial:
        """The inverse of :meth:`to_data`."""
        arrays = {
            name: np.array(data.get(name, ()), dtype=np.float64)
            for name in ("losses", "weights", "train_losses", "sparsity", "costs", "rungs")
        }
        pruned = data.get("pruned")
        return cls(
            pruned=Pruned(**pruned) if pruned else None,
            search=data["search"],
            number=data["number"],
            candidate=Candidate.from_data(data["candidate"]),
            origin=data["origin"],
            strengths=tuple(data["strengths"]),
            baseline=data["baseline"],
            scores=data["scores"],
            steps=tuple(data["steps"]),
            curve=data["curve"],
            flags=tuple(data["flags"]),
            seconds=data["seconds"],
            failure=data["failure"],
            freedom=data.get("freedom"),
            stability=data.get("stability", {}),
            repeats=data.get("repeats", 1),
            **arrays,
        )

    @property
    def essence(self) -> dict[str, Any]:
        """All that must be equal bit for bit between two runs: everything but the clock."""
        data = self.to_data()
        del data["seconds"]
        return data
