"""The verdict as text: lines for a terminal and a short Markdown note."""

from __future__ import annotations

import re
from html import escape

from autoreg.alarm import Advice
from autoreg.findings import Findings
from autoreg.report import facts as say
from autoreg.report.words import clean, fixed, metric_name, places_for, span

WIDTH = 12
MARKUP = re.compile(r"([\\`*_{}\[\]#!|~<>&$^@])")
ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def summary_lines(findings: Findings) -> list[str]:
    """The verdict in plain words, one line for each fact: what a terminal shows.

    The best inner score shares its line with the nested one.
    """
    lines = [f"{fact.label:<{WIDTH}} {fact.text}" for fact in say.facts(findings)]
    found = say.warnings(findings)
    lines += [f"{'warning':<{WIDTH}} {text}" for text in found[: say.SHOWN_WARNINGS]]
    if hidden := len(found) - say.SHOWN_WARNINGS:
        lines += [f"{'warning':<{WIDTH}} and {hidden} more in the report"] if hidden > 0 else []
    return lines


def markdown(findings: Findings) -> str:
    """The verdict as a short Markdown note; foreign text cannot become markup.

    It ends with a newline.
    """
    title = f"## {safe(findings.spec.study)}: {safe(say.chosen(findings))}"
    question = f"*{safe(clean(findings.spec.question))}*" if findings.spec.question else ""
    sentences = "\n".join(
        f"- **{fact.label}**: {safe(fact.text)}" for fact in say.facts(findings)[1:]
    )
    alarms = "\n".join(f"- {safe(text)}" for text in say.warnings(findings))
    parts = [title, question, _table(findings), sentences]
    parts += [f"**Warnings**\n\n{alarms}"] if alarms else []
    following = "\n".join(f"- {_suggested(one)}" for one in findings.advice)
    parts += [f"**What to try next**\n\n{following}"] if following else []
    return "\n\n".join(part for part in parts if part) + "\n"


def _suggested(one: Advice) -> str:
    code = f" `` {one.how} ``" if one.how else ""
    return safe(one.text) + code


def _table(findings: Findings) -> str:
    verdict, places = findings.verdict, places_for(findings.verdict.nested)
    judged = verdict.held_out
    rows = [
        ("nested", fixed(verdict.nested.value, places), span(verdict.nested, places)),
        ("held-out", fixed(judged.score if judged else None, places), ""),
        ("inner best (optimistic)", fixed(verdict.inner_best, places), ""),
        *(
            (f"none, {family}", fixed(score.value, places), span(score, places))
            for family, score in verdict.none.items()
        ),
    ]
    level = f"{100 * verdict.nested.level:.0f}% interval"
    head = f"| | {safe(metric_name(verdict.metric))} | {level} |\n|---|---:|---|"
    return "\n".join([head, *(f"| {a} | {b} | {c} |" for a, b, c in rows)])


def safe(text: str) -> str:
    """Text without power: HTML as entities, Markdown marks behind a backslash."""
    quiet = MARKUP.sub(lambda found: ENTITIES.get(found[1], f"\\{found[1]}"), text)
    return quiet.replace("://", "&#58;//")  # or a viewer would make it a link


def summary_html(findings: Findings) -> str:
    """The verdict as a small HTML card for notebooks, light and dark; foreign text is escaped."""
    rows = "".join(
        f'<tr><th style="text-align:left;vertical-align:top;font-weight:600">{escape(label)}</th>'
        f'<td style="text-align:left">{escape(text)}</td></tr>'
        for label, text in [
            *((fact.label, fact.text) for fact in say.facts(findings)),
            *(("warning", text) for text in say.warnings(findings)),
            *(("next", one.line) for one in findings.advice[:2]),
        ]
    )
    title = f"{findings.spec.study}: {say.chosen(findings)}"
    return (
        '<div style="border:1px solid currentColor;border-radius:8px;padding:12px 16px;'
        'max-width:860px"><div style="font-size:1.2em;font-weight:600;margin-bottom:6px">'
        f'{escape(title)}</div><table style="border:0">{rows}</table></div>'
    )
