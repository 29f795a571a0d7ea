"""From a space file and the techniques to candidates: what may be tried, encoded and counted.

Each family has a flat box of its own, which is what the tuner sees:

* linear: the technique is a category, its few dials are coordinates; path strengths are none,
  for a linear trial stands for its whole path;
* network, factorization: each technique is ONE coordinate u in [0, 1]: below 0.4 it is off, the
  rest maps to the range of its first dial; its other dials are coordinates of their own, pinned to
  the middle while it is off; the architecture dials stand beside them;
* a user's own family: the same, its architecture being the dials that the user declared. An own
  estimator carries no technique.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from typing import Any

from autoreg.candidate import ARCHITECTURES, Candidate, candidate
from autoreg.errors import SpaceError
from autoreg.offers import (
    OFF_BELOW,
    Offer,
    architecture_of,
    incumbent_of,
    offers_of,
    own_architecture,
    own_offers,
    spread,
    switched_on,
    unfit,
    unfit_family,
)
from autoreg.own_spec import OwnSpec
from autoreg.spec import FAMILY_NAMES, MODULE, FamilySpec, LinearSpec, SpaceSpec
from autoreg.techniques.base import Dial, Technique, Value

MARGIN = 0.15  # of an architecture dial's range: the design keeps away from its ends
MOST_SHAPES = 4  # of an own estimator in the design, beside the one that was handed over


@dataclass(frozen=True)
class Axis:
    """One coordinate of the box: categories, or the unit interval."""

    name: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Space:
    """What a study may try, for one task.

    >>> from autoreg.spec import read_space
    >>> space = Space.build(read_space("linear"), "binary")
    >>> all(space.decode(one.family, space.encode(one)) == one for one in space.design())
    True
    """

    name: str
    families: Mapping[str, tuple[Offer, ...]]
    shares: Mapping[str, float]
    architectures: Mapping[str, tuple[Dial, ...]]
    incumbent: tuple[str, str]
    path_points: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    _paths: dict[str, tuple[float, ...]] = field(default_factory=dict, repr=False, compare=False)
    first: tuple[Candidate, ...] = ()

    @classmethod
    def build(
        cls,
        spec: SpaceSpec,
        task: str,
        linear: LinearSpec | None = None,
        *,
        grouped: bool = True,
        symmetric: bool = True,
        pictured: bool = True,
        measured: bool = True,
        rated: bool = True,
        first: Sequence[Mapping[str, Any]] = (),
        own: Mapping[str, OwnSpec] | None = None,
    ) -> Space:
        """Check the meaning of a space file and narrow the techniques' ranges by it.

        Techniques that do not apply to the task, or cannot obey what ``linear`` asks for, are left
        out; so is what needs a trait that the table has not (:attr:`Dataset.traits`): feature
        groups, symmetries, users and items. ``left_out`` says why. Refinements of the architecture
        stay at their default then. ``own`` families of the user join those of the file. ``first``
        are settings to begin with, as plain data; those that the space does not offer are left out.
        Raises SpaceError naming the space, family, technique and remedy.
        """
        place, joined = f"search space {spec.space}", own or {}
        named: dict[str, FamilySpec] = {family: part for family, part in spec.families.items()}
        reasons = {family: unfit_family(family, task, rated) for family in named}
        left_out = {family: why for family, why in reasons.items() if why}
        parts = {family: part for family, part in named.items() if not reasons[family]}
        if not (parts or joined):
            told = "; ".join(f"{family}: {why}" for family, why in left_out.items())
            raise SpaceError(f"{place}: no family of models is left ({told})")
        shares = _shares(place, {**named, **joined})
        offers: dict[str, tuple[Offer, ...]] = {
            **{family: offers_of(place, family, part) for family, part in parts.items()},
            **{name: own_offers(name, part) for name, part in joined.items()},
        }
        known = linear or LinearSpec(), grouped, symmetric
        every = {offer: unfit(offer, task, *known) for some in offers.values() for offer in some}
        families = {
            family: tuple(one for one in some if not every[one]) for family, some in offers.items()
        }
        traits = {"grouped": grouped, "pictured": pictured, "measured": measured}
        architectures = {
            **{name: architecture_of(place, name, part, traits) for name, part in parts.items()},
            **{name: own_architecture(name, part) for name, part in joined.items()},
        }
        made = cls(
            spec.space,
            families,
            {family: shares[family] for family in families},
            architectures,
            incumbent_of(place, spec.incumbent, families, left_out),
            spec.path_points,
            left_out | {offer.kind.key: why for offer, why in every.items() if why},
        )
        return replace(made, first=tuple(made._offered(first)))

    @property
    def has_epochs(self) -> bool:
        """Whether some family is trained epoch by epoch."""
        return not {"factorization", "network", MODULE}.isdisjoint(self.families)

    def _offered(self, settings: Sequence[Mapping[str, Any]]) -> Iterator[Candidate]:
        """Those of some settings that this space can try."""
        for one in settings:
            offers = {o.kind.key: o for o in self.families.get(one["family"], ())}
            chosen = one["techniques"]
            known = set(chosen) <= set(offers) and all(
                {dial.name for dial in offers[key].sampled} == set(dials)
                and all(dial.contains(dials[dial.name]) for dial in offers[key].sampled)
                for key, dials in chosen.items()
            )
            shape = self._refined(one["family"], one.get("architecture", {}))
            if offers and known and shape is not None:
                yield Candidate.from_data({**one, "architecture": shape})

    def _refined(self, family: str, told: Mapping[str, Any]) -> dict[str, Value] | None:
        """The architecture of a setting that may stem from a table with other traits.

        Refinements that only one of the two tables can have are left out, or at their default.
        """
        wanted = {dial.name: dial for dial in self.architectures.get(family, ())}
        if not set(told) <= {*wanted, *(dial.name for dial in ARCHITECTURES.get(family, ()))}:
            return None
        shape = {name: told.get(name, dial.default) for name, dial in wanted.items()}
        return shape if all(dial.contains(shape[name]) for name, dial in wanted.items()) else None

    # ---- the box ------------------------------------------------------------------------------

    def axes(self, family: str) -> tuple[Axis, ...]:
        """The coordinates of a family's box, in a fixed order."""
        if family == "linear":
            offers = self.families[family]
            dials = [Axis(f"{one.kind.key}.{dial.name}") for one in offers for dial in one.sampled]
            return (Axis("technique", tuple(one.kind.key for one in offers)), *dials)
        axes = []
        for offer in self._switches(family):
            axes.append(Axis(offer.kind.key))
            axes += [Axis(f"{offer.kind.key}.{dial.name}") for dial in offer.dials[1:]]
        return (*axes, *(Axis(f"{family}.{dial.name}") for dial in self.architectures[family]))

    def _switches(self, family: str) -> list[Offer]:
        """The techniques that are a coordinate each; of a linear family there are none."""
        offers = () if family == "linear" else self.families[family]
        return [one for one in offers if one.kind.key != "none"]

    def optional(self, family: str) -> list[str]:
        """The techniques that an ask may leave out of sight; none of a linear family."""
        kinds = [one.kind for one in self._switches(family)]
        return [one.key for one in kinds if not (one.on_by_default or one.holds_alone)]

    def blank(self, family: str) -> dict[str, float | str]:
        """A point of a family's box at which no technique is on, where several can be."""
        point: dict[str, float | str] = {axis.name: 0.5 for axis in self.axes(family)}
        return point | {offer.kind.key: OFF_BELOW / 2 for offer in self._switches(family)}

    def decode(self, family: str, point: Mapping[str, float | str]) -> Candidate:
        """The candidate at a point of a family's box."""
        if family == "linear":
            key = point["technique"]
            offer = next(one for one in self.families[family] if one.kind.key == key)
            dials = {d.name: d.at(float(point[f"{key}.{d.name}"])) for d in offer.sampled}
            return candidate(family, [offer.kind(**dials)] if key != "none" else [], {})
        shapes = self.architectures[family]
        shape = {d.name: d.at(float(point[f"{family}.{d.name}"])) for d in shapes}
        chosen = [
            switched_on(offer, point)
            for offer in self._switches(family)
            if float(point[offer.kind.key]) >= OFF_BELOW
        ]
        return candidate(family, chosen, shape)

    def encode(self, one: Candidate) -> dict[str, float | str]:
        """The point of a candidate in its family's box; what does not matter is pinned."""
        family, shape = one.family, dict(one.architecture)
        point = self.blank(family)
        if family == "linear":
            point["technique"] = one.label
        point |= {f"{family}.{d.name}": d.unit(shape[d.name]) for d in self.architectures[family]}
        for chosen in one.techniques:
            point |= self._coordinates(family, chosen)
        return point

    def _coordinates(self, family: str, chosen: Technique) -> dict[str, float | str]:
        offer = next(one for one in self.families[family] if one.kind.key == chosen.key)
        values = chosen.values
        point: dict[str, float | str] = {
            f"{chosen.key}.{dial.name}": dial.unit(values[dial.name])
            for dial in (offer.sampled if family == "linear" else offer.dials[1:])
        }
        if family != "linear" and chosen.key != "none":
            units = [lead.unit(values[lead.name]) for lead in offer.dials[:1]] or [0.5]
            point[chosen.key] = OFF_BELOW + (1 - OFF_BELOW) * units[0]
        return point

    # ---- what every search does first ---------------------------------------------------------

    def design(self) -> list[Candidate]:
        """The fixed start of every search: settings to begin with, each technique at its default.

        The incumbent comes before all other defaults: a study that runs out of time has at least
        the recipe that needs no reason. Families take turns, so that a short budget meets each of
        them; the simplest come first.
        """
        turns = zip_longest(*(self._family_design(family) for family in self.families))
        defaults = [one for one in chain.from_iterable(turns) if one is not None]
        incumbent = [one for one in defaults if (one.family, one.label) == self.incumbent][:1]
        return list(dict.fromkeys([*self.first, *incumbent, *defaults]))

    def _family_design(self, family: str) -> list[Candidate]:
        if family == "linear":
            return [
                candidate(family, [one] if one.key != "none" else [], {})
                for offer in self.families[family]
                for one in spread(offer)
            ]
        shape = {dial.name: dial.default for dial in self.architectures[family]}
        switches = self._switches(family)
        if not switches and family not in FAMILY_NAMES:  # the user's, first as it was handed over
            elsewhere = [self._shaped(family, k) for k in range(min(len(shape), MOST_SHAPES))]
            return [candidate(family, [], one) for one in (shape, *elsewhere)]
        base = [offer.default() for offer in switches if offer.kind.on_by_default]
        others = [offer for offer in switches if not offer.kind.on_by_default]
        wanted = self.incumbent[1].split("+") if self.incumbent[0] == family else []
        incumbent = [one.default() for one in switches if one.kind.key in wanted]
        plain = [candidate(family, chosen, shape) for chosen in ([], base, incumbent)]
        return list(dict.fromkeys([*plain, *self._crossed(family, base, others)]))

    def _crossed(
        self, family: str, base: list[Technique], others: list[Offer]
    ) -> Iterator[Candidate]:
        """Each other technique once, each in another architecture.

        So a few trials tell of both: the learning rate is often worth more than the technique. What
        is on by default takes part in every other one: a stop-set is a share of the rows, and
        where they are few, it costs more than it saves. The rest stand beside what holds alone.
        """
        held = [offer.default() for offer in others if offer.kind.holds_alone]
        for k, offer in enumerate(others):
            beside = [] if offer.kind.holds_alone else held if k % 2 else base
            yield candidate(family, [*beside, offer.default()], self._shaped(family, k))

    def _shaped(self, family: str, k: int) -> dict[str, Value]:
        """One of many evenly spread settings of the dials that a family has beside techniques.

        Those of the user begin with the second, for the first is the middle of everything.
        """
        dials = self.architectures[family]
        places = evenly(k + (family not in FAMILY_NAMES), len(dials))
        return {
            dial.name: dial.at(MARGIN + (1 - 2 * MARGIN) * place)
            for dial, place in zip(dials, places, strict=True)
        }

    def strengths(self, one: Candidate) -> tuple[float, ...]:
        """The path of a candidate, weakest first; empty where there is nothing to walk."""
        dial = one.path
        if dial is None:
            return ()
        offers = chain.from_iterable(self.families.values())
        offer = next(o for o in offers if any(o.kind.key == t.key for t in one.techniques))
        key = offer.kind.key
        if key not in self._paths:  # a job that shares its path is solved along with the others
            narrowed = next(own for own in offer.dials if own.name == dial.name)
            last = self.path_points - 1
            path = [float(narrowed.at(step / last)) for step in range(self.path_points)]
            self._paths[key] = tuple(sorted(set(path), key=dial.strength))
        return self._paths[key]


def _shares(place: str, parts: Mapping[str, FamilySpec | OwnSpec]) -> dict[str, float]:
    """The least share of the budget of each family."""
    shares = {family: part.share for family, part in parts.items()}
    if sum(shares.values()) > 1:
        raise SpaceError(f"{place}: the families' shares add up to more than 1")
    return shares


def evenly(k: int, dimensions: int) -> list[float]:
    """Point k of a sequence that fills the unit cube evenly, however many points are taken.

    Source: Roberts 2018, The unreasonable effectiveness of quasirandom sequences (additive
    recurrence with the root of x^(d + 1) = x + 1).

    >>> [round(evenly(k, 1)[0], 2) for k in range(4)]
    [0.5, 0.12, 0.74, 0.35]
    """
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (dimensions + 1))
    return [(0.5 + k * root ** -(j + 1)) % 1.0 for j in range(dimensions)]
