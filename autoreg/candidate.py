"""A candidate: the full setting of a model, which searches try and selections choose."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autoreg.spec import MODULE
from autoreg.techniques import technique
from autoreg.techniques.base import Choice, Dial, Range, Technique, Value

FAMILY_RANK = {"linear": 0, "factorization": 5, "network": 10, MODULE: 10}
OWN_RANK = 10  # of a user's own estimator
FAMILY_TASKS = {"factorization": ("regression",)}  # of the families that do not know them all
SCHEDULES = ("constant", "cosine", "flat_cos")
EMBEDDINGS = ("none", "piecewise", "periodic")
CATEGORIES = ("indicators", "vectors")
CONVOLUTIONS = ("none", "one", "two")
LEARNING_RATE = Range("learning_rate", 1e-4, 1e-1, 3e-3, log=True, about="of AdamW")
# Always searched.
SHAPE: tuple[Dial, ...] = (
    Range("width", 8, 512, 64, log=True, integer=True, structural=True, about="hidden units"),
    Range("depth", 1, 4, 2, integer=True, structural=True, about="hidden layers"),
    LEARNING_RATE,
)
# Searched where a space names them; otherwise at their default.
REFINEMENTS: tuple[Dial, ...] = (
    Choice("schedule", SCHEDULES, "constant", about="how the learning rate changes over time"),
    Choice("embedding", EMBEDDINGS, "none", structural=True, about="of numeric inputs, as vectors"),
    Choice("categories", CATEGORIES, "indicators", structural=True, about="or learned vectors"),
    Choice(
        "convolution", CONVOLUTIONS, "none", structural=True, about="layers of filters in front"
    ),
    Range(
        "training_length",
        0.25,
        4.0,
        1.0,
        log=True,
        stronger="down",
        about="of the longest training, in those of the study",
    ),
)
# Which trait a table must have for a refinement to mean anything.
NEEDED = {"embedding": "measured", "categories": "grouped", "convolution": "pictured"}
ARCHITECTURE = SHAPE + REFINEMENTS
RATING: tuple[Dial, ...] = (
    Choice(
        "factors",
        (0, 1, 2, 4, 8, 16, 32),
        4,
        structural=True,
        about="numbers that describe the taste of a user, and an item; 0: levels alone",
    ),
)
# The dials of each family beside its techniques; what a user's own declares joins them.
ARCHITECTURES: dict[str, tuple[Dial, ...]] = {
    "linear": (),
    "factorization": RATING,
    "network": ARCHITECTURE,
    MODULE: (LEARNING_RATE,),
}


@dataclass(frozen=True)
class Candidate:
    """A full setting: family, active techniques, architecture.

    Of a user's own families the architecture are the dials that the user declared.

    A linear candidate whose path strength is open stands for the whole path; :meth:`at` closes
    it. Candidates of other families have no path.

    >>> candidate = Candidate("linear", (technique("lasso")(),))
    >>> candidate.path.name, candidate.at(0.5).key
    ('strength', '{"family":"linear","techniques":{"lasso":{"strength":0.5}}}')
    """

    family: str
    techniques: tuple[Technique, ...]
    architecture: tuple[tuple[str, Value], ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether it is of a user's own estimator: such a family carries no techniques."""
        return self.family not in FAMILY_RANK

    @property
    def label(self) -> str:
        """The technique set: sorted keys joined by ``+``; of an own estimator the family."""
        if self.is_own:
            return self.family
        return "+".join(sorted(chosen.key for chosen in self.techniques)) or "none"

    @property
    def technique_set(self) -> tuple[str, str]:
        """Family and label: what two candidates share that differ in strengths only."""
        return self.family, self.label

    @property
    def is_none(self) -> bool:
        """Whether nothing regularizes this candidate."""
        return self.label == "none"

    @property
    def path(self) -> Range | None:
        """The open strength dial that a solver walks, if there is one."""
        for chosen in self.techniques:
            for dial in chosen.dials:
                if isinstance(dial, Range) and dial.path and dial.name not in chosen.values:
                    return dial
        return None

    def at(self, strength: float) -> Candidate:
        """The candidate at one strength of its path."""
        dial = self.path
        if dial is None:
            return self
        closed = tuple(
            type(chosen)(**{dial.name: strength}, **chosen.values)
            if any(own == dial for own in chosen.dials)
            else chosen
            for chosen in self.techniques
        )
        return Candidate(self.family, closed, self.architecture)

    @property
    def strengths(self) -> dict[str, float]:
        """How strong each technique's first dial is set, in [0, 1]."""
        return {
            chosen.key: lead.strength(chosen.values[lead.name])
            for chosen in self.techniques
            for lead in chosen.dials[:1]
            if lead.name in chosen.values
        }

    @property
    def chosen_strengths(self) -> tuple[float, ...]:
        """The values of path dials that are closed."""
        return tuple(
            float(chosen.values[dial.name])
            for chosen in self.techniques
            for dial in chosen.dials
            if dial.path and dial.name in chosen.values
        )

    @property
    def lead_strength(self) -> float:
        """The strength, in [0, 1], of the technique that leads the set; 0 for ``none``."""
        order = sorted(self.techniques, key=lambda chosen: (chosen.on_by_default, chosen.key))
        strengths = self.strengths
        return next((strengths[t.key] for t in order if t.key in strengths), 0.0)

    @property
    def training_length(self) -> float:
        """How long its training may take, in the longest trainings of the study."""
        return float(dict(self.architecture).get("training_length", 1.0))

    @property
    def rank(self) -> int:
        """How complicated the candidate is: family rank plus the ranks of its techniques."""
        return FAMILY_RANK.get(self.family, OWN_RANK) + sum(
            chosen.rank for chosen in self.techniques
        )

    def to_data(self) -> dict[str, Any]:
        """The candidate as plain data."""
        data: dict[str, Any] = {
            "family": self.family,
            "techniques": {t.key: t.values for t in self.techniques if t.key != "none"},
        }
        return data | ({"architecture": dict(self.architecture)} if self.architecture else {})

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Candidate:
        """The inverse of :meth:`to_data`."""
        chosen = {key: technique(key)(**dials) for key, dials in data["techniques"].items()}
        return candidate(data["family"], chosen.values(), data.get("architecture", {}))

    @cached_property
    def key(self) -> str:
        """One text per candidate, equal exactly for equal candidates; seeds are made from it."""
        return json.dumps(self.to_data(), separators=(",", ":"), sort_keys=True)

    def describe(self) -> str:
        """The candidate in words, for people."""
        parts = (
            [self.family]
            if self.is_own
            else [
                f"{t.key} ({', '.join(f'{k} {_short(v)}' for k, v in t.values.items())})"
                if t.values
                else t.key
                for t in self.techniques
            ]
        )
        shape = ", ".join(f"{name} {_short(value)}" for name, value in self.architecture)
        return " + ".join(parts) + (f" [{shape}]" if shape else "")


def candidate(
    family: str, techniques: Iterable[Technique], architecture: Mapping[str, Value]
) -> Candidate:
    """A candidate in normal form: techniques sorted, ``none`` where there is no other."""
    chosen = sorted(techniques, key=lambda one: one.key) or [technique("none")()]
    ours = [dial.name for dial in ARCHITECTURES.get(family, ()) if dial.name in architecture]
    own = sorted(set(architecture) - set(ours))
    ordered = tuple((name, architecture[name]) for name in (*ours, *own))
    return Candidate(family, tuple(chosen), ordered)


def _short(value: Value) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isinf(value):
        return str(value)
    return f"{value:.3g}"
