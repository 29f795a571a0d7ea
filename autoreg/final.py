"""The final model: which candidate it is, by a named policy; its refit; the held-out rows.

``search``: the same search once more, on all development rows. ``vote``: no further search; the
technique set that most outer searches chose, at the median of their dials. ``skip``: no final
model; the nested estimate was all that was asked for, and the held-out rows stay sealed.

The nested estimate is that of the policy ``search``. With ``vote`` the final model is one of what
was judged, and its own error is that of the held-out rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median, median_low
from typing import Any

import numpy as np

from autoreg import __version__
from autoreg.calibration import Calibration
from autoreg.candidate import ARCHITECTURES, Candidate, candidate
from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.dials import Choice, Dial, Value
from autoreg.engines.base import Failure, Outcome
from autoreg.errors import NoValidTrialError
from autoreg.folds import FINAL, Plan
from autoreg.judge import attack_on, judge_held_out
from autoreg.metrics import metric
from autoreg.model import Model
from autoreg.resampling import bootstrap, wilson
from autoreg.scoring import Bench, featureless
from autoreg.sealed import Openings, Sealed
from autoreg.select import Contender, Selection
from autoreg.spec import seed_for
from autoreg.statistics import Interval, widened
from autoreg.techniques.base import Technique
from autoreg.verdict import HeldOut

BOOTSTRAPS = 500
KEPT = "kept"  # an opening that did not take place, for want of a final model


def searches_for(plan: Plan, policy: str) -> Plan:
    """The plan with the searches that a policy needs: only ``search`` has a final one."""
    if policy == "search":
        return plan
    return plan.only(*(name for name in plan.inner if name != FINAL))


def voted(
    selections: Sequence[Selection],
    policy: str,
    known: Mapping[str, Sequence[Dial]] = ARCHITECTURES,
) -> Selection:
    """What the outer searches chose most often, at the median of their dials.

    A tie goes to the set with the lower mean inner loss. Trials and contenders are those of the
    search, among those that chose this set, with the lowest inner loss: its name is ``source``.
    ``known`` are the dials that each family has beside techniques.
    """
    sets: dict[tuple[str, str], list[Selection]] = {}
    for one in selections:
        sets.setdefault(one.chosen.candidate.technique_set, []).append(one)
    winners = min(sets.values(), key=lambda same: (-len(same), _mean_loss(same)))
    leading = min(winners, key=lambda one: one.chosen.loss)
    middle = Contender(
        median_candidate([one.chosen.candidate for one in winners], known),
        leading.chosen.loss,
        leading.chosen.trial,
        median_low(one.chosen.steps for one in winners),
    )
    note = f"{len(winners)} of {len(selections)} outer searches chose this set; median of its dials"
    model = "; no final model was asked for" if policy == "skip" else ""
    return replace(
        leading, search=FINAL, rule=policy, chosen=middle, note=note + model, source=leading.search
    )


def median_candidate(
    same: Sequence[Candidate], known: Mapping[str, Sequence[Dial]] = ARCHITECTURES
) -> Candidate:
    """The candidate in the middle of several that share family and techniques.

    >>> from autoreg.techniques import technique
    >>> fits = [candidate("linear", [technique("lasso")(strength=s)], {}) for s in (0.01, 0.1, 1)]
    >>> median_candidate(fits).strengths == fits[1].strengths
    True
    """
    first = same[0]
    parts = [
        _middle_technique(tuple(one.techniques[k] for one in same))
        for k in range(len(first.techniques))
    ]
    shapes = [dict(one.architecture) for one in same]
    dials = {dial.name: dial for dial in known[first.family] if dial.name in shapes[0]}
    shape: dict[str, Any] = {
        name: _middle(dial, [one[name] for one in shapes]) for name, dial in dials.items()
    }
    return candidate(first.family, parts, shape)


def final_model(
    bench: Bench, selection: Selection, outcome: Outcome, calibration: Calibration | None = None
) -> Model:
    """The refit of the final selection on all development rows, as a model.

    ``calibration`` says how sure its predictions are, and travels with it.

    Raises NoValidTrialError where the refit failed.
    """
    if isinstance(outcome, Failure):
        raise NoValidTrialError(
            f"the final refit of {selection.chosen.candidate.describe()} on all development "
            f"rows failed: {outcome.reason}"
        )
    assert outcome.model is not None, "a final job keeps its model"
    table = bench.table
    about = {
        "study": bench.spec.study,
        "candidate": selection.chosen.candidate.to_data(),
        "autoreg": __version__,
        "calibration": calibration.to_data() if calibration else None,
        "weighted": table.weight is not None,
        "linear": bench.spec.linear.model_dump(mode="json"),
    }
    return Model(table.columns, table.task, table.target, table.classes, outcome.model, about)


def held_out_verdict(
    bench: Bench,
    rows: Sealed | None,
    model: Model | None,
    selection: Selection,
    openings: Openings,
    *,
    reopen: bool,
) -> HeldOut | None:
    """Open the held-out rows for the final model; a selection judged before is not judged again."""
    if rows is None:
        return None
    if model is None:
        return HeldOut(rows.n, KEPT)
    digest = selection.digest(bench.table.digest)
    opening = rows.open(openings, digest, bench.spec.study, reopen=reopen)
    if opening.verdict is not None:
        return HeldOut.from_data(opening.verdict)
    if opening.rows is None:
        return HeldOut(rows.n, opening.kind)
    predicted = model.parameters.predictions(opening.rows.X, model.task)
    judged = judge_held_out(bench, predicted, opening.rows, opening)
    measured = measured_on(bench, model, predicted, opening.rows, opening.reused)
    judged = replace(judged, measured=measured)
    openings.judge(digest, judged.to_data())
    return judged


def measured_on(
    bench: Bench, model: Model, predicted: Floats, rows: Dataset, reused: int
) -> dict[str, Any]:
    """The interval of the shown metric on the opened rows, and how many their sets cover.

    Both are widened where ``reused`` earlier selections have seen some of the rows.
    """
    if rows.streamed is not None:
        return {}
    shown = metric(bench.metrics[0])
    score = score_interval(bench, shown.name, predicted, rows)
    found: dict[str, Any] = {"score": widened(score, reused, shown.bounds).to_data()}
    attack = attack_on(model.parameters, rows, np.arange(rows.n))
    for name in bench.monitored:
        told = score_interval(bench, name, attack(metric(name).reach), rows)
        bounds = metric(name).bounds
        found.setdefault("monitored", {})[name] = widened(told, reused, bounds).to_data()
    if document := model.about.get("calibration"):
        known = Calibration.from_data(document)
        inside = known.covered(rows.y, predicted)
        coverage = wilson(float(inside.sum()), rows.n)
        found["coverage"] = widened(coverage, reused, (0.0, 1.0)).to_data()
        found["level"] = known.level
        found["size"] = known.size(predicted)
    return found


def score_interval(bench: Bench, name: str, predicted: Floats, rows: Dataset) -> Interval:
    """The interval of a metric on opened rows: Wilson's for plain accuracy, else the bootstrap.

    Groups are drawn whole where they are declared.
    """
    measure, table = metric(name), bench.table
    baseline = featureless(table, np.arange(table.n), rows.n)
    if (
        (name == "accuracy" or name in bench.monitored)
        and rows.group is None
        and rows.weight is None
    ):
        return wilson(float((predicted.argmax(axis=1) == rows.y).sum()), rows.n)

    def score(ids: Rows) -> float:
        y = rows.y[ids]
        if measure.needs(y, len(rows.classes)):
            return float("nan")
        return measure.score(y, predicted[ids], rows.weights[ids], baseline[ids])

    rng = np.random.default_rng(seed_for("bootstrap", table.name, name))
    return bootstrap(score, rows.n, rng, groups=rows.group, draws=BOOTSTRAPS)


def _mean_loss(same: Sequence[Selection]) -> float:
    return sum(one.chosen.loss for one in same) / len(same)


def _middle_technique(same: Sequence[Technique]) -> Technique:
    kind = type(same[0])
    values: Mapping[str, Value] = {
        dial.name: _middle(dial, [one.values[dial.name] for one in same])
        for dial in kind.dials
        if dial.name in same[0].values
    }
    return kind(**values)


def _middle(dial: Dial, values: Sequence[Value]) -> Any:
    """The median on the dial's own scale; of named options the most frequent."""
    if isinstance(dial, Choice):
        return Counter(values).most_common(1)[0][0]
    off = [value for value in values if value == dial.off]
    if 2 * len(off) > len(values):
        return dial.off
    inside = [value for value in values if value != dial.off] or list(values)
    return dial.at(median(dial.unit(value) for value in inside))
