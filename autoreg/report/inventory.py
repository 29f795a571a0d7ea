"""What a study consisted of, as rows of text: the space, the data, the splits, the versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from autoreg.findings import Findings
from autoreg.offers import Offer
from autoreg.own import call
from autoreg.report.words import (
    FAMILIES,
    about,
    brief,
    clean,
    count,
    duration,
    family_name,
    name_of,
    percent,
    set_name,
    who,
)
from autoreg.spec import FAMILY_NAMES, SpaceSpec, is_file_name
from autoreg.techniques.base import Choice, Dial, Range

SHOWN_CLASSES = 12
Cells = Mapping[str, Any]
FINAL_MODEL = {
    "search": "searched once more on all development rows",
    "vote": "what most outer searches chose, at the median of its dials",
    "skip": "none",
}


def space_rows(findings: Findings) -> Cells:
    """The search space, family by family, and how it was searched."""
    space, spec = findings.space, findings.spec
    purpose = spec.space.about if isinstance(spec.space, SpaceSpec) else ""
    family, label = space.incumbent
    return {
        "name": clean(space.name),
        "about": clean(purpose, 1000),
        "families": [
            {
                "name": family_name(name),
                "share": percent(space.shares.get(name, 0.0)),
                "offers": [*_own(findings, name), *(_offer(one) for one in _shown(name, offers))],
            }
            for name, offers in space.families.items()
        ],
        "architecture": [
            _dial(dial)
            for family, dials in space.architectures.items()
            if family in FAMILY_NAMES
            for dial in dials
        ],
        "left_out": [f"{name_of(key)} ({why})" for key, why in space.left_out.items()],
        "incumbent": who(label, family),
        "settings": _settings(findings),
    }


def _settings(findings: Findings) -> list[tuple[str, str]]:
    spec, space = findings.spec, findings.space
    minutes = f", at most {brief(spec.minutes)} minutes" if spec.minutes else ""
    found = [
        ("Budget", f"{count(spec.trials, 'trial')} in each search{minutes}"),
        ("Sampler", spec.sampler.upper() if len(spec.sampler) == 3 else spec.sampler),
        ("Strengths on a path", str(space.path_points)),
        ("Selection rule", f"{name_of(spec.select.rule)}, guard: {spec.select.guard}"),
        ("Final model", FINAL_MODEL[spec.select.final]),
    ]
    if space.has_epochs:
        found.append(("Training", _training(findings)))
    return found


def _training(findings: Findings) -> str:
    training = findings.spec.training
    mean = f", each refit the mean of {count(training.members, 'network')}"
    dials = {one.name for some in findings.space.architectures.values() for one in some}
    times = " times the training length" if "training_length" in dials else ""
    return (
        f"at most {count(training.longest, 'epoch')}{times}, networks in batches of "
        f"{training.batch_size}, stop-set {percent(training.stop_share)} of the training rows"
        f"{mean if 'network' in findings.space.families else ''}"
    )


def _shown(family: str, offers: Sequence[Offer]) -> Sequence[Offer]:
    """The techniques of a family; of an own estimator there are none to speak of."""
    return offers if family in FAMILIES else ()


def _own(findings: Findings, family: str) -> list[Cells]:
    """What a family of the user's own is, and its dials."""
    spec = findings.spec.own.get(family)
    if spec is None:
        return []
    dials = [
        {**_dial(dial), "name": clean(dial.name)} for dial in findings.space.architectures[family]
    ]
    about = clean(f"{spec.path}({call(spec.params)})")
    return [{"name": clean(spec.named), "about": about, "dials": dials, "references": ""}]


def _offer(offer: Offer) -> Cells:
    return {
        "name": set_name(offer.kind.key),
        "about": about(offer.kind),
        "dials": [_dial(dial) for dial in offer.dials],
        "references": "; ".join(offer.kind.references),
    }


def _dial(dial: Dial) -> Cells:
    match dial:
        case Range():
            scale = ", log scale" if dial.log else ""
            kind = ", whole numbers" if dial.integer else ""
            path = ", whole path in each trial" if dial.path else ""
            reach = f"{brief(dial.low)} to {brief(dial.high)}{scale}{kind}{path}"
        case Choice():
            reach = " or ".join(str(option) for option in dial.options)
    return {"name": name_of(dial.name), "reach": reach, "about": dial.about}


# ---- data and provenance -----------------------------------------------------------------------


def data_rows(findings: Findings) -> list[tuple[str, str]]:
    """Facts about the data."""
    data = findings.data
    columns = (
        f"{data['columns']:,} ({data['numeric']:,} numeric, {data['categorical']:,} categorical)"
    )
    groups = data["feature_groups"]
    roles = "; ".join(f"{role}: {clean(column)}" for role, column in data["roles"].items())
    return [
        ("Name", clean(data["name"])),
        ("Source", clean(_source(str(data["source"])))),
        ("Task", clean(data["task"])),
        ("Target", clean(data["target"])),
        ("Rows", f"{data['rows']:,}"),
        ("Feature columns", columns),
        *([("Feature groups", f"{groups:,}")] if groups else []),
        ("Missing cells", f"{data['missing_cells']:,}"),
        ("Roles of columns", roles or "none declared"),
        ("Digest", clean(data["digest"])),
    ]


def _source(source: str) -> str:
    """A file by its name alone: folders tell about the machine, not about the data."""
    return PurePath(source.replace("\\", "/")).name if is_file_name(source) else source


def classes_rows(findings: Findings) -> list[tuple[str, str, str]]:
    """The classes with their numbers of rows; a long list is cut short."""
    classes = findings.data["classes"]
    total = sum(classes.values())
    rows = [(clean(label, 80), f"{n:,}", percent(n / total)) for label, n in classes.items()]
    if len(rows) <= SHOWN_CLASSES:
        return rows
    return [*rows[:SHOWN_CLASSES], (f"and {len(rows) - SHOWN_CLASSES} more", "", "")]


def splits_rows(findings: Findings) -> list[tuple[str, str]]:
    """How the rows were cut."""
    splits = findings.splits
    held_out = splits["held_out_rows"]
    return [
        ("Splitter", name_of(clean(splits["splitter"]))),
        ("Development rows", f"{splits['development_rows']:,}"),
        ("Held-out rows", f"{held_out:,}" if held_out else "none"),
        ("Outer folds", str(splits["outer"])),
        ("Inner folds", _inner_folds(splits)),
        ("Digest", clean(splits["digest"])),
    ]


def _inner_folds(splits: Mapping[str, Any]) -> str:
    """The number of folds of an outer search, and how often its rows were cut."""
    repeats = splits["repeats"]
    return f"{splits['inner']}, cut {repeats} times" if repeats > 1 else str(splits["inner"])


def proof_rows(findings: Findings) -> list[str]:
    """The certificate, line by line; none where the study was not verified."""
    proof = findings.certificate
    return [clean(line, 1000) for line in proof.words] if proof else []


def provenance_rows(findings: Findings, mlflow_run: str | None) -> Cells:
    """What another run needs: seed, digest, versions."""
    versions = findings.versions or {}
    return {
        "seed": str(findings.spec.seed),
        "digest": findings.spec.digest,
        "seconds": duration(findings.seconds),
        "versions": [(clean(name), clean(version)) for name, version in versions.items()],
        "mlflow_run": clean(mlflow_run) if mlflow_run else None,
    }
