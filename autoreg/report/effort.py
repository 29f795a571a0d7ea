"""Where the budget of a search went, and which of its decisions mattered, as rows of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoreg.findings import Findings
from autoreg.report.words import count, duration, family_name, name_of, percent, who
from autoreg.trial import Trial

MOST_SETS = 12
MOST_DECISIONS = 10
Cells = Mapping[str, Any]


def family_rows(findings: Findings) -> list[Cells]:
    """Trials, failures, pruned ones and time of each family."""
    return [
        {
            "family": family_name(family),
            "trials": f"{len(own):,}",
            "design": f"{sum(trial.origin == 'design' for trial in own):,}",
            "failed": f"{sum(trial.failure is not None for trial in own):,}",
            "pruned": f"{sum(trial.pruned is not None for trial in own):,}",
            "seconds": duration(sum(trial.seconds for trial in own)),
        }
        for family in findings.space.families
        for own in [[t for t in findings.trials if t.candidate.family == family]]
    ]


def pruned_words(findings: Findings) -> str:
    """What was pruned, by which rules; empty where a study prunes nothing."""
    rules = findings.spec.prune
    if not rules.is_on:
        return ""
    by = Counter(trial.pruned.by for trial in findings.trials if trial.pruned)
    parts = [
        f"{count(by['epochs'], 'trial')} after some epochs ({rules.epochs})",
        f"{count(by['folds'], 'trial')} after some folds ({rules.folds})",
    ]
    asked = [rules.epochs != "off", rules.folds != "off"]
    said = [part for part, on in zip(parts, asked, strict=True) if on]
    fallen = "Networks that fell behind earlier trials of their search were given up"
    return f"{fallen}: {' and '.join(said)}."


@dataclass(frozen=True)
class Effort:
    """What was spent on one technique set, and how many selections chose it."""

    family: str
    label: str
    trials: int
    seconds: float
    chosen: int


def efforts(findings: Findings) -> list[Effort]:
    """Technique sets by fitting time, the most first."""
    sets: dict[tuple[str, str], list[Trial]] = {}
    for trial in findings.trials:
        sets.setdefault(trial.candidate.technique_set, []).append(trial)
    chosen = Counter(one.chosen.candidate.technique_set for one in findings.selections.values())
    found = [
        Effort(*key, len(own), sum(trial.seconds for trial in own), chosen[key])
        for key, own in sets.items()
    ]
    return sorted(found, key=lambda one: -one.seconds)


def set_rows(findings: Findings) -> list[Cells]:
    """Technique sets by fitting time; what is beyond the twelfth is one row."""
    found = efforts(findings)
    total = sum(one.seconds for one in found)
    rows = [_row(who(one.label, one.family), [one], total, findings) for one in found[:MOST_SETS]]
    rest = found[MOST_SETS:]
    return rows + ([_row(count(len(rest), "other set"), rest, total, findings)] if rest else [])


def _row(name: str, own: Sequence[Effort], total: float, findings: Findings) -> Cells:
    seconds, chosen = sum(one.seconds for one in own), sum(one.chosen for one in own)
    share = seconds / total if total > 0 else 0.0
    return {
        "name": name,
        "trials": f"{sum(one.trials for one in own):,}",
        "seconds": duration(seconds),
        "share": percent(share),
        "width": round(100 * share, 1),
        "chosen": f"{chosen} of {len(findings.selections)}" if chosen else "none",
    }


def importance_rows(findings: Findings) -> list[Cells]:
    """For each family: its decisions and their shares, the largest first."""
    return [
        {
            "family": family_name(one.family),
            "settings": count(one.settings, "setting"),
            "rows": [
                {
                    "name": decision(name, one.family),
                    "share": percent(share),
                    "width": round(100 * share, 1),
                }
                for name, share in list(one.shares.items())[:MOST_DECISIONS]
            ],
        }
        for one in findings.importance
    ]


def decision(name: str, family: str) -> str:
    """A decision of a search in words.

    >>> decision("network.width", "network"), decision("elastic_net.mix", "linear")
    ('width', 'elastic net: mix')
    """
    key, _, dial = name.removeprefix(f"{family}.").partition(".")
    return f"{name_of(key)}: {name_of(dial)}" if dial else name_of(key)
