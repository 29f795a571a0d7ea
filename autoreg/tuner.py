"""What to try next: a pure function of the search's history and a seed.

The sampler and its study are built anew at each ask, from the history and a seed made of
names. So a killed search continues to the same result, and nothing is hidden in an object.
The history lives in autoreg's own ledger; Optuna's storage is memory only.

Why few techniques are open in an ask: a box in which each of forty techniques is on with
probability 0.6 holds hardly anything but cocktails of twenty, whose parts fight each other; and no
sampler learns forty coordinates from forty trials. So an ask for a network opens those techniques
that one of the best trials has, and two others, rather those that did well. The sampler decides
within the open coordinates; everything else is off. Measured by ``benchmarks/sampler.py``.

Every sampler argument that Optuna does not deprecate is written out: its defaults move
between versions.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits

from autoreg.candidate import Candidate
from autoreg.space import Axis, Space
from autoreg.spec import seed_for

ATTEMPTS = 25
PARENTS = 4  # the best trial of so many may be the one whose techniques are open
NEWCOMERS = 2  # further techniques that an ask opens
MOST_MODELLED = 100  # trials of a search, up to which a Gaussian process is worth its asks

logging.getLogger("optuna").setLevel(logging.WARNING)
# Where a fit of its kernel fails it begins anew from its prior: nothing for a user to act on.
logging.getLogger("optuna._gp").setLevel(logging.ERROR)

History = Sequence[tuple[Candidate, float]]


@dataclass(frozen=True)
class Tuner:
    """Proposes candidates for one search; frozen, so it remembers nothing.

    >>> from autoreg.spec import read_space
    >>> space = Space.build(read_space("linear"), "regression")
    >>> Tuner(space, "auto", trials=9, seed=0, search="final").ask([]).label
    'ridge'
    """

    space: Space
    sampler: str
    trials: int
    seed: int
    search: str

    def ask(self, history: History, pending: Sequence[Candidate] = ()) -> Candidate | None:
        """The next candidate, path strength open, or None when the space is exhausted.

        The fixed design comes first, the same in every search. After it the sampler proposes;
        a setting that was tried already is answered from the history, so another is asked for,
        in the end at random, before the space counts as exhausted. ``pending`` candidates were
        asked after the last of the history; their losses are not known yet.
        """
        design = self.space.design()
        asked = [*(one for one, _ in history), *pending]
        if len(asked) < len(design):
            return design[len(asked)]
        tried = {one.key for one in asked}
        for family in self.turns(asked):
            for proposal in self._proposals(history, pending, family):
                if proposal.key not in tried:
                    return proposal
        return None

    def _proposals(
        self, history: History, pending: Sequence[Candidate], family: str
    ) -> Iterator[Candidate]:
        """What the sampler proposes, each time from another seed; in the end at random."""
        number = len(history) + len(pending)
        seeds = [
            seed_for(self.seed, "tuner", self.search, number, family, attempt)
            for attempt in range(2 * ATTEMPTS)
        ]
        own = [(one, loss) for one, loss in history if one.family == family]
        box = {axis.name: _distribution(axis) for axis in self.opened(own, family, seeds[0])}
        sampler = self.sampler_of(family)
        study = self._study(own, [one for one in pending if one.family == family], box)
        for attempt, seed in enumerate(seeds):
            study.sampler = _sampler(sampler if attempt < ATTEMPTS else "random", seed)
            with threadpool_limits(limits=1):  # its bits would depend on the count
                asked = study.ask(box)
            yield self.space.decode(family, self.space.blank(family) | asked.params)
            study.tell(asked, state=TrialState.FAIL)  # so that the next one does not see it

    def sampler_of(self, family: str) -> str:
        """The sampler of a family, the same from the first ask to the last.

        A Gaussian process learns most from few trials of networks, and costs the more the more
        there are. Linear trials walk whole paths and are cheaper than its asks; of factorizations
        it found worse ones.
        """
        if self.sampler != "auto":
            return self.sampler
        return "gp" if family == "network" and self.trials <= MOST_MODELLED else "tpe"

    def _study(
        self, own: History, pending: Sequence[Candidate], box: dict[str, BaseDistribution]
    ) -> optuna.Study:
        """A study that knows the trials of one family at the open coordinates."""
        study = optuna.create_study(direction="minimize")
        for one, loss in own:
            told = {"state": TrialState.COMPLETE, "value": float(loss)}
            study.add_trial(self._trial(one, box, **told))
        for one in pending:
            study.add_trial(self._trial(one, box, state=TrialState.RUNNING))
        return study

    def _trial(self, one: Candidate, box: dict[str, BaseDistribution], **told: Any) -> FrozenTrial:
        point = self.space.encode(one)
        params = {name: point[name] for name in box}
        return optuna.create_trial(params=params, distributions=box, **told)

    def opened(self, own: History, family: str, seed: int) -> list[Axis]:
        """The coordinates that an ask may set, from the trials of the family so far.

        All of a linear family; of networks the architecture, the techniques that are on by
        default or hold alone, those of one of the best trials, and a few others.
        """
        optional = self.space.optional(family)
        rng = np.random.default_rng(seed)
        order = sorted(range(len(own)), key=lambda k: own[k][1])
        parents = [own[k][0] for k in order[: max(1, len(own) // PARENTS)]]
        chosen = parents[rng.integers(len(parents))].techniques if parents else ()
        inherited = {one.key for one in chosen}
        others = [key for key in optional if key not in inherited]
        places = {key: len(own) for key in others}
        for place, k in reversed(list(enumerate(order))):
            places |= {one.key: place for one in own[k][0].techniques if one.key in places}
        worth = np.array([1.0 / (1 + places[key]) for key in others])
        if len(others) > NEWCOMERS:
            drawn = rng.choice(len(others), NEWCOMERS, replace=False, p=worth / worth.sum())
            others = [others[k] for k in drawn]
        closed = set(optional) - inherited - set(others)
        axes = self.space.axes(family)
        return [axis for axis in axes if axis.name.partition(".")[0] not in closed]

    def turns(self, asked: Sequence[Candidate]) -> list[str]:
        """The families in the order in which they are asked; the next only if one is exhausted.

        First comes what a least share demands, then what is furthest behind: after the design,
        families get trials in proportion to the coordinates of their boxes. Why not by the
        sampler: a linear family of two coordinates is soon searched out, yet as long as it is
        ahead a sampler asks for it again and again.
        """
        counts = Counter(one.family for one in asked)
        owed = {
            family: max(0, math.ceil(share * self.trials) - counts[family])
            for family, share in self.space.shares.items()
        }
        must = sum(owed.values()) >= self.trials - len(asked)
        later = Counter(one.family for one in asked[len(self.space.design()) :])
        sizes = {family: max(1, len(self.space.axes(family))) for family in self.space.families}
        return sorted(
            self.space.families,
            key=lambda family: (-owed[family] if must else 0, (later[family] + 1) / sizes[family]),
        )


def _distribution(axis: Axis) -> BaseDistribution:
    if axis.categories:
        return CategoricalDistribution(axis.categories)
    return FloatDistribution(0.0, 1.0)


def _sampler(name: str, seed: int) -> BaseSampler:
    if name == "gp":
        return GPSampler(
            seed=seed,
            independent_sampler=RandomSampler(seed=seed),
            n_startup_trials=0,
            deterministic_objective=False,
            warn_independent_sampling=False,
        )
    if name == "tpe":
        return TPESampler(
            n_startup_trials=0,
            n_ei_candidates=24,
            seed=seed,
            multivariate=True,
            group=False,
            constant_liar=False,
        )
    return RandomSampler(seed=seed)
