"""What stands beside the verdict: corrections, tests, calibration, alarms and the info sheet."""

from __future__ import annotations

from autoreg.findings import Findings
from autoreg.report.words import (
    clean,
    count,
    fixed,
    loss_name,
    percent,
    quoted,
)

MARKS = {"evidence": "evidence", "alarm": "ALARM", "asked": "asked of you", "answered": "answered"}


def corrected(findings: Findings) -> str:
    """What the final choice loses, less the luck of being the best of many."""
    evidence, loss = findings.evidence, loss_name(findings.data["task"])
    if evidence.bbc:
        return (
            f"{loss} {quoted(evidence.bbc)}: the choice of the final search, less the luck of "
            f"being the best of many (bootstrap; that the search adapts is not corrected)"
        )
    reason = (evidence.reasons or {}).get("bbc")
    return f"not corrected for the best of many: {reason}" if reason else ""


def wider(findings: Findings) -> str:
    """The nested interval of measured width, where it was asked for."""
    evidence, loss = findings.evidence, loss_name(findings.data["task"])
    if evidence.bates:
        return f"{loss} {quoted(evidence.bates)}, with a measured width (Bates et al.)"
    reason = (evidence.reasons or {}).get("bates")
    return f"no interval of measured width: {reason}" if reason else ""


def permuted(findings: Findings) -> str:
    """What the whole search finds where there is nothing to find."""
    found = findings.evidence.permutation
    if found is None:
        return ""
    draws = count(found.draws, "permuted target")
    return f"p = {found.p_value:.3g}: the whole search repeated on {draws}"


def certainty(findings: Findings) -> str:
    """Calibration, and sets or intervals that hold for most new rows, with their coverage."""
    known, judged = findings.evidence.calibration, findings.verdict.held_out
    if known is None:
        return ""
    kind = "sets of classes" if findings.data["classes"] else "intervals"
    parts = [f"{percent(known.level)} {kind} from {count(known.rows, 'out-of-fold row')}"]
    coverage = judged.coverage if judged else None
    if judged and coverage:
        size = judged.measured["size"]
        mean = ""
        if size is not None:
            is_set = bool(findings.data["classes"])
            mean = f", with {size:.2f} classes" if is_set else f", {size:.3g} wide"
            mean += " on average"
        parts.append(f"they hold {percent(coverage.value)} of the held-out rows{mean}")
    if known.error is not None and known.error_after is not None:
        parts.append(
            f"calibration error {known.error:.3f}, {known.error_after:.3f} at temperature "
            f"{known.temperature:.2g}"
        )
    return "; ".join(parts)


def alarm_lines(findings: Findings) -> list[str]:
    """Alarms that are more than a remark, a sentence each."""
    return [
        clean(f"{one.code}: {one.title}: {one.seen}")
        for one in findings.alarms
        if one.severity != "info"
    ]


def alarm_rows(findings: Findings) -> list[tuple[str, str]]:
    """All alarms for a table: code with severity, and what is the matter."""
    return [
        (f"{one.code} ({one.severity})", clean(f"{one.title}: {one.seen}; {one.remedy}", 500))
        for one in findings.alarms
    ]


def sheet_rows(findings: Findings) -> list[tuple[str, str]]:
    """The info sheet for a table: the question, and the answer with its standing."""
    return [
        (f"{one.code} {one.question}", clean(f"{MARKS[one.status]}: {one.answer}", 600))
        for one in findings.sheet
    ]


def sheet_markdown(findings: Findings) -> str:
    """The info sheet as Markdown, with the alarms below."""
    lines = [f"# Model info sheet: {findings.spec.study}", ""]
    for question, answer in sheet_rows(findings):
        lines += [f"**{question}** {answer}", ""]
    if findings.alarms:
        lines += [
            "## Alarms",
            "",
            *(f"- {code}: {text}" for code, text in alarm_rows(findings)),
            "",
        ]
    lines.append("Taxonomy: Kapoor & Narayanan 2023, Patterns 4(9).")
    return "\n".join(lines) + "\n"


def held_out_span(findings: Findings, places: int) -> str:
    """The interval of the held-out score in parentheses; empty where there is none."""
    judged = findings.verdict.held_out
    found = judged.score_interval if judged else None
    if found is None:
        return ""
    return f" ({fixed(found.low, places)} to {fixed(found.high, places)}, {found.method})"
