"""Numbers and names as people read them, and foreign text made harmless.

Nothing here knows HTML or Markdown; texts are plain ASCII unless the user's own words are not.
"""

from __future__ import annotations

import math
import unicodedata

from autoreg.candidate import Candidate
from autoreg.metrics import metric
from autoreg.spec import MODULE
from autoreg.statistics import Interval
from autoreg.techniques.base import Technique

FAMILIES = {
    "linear": "linear model",
    "factorization": "matrix factorization",
    "network": "network",
    MODULE: "network of your own",
}
INITIALS = {"ard", "ema", "fgsm", "mcp", "pgd", "sam", "scad", "swa"}
STRENGTH_WORDS = ("very light", "light", "moderate", "strong", "very strong")
PLURALS = {"search": "searches"}
NOTHING = "n/a"


def places_for(interval: Interval) -> int:
    """How many decimals an interval deserves: two digits of its width.

    >>> places_for(Interval(0.993, 0.991, 0.995)), places_for(Interval(2900.0, 2500.0, 3300.0))
    (4, 0)
    """
    width = interval.high - interval.low
    if not math.isfinite(width) or width <= 0:
        return 4
    return min(max(1 - math.floor(math.log10(width)), 0), 6)


def fixed(value: float | None, places: int) -> str:
    """A number with that many decimals.

    >>> fixed(0.99312, 3), fixed(28341.2, 0), fixed(None, 2)
    ('0.993', '28,341', 'n/a')
    """
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    text = f"{value:,.{places}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def brief(value: float | int | str | None) -> str:
    """A dial's value or a loss to about three digits.

    >>> brief(0.00012345), brief(1e-6), brief(64), brief("fading"), brief(2934.4)
    ('0.000123', '1e-6', '64', 'fading', '2,934')
    """
    if value is None or isinstance(value, str | bool):
        return NOTHING if value is None else str(value)
    if math.isnan(value) or math.isinf(value):
        return fixed(value, 0)
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3g}"
    return f"{value:.3g}".replace("e-0", "e-")


def span(interval: Interval, places: int | None = None) -> str:
    """An interval as ``low to high``.

    >>> span(Interval(0.5, 0.25, 0.75), 2)
    '0.25 to 0.75'
    """
    places = places_for(interval) if places is None else places
    return f"{fixed(interval.low, places)} to {fixed(interval.high, places)}"


def quoted(interval: Interval) -> str:
    """A number with its interval in parentheses; alone where nothing can move it.

    >>> quoted(Interval(0.5, 0.25, 0.75))
    '0.50 (0.25 to 0.75)'
    """
    if interval.low == interval.high:
        return brief(interval.value)
    places = places_for(interval)
    return f"{fixed(interval.value, places)} ({span(interval, places)})"


def percent(share: float) -> str:
    """A share in whole percent.

    >>> percent(0.9)
    '90%'
    """
    return f"{100 * share:.0f}%"


def duration(seconds: float) -> str:
    """A time span in words.

    >>> duration(163.4), duration(9.04), duration(7300)
    ('2 min 43 s', '9.0 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def count(number: int, noun: str) -> str:
    """A number with its noun in the right form.

    >>> count(1, "fold"), count(2, "search")
    ('1 fold', '2 searches')
    """
    return f"{number:,} {noun if number == 1 else PLURALS.get(noun, f'{noun}s')}"


def name_of(key: str) -> str:
    """A key as words.

    >>> name_of("elastic_net"), name_of("adversarial_pgd")
    ('elastic net', 'adversarial PGD')
    """
    return " ".join(one.upper() if one in INITIALS else one for one in key.split("_"))


def set_name(label: str) -> str:
    """A technique set as words.

    >>> set_name("dropout+early_stopping"), set_name("none")
    ('dropout + early stopping', 'no regularization')
    """
    return "no regularization" if label == "none" else name_of(label).replace("+", " + ")


def family_name(family: str) -> str:
    """A model family as words.

    >>> family_name("linear")
    'linear model'
    """
    return FAMILIES.get(family, name_of(family))


def who(label: str, family: str) -> str:
    """A technique set and its family; an own estimator has one name for both.

    >>> who("ridge", "linear"), who("svm", "svm")
    ('ridge (linear model)', 'svm')
    """
    return set_name(label) if label == family else f"{set_name(label)} ({family_name(family)})"


def metric_name(name: str) -> str:
    """A metric's title.

    >>> metric_name("auc")
    'AUC'
    """
    return metric(name).title


def search_name(search: str) -> str:
    """A search in words.

    >>> search_name("final"), search_name("outer-2")
    ('the final search', 'the search outer-2')
    """
    return "the final search" if search == "final" else f"the search {search}"


def loss_name(task: str) -> str:
    """What the search minimizes.

    >>> loss_name("binary")
    'log loss'
    """
    losses = {"regression": "mean squared error", "count": "mean Poisson deviance"}
    return losses.get(task, "log loss")


def about(kind: type[Technique]) -> str:
    """What a technique does: the first line of its docstring."""
    return (kind.__doc__ or "").strip().split("\n")[0]


def settings(candidate: Candidate) -> str:
    """The dials of all techniques of a candidate, and of its architecture, on one line."""
    if candidate.is_own:
        own = [f"{name} {brief(value)}" for name, value in candidate.architecture]
        return ", ".join(own) or "no dials"
    parts = [
        f"{name_of(one.key)}: "
        + ", ".join(f"{name_of(dial)} {brief(value)}" for dial, value in one.values.items())
        for one in candidate.techniques
        if one.values
    ]
    shape = ", ".join(f"{name_of(name)} {brief(value)}" for name, value in candidate.architecture)
    return "; ".join([*parts, *([shape] if shape else [])]) or "no dials"


def strength_word(position: float) -> str:
    """How strong a position in [0, 1] of a technique's range is.

    >>> strength_word(0.0), strength_word(0.5), strength_word(1.0)
    ('very light', 'moderate', 'very strong')
    """
    return STRENGTH_WORDS[min(max(int(position * 5), 0), 4)]


def clean(text: object, limit: int = 300) -> str:
    """Foreign text on one line: no control or direction characters, not longer than ``limit``.

    >>> clean("a" + chr(27) + "[31m b" + chr(10) + "c"), clean("x" * 9, limit=4)
    ('a [31m b c', 'xxx…')
    """
    seen = "".join(
        " " if unicodedata.category(letter)[0] == "C" else letter for letter in str(text)
    )
    line = " ".join(seen.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
