"""What is written where: trials, searches and verdicts as params, metrics, tags and text.

Pure functions from autoreg's values to plain dictionaries; nothing here knows MLflow. Outer and
held-out numbers stand on search runs and on the parent, never on a trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from autoreg.budget import overtuning
from autoreg.candidate import Candidate
from autoreg.findings import Findings
from autoreg.report import markdown
from autoreg.report.words import search_name
from autoreg.select import Selection
from autoreg.spec import StudySpec
from autoreg.trial import Trial
from autoreg.verdict import Verdict

LONGEST_PARAM = 6000
LONGEST_NOTE = 7900


@dataclass(frozen=True)
class Entry:
    """What one run holds; ``curves`` are metrics with a step."""

    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)


def trial_name(trial: Trial) -> str:
    """How a trial's run is called.

    >>> from autoreg.candidate import candidate
    >>> blank = dict(origin="design", strengths=(), losses=None, weights=None, train_losses=None)
    >>> trial_name(Trial("final", 7, candidate("linear", [], {}), **blank))
    'final/007 none'
    """
    return f"{trial.search}/{trial.number:03d} {trial.candidate.label}"


def trial_entry(trial: Trial) -> Entry:
    """A trial's run: the common columns, its dials, the losses of its folds, its curves."""
    best = trial.best_candidate
    tags = {
        "autoreg.role": "trial",
        "autoreg.fold": trial.search,
        "autoreg.technique": best.label,
        "autoreg.family": best.family,
        "autoreg.origin": trial.origin,
        "autoreg.flags": ", ".join(trial.flags),
        "autoreg.failure": trial.failure or "",
    }
    params = {
        "family": best.family,
        "technique": best.label,
        "n_techniques": _techniques(best),
        "fold": trial.search,
        **dials(best),
    }
    if trial.failure:
        return Entry(params, {"fit_seconds": trial.seconds}, tags)
    metrics = {
        "val_loss": trial.loss,
        "train_loss": trial.train_loss,
        "gap": trial.loss - trial.train_loss,
        "fit_seconds": trial.seconds,
        "strength_norm": best.lead_strength,
        "n_techniques": float(_techniques(best)),
        **trial.scores,
    }
    if trial.n_columns is not None:
        metrics["n_columns"] = trial.n_columns
    if trial.freedom is not None:
        metrics["freedom"] = trial.freedom
    for fold, loss in enumerate(trial.losses[trial.best]):
        metrics[f"fold_{fold}_val_loss"] = float(loss)
    return Entry(params, metrics, tags, _curves(trial))


def search_entry(selection: Selection, verdict: Verdict) -> Entry:
    """A search's run: what it chose, and how that did on the search's own outer fold."""
    chosen = selection.chosen.candidate
    metrics = {"inner_loss_optimistic": selection.chosen.loss}
    for fold in verdict.folds:
        if fold.fold == selection.search:
            metrics |= {"outer_loss": fold.loss, f"outer_{verdict.metric}": fold.score}
            metrics["outer_baseline_loss"] = fold.baseline_loss
    params = {"family": chosen.family, "technique": chosen.label, **dials(chosen)}
    return Entry(params, metrics, {"autoreg.note": selection.note})


def study_params(spec: StudySpec, data: Mapping[str, Any], splits: Mapping[str, Any]) -> Entry:
    """The parent run at the start of a study: its configuration and the facts of its data."""
    assert not isinstance(spec.space, str)
    params = {
        "data": data["name"],
        "rows": data["rows"],
        "features": data["columns"],
        "task": data["task"],
        "target": data["target"],
        "splitter": splits["splitter"],
        "outer_folds": splits["outer"],
        "held_out_rows": splits["held_out_rows"],
        "space": spec.space.space,
        "trials": spec.trials,
        "sampler": spec.sampler,
        "seed": spec.seed,
        "rule": spec.select.rule,
        "guard": spec.select.guard,
        "final_model": spec.select.final,
    }
    return Entry(params)


