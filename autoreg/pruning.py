"""Which networks of a search give up early, and what that is told from.

Both rules compare a trial with earlier ones of the SAME search, those that the search knew when it
asked: never with its neighbours in a stack, nor with another search. What is pruned follows from
numbers that are in the ledger. An engine that ends a fit early saves time and changes nothing.

* Epochs: after some epochs (the rungs), all folds together, the mean loss on the stop-sets must be
  as good as the median of the earlier trials that came as far (``median``), or belong to the best
  third of them (``halving``: successive halving that waits for nobody, as in ASHA). A network
  without early stopping watches no stop-set, so it is not pruned by epochs.
* Folds: after 1, 2, 4, ... inner folds the mean loss must not be above that of the best earlier
  trial on its WORST fold (``forgiving``).

Why off by default: what learns slowly (a small learning rate, strong regularization, averaged
weights) is pruned for what it was and not for what it would have become.

Sources: Li et al. 2020, A system for massively parallel hyperparameter tuning, MLSys; Golovin et
al. 2017, Google Vizier, KDD (median rule); Bergman, Purucker & Hutter 2024, Don't waste your time:
early stopping cross-validation, AutoML (forgiving rule).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoreg.data.dataset import Floats
from autoreg.deciding import PruneSpec
from autoreg.trial import Pruned, Trial

LEAST = 5  # earlier trials that must have come as far before anything is pruned there
SHARES = {"median": (8, 4, 2), "halving": (9, 3)}  # rungs: the longest training by these
BETTER = {"median": 1 / 2, "halving": 1 / 3}  # the share of the earlier trials to belong to


def rungs(spec: PruneSpec, epochs: int) -> tuple[int, ...]:
    """After how many epochs networks are looked at, of a training that may take so many.

    >>> rungs(PruneSpec(epochs="halving"), 60), rungs(PruneSpec(), 60)
    ((7, 20), ())
    """
    return tuple(
        dict.fromkeys(max(1, round(epochs / part)) for part in SHARES.get(spec.epochs, ()))
    )


def heats(folds: int) -> list[range]:
    """Which folds are fitted together before a trial that is pruned by folds is looked at again.

    >>> heats(5)
    [range(0, 1), range(1, 2), range(2, 4), range(4, 5)]
    """
    ends = [2**k for k in range(folds) if 2**k < folds] + [folds]
    return [range(first, last) for first, last in zip([0, *ends], ends, strict=False)]


@dataclass(frozen=True, eq=False)
class Bar:
    """What a trial is measured by: what its search knew when it asked for it.

    ``known`` (T, R, F) are the losses of T earlier trials at R rungs in F folds, NaN where they
    did not come so far; ``worst`` is the best earlier trial's loss on its worst fold, ``typical``
    the median of what finished trials told the tuner.
    """

    epochs: tuple[int, ...]
    share: float
    known: Floats
    worst: float
    typical: float

    @classmethod
    def of(cls, spec: PruneSpec, epochs: int, past: Sequence[Trial]) -> Bar | None:
        """The bar after some trials; None where nothing is pruned, or nothing finished yet."""
        finished = [trial for trial in past if trial.is_valid]
        if not spec.is_on or not finished:
            return None
        best = min(finished, key=lambda trial: trial.loss)
        steps, share = rungs(spec, epochs), BETTER.get(spec.epochs, 1.0)
        came = [trial.rungs for trial in past if trial.rungs.size]
        known = np.array(came) if came else np.empty((0, len(steps), len(best.weights)))
        worst = float(best.smoothed[best.best].max()) if spec.folds != "off" else np.inf
        typical = float(np.median([trial.told for trial in finished]))
        return cls(steps, share, known, worst, typical)

    def limits(self, folds: range, weights: Floats) -> Floats:
        """The mean losses (R,) over some folds that a trial must reach; inf where too few did."""
        means = _means(self.known[:, :, folds.start : folds.stop], weights)
        found = np.full(len(self.epochs), np.inf)
        for rung, column in enumerate(means.T):
            reached = column[~np.isnan(column)]
            if len(reached) >= LEAST:
                found[rung] = np.quantile(reached, self.share)
        return found

    def lost_epochs(self, losses: Floats, folds: range, weights: Floats) -> Pruned | None:
        """Whether some folds, at rungs with losses (R, F'), fall behind at one of them."""
        limits = self.limits(folds, weights)
        means = _means(losses[None], weights)[0]
        behind = np.flatnonzero(means > limits)  # NaN, for a fold that did not come so far, is not
        if not len(behind):
            return None
        rung = int(behind[0])
        loss, limit = float(means[rung]), float(limits[rung])
        return Pruned("epochs", self.epochs[rung], loss, limit, max(loss, self.typical))

    def lost_folds(self, losses: Floats, weights: Floats) -> Pruned | None:
        """Whether the mean of the validation losses of the first folds (F',) is too high."""
        loss = float(np.average(losses, weights=weights))
        if loss <= self.worst:
            return None
        return Pruned("folds", len(losses), loss, self.worst, max(loss, self.typical))


class Heat:
    """The fits of a trial on some of its folds, which end together where they fall behind.

    Fits report in any order; whether the race is lost does not depend on it.
    """

    def __init__(self, bar: Bar, folds: range, weights: Floats) -> None:
        self._bar, self._folds, self._weights = bar, folds, weights
        self._losses = np.full((len(bar.epochs), len(folds)), np.nan)
        self._lost = False

    def lane(self, runner: int) -> Lane:
        """What one of the fits is given."""
        return Lane(self, runner)

    def report(self, runner: int, rung: int, loss: float) -> None:
        """Take note of the loss of one of the fits at one of the rungs."""
        self._losses[rung, runner] = loss
        known = ~np.isnan(self._losses[rung]).any()
        if known and not self._lost:
            pruned = self._bar.lost_epochs(self._losses, self._folds, self._weights)
            self._lost = pruned is not None

    @property
    def is_lost(self) -> bool:
        """Whether none of the fits is needed any more."""
        return self._lost


@dataclass(frozen=True)
class Lane:
    """One of the fits of a heat."""

    heat: Heat
    runner: int

    def report(self, rung: int, loss: float) -> None:
        """Take note of the loss of this fit at one of the rungs."""
        self.heat.report(self.runner, rung, loss)

    @property
    def is_lost(self) -> bool:
        """Whether the fit is not needed any more."""
        return self.heat.is_lost


def _means(losses: Floats, weights: Floats) -> Floats:
    """Weighted means (T, R) over folds of losses (T, R, F); NaN where a fold is unknown."""
    return np.asarray(losses @ (weights / weights.sum()))
