"""The report for people without a browser, and for programs: ``report.md`` and ``report.json``.

Both say what the page says, from the same sentences and numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from autoreg.findings import Findings
from autoreg.report import facts as say
from autoreg.report.effort import decision, efforts, set_rows
from autoreg.report.summary import markdown, safe
from autoreg.report.words import brief, family_name, fixed, percent, places_for, set_name, settings

SCHEMA = 1  # of report.json: another number where a key changes its meaning or goes


def report_json(findings: Findings, mlflow_run: str | None = None) -> str:
    """The findings as one JSON document, schema version first; numbers that are none are null."""
    return json.dumps(finite(document(findings, mlflow_run)), indent=1, allow_nan=False)


def document(findings: Findings, mlflow_run: str | None = None) -> dict[str, Any]:
    """The findings as plain data; the path of a file is not among them, its digest is."""
    spec = findings.spec
    data = {name: value for name, value in findings.data.items() if name != "source"}
    return {
        "schema": SCHEMA,
        "study": spec.study,
        "question": spec.question,
        "chosen": say.chosen(findings),
        "facts": [vars(fact) for fact in say.facts(findings)],
        "warnings": say.warnings(findings),
        "next": [one.to_data() for one in findings.advice],
        "verdict": findings.verdict.to_data(),
        "selections": {name: one.to_data() for name, one in findings.selections.items()},
        "budget": [vars(one) for one in findings.budget],
        "effort": [vars(one) for one in efforts(findings)],
        "importance": [one.to_data() for one in findings.importance],
        "evidence": findings.evidence.to_data(),
        "alarms": [one.to_data() for one in findings.alarms],
        "sheet": [one.to_data() for one in findings.sheet],
        "certificate": findings.certificate.to_data() if findings.certificate else None,
        "coefficients": list(findings.coefficients.rows) if findings.coefficients else None,
        "trials": [trial.row for trial in findings.trials],
        "data": data,
        "splits": dict(findings.splits),
        "provenance": {
            "seed": spec.seed,
            "configuration": spec.digest,
            "versions": dict(findings.versions or {}),
            "seconds": findings.seconds,
            "mlflow_run": mlflow_run,
        },
    }


def finite(value: Any) -> Any:
    """Plain data whose numbers all exist, for JSON knows no others.

    >>> finite({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(name): finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report_markdown(findings: Findings) -> str:
    """The report as Markdown: the verdict, then tables; foreign text has no power in it."""
    return "\n".join([markdown(findings), *_sections(findings)])


def _sections(findings: Findings) -> Iterator[str]:
    verdict = findings.verdict
    loss, score = places_for(verdict.nested_loss), places_for(verdict.nested)
    yield _table(
        "Techniques on the outer folds",
        ("Techniques", "Family", "Score", "Loss", "Folds"),
        (
            (
                set_name(one.label),
                family_name(one.family),
                fixed(one.score.value if one.score else None, score),
                fixed(one.loss.value if one.loss else None, loss),
                str(sum(known is not None for known in one.losses)),
            )
            for one in verdict.standings
        ),
    )
    yield _table(
        "What each outer fold chose",
        ("Fold", "Chosen", "Setting", "Score", "Loss", "Inner loss (optimistic)"),
        (
            (
                fold.fold,
                set_name(fold.chosen.label),
                settings(fold.chosen),
                fixed(fold.score, score),
                fixed(fold.loss, loss),
                fixed(fold.inner_loss, loss),
            )
            for fold in verdict.folds
        ),
    )
    if findings.budget:
        yield _table(
            "What the budget brought",
            ("Trials", "Best inner loss (optimistic)", "Nested loss"),
            ((str(b.trials), brief(b.inner), brief(b.nested)) for b in findings.budget),
        )
    yield _table(
        "Where the budget went",
        ("Techniques", "Trials", "Fitting time", "Share", "Searches that chose it"),
        (
            (row["name"], row["trials"], row["seconds"], row["share"], row["chosen"])
            for row in set_rows(findings)
        ),
    )
    for one in findings.importance:
        yield _table(
            f"Which decisions mattered: {family_name(one.family)}",
            ("Decision", "Share of the variance"),
            ((decision(name, one.family), percent(share)) for name, share in one.shares.items()),
        )


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["", f"### {title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(map(safe, row))} |" for row in rows]
    return "\n".join(lines)
