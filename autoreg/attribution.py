"""What each ingredient of the winner is worth: it is left out, others are added, pairs are undone.

The winner and its variants are fitted once more, side by side over the outer folds, by the rules
of the search; a network's variants share their stacks with it. A gain is a paired difference:
what the loss is without the ingredient, less what it is with it, so above 0 it helps. That of a
pair is an interaction: what the one gains beside the other, less what it gains alone.

Why descriptive: the winner was chosen by rows that these folds judge it on, so its ingredients
look a little better than they are and what it lacks a little worse. And of many intervals of 90 %
one in ten misses by chance.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from autoreg.candidate import Candidate, candidate
from autoreg.data.dataset import Floats
from autoreg.disk import write_whole
from autoreg.engines.base import Failure, Job, Outcome
from autoreg.progress import Progress
from autoreg.resampling import corrected_p
from autoreg.scoring import Bench, job_for
from autoreg.spec import seed_for
from autoreg.statistics import Interval, nadeau_bengio

FORMAT = 1
FILE_NAME = "attribution.json"
TIED = ("configuration", "data", "splits")  # what a study must agree with to be covered
PAIRED = 6  # ingredients whose pairs are looked at: those that gain or cost most

Kind = Literal["left_out", "added", "pair"]


@dataclass(frozen=True)
class Effect:
    """What techniques gain in the winner, in loss: above 0 they help.

    ``left_out`` are ingredients of the winner, one of them or all together; ``added`` is one that
    the space offers and the winner lacks, at its default; of a ``pair`` of ingredients the gain
    is their interaction. ``folds`` are the fold-wise gains (K,), empty where a fit failed, for the
    reason given.
    """

    kind: Kind
    techniques: tuple[str, ...]
    gain: Interval | None = None
    p_value: float | None = None
    folds: tuple[float, ...] = ()
    failure: str = ""

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the gain excludes 0."""
        return self.gain is not None and self.gain.excludes_zero

    def to_data(self) -> dict[str, Any]:
        """The effect as plain data."""
        gain = self.gain.to_data() if self.gain else None
        lists = {"techniques": list(self.techniques), "folds": list(self.folds)}
        return {**vars(self), **lists, "gain": gain}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Effect:
        """The inverse of :meth:`to_data`."""
        gain = Interval.from_data(data["gain"]) if data["gain"] else None
        tuples = {name: tuple(data[name]) for name in ("techniques", "folds")}
        return cls(**{**data, **tuples, "gain": gain})