def verdict_entry(findings: Findings) -> Entry:
    """The parent run at the end: the verdict in numbers, the choice as tags, the note."""
    verdict, chosen = findings.verdict, findings.final.chosen.candidate
    metrics = {
        "nested_score": verdict.nested.value,
        "nested_low": verdict.nested.low,
        "nested_high": verdict.nested.high,
        "nested_loss": verdict.nested_loss.value,
        "inner_best_optimistic": verdict.inner_best,
        "agreement": verdict.agreement / len(verdict.folds),
        "signal_low": verdict.signal.low,
    }
    metrics |= {f"none_{family}_score": score.value for family, score in verdict.none.items()}
    if verdict.held_out and verdict.held_out.score is not None:
        metrics["held_out_score"] = verdict.held_out.score
    if verdict.runner_up and verdict.runner_up.difference:
        metrics["runner_up_margin"] = verdict.runner_up.difference.value
    if findings.budget:
        metrics["gap"] = findings.budget[-1].gap
        metrics["overtuning"] = overtuning(findings.budget)[0]
    tags = {
        "autoreg.metric": verdict.metric,
        "autoreg.family": chosen.family,
        "autoreg.technique": chosen.label,
        "autoreg.chosen": chosen.describe(),
        "autoreg.signal": "yes" if verdict.has_signal else "no evidence",
        "mlflow.note.content": note(findings),
    }
    metrics |= _beside(findings)
    tags["autoreg.alarms"] = ", ".join(one.code for one in findings.alarms)
    if findings.certificate:
        tags["autoreg.verified"] = findings.certificate.outcome
        tags["autoreg.verified_on"] = findings.certificate.when
    return Entry({}, metrics, tags)


def _beside(findings: Findings) -> dict[str, float]:
    """Corrections and tests, and what conformal sets held of the held-out rows."""
    evidence, judged = findings.evidence, findings.verdict.held_out
    coverage = judged.coverage if judged else None
    known = evidence.calibration
    found = {
        "bbc_loss": evidence.bbc.value if evidence.bbc else None,
        "permutation_p": evidence.permutation.p_value if evidence.permutation else None,
        "coverage": coverage.value if coverage else None,
        "calibration_error": known.error if known else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def note(findings: Findings) -> str:
    """The parent's note: the verdict in Markdown, and filters to paste into the search bar."""
    study = findings.spec.study
    chosen = findings.final.chosen.candidate
    filters = {
        "all trials": f"tags.`autoreg.study` = '{study}' and tags.`autoreg.role` = 'trial'",
        search_name(findings.lead): f"tags.`autoreg.study` = '{study}' and "
        f"tags.`autoreg.fold` = '{findings.lead}'",
        "the chosen techniques": f"tags.`autoreg.study` = '{study}' and "
        f"tags.`autoreg.technique` = '{chosen.label}'",
        "failed trials": f"tags.`autoreg.study` = '{study}' and attributes.status = 'FAILED'",
    }
    lines = [f"- {words}: `` {text} ``" for words, text in filters.items()]
    ready = "\n".join(["", "", "**Filters for the list of runs**", "", *lines])
    return markdown(findings)[: LONGEST_NOTE - len(ready)] + ready


def experiment_note(experiment: str) -> str:
    """The experiment's description: links to its studies and trials.

    MLflow's list shows the newest hundred runs, and a study is older than its trials: without a
    filter the page shows no study at all.

    >>> "[Studies](#/experiments/7/runs?searchFilter=tags" in experiment_note("7")
    True
    """
    page = f"#/experiments/{experiment}/runs?searchFilter="
    studies = page + quote("tags.`autoreg.role` = 'study'")
    trials = page + quote("tags.`autoreg.role` = 'trial'")
    by_loss = f"{trials}&orderByKey={quote('metrics.`val_loss`')}&orderByAsc=true"
    failed = page + quote("tags.`autoreg.role` = 'trial' and attributes.status = 'FAILED'")
    # One line: of a longer description the page shows the first line only.
    return (
        f"[Studies]({studies}), each described by its verdict; "
        f"[their trials by inner loss]({by_loss}), optimistic; [failed trials]({failed})"
    )


def dials(candidate: Candidate) -> dict[str, Any]:
    """Every chosen value by its full name: ``ridge.strength``, ``network.width``, ..."""
    chosen = {
        f"{one.key}.{name}": value
        for one in candidate.techniques
        for name, value in one.values.items()
    }
    return chosen | {f"network.{name}": value for name, value in candidate.architecture}


def _techniques(candidate: Candidate) -> int:
    return 0 if candidate.is_none else len(candidate.techniques)


def _curves(trial: Trial) -> dict[str, list[float]]:
    """Learning curves by epoch, and what changes along a path by position, weakest first."""
    curves = {f"curve_{name}": list(values) for name, values in trial.curve.items()}
    if trial.strengths:
        shares = trial.weights / trial.weights.sum()
        path = {
            "strength": trial.strengths,
            "val_loss": trial.means,
            "train_loss": trial.train_losses @ shares,
            "n_columns": trial.sparsity,
        }
        curves |= {f"path_{name}": list(map(float, values)) for name, values in path.items()}
    return curves
