"""Which decisions of a search mattered: functional ANOVA over the settings that it tried.

A forest is fitted to the losses of what was tried; its variance over the whole box of a family is
split among the single decisions. Strengths of a path are decisions, too: a few points of each
path are taken. The question is what matters for doing better than no regularization, so losses
beyond that of ``none`` (or of the featureless model) count as much as it: else the strong ends of
paths, where nothing is left of a model, would explain everything. Losses of different searches
are put together as shares of the featureless model's.

Descriptive: the forest has seen few points, and those where the sampler liked to look.

Source: Hutter, Hoos & Leyton-Brown 2014, An efficient approach for assessing hyperparameter
importance, ICML (losses cut off at those of a default: section 4.3); Optuna's evaluator. Why not
PED-ANOVA: it asks what tells the best tenth from the rest, and so calls a category unimportant
where one of its values won everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoreg.space import Axis, Space
from autoreg.spec import seed_for
from autoreg.trial import Trial

FEWEST = 12  # settings; fewer tell nothing
MOST = 120  # points: the forest's time grows with their square
OF_A_PATH = 7  # points of one path
TREES = 32
STRENGTH = "strength"


@dataclass(frozen=True)
class Importance:
    """The shares of a family's decisions in the variance of the loss, largest first.

    Decisions are the technique (linear), each technique's switch and first dial (network), other
    dials by their full names, and ``strength``: the place on the path. They add up to 1.
    """

    family: str
    shares: Mapping[str, float]
    settings: int

    def to_data(self) -> dict[str, Any]:
        """The importance as plain data."""
        return {**vars(self), "shares": dict(self.shares)}


def importance(space: Space, trials: Sequence[Trial], seed: int) -> tuple[Importance, ...]:
    """The importance of each family's decisions; families of which too little was tried have none.

    ``shares`` are empty where nothing did better than no regularization. The same trials and
    seed give the same shares.
    """
    found = []
    for family in space.families:
        own = [t for t in trials if t.candidate.family == family and t.is_valid]
        if len(own) >= FEWEST:
            shares = _shares(space, own, seed_for(seed, "importance", family))
            found.append(Importance(family, shares, len(own)))
    return tuple(found)


def _shares(space: Space, trials: Sequence[Trial], seed: int) -> dict[str, float]:
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    points = list(_points(space, trials))
    kept = np.linspace(0, len(points) - 1, min(len(points), MOST)).round().astype(int)
    points = [points[k] for k in kept]
    if len({loss for _, loss in points}) < 2:
        return {}
    study = _study(_axes(space, trials), points)
    judge = FanovaImportanceEvaluator(n_trees=TREES, seed=seed)
    shares = get_param_importances(study, evaluator=judge)
    return {name: float(share) for name, share in shares.items()}


def _axes(space: Space, trials: Sequence[Trial]) -> list[Axis]:
    """The coordinates of the trials' family, and the place on the path where there are paths."""
    axes = list(space.axes(trials[0].candidate.family))
    has_paths = any(len(trial.strengths) > 1 for trial in trials)
    return [*axes, Axis(STRENGTH)] if has_paths else axes


def _points(space: Space, trials: Sequence[Trial]) -> Iterator[tuple[dict[str, Any], float]]:
    """What was tried, as points of the family's box, each with its loss."""
    ceilings = _ceilings(trials)
    for trial in trials:
        point, dial = space.encode(trial.candidate), trial.candidate.path
        for place in _places(trial):
            loss = min(float(trial.means[place]) / _unit(trial), ceilings.get(trial.search, 1.0))
            strength = dial.strength(trial.strengths[place]) if dial and trial.strengths else 0.5
            yield point | {STRENGTH: strength}, loss


def _ceilings(trials: Iterable[Trial]) -> dict[str, float]:
    """What no regularization loses in each search, at most as much as the featureless model."""
    bare = [trial for trial in trials if trial.candidate.is_none]
    found: dict[str, float] = {}
    for trial in bare:
        found[trial.search] = min(trial.loss / _unit(trial), 1.0, found.get(trial.search, 1.0))
    return found


def _unit(trial: Trial) -> float:
    return trial.baseline if trial.baseline > 0 else 1.0


def _places(trial: Trial) -> list[int]:
    """A few places of a path, its ends and the best among them."""
    last = len(trial.strengths) - 1
    if last < 1:
        return [0]
    steps = min(OF_A_PATH, last + 1) - 1
    return sorted({trial.best, *(round(k * last / steps) for k in range(steps + 1))})


def _study(axes: Sequence[Axis], points: Sequence[tuple[dict[str, Any], float]]) -> Any:
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
    )

    box: dict[str, BaseDistribution] = {
        axis.name: CategoricalDistribution(axis.categories)
        if axis.categories
        else FloatDistribution(0.0, 1.0)
        for axis in axes
    }
    study = optuna.create_study()
    study.add_trials(
        [
            optuna.create_trial(
                params={name: point[name] for name in box}, distributions=box, value=loss
            )
            for point, loss in points
        ]
    )
    return study