@dataclass(frozen=True)
class Attribution:
    """The effects of a winner's ingredients; ``losses`` (K,) are its own on the folds.

    Each fit was made ``repeats`` times from other random numbers, and a loss is their mean.
    ``header`` holds the digests of the study that it is about.
    """

    winner: Candidate
    losses: tuple[float, ...]
    effects: tuple[Effect, ...]
    repeats: int
    header: Mapping[str, Any]

    def of(self, kind: Kind) -> tuple[Effect, ...]:
        """The effects of a kind, the largest gain first, those without one last."""
        own = [one for one in self.effects if one.kind == kind]
        return tuple(sorted(own, key=lambda one: -one.gain.value if one.gain else np.inf))

    def covers(self, header: Mapping[str, Any], winner: Candidate) -> bool:
        """Whether it is about that winner of the study with that header."""
        same = all(self.header.get(name) == header[name] for name in TIED)
        return same and self.winner == winner

    def to_data(self) -> dict[str, Any]:
        """The attribution as plain data."""
        return {
            "format": FORMAT,
            "winner": self.winner.to_data(),
            "losses": list(self.losses),
            "effects": [one.to_data() for one in self.effects],
            "repeats": self.repeats,
            "header": dict(self.header),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Attribution:
        """The inverse of :meth:`to_data`."""
        return cls(
            Candidate.from_data(data["winner"]),
            tuple(data["losses"]),
            tuple(Effect.from_data(one) for one in data["effects"]),
            data["repeats"],
            data["header"],
        )


# ---- variants --------------------------------------------------------------------------------


def without(winner: Candidate, *keys: str) -> Candidate:
    """The winner with some of its techniques left out.

    >>> from autoreg.techniques import technique
    >>> both = [technique("ema")(pace=0.01), technique("swa")(start=0.5)]
    >>> without(candidate("network", both, {}), "ema").label
    'swa'
    """
    kept = [one for one in winner.techniques if one.key not in keys]
    return candidate(winner.family, kept, dict(winner.architecture))


def extended(bench: Bench, winner: Candidate) -> dict[str, Candidate]:
    """The winner with one more technique, for each that the space offers: by its key.

    Empty for linear models, which carry one technique.
    """
    if winner.family == "linear":
        return {}
    has = {one.key for one in winner.techniques} | {"none"}
    offers = [one for one in bench.space.families[winner.family] if one.kind.key not in has]
    shape = dict(winner.architecture)
    own = [one for one in winner.techniques if one.key != "none"]
    return {one.kind.key: candidate(winner.family, [*own, one.default()], shape) for one in offers}


# ---- effects ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Folds:
    """Fits variants over the outer folds and remembers their losses, or why there are none."""

    bench: Bench
    repeats: int
    known: dict[str, Floats | str]

    def fit(self, variants: Sequence[Candidate], listener: Progress) -> None:
        """Fit all variants that are not known yet, in one call of the engine."""
        bench, folds = self.bench, self.bench.plan.outer
        new = list({one.key: one for one in variants if one.key not in self.known}.values())
        jobs = [job for one in new for job in self._jobs(one)]
        if not jobs:
            return
        listener.begin("ingredients", len(jobs))
        outcomes = bench.engine.run(
            jobs, bench.table, cells=bench.plan.cells, workers=bench.workers,
            on_done=listener.advance,
        )  # fmt: skip
        listener.end()
        size = len(folds) * self.repeats
        for position, one in enumerate(new):
            own = outcomes[position * size : (position + 1) * size]
            self.known[one.key] = _losses(own, len(folds))

    def _jobs(self, one: Candidate) -> Iterator[Job]:
        for draw in range(self.repeats):
            for fold in self.bench.plan.outer:
                job = job_for(self.bench, one, fold)
                seed = seed_for(job.seed, "ablation", draw) if draw else job.seed
                yield replace(job, seed=seed)

    def gain(self, kind: Kind, keys: Sequence[str], signs: Mapping[str, int]) -> Effect:
        """The effect of techniques: a sum of variants' losses, by candidate key and sign."""
        found = {key: self.known[key] for key in signs}
        failure = next((one for one in found.values() if isinstance(one, str)), "")
        if failure:
            return Effect(kind, tuple(keys), failure=failure)
        gains = np.sum([sign * np.asarray(found[key]) for key, sign in signs.items()], axis=0)
        bench = self.bench
        weights = np.array([bench.table.weights[fold.test].sum() for fold in bench.plan.outer])
        share = judged_share(bench)
        interval = nadeau_bengio(gains, share, weights=weights)
        return Effect(kind, tuple(keys), interval, corrected_p(gains, share), tuple(gains.tolist()))


def judged_share(bench: Bench) -> float:
    """Rows (or groups) that judge by those that train, mean over the outer folds."""
    units = bench.table.units
    return float(np.mean([units(fold.test) / units(fold.train) for fold in bench.plan.outer]))


def _losses(outcomes: Sequence[Outcome], folds: int) -> Floats | str:
    """The mean loss of each fold (K,) over the draws; the reason where a fit failed."""
    failed = [one for one in outcomes if isinstance(one, Failure)]
    if failed:
        return f"{len(failed)} of {len(outcomes)} fits failed: {failed[0].reason}"
    losses = [one.losses[0] for one in outcomes if not isinstance(one, Failure)]
    return np.asarray(np.reshape(losses, (-1, folds)).mean(axis=0))


def attributed(
    bench: Bench,
    winner: Candidate,
    header: Mapping[str, Any],
    listener: Progress,
    repeats: int = 1,
) -> Attribution | None:
    """What the ingredients of a winner are worth; None where it cannot be fitted once more."""
    folds = _Folds(bench, repeats, {})
    own = [one.key for one in winner.techniques if one.key != "none"]
    less: dict[tuple[str, ...], Candidate] = {(key,): without(winner, key) for key in own}
    if len(own) > 1:
        less[tuple(own)] = without(winner, *own)
    more = extended(bench, winner)
    folds.fit([winner, *less.values(), *more.values()], listener)
    losses = folds.known[winner.key]
    if isinstance(losses, str):
        return None
    effects = [
        folds.gain("left_out", keys, {one.key: 1, winner.key: -1}) for keys, one in less.items()
    ]
    effects += [
        folds.gain("added", (key,), {winner.key: 1, one.key: -1}) for key, one in more.items()
    ]
    effects += _interactions(folds, winner, _weightiest(effects), listener)
    tied = {name: header[name] for name in TIED}
    return Attribution(winner, tuple(losses.tolist()), tuple(effects), repeats, tied)


def _weightiest(effects: Sequence[Effect]) -> list[str]:
    """The ingredients that gain or cost most when left out alone."""
    sizes = {
        one.techniques[0]: abs(one.gain.value)
        for one in effects
        if one.kind == "left_out" and len(one.techniques) == 1 and one.gain
    }
    return sorted(sorted(sizes, key=lambda key: (-sizes[key], key))[:PAIRED])


def _interactions(
    folds: _Folds, winner: Candidate, keys: Sequence[str], listener: Progress
) -> list[Effect]:
    pairs = {pair: without(winner, *pair) for pair in combinations(keys, 2)}
    folds.fit(list(pairs.values()), listener)
    return [
        folds.gain(
            "pair",
            pair,
            {without(winner, a).key: 1, without(winner, b).key: 1, winner.key: -1, one.key: -1},
        )
        for pair, one in pairs.items()
        for a, b in [pair]
    ]


# ---- on disk ---------------------------------------------------------------------------------


def write_attribution(one: Attribution, folder: Path) -> Path:
    """Write an attribution into the folder of a study, whole or not at all."""
    return write_whole(folder / FILE_NAME, json.dumps(one.to_data(), indent=2))


def read_attribution(
    folder: Path, header: Mapping[str, Any], winner: Candidate
) -> Attribution | None:
    """The attribution of a study's winner; None where there is none, or one of another state."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        one = Attribution.from_data(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError):
        return None  # damaged, or changed by hand: it is made again
    return one if one.covers(header, winner) else None


def kept_or_made(
    bench: Bench,
    winner: Candidate,
    folder: Path,
    header: Mapping[str, Any],
    listener: Progress,
) -> Attribution | None:
    """The attribution that lies in the folder; else a new one where techniques are combined."""
    known = read_attribution(folder, header, winner)
    if known or winner.family == "linear" or winner.is_own or not bench.spec.attribution:
        return known
    found = attributed(bench, winner, header, listener)
    if found:
        write_attribution(found, folder)
    return found
