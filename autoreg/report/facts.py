"""The verdict in plain words: one labelled sentence for each thing that a reader must know.

Terminal, Markdown note, notebook card and HTML page all take their sentences from here, so they
cannot tell different stories. The best inner score only exists in ONE sentence, which names
the nested score, too: it cannot be shown alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autoreg.budget import overtuning
from autoreg.findings import Findings
from autoreg.report.beside import (
    alarm_lines,
    certainty,
    corrected,
    held_out_span,
    permuted,
    wider,
)
from autoreg.report.coefficients import coefficients_sentence
from autoreg.report.words import (
    brief,
    clean,
    count,
    family_name,
    fixed,
    loss_name,
    metric_name,
    percent,
    places_for,
    quoted,
    set_name,
    settings,
    span,
    strength_word,
    who,
)
from autoreg.statistics import Interval
from autoreg.verdict import Margin

SHOWN_WARNINGS = 3
SEALED = {
    "sealed": "another selection has opened them before",
    "kept": "there is no final model to judge on them",
}


@dataclass(frozen=True)
class Fact:
    """One sentence of the verdict and the label in front of it."""

    label: str
    text: str


def facts(findings: Findings) -> list[Fact]:
    """The verdict, sentence by sentence, without the warnings."""
    found = [
        Fact("chosen", chosen(findings)),
        Fact("how strong", how_strong(findings)),
        Fact("refit", refit(findings)),
        Fact("coefficients", coefficients_sentence(findings)),
        Fact("nested", nested(findings)),
        Fact("held-out", held_out(findings)),
        *(Fact("monitored", monitored(findings, name)) for name in findings.verdict.monitored),
        Fact("inner best", inner_best(findings)),
        Fact("corrected", corrected(findings)),
        Fact("measured", wider(findings)),
        Fact("none", none(findings)),
        Fact("signal", signal(findings)),
        Fact("permuted", permuted(findings)),
        Fact("certainty", certainty(findings)),
        Fact("runner-up", runner_up(findings)),
        Fact("incumbent", incumbent(findings)),
        Fact("agreement", agreement(findings)),
        Fact("rule", rule(findings)),
        Fact("searched", searched(findings)),
        Fact("overtuning", overtuned(findings)),
        Fact("verified", verified(findings)),
    ]
    return [fact for fact in found if fact.text]


def chosen(findings: Findings) -> str:
    """The chosen techniques and their family."""
    one = findings.final.chosen.candidate
    return who(one.label, one.family)


def how_strong(findings: Findings) -> str:
    """The dials of the choice, and where its leading strength lies in its range."""
    one = findings.final.chosen.candidate
    if one.is_none:
        return "nothing is regularized"
    if not one.strengths:
        return settings(one)
    position = one.lead_strength
    where = f"{strength_word(position)}, {percent(position)} of the way up the leading range"
    return f"{settings(one)} ({where})"


def refit(findings: Findings) -> str:
    """How many networks the final model is, where it is more than one fit."""
    members = findings.spec.training.members
    if findings.final.chosen.candidate.family != "network" or members == 1:
        return ""
    return f"the mean of {count(members, 'network')} that began elsewhere, in each outer fold too"


def nested(findings: Findings) -> str:
    """The nested score with its interval, and whose score it is."""
    verdict = findings.verdict
    score, places = verdict.nested, places_for(verdict.nested)
    return (
        f"{metric_name(verdict.metric)} {fixed(score.value, places)}, {percent(score.level)} "
        f"interval {span(score, places)}: the procedure on rows that its searches never saw "
        f"({count(len(verdict.folds), 'outer fold')})"
    )


def held_out(findings: Findings) -> str:
    """The held-out score, or why there is none."""
    judged = findings.verdict.held_out
    if judged is None:
        return "no rows were held out; the nested score stands alone"
    rows = count(judged.rows, "row")
    if judged.score is None:
        return f"{rows} stay sealed: {SEALED[judged.opening]}"
    metric, places = findings.verdict.metric, places_for(findings.verdict.nested)
    opened = "opened once" if judged.opening == "first" else judged.opening
    loss = ""
    if judged.interval and metric_name(metric) != loss_name(findings.data["task"]):
        loss = f", {loss_name(findings.data['task'])} {quoted(judged.interval)}"
    return (
        f"{metric_name(metric)} {fixed(judged.score, places)}"
        f"{held_out_span(findings, places)}{loss}: the final model on {rows} "
        f"({opened})"
    )


def monitored(findings: Findings, name: str) -> str:
    """A metric that needs the models: of the procedure, and of the final model."""
    verdict = findings.verdict
    opened = verdict.held_out.monitored if verdict.held_out else {}
    final = f"; {quoted(opened[name])} for the final model on the held-out rows" if opened else ""
    return (
        f"{metric_name(name)} {quoted(verdict.scores[name])} for the procedure, on the outer "
        f"folds{final}; no search looked at it"
    )


def inner_best(findings: Findings) -> str:
    """The best inner score, labelled optimistic, never without the nested one."""
    verdict, places = findings.verdict, places_for(findings.verdict.nested)
    return (
        f"{metric_name(verdict.metric)} {fixed(verdict.inner_best, places)}: optimistic, because "
        f"the search picked it; the nested score is {fixed(verdict.nested.value, places)}"
    )


def none(findings: Findings) -> str:
    """The unregularized candidate of each family, judged on the outer folds."""
    places = places_for(findings.verdict.nested)
    parts = [
        f"{family_name(family)} {fixed(score.value, places)} ({span(score, places)})"
        for family, score in findings.verdict.none.items()
    ]
    if not parts:
        return "no unregularized candidate could be judged on every outer fold"
    return f"unregularized, on the same outer folds: {'; '.join(parts)}"


def signal(findings: Findings) -> str:
    """Whether the procedure beats the featureless model."""
    verdict, loss = findings.verdict, loss_name(findings.data["task"])
    gain = verdict.signal
    if verdict.has_signal:
        return f"better than a model without features by {quoted(gain)} in {loss}"
    but = ""
    if verdict.shown_beats_baseline:
        but = (
            f"; the interval of {metric_name(verdict.metric)} alone leaves out what such a model "
            f"scores, {quoted(verdict.baseline)}"
        )
    return (
        f"no evidence of signal: the gain in {loss} over a model without features, "
        f"{quoted(gain)}, is not clearly above zero{but}"
    )


def runner_up(findings: Findings) -> str:
    """The next technique set and its margin."""
    margin = findings.verdict.runner_up
    return _against(margin, findings) if margin else "no other technique set is valid"


def incumbent(findings: Findings) -> str:
    """The default recipe and its margin."""
    margin = findings.verdict.incumbent
    if margin:
        return _against(margin, findings)
    family, label = findings.space.incumbent
    own = findings.final.chosen.candidate.technique_set == findings.space.incumbent
    what = "is itself the choice" if own else "gave no valid trial in the final search"
    return f"{set_name(label)} ({family_name(family)}) {what}"


def agreement(findings: Findings) -> str:
    """How many outer folds chose the final technique set."""
    verdict, one = findings.verdict, findings.final.chosen.candidate
    folds = len(verdict.folds)
    words = f"{verdict.agreement} of {count(folds, 'outer fold')} chose these techniques"
    if verdict.agreement == folds or one.is_own:
        return words
    same = sum(fold.chosen.family == one.family for fold in verdict.folds)
    return f"{words}, {same} a {family_name(one.family)}"


def rule(findings: Findings) -> str:
    """What the selection rule and the guard did."""
    name, note = findings.final.rule, clean(findings.final.note)
    return note if note.startswith(name) else f"{name}: {note}"


def searched(findings: Findings) -> str:
    """How much was tried."""
    failed = sum(trial.failure is not None for trial in findings.trials)
    pruned = sum(trial.pruned is not None for trial in findings.trials)
    searches = len({trial.search for trial in findings.trials})
    what = f"{count(len(findings.trials), 'trial')} in {count(searches, 'search')}"
    return f"{what}, {failed} failed" + (f", {pruned} pruned" if pruned else "")


def overtuned(findings: Findings) -> str:
    """How much better the inner folds looked, and what the last trials lost on the outer ones."""
    if not findings.budget:
        return ""
    last = findings.budget[-1]
    lost, share = overtuning(findings.budget)
    loss = loss_name(findings.data["task"])
    gap = (
        f"{loss} {brief(last.inner)} on the inner folds (optimistic) became nested "
        f"{brief(last.nested)}, a gap of {brief(last.gap)}"
    )
    if lost <= 0:
        return f"{gap}; no smaller budget did better"
    best = min(findings.budget, key=lambda one: one.nested)
    relative = f", {percent(share)} of what was gained" if share is not None else ""
    return (
        f"{gap}; after {count(best.trials, 'trial')} nested was {brief(best.nested)}: "
        f"overtuning {brief(lost)}{relative}"
    )


def verified(findings: Findings) -> str:
    """What the certificate says; nothing where the study was not verified."""
    proof = findings.certificate
    return "" if proof is None else f"{clean(proof.sentence, 1000)} ({proof.when[:10]})"


def warnings(findings: Findings) -> list[str]:
    """What a reader should know before trusting the verdict."""
    return [clean(text) for text in _warnings(findings)]


def _warnings(findings: Findings) -> Iterator[str]:
    verdict, folds = findings.verdict, len(findings.verdict.folds)
    if not verdict.has_signal:
        yield "No evidence of signal: the gain over a featureless model is not clearly above zero."
    if verdict.agreement < folds:
        yield (
            f"The choice is not stable: {folds - verdict.agreement} of {folds} outer folds chose "
            f"other techniques."
        )
    if findings.certificate and findings.certificate.outcome != "clean":
        yield f"The verification found: {findings.certificate.sentence}."
    yield from alarm_lines(findings)
    told = any(one.code == "held_out_reused" for one in findings.alarms)
    if verdict.held_out and verdict.held_out.opening not in ("first", "kept") and not told:
        yield f"The held-out rows are not fresh: {verdict.held_out.opening}."
    if failed := sum(trial.failure is not None for trial in findings.trials):
        yield (
            f"{failed} of {count(len(findings.trials), 'trial')} failed; they cannot be chosen, "
            f"the report lists the reasons."
        )
    yield from verdict.statement
    yield from findings.remarks


def _against(margin: Margin, findings: Findings) -> str:
    """Another technique set beside the winner."""
    other = who(margin.label, margin.family)
    if margin.difference is None:
        return f"{other}: {count(margin.folds, 'outer fold')} tried both, too few for a margin"
    gap = margin.difference
    side = "worse" if gap.low > 0 else "better" if gap.high < 0 else "no clear difference"
    on = f"descriptive, {count(margin.folds, 'outer fold')}"
    if margin.where == "inner":
        on = f"inner folds, optimistic: {count(margin.folds, 'outer fold')} tried both"
    loss = loss_name(findings.data["task"])
    p = "" if margin.p_value is None else f", p = {margin.p_value:.2g} by the corrected t-test"
    return f"{other}: {side}, {loss} {_signed(gap)} against the choice ({on}{p})"


def _signed(interval: Interval) -> str:
    return ("+" if interval.value > 0 else "") + quoted(interval)
