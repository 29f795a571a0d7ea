"""What stands on the page: findings as rows of text for the template, which only arranges them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from autoreg.candidate import Candidate
from autoreg.findings import Findings
from autoreg.report import curves, figures
from autoreg.report import facts as say
from autoreg.report.beside import alarm_rows, sheet_rows
from autoreg.report.coefficients import coefficient_rows
from autoreg.report.effort import family_rows, importance_rows, pruned_words, set_rows
from autoreg.report.ingredients import ingredient_chart, ingredient_rows
from autoreg.report.inventory import (
    classes_rows,
    data_rows,
    proof_rows,
    provenance_rows,
    space_rows,
    splits_rows,
)
from autoreg.report.path_chart import path_charts
from autoreg.report.words import (
    NOTHING,
    about,
    brief,
    clean,
    count,
    family_name,
    fixed,
    loss_name,
    metric_name,
    name_of,
    percent,
    places_for,
    search_name,
    set_name,
    settings,
    span,
    strength_word,
)
from autoreg.statistics import Interval
from autoreg.techniques.base import Technique
from autoreg.verdict import FoldVerdict, Standing

SHOWN_FAILURES = 40
BY_FOLD = "lowest to highest fold"
ON_CARD = frozenset(
    {"chosen", "how strong", "coefficients", "nested", "held-out", "agreement"}
)  # said above the sentences, or in a section of its own
Cells = Mapping[str, Any]


def render(findings: Findings, mlflow_run: str | None) -> str:
    """The whole page."""
    return _environment().get_template("report.html.jinja").render(view(findings, mlflow_run))


@cache
def _environment() -> Environment:
    """Autoescape is on for everything: names and questions come from strangers."""
    here = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=here,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clean"] = clean
    environment.filters["number"] = _typeset
    return environment


def _typeset(text: str) -> str:
    """True minus signs in front of numbers, hyphens elsewhere."""
    return re.sub(r"(?<!\w)-(?=\d|infinity)", "\N{MINUS SIGN}", text)


def view(findings: Findings, mlflow_run: str | None) -> dict[str, Any]:
    """Everything that the template needs, as texts, rows and pictures."""
    return {
        "study": findings.spec.study,
        "question": clean(findings.spec.question, 1000),
        "card": _card(findings),
        "facts": [one for one in say.facts(findings) if one.label not in ON_CARD],
        "warnings": say.warnings(findings),
        "alarms": alarm_rows(findings),
        "sheet": sheet_rows(findings),
        "metric": metric_name(findings.verdict.metric),
        "loss": loss_name(findings.data["task"]),
        "level": percent(findings.verdict.nested.level),
        "numbers": _numbers(findings),
        "other_metrics": _other_metrics(findings),
        "monitored": [metric_name(name) for name in findings.verdict.monitored],
        "number_charts": figures.number_charts(findings),
        "strength_charts": curves.strength_charts(findings),
        "coefficients": coefficient_rows(findings),
        "path_charts": path_charts(findings),
        "ingredients": ingredient_rows(findings),
        "ingredient_chart": ingredient_chart(findings),
        "standing_chart": figures.standing_chart(findings),
        "standings": _standings(findings),
        "folds": [_fold(fold, findings) for fold in findings.verdict.folds],
        "learning_chart": curves.learning_chart(findings),
        "history_chart": curves.history_chart(findings),
        "budget_chart": curves.budget_chart(findings),
        "lead": search_name(findings.lead),
        "proof": proof_rows(findings),
        "effort": family_rows(findings),
        "pruned": pruned_words(findings),
        "sets": set_rows(findings),
        "importance": importance_rows(findings),
        "advice": findings.advice,
        "space": space_rows(findings),
        "failures": _failures(findings),
        "hidden_failures": max(
            sum(t.failure is not None for t in findings.trials) - SHOWN_FAILURES, 0
        ),
        "data": data_rows(findings),
        "classes": classes_rows(findings),
        "splits": splits_rows(findings),
        "provenance": provenance_rows(findings, mlflow_run),
    }


# ---- verdict and numbers -----------------------------------------------------------------------


def _card(findings: Findings) -> Cells:
    verdict, one = findings.verdict, findings.final.chosen.candidate
    places, judged = places_for(verdict.nested), verdict.held_out
    return {
        "title": set_name(one.label),
        "family": family_name(one.family),
        "parts": [_part(chosen, one) for chosen in one.techniques if not one.is_own],
        "architecture": [
            (name if one.is_own else name_of(name), brief(value))
            for name, value in one.architecture
        ],
        "nested": fixed(verdict.nested.value, places),
        "interval": span(verdict.nested, places),
        "held_out": fixed(judged.score, places) if judged and judged.score is not None else None,
        "held_out_words": say.held_out(findings).rpartition(": ")[2],
        "has_signal": verdict.has_signal,
        "agreement": verdict.agreement,
        "folds": len(verdict.folds),
    }


def _part(chosen: Technique, candidate: Candidate) -> Cells:
    position = candidate.strengths.get(chosen.key)
    return {
        "name": name_of(chosen.key),
        "about": about(type(chosen)),
        "dials": [(name_of(name), brief(value)) for name, value in chosen.values.items()],
        "position": None if position is None else round(100 * position),
        "word": "" if position is None else strength_word(position),
    }


@dataclass(frozen=True)
class Estimate:
    """One line of the numbers side by side: score and loss, and whose error they are."""

    name: str
    score: str
    loss: str
    whose: str
    score_span: str = ""
    loss_span: str = ""
    tag: str = ""
    strong: bool = False


def _numbers(findings: Findings) -> list[Estimate]:
    """The estimates side by side, each with what it is an estimate of."""
    verdict, judged = findings.verdict, findings.verdict.held_out
    score, loss = places_for(verdict.nested), places_for(verdict.nested_loss)
    rows = [
        Estimate(
            "Best inner",
            fixed(verdict.inner_best, score),
            fixed(verdict.inner_best_loss, loss),
            "optimistic: the search picked it because it is the best it saw",
            tag="optimistic",
        ),
        Estimate(
            "Nested",
            fixed(verdict.nested.value, score),
            fixed(verdict.nested_loss.value, loss),
            "the whole procedure, on rows that its searches never saw",
            span(verdict.nested, score),
            span(verdict.nested_loss, loss),
            strong=True,
        ),
    ]
    if judged and judged.score is not None:
        rows.append(
            Estimate(
                "Held-out",
                fixed(judged.score, score),
                fixed(judged.loss, loss),
                f"the final model, on {count(judged.rows, 'row')} ({judged.opening} opening)",
                loss_span=span(judged.interval, loss) if judged.interval else "",
                strong=True,
            )
        )
    else:
        rows.append(Estimate("Held-out", NOTHING, NOTHING, say.held_out(findings)))
    rows += [_none_row(one, score, loss) for one in verdict.standings if one.label == "none"]
    rows.append(_featureless_row(findings, score, loss))
    return rows


def _none_row(one: Standing, score: int, loss: int) -> Estimate:
    return Estimate(
        f"Unregularized {family_name(one.family)}",
        fixed(one.score.value if one.score else None, score),
        fixed(one.loss.value, loss) if one.loss else _between(one.losses, loss),
        "the same model with nothing regularized, on the outer folds",
        span(one.score, score) if one.score else "",
        span(one.loss, loss) if one.loss else BY_FOLD,
    )


def _featureless_row(findings: Findings, score: int, loss: int) -> Estimate:
    verdict, judged = findings.verdict, findings.verdict.held_out
    held_out = (
        f"; loss {fixed(judged.baseline_loss, loss)} on the held-out rows"
        if judged and judged.baseline_loss is not None
        else ""
    )
    return Estimate(
        "Featureless model",
        fixed(verdict.baseline.value, score),
        fixed(verdict.baseline_loss.value, loss),
        f"predicts the same for every row, on the outer folds{held_out}",
        span(verdict.baseline, score),
        span(verdict.baseline_loss, loss),
    )


def _between(values: Sequence[float | None], places: int) -> str:
    known = [value for value in values if value is not None]
    ends = dict.fromkeys(fixed(end, places) for end in (min(known), max(known))) if known else {}
    return " to ".join(ends) or NOTHING


def _other_metrics(findings: Findings) -> list[tuple[str, str, str]]:
    return [
        (metric_name(name), fixed(score.value, places_for(score)), span(score))
        for name, score in findings.verdict.scores.items()
        if name != findings.verdict.metric
    ]


# ---- techniques and folds ----------------------------------------------------------------------


def _standings(findings: Findings) -> list[Cells]:
    """Technique sets on the outer folds, each beside its inner loss in the final search."""
    verdict, places = findings.verdict, places_for(findings.verdict.nested)
    inner = {one.candidate.technique_set: one.loss for one in findings.final.contenders}
    winner = findings.final.chosen.candidate.technique_set
    monitored = [(name, verdict.scores[name]) for name in verdict.monitored]
    return [
        {
            "set": set_name(one.label),
            "family": family_name(one.family),
            "score": fixed(one.score.value, places) if one.score else _between(one.scores, places),
            "span": _standing_span(one, places),
            "monitored": [_monitored(one, *pair) for pair in monitored],
            "tried": sum(loss is not None for loss in one.losses),
            "inner": fixed(inner.get((one.family, one.label)), places_for(verdict.nested_loss)),
            "is_winner": (one.family, one.label) == winner,
            "is_incumbent": (one.family, one.label) == findings.space.incumbent,
        }
        for one in verdict.standings
    ]


def _monitored(one: Standing, name: str, nested: Interval) -> tuple[str, str]:
    """A metric that no search computes, of a technique set, to the places of the nested one."""
    score, places = one.monitored.get(name), places_for(nested)
    return (fixed(score.value, places), span(score, places)) if score else (NOTHING, "")


def _standing_span(one: Standing, places: int) -> str:
    if one.score:
        return span(one.score, places)
    return "one fold" if sum(loss is not None for loss in one.losses) == 1 else BY_FOLD


def _fold(fold: FoldVerdict, findings: Findings) -> Cells:
    verdict = findings.verdict
    winner = findings.final.chosen.candidate.technique_set
    loss = places_for(verdict.nested_loss)
    return {
        "name": clean(fold.fold),
        "set": set_name(fold.chosen.label),
        "family": family_name(fold.chosen.family),
        "settings": settings(fold.chosen),
        "agrees": fold.chosen.technique_set == winner,
        "rows": f"{fold.rows:,}",
        "score": fixed(fold.score, places_for(verdict.nested)),
        "outer": fixed(fold.loss, loss),
        "inner": fixed(fold.inner_loss, loss),
        "baseline": fixed(fold.baseline_loss, loss),
        "flags": [clean(flag) for flag in fold.flags],
    }


# ---- the search --------------------------------------------------------------------------------


def _failures(findings: Findings) -> list[Cells]:
    failed = [trial for trial in findings.trials if trial.failure]
    return [
        {
            "search": trial.search,
            "number": trial.number + 1,
            "set": set_name(trial.candidate.label),
            "family": family_name(trial.candidate.family),
            "settings": settings(trial.candidate),
            "reason": clean(trial.failure),
        }
        for trial in failed[:SHOWN_FAILURES]
    ]
