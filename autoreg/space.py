"""From a space file and the techniques to candidates: what may be tried, encoded and counted.

Each family has a flat box of its own, which is what the tuner sees:

* linear: the technique is a category, its few dials are coordinates; path strengths are none,
  for a linear trial stands for its whole path;
* network, factorization: each technique is ONE coordinate u in [0, 1]: below 0.4 it is off, the
  rest maps to the range of its first dial; its other dials are coordinates of their own, pinned to
  the middle while it is off; the architecture dials stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from typing import Any

from autoreg.candidate import (
    ARCHITECTURES,
    FAMILY_TASKS,
    NEEDED,
    REFINEMENTS,
    Candidate,
    candidate,
)
from autoreg.errors import SpaceError
from autoreg.spec import FamilySpec, IncumbentSpec, LinearSpec, SpaceSpec
from autoreg.techniques import technique
from autoreg.techniques.base import Dial, Technique, Value

OFF_BELOW = 0.4
MARGIN = 0.15  # of an architecture dial's range: the design keeps away from its ends


@dataclass(frozen=True)
class Offer:
    """One technique as a space offers it: with narrowed dials."""

    kind: type[Technique]
    dials: tuple[Dial, ...]

    @property
    def sampled(self) -> tuple[Dial, ...]:
        """The dials that the tuner sets; a path strength is none of them."""
        return tuple(dial for dial in self.dials if not dial.path)

    def default(self, **changes: Value) -> Technique:
        """The technique at its default setting, path strength open."""
        return self.kind(**{dial.name: dial.default for dial in self.sampled} | changes)


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
        rated: bool = True,
        first: Sequence[Mapping[str, Any]] = (),
    ) -> Space:
        """Check the meaning of a space file and narrow the techniques' ranges by it.

        Techniques that do not apply to the task, cannot obey what ``linear`` asks for, or need
        feature groups where none is ``grouped``, or symmetries of images where the data are not
        ``symmetric``, are left out; so are factorizations where no columns are users and items
        (``rated``); ``left_out`` says why. Refinements of the architecture that
        need categories or images (``pictured``) stay at their default without them. ``first`` are
        settings to begin with, as plain data; those that the space does not offer are left out.
        Raises SpaceError naming the space, family, technique and remedy.
        """
        place = f"search space {spec.space}"
        traits = {"grouped": grouped, "pictured": pictured}
        families: dict[str, tuple[Offer, ...]] = {}
        left_out: dict[str, str] = {}
        specs: Mapping[str, FamilySpec] = {name: part for name, part in spec.families.items()}
        for family, part in specs.items():
            if why := _unfit_family(family, task, rated):
                left_out[family] = why
                continue
            offers = [_offer(place, family, key, dials) for key, dials in part.techniques.items()]
            if all(offer.kind.key != "none" for offer in offers):
                offers.insert(0, Offer(technique("none"), ()))
            known = linear or LinearSpec(), grouped, symmetric
            reasons = {one: _unfit(one, task, *known) for one in offers}
            left_out |= {one.kind.key: why for one, why in reasons.items() if why}
            families[family] = tuple(one for one, why in reasons.items() if not why)
        if not families:
            told = "; ".join(f"{family}: {why}" for family, why in left_out.items())
            raise SpaceError(f"{place}: no family of models is left ({told})")
        if sum(part.share for part in spec.families.values()) > 1:
            raise SpaceError(f"{place}: the families' shares add up to more than 1")
        made = cls(
            spec.space,
            families,
            {family: specs[family].share for family in families},
            {family: _architecture(place, family, specs[family], traits) for family in families},
            _incumbent(place, spec.incumbent, families, left_out),
            spec.path_points,
            left_out,
        )
        return replace(made, first=tuple(made._offered(first)))

    def _offered(self, settings: Sequence[Mapping[str, Any]]) -> Iterator[Candidate]:
        """Those of some settings that this space can try."""
        for one in settings:
            offers = {o.kind.key: o for o in self.families.get(one["family"], ())}
            wanted = {dial.name: dial for dial in self.architectures.get(one["family"], ())}
            chosen, own = one["techniques"], one.get("architecture", {})
            known = set(chosen) <= set(offers) and all(
                {dial.name for dial in offers[key].sampled} == set(dials)
                and all(dial.contains(dials[dial.name]) for dial in offers[key].sampled)
                for key, dials in chosen.items()
            )
            fits = set(own) == set(wanted) and all(wanted[k].contains(own[k]) for k in own)
            if known and fits:
                yield Candidate.from_data(one)

    # ---- the box ------------------------------------------------------------------------------

    def axes(self, family: str) -> tuple[Axis, ...]:
        """The coordinates of a family's box, in a fixed order."""
        if family == "linear":
            offers = self.families[family]
            dials = [Axis(f"{one.kind.key}.{dial.name}") for one in offers for dial in one.sampled]
            return (Axis("technique", tuple(one.kind.key for one in offers)), *dials)
        axes = []
        for offer in self._combined(family):
            axes.append(Axis(offer.kind.key))
            axes += [Axis(f"{offer.kind.key}.{dial.name}") for dial in offer.dials[1:]]
        return (*axes, *(Axis(f"{family}.{dial.name}") for dial in self.architectures[family]))

    def _combined(self, family: str) -> list[Offer]:
        """The techniques that are freely combined; none of a linear family."""
        offers = self.families[family] if family != "linear" else ()
        return [one for one in offers if one.kind.key != "none"]

    def optional(self, family: str) -> list[str]:
        """The techniques that a model need not have; none of a linear family."""
        return [one.kind.key for one in self._combined(family) if not one.kind.on_by_default]

    def blank(self, family: str) -> dict[str, float | str]:
        """A point of a family's box at which no technique is on, where several can be."""
        point: dict[str, float | str] = {axis.name: 0.5 for axis in self.axes(family)}
        return point | {offer.kind.key: OFF_BELOW / 2 for offer in self._combined(family)}

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
            _switched_on(offer, point)
            for offer in self._combined(family)
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

        Families take turns, so that a short budget meets each of them; the simplest come first.
        """
        turns = zip_longest(*(self._family_design(family) for family in self.families))
        defaults = (one for one in chain.from_iterable(turns) if one is not None)
        return list(dict.fromkeys([*self.first, *defaults]))

    def _family_design(self, family: str) -> list[Candidate]:
        if family == "linear":
            return [
                candidate(family, [one] if one.key != "none" else [], {})
                for offer in self.families[family]
                for one in _spread(offer)
            ]
        shape = {dial.name: dial.default for dial in self.architectures[family]}
        offers = self._combined(family)
        base = [offer.default() for offer in offers if offer.kind.on_by_default]
        others = [offer for offer in offers if not offer.kind.on_by_default]
        wanted = self.incumbent[1].split("+") if self.incumbent[0] == family else []
        incumbent = [one.default() for one in offers if one.kind.key in wanted]
        plain = [candidate(family, chosen, shape) for chosen in ([], base, incumbent)]
        return list(dict.fromkeys([*plain, *self._crossed(family, base, others)]))

    def _crossed(
        self, family: str, base: list[Technique], others: list[Offer]
    ) -> Iterator[Candidate]:
        """Each optional technique once, each in another architecture.

        So a few trials tell of both: the learning rate is often worth more than the technique. What
        is on by default takes part in every other one: a stop-set is a share of the rows, and
        where they are few, it costs more than it saves.
        """
        dials = self.architectures[family]
        for k, offer in enumerate(others):
            shape = {
                dial.name: dial.at(MARGIN + (1 - 2 * MARGIN) * place)
                for dial, place in zip(dials, evenly(k, len(dials)), strict=True)
            }
            alone = offer.kind.holds_alone or k % 2 == 1
            yield candidate(family, [*([] if alone else base), offer.default()], shape)

    def strengths(self, one: Candidate) -> tuple[float, ...]:
        """The path of a candidate, weakest first; empty where there is nothing to walk."""
        dial = one.path
        if dial is None:
            return ()
        offers = chain.from_iterable(self.families.values())
        offer = next(o for o in offers if any(o.kind.key == t.key for t in one.techniques))
        narrowed = next(own for own in offer.dials if own.name == dial.name)
        last = self.path_points - 1
        path = [float(narrowed.at(step / last)) for step in range(self.path_points)]
        return tuple(sorted(set(path), key=dial.strength))


def _unfit_family(family: str, task: str, rated: bool) -> str:
    """Why a family cannot be part of a study, in words; empty where it can."""
    if task not in FAMILY_TASKS.get(family, (task,)):
        return f"not for {task} targets"
    if family == "factorization" and not rated:
        return "no columns are users and items; data: user and data: item name them"
    return ""


def _unfit(offer: Offer, task: str, linear: LinearSpec, grouped: bool, symmetric: bool) -> str:
    """Why a technique cannot be part of a study, in words; empty where it can."""
    kind = offer.kind
    if task not in kind.tasks:
        return f"not for {task} targets"
    seams = kind.seams()
    if seams & {"prior", "components"} and not linear.is_free:
        return "it knows no constraints"
    if "prior" in seams and linear.loss != "squared":
        return "its evidence is that of squared error"
    if not grouped and "penalty" in seams and offer.default().penalty().group > 0:
        return "no feature group has more than one input"
    if kind.needs_symmetries and not symmetric:
        return "data: image: names no symmetries"
    return ""


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


def _switched_on(offer: Offer, point: Mapping[str, float | str]) -> Technique:
    key = offer.kind.key
    unit = (float(point[key]) - OFF_BELOW) / (1 - OFF_BELOW)
    extra = {dial.name: dial.at(float(point[f"{key}.{dial.name}"])) for dial in offer.dials[1:]}
    lead = {dial.name: dial.at(unit) for dial in offer.dials[:1]}
    return offer.kind(**lead, **extra)


def _spread(offer: Offer) -> list[Technique]:
    """The default; where penalties are mixed, a low and a high share of L1, too."""
    mix = [dial for dial in offer.sampled if dial.name == "mix"]
    if not mix:
        return [offer.default()]
    return [offer.default(mix=mix[0].at(u)) for u in (0.1, 0.5, 0.9)]


def _offer(
    place: str, family: str, key: str, narrow: Mapping[str, list[float | int | str]]
) -> Offer:
    try:
        kind = technique(key)
    except SpaceError as error:
        raise SpaceError(f"{place}, {family}: {error}") from None
    if family not in kind.families:
        raise SpaceError(f"{place}: {key} is for {', '.join(kind.families)}, not for {family}")
    known = {dial.name: dial for dial in kind.dials}
    for name, bounds in narrow.items():
        if name not in known:
            dials = ", ".join(known) or "none"
            raise SpaceError(f"{place}: {key} has no dial {name}; its dials: {dials}")
        try:
            known[name] = known[name].narrowed(bounds)
        except SpaceError as error:
            raise SpaceError(f"{place}: {key}.{error}") from None
    return Offer(kind, tuple(known.values()))


def _architecture(
    place: str, family: str, spec: FamilySpec, traits: Mapping[str, bool]
) -> tuple[Dial, ...]:
    narrow = spec.architecture
    known = {dial.name: dial for dial in ARCHITECTURES[family]}
    if unknown := sorted(set(narrow) - set(known)):
        raise SpaceError(f"{place}: unknown architecture dial {unknown[0]}; known: {list(known)}")
    try:
        return tuple(
            dial.narrowed(list(narrow[name])) if name in narrow else dial
            for name, dial in known.items()
            if dial not in REFINEMENTS
            or (name in narrow and traits.get(NEEDED.get(name, ""), True))
        )
    except SpaceError as error:
        raise SpaceError(f"{place}: architecture {error}") from None


def _incumbent(
    place: str,
    spec: IncumbentSpec,
    families: Mapping[str, tuple[Offer, ...]],
    left_out: Mapping[str, str],
) -> tuple[str, str]:
    """The incumbent's family and label; one that no search can try would guard nothing."""
    offered = {offer.kind.key for offer in families.get(spec.family, ())}
    wanted = sorted(set(spec.techniques) - {"none"})
    name = f"{place}: the incumbent {spec.family}: {'+'.join(wanted) or 'none'}"
    if spec.family in left_out:
        raise SpaceError(f"{name} is left out: {left_out[spec.family]}")
    if spec.family not in families or not set(wanted) <= offered:
        known = ", ".join(sorted(offered)) or f"the families {', '.join(families)}"
        raise SpaceError(
            f"{name} must be made of what the space offers for this task; it offers {known}"
        )
    if spec.family == "linear" and len(wanted) > 1:
        raise SpaceError(f"{name}: a linear model carries one technique; name one of them")
    return spec.family, "+".join(wanted) or "none"
