"""What a space offers of each family: techniques with narrowed dials, architectures, own families.

From the documents to what is meant, with an error that names space, family and technique for
what cannot be meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoreg.candidate import (
    ARCHITECTURES,
    FAMILY_RANK,
    FAMILY_TASKS,
    NEEDED,
    REFINEMENTS,
    SCHEDULES,
)
from autoreg.dials import Choice, Range
from autoreg.errors import SpaceError
from autoreg.own_spec import LENGTH, SCHEDULE, ModuleSpec, OwnSpec
from autoreg.spec import MODULE, FamilySpec, IncumbentSpec, LinearSpec
from autoreg.techniques import catalogue, technique
from autoreg.techniques.base import Dial, Technique, Value

OFF_BELOW = 0.4
# Seams inside the layers of autoreg's own networks.
INSIDE = frozenset({"hidden", "net", "passes"})


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


def switched_on(offer: Offer, point: Mapping[str, float | str]) -> Technique:
    """The technique at a point of a box where its coordinate says that it is on."""
    key = offer.kind.key
    unit = (float(point[key]) - OFF_BELOW) / (1 - OFF_BELOW)
    extra = {dial.name: dial.at(float(point[f"{key}.{dial.name}"])) for dial in offer.dials[1:]}
    lead = {dial.name: dial.at(unit) for dial in offer.dials[:1]}
    return offer.kind(**lead, **extra)


def spread(offer: Offer) -> list[Technique]:
    """The default; where penalties are mixed, a low and a high share of L1, too."""
    mix = [dial for dial in offer.sampled if dial.name == "mix"]
    if not mix:
        return [offer.default()]
    return [offer.default(mix=mix[0].at(u)) for u in (0.1, 0.5, 0.9)]


def offers_of(place: str, family: str, part: FamilySpec) -> tuple[Offer, ...]:
    """The techniques of one family of a space file, with ``none`` whether it is named or not."""
    offers = [offer_of(place, family, key, dials) for key, dials in part.techniques.items()]
    if all(offer.kind.key != "none" for offer in offers):
        offers.insert(0, Offer(technique("none"), ()))
    return tuple(offers)


def offer_of(
    place: str, family: str, key: str, narrow: Mapping[str, list[float | int | str]]
) -> Offer:
    """A technique with its ranges narrowed; SpaceError for what the technique has not."""
    try:
        kind = technique(key)
    except SpaceError as error:
        raise SpaceError(f"{place}, {family}: {error}") from None
    if family not in kind.families and not (family == MODULE and "network" in kind.families):
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


def unfit_family(family: str, task: str, rated: bool) -> str:
    """Why a family cannot be part of a study, in words; empty where it can."""
    if task not in FAMILY_TASKS.get(family, (task,)):
        return f"not for {task} targets"
    if family == "factorization" and not rated:
        return "no columns are users and items; data: user and data: item name them"
    return ""


def unfit(offer: Offer, task: str, linear: LinearSpec, grouped: bool, symmetric: bool) -> str:
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


def architecture_of(
    place: str, family: str, part: FamilySpec, traits: Mapping[str, bool]
) -> tuple[Dial, ...]:
    """The dials of a family beside its techniques that are searched."""
    narrow = part.architecture
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


def incumbent_of(
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
    if spec.family not in FAMILY_RANK:
        return spec.family, spec.family
    return spec.family, "+".join(wanted) or "none"


def own_offers(name: str, spec: OwnSpec) -> tuple[Offer, ...]:
    """What an own family offers: ``none``, and of a network the techniques that it carries.

    Raises SpaceError for a technique that acts inside layers that only autoreg's networks have.
    """
    if name in catalogue():
        raise SpaceError(f"estimators: {name} is the name of a technique; choose one of your own")
    offers = [Offer(technique("none"), ())]
    if isinstance(spec, ModuleSpec):
        kept = {key: dials for key, dials in spec.techniques.items() if key != "none"}
        offers += [offer_of("network", MODULE, key, dials) for key, dials in kept.items()]
    for kind in (offer.kind for offer in offers):
        if kind.seams() & INSIDE or kind.needs_layers:
            raise SpaceError(
                f"network: {kind.key} acts on the layers of autoreg's own networks, and a module "
                f"of yours need not have such; leave it out, and build what you need into the "
                f"module (dropout, for example, its rate a dial)"
            )
    return tuple(offers)


def own_architecture(name: str, spec: OwnSpec) -> tuple[Dial, ...]:
    """The dials of an own family; those of a network have a learning rate, declared or not.

    Raises SpaceError for a schedule of the learning rate that nobody knows, and for trainings that
    have no length.
    """
    dials = {dial.name: dial for dial in (*ARCHITECTURES.get(name, ()), *spec.box)}
    of_training = dials if isinstance(spec, ModuleSpec) else {}
    schedule, length = of_training.get(SCHEDULE), of_training.get(LENGTH)
    if schedule and not (isinstance(schedule, Choice) and set(schedule.options) <= set(SCHEDULES)):
        raise SpaceError(f"network: {SCHEDULE} is a choice among {', '.join(SCHEDULES)}")
    if length and not (isinstance(length, Range) and length.low > 0):
        raise SpaceError(f"network: {LENGTH} is a range of numbers above 0")
    return tuple(dials.values())
