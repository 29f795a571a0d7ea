"""What to try next: a pure function of the search's history and a seed.

The sampler and its study are built anew at each ask, from the history and a seed made of
names. So a killed search continues to the same result, and nothing is hidden in an object.
The history lives in autoreg's own ledger; Optuna's storage is memory only.

Every sampler argument that Optuna does not deprecate is written out: its defaults move
between versions.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from autoreg.candidate import Candidate
from autoreg.space import Axis, Space
from autoreg.spec import seed_for

ATTEMPTS = 25

logging.getLogger("optuna").setLevel(logging.WARNING)

History = Sequence[tuple[Candidate, float]]


@dataclass(frozen=True)
class Tuner:
    """Proposes candidates for one search; frozen, so it remembers nothing.

    >>> from autoreg.spec import read_space
    >>> space = Space.build(read_space("linear"), "regression")
    >>> Tuner(space, "tpe", trials=9, seed=0, search="final").ask([]).label
    'none'
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
            for attempt in range(2 * ATTEMPTS):
                sampler = self.sampler if attempt < ATTEMPTS else "random"
                seed = seed_for(self.seed, "tuner", self.search, len(asked), family, attempt)
                proposal = self._propose(history, family, sampler, seed)
                if proposal.key not in tried:
                    return proposal
        return None

    def _propose(self, history: History, family: str, sampler: str, seed: int) -> Candidate:
        study = optuna.create_study(direction="minimize", sampler=_sampler(sampler, seed))
        box = {axis.name: _distribution(axis) for axis in self.space.axes(family)}
        for one, loss in history:
            if one.family == family:
                point = self.space.encode(one)
                study.add_trial(
                    optuna.create_trial(params=point, distributions=box, value=float(loss))
                )
        return self.space.decode(family, study.ask(box).params)

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
        sizes = {family: len(self.space.axes(family)) for family in self.space.families}
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
