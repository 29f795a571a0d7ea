"""The model info sheet: eight kinds of leakage, each with what this study knows about it.

Six are answered by the machine, with evidence; two only the user can answer, in the study file
under ``sheet:``. Where an alarm rings, the sheet says so, whatever the user answers.

Source: Kapoor & Narayanan 2023, Leakage and the reproducibility crisis in machine-learning-based
science, Patterns 4(9): the taxonomy L1.1 to L3.3 and the idea of the sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from autoreg.alarm import SheetItem
from autoreg.findings import Findings

Answer = tuple[Literal["evidence", "asked", "answered"], str]
QUESTIONS = {
    "L1.1": "Were there rows that nothing was fitted or chosen on?",
    "L1.2": "Was preprocessing learned on training rows only?",
    "L1.3": "Were features selected on training rows only?",
    "L1.4": "Are there duplicates on both sides of a split?",
    "L2": "Is every feature known before the target is, and legitimate to use?",
    "L3.1": "Is the model judged on rows from the past of its training rows?",
    "L3.2": "Do training and test rows depend on each other?",
    "L3.3": "Are the rows a fair sample of those that the model is for?",
}
SIGNS = {
    "L1.1": ("held_out_reused",),
    "L1.4": ("duplicate_rows", "near_duplicates", "oversampled"),
    "L2": ("id_column", "target_copy", "target_encoded", "tells_target", "too_good"),
    "L3.1": ("time_column", "ordered_rows"),
    "L3.2": ("repeated_measures", "ordered_rows"),
}


def info_sheet(findings: Findings) -> tuple[SheetItem, ...]:
    """The eight items, in the order of the taxonomy."""
    answers: dict[str, Callable[[Findings], Answer]] = {
        "L1.1": _test_set,
        "L1.2": _preprocessing,
        "L1.3": _feature_selection,
        "L1.4": _duplicates,
        "L2": _legitimate,
        "L3.1": _temporal,
        "L3.2": _dependence,
        "L3.3": _sampling,
    }
    return tuple(_item(code, answer(findings), findings) for code, answer in answers.items())


def _item(code: str, answer: Answer, findings: Findings) -> SheetItem:
    status, words = answer
    rung = [one for one in findings.alarms if one.code in SIGNS.get(code, ())]
    ignored = sorted(set(SIGNS.get(code, ())) & set(findings.spec.ignore))
    parts = [words, *(f"alarm {one.code}: {one.seen}" for one in rung)]
    parts += [f"the study ignores {', '.join(ignored)}"] if ignored else []
    return SheetItem(code, QUESTIONS[code], "alarm" if rung else status, "; ".join(parts))


def _test_set(findings: Findings) -> Answer:
    splits, judged = findings.splits, findings.verdict.held_out
    nested = f"{splits['outer']} outer folds judge whole searches that never saw them"
    if judged is None:
        return "evidence", f"{nested}; no further rows were held out"
    return (
        "evidence",
        f"{nested}; {judged.rows} rows were held out at the source ({judged.opening})",
    )


def _proof(findings: Findings) -> str:
    proof = findings.certificate
    if proof is None:
        return "`autoreg verify` proves it for this study"
    return f"certificate of non-interference: {proof.outcome}"


def _preprocessing(findings: Findings) -> Answer:
    return (
        "evidence",
        f"means, scales and levels are learned inside each fit, from its training rows; "
        f"{_proof(findings)}",
    )


def _feature_selection(findings: Findings) -> Answer:
    return (
        "evidence",
        f"columns are selected by penalties inside each fit, and techniques by each search on its "
        f"own rows; {_proof(findings)}; whether columns were left out before, only you know",
    )


def _duplicates(findings: Findings) -> Answer:
    return "evidence", _silent(findings, SIGNS["L1.4"], "no equal or nearly equal rows were found")


def _temporal(findings: Findings) -> Answer:
    if "time" in findings.data["roles"]:
        return "evidence", f"time is declared; {findings.splits['splitter']}"
    return "evidence", _silent(findings, SIGNS["L3.1"], "no sign that the rows come in an order")


def _dependence(findings: Findings) -> Answer:
    if "group" in findings.data["roles"]:
        column = findings.data["roles"]["group"]
        return "evidence", f"rows of one {column!r} are never split apart"
    return "evidence", _silent(findings, SIGNS["L3.2"], "no sign of repeated measures")


def _silent(findings: Findings, codes: Sequence[str], words: str) -> str:
    rung = {one.code for one in findings.alarms}
    return "the check found something" if rung & set(codes) else words


def _legitimate(findings: Findings) -> Answer:
    given = findings.spec.sheet.features
    return ("answered", given) if given else ("asked", "answer in the study: sheet: features")


def _sampling(findings: Findings) -> Answer:
    given = findings.spec.sheet.sampling
    return ("answered", given) if given else ("asked", "answer in the study: sheet: sampling")
