"""What a larger budget brought: best inner and nested loss after n trials, and overtuning.

After n trials a search would have chosen something, too. Its choice is refitted and judged on
its outer fold like the last one, so the curve of nested losses says whether the later trials
helped, or only fitted the noise of the inner folds. Nothing here chooses anything.

Source: Schneider, Bischl & Feurer 2025, AutoML Conference, PMLR 293 (overtuning: what the last
choice loses against the best of all choices on the way; relative: as a share of the most that
was ever gained over the first).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autoreg.deciding import SelectSpec
from autoreg.errors import NoValidTrialError
from autoreg.scoring import Bench
from autoreg.select import Contender, select
from autoreg.trial import Trial
from autoreg.verdict import Judgement

Choices = Mapping[int, Mapping[str, Contender]]
PACE = 1.6  # each budget of the curve is about so many times the one before


@dataclass(frozen=True)
class Budget:
    """The means over the outer searches after so many trials each.

    ``inner`` is the loss of what the inner folds liked best (optimistic), ``nested`` that of
    the choices on the outer folds.
    """

    trials: int
    inner: float
    nested: float

    @property
    def gap(self) -> float:
        """How much better the inner folds made the choice look than it was."""
        return self.nested - self.inner


def budgets(trials: int) -> list[int]:
    """The numbers of trials at which the curve is drawn, the last one included.

    >>> budgets(24)
    [1, 2, 3, 5, 8, 13, 21, 24]
    """
    found = [1]
    while found[-1] < trials:
        found.append(min(trials, max(found[-1] + 1, round(PACE * found[-1]))))
    return found


def choices(
    trials: Mapping[str, Sequence[Trial]],
    searches: Iterable[str],
    rule: SelectSpec,
    incumbent: tuple[str, str],
) -> dict[int, dict[str, Contender]]:
    """What each search would have chosen after so many trials; its last choice included.

    Budgets after which some search had nothing valid are left out.
    """
    names = list(searches)
    longest = max(len(trials[name]) for name in names)
    found = {}
    for budget in budgets(longest):
        try:
            found[budget] = {
                name: select(trials[name][:budget], rule, incumbent).chosen for name in names
            }
        except NoValidTrialError:
            continue
    return found


def curve(
    bench: Bench,
    chosen: Choices,
    trials: Mapping[str, Sequence[Trial]],
    judgements: Iterable[Judgement],
) -> tuple[Budget, ...]:
    """The curve of the losses that were judged; folds count by their sums of row weights."""
    judged = {(one.fold, one.candidate.key): one.loss for one in judgements}
    names = [fold.name for fold in bench.plan.outer]
    weights = [float(bench.table.weights[fold.test].sum()) for fold in bench.plan.outer]
    found = []
    for budget, by_search in chosen.items():
        inner = [_best(trials[name][:budget]) for name in names]
        nested = [judged[name, by_search[name].candidate.key] for name in names]
        means = (float(np.average(one, weights=weights)) for one in (inner, nested))
        found.append(Budget(budget, *means))
    return tuple(found)


def overtuning(points: Sequence[Budget]) -> tuple[float, float | None]:
    """Overtuning of the last choice, and relative overtuning; None where nothing was gained.

    >>> points = [Budget(1, 0.9, 1.0), Budget(5, 0.5, 0.8), Budget(20, 0.4, 0.85)]
    >>> [round(one, 2) for one in overtuning(points)]
    [0.05, 0.25]
    """
    nested = [point.nested for point in points]
    lost, most = nested[-1] - min(nested), nested[0] - min(nested)
    return lost, lost / most if most > 0 else None


def _best(trials: Sequence[Trial]) -> float:
    return min(trial.loss for trial in trials if trial.is_valid)
