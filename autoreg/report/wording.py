"""Effects of ingredients in words; apart from the charts, for a terminal needs no figures."""

from __future__ import annotations

from autoreg.attribution import Attribution, Effect, Kind
from autoreg.report.words import NOTHING, brief, clean, count, name_of, quoted, set_name

PLACES: dict[Kind, str] = {
    "left_out": "left out",
    "added": "added at its default",
    "pair": "together, beyond what each is worth alone",
}
CLEAR = {
    "left_out": ("it helps", "better without it"),
    "added": ("would help", "would hurt"),
    "pair": ("they need each other", "they do the same work"),
}
SHARED = ("they help", "better without them")


def effect_name(one: Effect) -> str:
    """What an effect is of.

    >>> effect_name(Effect("pair", ("ema", "mixup"))), effect_name(Effect("added", ("max_norm",)))
    ('EMA with mixup', 'max norm')
    """
    if one.kind == "pair":
        return " with ".join(map(name_of, one.techniques))
    if len(one.techniques) > 1:
        return f"all {len(one.techniques)} together"
    return name_of(one.techniques[0])


def effect_word(one: Effect) -> str:
    """What an effect says; that an interval holds 0 says that the folds cannot tell.

    >>> effect_word(Effect("added", ("sam",), failure="2 of 5 fits failed: diverged"))
    '2 of 5 fits failed: diverged'
    """
    if one.gain is None:
        return clean(one.failure)
    if not one.is_clear:
        return "the folds cannot tell"
    words = SHARED if one.kind == "left_out" and len(one.techniques) > 1 else CLEAR[one.kind]
    return words[0] if one.gain.value > 0 else words[1]


def ingredient_lines(found: Attribution) -> list[str]:
    """What the ingredients are worth, for a terminal: a line for each effect."""
    fits = "" if found.repeats == 1 else f", {count(found.repeats, 'fit')} each"
    lines = [
        f"winner: {set_name(found.winner.label)}; loss saved over {len(found.losses)} outer "
        f"folds{fits}; descriptive, for it was chosen on these rows"
    ]
    for kind, place in PLACES.items():
        own = [one for one in found.effects if one.kind == kind]
        lines += [place] if own else []
        lines += [_line(one) for one in found.of(kind)]
    return lines


def _line(one: Effect) -> str:
    gain = quoted(one.gain) if one.gain else NOTHING
    tested = "" if one.p_value is None else f", p {brief(one.p_value)}"
    return f"  {effect_name(one):<36} {gain}{tested}; {effect_word(one)}"
