"""What to try next: what the numbers of a finished study suggest, the most telling first.

Each rule reads the findings and says one thing, with the command or the lines of the study file
that do it. Rules suggest and never act: following one is another study, and held-out rows that
this one has opened stay opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from autoreg.alarm import Advice
from autoreg.budget import overtuning
from autoreg.dials import Range
from autoreg.findings import Findings
from autoreg.offers import Offer
from autoreg.trial import Trial
from autoreg.verdict import Margin

MOST = 5  # more are not read
EDGE = 0.03  # of a range: a choice this near its end may want to go beyond
STILL_GAINING = 0.01  # of the signal, by the last step of the budget curve
OVERTUNED = 0.2  # of what was gained
LOOSE = 0.5  # width of the nested interval, as a share of the signal
OVERFIT = 0.25  # the gap to the training loss, as a share of the gain over the featureless model
NOISELESS = 0.1  # of the variance of the target is left
ENOUGH_TO_SEAL = 200  # rows
REPEATED = "folds: {outer_repeats: 3}"

Rule = Callable[[Findings], Iterator[Advice]]


def advice(findings: Findings) -> tuple[Advice, ...]:
    """At most five suggestions, in the order of their weight."""
    rules: tuple[Rule, ...] = (
        _signal,
        _incumbent,
        _edges,
        _own_edges,
        _budget,
        _unstable,
        _overfit,
        _no_gain,
        _loose,
        _longer,
        _alone,
        _networks,
        _unverified,
        _unsealed,
        _promote,
    )
    return tuple(one for rule in rules for one in rule(findings))[:MOST]


def _signal(findings: Findings) -> Iterator[Advice]:
    if findings.verdict.has_signal:
        return
    if findings.verdict.shown_beats_baseline:
        yield Advice(
            "The folds differ too much to show a gain over a model without features, though the "
            f"score lies above it: more rows{_if_repeated(findings, ' or repeated outer folds')} "
            "would tell.",
            _if_repeated(findings, REPEATED),
        )
    else:
        yield Advice(
            "Nothing here clearly beats a model without features. Before any further search, look "
            "at the target, at how the table was joined, and for columns that should tell more.",
            "autoreg check FILE --target NAME",
        )


def _if_repeated(findings: Findings, text: str) -> str:
    """The text, if outer folds can be cut more than once: time runs only once."""
    return "" if findings.spec.data.time else text


def _incumbent(findings: Findings) -> Iterator[Advice]:
    """The default recipe did better on the outer folds than what was chosen."""
    margin = findings.verdict.incumbent
    if margin and margin.difference and margin.where == "outer" and margin.difference.high < 0:
        yield Advice(
            f"The incumbent ({margin.label.replace('+', ' + ')}) was better on the outer folds: "
            f"let a challenger prove itself before it is chosen.",
            "select: {guard: strict}",
        )


def _edges(findings: Findings) -> Iterator[Advice]:
    """A dial of the choice lies at an end of what the space offers."""
    one = findings.final.chosen.candidate
    offers = {offer.kind.key: offer for offer in findings.space.families[one.family]}
    for chosen in one.techniques:
        for dial in offers[chosen.key].dials:
            if isinstance(dial, Range) and dial.name in chosen.values:
                yield from _edge(offers[chosen.key], dial, dial.unit(chosen.values[dial.name]))


def _own_edges(findings: Findings) -> Iterator[Advice]:
    """A dial of an own family was chosen at an end of what was declared."""
    one = findings.final.chosen.candidate
    chosen = dict(one.architecture)
    declared = findings.spec.own[one.family].dials if one.family in findings.spec.own else {}
    for dial in findings.space.architectures[one.family]:
        if dial.name not in declared or not isinstance(dial, Range):
            continue
        place = dial.unit(chosen[dial.name])
        if not EDGE < place < 1 - EDGE:
            end = "lower" if place <= EDGE else "upper"
            yield Advice(
                f"{one.family}: {dial.name} was chosen at the {end} end of its range: let it "
                f"reach further than [{dial.low:g}, {dial.high:g}].",
                f"dials: {{{dial.name}: ...}}",
            )


def _edge(offer: Offer, dial: Range, place: float) -> Iterator[Advice]:
    if EDGE < place < 1 - EDGE:
        return
    key, end = offer.kind.key, "lower" if place <= EDGE else "upper"
    whole = next(one for one in offer.kind.dials if one.name == dial.name)
    assert isinstance(whole, Range)
    low, high = (whole.low, dial.high) if end == "lower" else (dial.low, whole.high)
    if (low, high) != (dial.low, dial.high):
        yield Advice(
            f"{key.replace('_', ' ')}: {dial.name.replace('_', ' ')} was chosen at the {end} end "
            f"of its range: let the range reach further.",
            f"{key}: {{{dial.name}: [{low:g}, {high:g}]}}",
        )


def _budget(findings: Findings) -> Iterator[Advice]:
    """Whether the last trials still helped, or only fitted the noise of the inner folds."""
    points, gain = findings.budget, findings.verdict.signal.value
    if len(points) < 3:
        return
    share = overtuning(points)[1] or 0.0
    if share > OVERTUNED:
        yield Advice(
            f"{100 * share:.0f}% of what the search had gained on the outer folds was lost again "
            f"by its later trials: search less, or choose with more caution.",
            f"autoreg run {findings.spec.study} --trials {points[-2].trials} "
            f"# or select: {{rule: one_se}}",
        )
    elif gain > 0 and points[-2].nested - points[-1].nested > STILL_GAINING * gain:
        yield Advice(
            "The nested loss was still falling when the budget was spent: more trials may help.",
            f"autoreg run {findings.spec.study} --trials {2 * findings.spec.trials}",
        )


def _unstable(findings: Findings) -> Iterator[Advice]:
    folds = len(findings.verdict.folds)
    if 2 * findings.verdict.agreement <= folds and findings.spec.select.rule != "parsimonious":
        yield Advice(
            "The outer folds do not agree on the techniques, so several do about equally well: "
            f"take the simplest{_if_repeated(findings, ', or cut the outer folds more often')}.",
            "select: {rule: parsimonious}" + _if_repeated(findings, f"  # or {REPEATED}"),
        )


def _overfit(findings: Findings) -> Iterator[Advice]:
    trial = _chosen_trial(findings)
    if trial.loss - trial.train_loss > OVERFIT * max(trial.baseline - trial.loss, 0.0):
        weak = "" if trial.best_candidate.lead_strength > 0.5 else " and stronger regularization"
        yield Advice(
            f"The choice loses {trial.loss:.3g} on validation rows and only "
            f"{trial.train_loss:.3g} on training rows: more rows{weak} would help most.",
        )


def _no_gain(findings: Findings) -> Iterator[Advice]:
    """No regularization did as well, within the interval of the paired difference."""
    margin = _against_none(findings)
    if margin and margin.difference and margin.difference.low <= 0:
        yield Advice(
            "Regularization is not clearly better than none here: better columns, or another "
            "family of models, promise more than finer tuning.",
        )


def _against_none(findings: Findings) -> Margin | None:
    known = (findings.verdict.runner_up, findings.verdict.incumbent)
    return next((margin for margin in known if margin and margin.label == "none"), None)


def _loose(findings: Findings) -> Iterator[Advice]:
    nested, gain = findings.verdict.nested_loss, findings.verdict.signal.value
    if findings.verdict.has_signal and nested.high - nested.low > LOOSE * gain:
        yield Advice(
            "The interval of the nested loss is wide beside what was gained: four times as many "
            f"rows halve it{_if_repeated(findings, ', repeated outer folds make it steadier')}.",
            _if_repeated(findings, REPEATED),
        )


def _longer(findings: Findings) -> Iterator[Advice]:
    """A network that leaves next to nothing may only want more time for the rest."""
    family, verdict = findings.final.chosen.candidate.family, findings.verdict
    if family != "network" or findings.data["task"] != "regression":
        return
    left, whole = verdict.nested_loss.value, verdict.baseline_loss.value
    dials = {dial.name for dial in findings.space.architectures[family]}
    if left < NOISELESS * whole and "training_length" not in dials:
        yield Advice(
            f"Only {100 * left / whole:.1f}% of the variance is left: where there is hardly any "
            f"noise, longer trainings of networks pay. Name their length in the search space.",
            "architecture: {training_length: [0.25, 4]}  # of the family network",
        )


def _alone(findings: Findings) -> Iterator[Advice]:
    """A single network is a draw of its start."""
    chosen = findings.final.chosen.candidate
    if chosen.family == "network" and findings.spec.training.members == 1:
        yield Advice(
            "The final model is one network, and from another start it would be another one: the "
            "mean of a few is usually better, for little more time.",
            "training: {members: 5}",
        )


def _networks(findings: Findings) -> Iterator[Advice]:
    """Families that were searched for nothing."""
    chosen = findings.final.chosen.candidate.family
    families = {fold.chosen.family for fold in findings.verdict.folds} | {chosen}
    spent = sum(t.seconds for t in findings.trials if t.candidate.family == "network")
    total = sum(trial.seconds for trial in findings.trials)
    if "network" in findings.space.families and families == {"linear"} and spent > 0.5 * total:
        yield Advice(
            f"Networks took {100 * spent / total:.0f}% of the fitting time and no search chose "
            f"one: a space of linear models searches deeper in the same time.",
            "space: linear",
        )


def _unverified(findings: Findings) -> Iterator[Advice]:
    if findings.certificate is None:
        yield Advice("Prove that no row leaked.", f"autoreg verify {findings.spec.study}")


def _unsealed(findings: Findings) -> Iterator[Advice]:
    if findings.verdict.held_out is None and findings.data["rows"] >= ENOUGH_TO_SEAL:
        yield Advice(
            "There are enough rows to set some aside and judge the final model itself on them.",
            "held_out: 0.2",
        )


def _promote(findings: Findings) -> Iterator[Advice]:
    if findings.has_model and findings.verdict.has_signal:
        yield Advice(
            "Register the model; with newer rows, --data compares it with the champion.",
            f"autoreg promote {findings.spec.study}",
        )


def _chosen_trial(findings: Findings) -> Trial:
    number = findings.final.chosen.trial
    return next(t for t in findings.trials if (t.search, t.number) == (findings.lead, number))
