"""From a search's trials to ONE selection, by a named rule; the guard against the incumbent.

Only the ledger is read: no data, no outer fold, no held-out row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoreg.candidate import Candidate
from autoreg.data.dataset import Floats
from autoreg.deciding import SelectSpec
from autoreg.errors import NoValidTrialError
from autoreg.statistics import Interval, nadeau_bengio, standard_error
from autoreg.trial import Trial


@dataclass(frozen=True)
class Contender:
    """The inner-best candidate of one technique set in one search."""

    candidate: Candidate
    loss: float
    trial: int
    steps: int

    def to_data(self) -> dict[str, Any]:
        """The contender as plain data."""
        return {**vars(self), "candidate": self.candidate.to_data()}


@dataclass(frozen=True)
class Selection:
    """What one search chose, and how it compares with the incumbent.

    ``chosen`` is the decision. ``best`` is the lowest inner loss, from which a rule or the guard
    may have moved away. ``contenders`` holds the inner-best of every technique set tried,
    lowest loss first. ``incumbent`` is the default recipe's inner-best and ``difference`` the
    paired inner-fold loss difference incumbent - rule's choice (positive: the choice is better);
    both None where there is nothing to compare. ``lead`` is the same difference of the runner-up.
    ``note`` says in words what rule and guard did. ``source`` is the search whose trials it is
    about, where it was not made by a search of its own.
    """

    search: str
    rule: str
    chosen: Contender
    best: Contender
    contenders: tuple[Contender, ...]
    incumbent: Contender | None
    difference: Interval | None
    lead: Interval | None
    note: str
    source: str = ""

    @property
    def runner_up(self) -> Contender | None:
        """The best contender with another technique set than the chosen one."""
        mine = self.chosen.candidate.technique_set
        others = (one for one in self.contenders if one.candidate.technique_set != mine)
        return next(others, None)

    def digest(self, rows: str) -> str:
        """A hash of the decision and of the development rows that it was made on."""
        text = json.dumps([self.chosen.candidate.key, self.chosen.steps, rows])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def to_data(self) -> dict[str, Any]:
        """The selection as plain data."""
        return {
            "search": self.search,
            "rule": self.rule,
            "chosen": self.chosen.to_data(),
            "best": self.best.to_data(),
            "contenders": [one.to_data() for one in self.contenders],
            "incumbent": self.incumbent.to_data() if self.incumbent else None,
            "difference": self.difference.to_data() if self.difference else None,
            "lead": self.lead.to_data() if self.lead else None,
            "note": self.note,
            "source": self.source,
        }


@dataclass(frozen=True, eq=False)
class _Option:
    """One candidate of the ledger: a trial at one strength of its path, losses smoothed.

    ``cost`` and ``folds`` (F,) are what it is chosen by: its loss, or the metric of the study.
    """

    trial: Trial
    position: int
    candidate: Candidate
    loss: float
    cost: float
    folds: Floats

    @property
    def order(self) -> tuple[float, bool, int]:
        """Lowest cost first; among equals ``none`` never wins, then the simpler one does."""
        return self.cost, self.candidate.is_none, self.candidate.rank

    def contender(self) -> Contender:
        return Contender(self.candidate, self.loss, self.trial.number, self.trial.best_steps)


def select(trials: Sequence[Trial], rule: SelectSpec, incumbent: tuple[str, str]) -> Selection:
    """Choose one candidate from the trials of one search.

    Losses are means over the inner folds, smoothed along each path (:attr:`Trial.smoothed`);
    where the study chooses by a metric, its values take their place (:attr:`Trial.compared`).
    ``min`` takes the lowest. ``one_se`` moves, within the winner's technique set, to
    the componentwise strongest candidate whose paired difference to the best is at most one
    standard error. ``parsimonious`` may also move to the technique set of lowest rank within
    one such error, except to ``none``. Then the guard looks whether leaving the incumbent is
    justified.

    Raises NoValidTrialError where every trial failed.
    """
    options = [option for trial in trials if trial.is_valid for option in _options(trial)]
    if not options:
        reasons = dict.fromkeys(trial.failure for trial in trials if trial.failure)
        raise NoValidTrialError(
            f"all {len(trials)} trials failed, so there is nothing to select: "
            + "; ".join(str(reason) for reason in list(reasons)[:3])
        )
    best = min(options, key=lambda option: option.order)
    chosen, note = _by_rule(rule, best, options)
    contenders = _best_of_each_set(options)
    default = contenders.get(incumbent)
    difference = None
    if default is not None and chosen.candidate.technique_set != incumbent:
        difference = paired(default, chosen)
        chosen, remark = _guarded(rule.guard, chosen, default, difference)
        note = f"{note}; {remark}"
    mine = chosen.candidate.technique_set
    second = next((one for key, one in contenders.items() if key != mine), None)
    return Selection(
        trials[0].search,
        rule.rule,
        chosen.contender(),
        best.contender(),
        tuple(option.contender() for option in contenders.values()),
        default.contender() if default else None,
        difference,
        paired(second, chosen) if second else None,
        note,
    )


def paired(other: _Option, mine: _Option) -> Interval:
    """The paired inner-fold difference loss(other) - loss(mine), Nadeau-Bengio."""
    weights = mine.trial.weights
    rows = weights.sum() / mine.trial.repeats
    shares = weights / np.maximum(rows - weights, 1e-12)
    return nadeau_bengio(other.folds - mine.folds, float(shares.mean()), weights=weights)


def _options(trial: Trial) -> list[_Option]:
    shares = trial.weights / trial.weights.sum()
    return [
        _Option(trial, position, trial.candidate_at(position), float(loss), float(cost), folds)
        for position, (loss, cost, folds) in enumerate(
            zip(trial.means, trial.compared @ shares, trial.compared, strict=True)
        )
    ]


def _best_of_each_set(options: Iterable[_Option]) -> dict[tuple[str, str], _Option]:
    best: dict[tuple[str, str], _Option] = {}
    for option in sorted(options, key=lambda one: one.order):
        best.setdefault(option.candidate.technique_set, option)
    return best


def _by_rule(spec: SelectSpec, best: _Option, options: Sequence[_Option]) -> tuple[_Option, str]:
    rule = spec.rule
    lowest = f"the best mean inner {spec.metric}" if spec.metric else "the lowest mean inner loss"
    if rule == "min":
        return best, lowest
    near = [option for option in options if _within_one_error(option, best)]
    home = best.candidate.technique_set
    if rule == "parsimonious":
        # Within one error is a tie, and ``none`` never wins by a tie.
        simple = [option for option in near if not option.candidate.is_none] or near
        home = min(simple, key=lambda one: (one.candidate.rank, *one.order)).candidate.technique_set
    own = [option for option in near if option.candidate.technique_set == home]
    chosen = _strongest(min(own, key=lambda one: one.order), own)
    moved = lowest if chosen is best else "a move within one standard error"
    return chosen, f"{rule}: {moved}"


def _within_one_error(option: _Option, best: _Option) -> bool:
    """Whether the paired difference to the best is at most one standard error of it."""
    error = standard_error(option.folds - best.folds, best.trial.repeats)
    return option.cost - best.cost <= float(error)


def _strongest(start: _Option, options: Sequence[_Option]) -> _Option:
    """The strongest option that is at least as strong as the start in EVERY technique."""
    floor = start.candidate.strengths
    stronger = [
        option
        for option in options
        if all(option.candidate.strengths[key] >= low for key, low in floor.items())
    ]
    return max(stronger, key=lambda one: (sum(one.candidate.strengths.values()), -one.cost))


def _guarded(
    guard: str, chosen: _Option, incumbent: _Option, difference: Interval
) -> tuple[_Option, str]:
    name = incumbent.candidate.label
    if guard == "off":
        return chosen, "no guard"
    if difference.low > 0:
        return chosen, f"clearly better than the incumbent {name} on the inner folds"
    if guard == "strict":
        return incumbent, f"kept the incumbent {name}: nothing is clearly better"
    return chosen, f"not clearly better than the incumbent {name} on the inner folds"
