"""What is written where: trials, searches and verdicts as params, metrics, tags and text.

Pure functions from autoreg's values to plain data; nothing here knows MLflow. Outer and held-out
numbers stand on search runs, on the refit and on the parent, never on a trial. Every trial has the
common columns, whatever its family, so that tables, charts and parallel coordinates lose none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from autoreg.attribution import FILE_NAME as ATTRIBUTION
from autoreg.attribution import Effect
from autoreg.budget import overtuning
from autoreg.candidate import Candidate
from autoreg.certificate import FILE_NAME
from autoreg.findings import Findings
from autoreg.folds import FINAL
from autoreg.report import SHEET_NAME, TEXT_NAME, markdown, report_markdown, sheet_markdown
from autoreg.report.words import clean
from autoreg.select import Selection
from autoreg.spec import StudySpec
from autoreg.tracking.curves import Curve, trial_curves, winner_curves
from autoreg.tracking.store import discreet
from autoreg.trial import Trial
from autoreg.verdict import Verdict

LONGEST_PARAM = 6000
LONGEST_TAG = 5000
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Entry:
    """What one run holds; ``curves`` are metrics of (step, value) pairs, by name.

    >>> Entry.from_data(Entry({"a": 1}).to_data()) == Entry({"a": 1})
    True
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        """The entry as plain data."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Entry:
        """The inverse of :meth:`to_data`, after a journey through JSON, too."""
        curves = {name: [(s, v) for s, v in curve] for name, curve in data["curves"].items()}
        return cls(data["params"], data["metrics"], data["tags"], curves)


def trial_name(trial: Trial) -> str:
    """How a trial's run is called.

    >>> from autoreg.candidate import candidate
    >>> blank = dict(origin="design", strengths=(), losses=None, weights=None, train_losses=None)
    >>> trial_name(Trial("final", 7, candidate("linear", [], {}), **blank))
    'final/007 none'
    """
    return f"{trial.search}/{trial.number:03d} {trial.candidate.label}"


def status(trial: Trial) -> str:
    """How a trial's run ends in MLflow."""
    if trial.pruned:
        return "KILLED"
    return "FAILED" if trial.failure else "FINISHED"


def trial_entry(trial: Trial) -> Entry:
    """A trial's run: the common columns, its dials, the losses of its folds, its curves."""
    best = trial.best_candidate
    tags = {
        "autoreg.role": "trial",
        "autoreg.fold": trial.search,
        "autoreg.technique": best.label,
        "autoreg.origin": trial.origin,
    }
    if trial.flags:
        tags["autoreg.flags"] = clean(", ".join(trial.flags), LONGEST_TAG)
    params = {
        "family": best.family,
        "technique": best.label,
        "fold": trial.search,
        **dials(best),
    }
    if trial.failure:
        tags["autoreg.failure"] = clean(trial.failure, LONGEST_TAG)
        return Entry(params, {"fit_seconds": trial.seconds}, tags)
    if trial.pruned:
        tags["autoreg.pruned"] = trial.pruned.words
        metrics = {f"pruned_after_{trial.pruned.by}": float(trial.pruned.at)}
        return Entry(params, metrics | {"fit_seconds": trial.seconds}, tags)
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
    return Entry(params, metrics, tags, trial_curves(trial))


def search_entry(selection: Selection, verdict: Verdict) -> Entry:
    """A search's run: what it chose, and how that did on the search's own outer fold."""
    chosen = selection.chosen.candidate
    metrics = {"inner_loss_optimistic": selection.chosen.loss}
    for fold in verdict.folds:
        if fold.fold == selection.search:
            metrics |= {"outer_loss": fold.loss, f"outer_{verdict.metric}": fold.score}
            metrics["outer_baseline_loss"] = fold.baseline_loss
            metrics |= {f"outer_{name}": value for name, value in fold.monitored.items()}
    return Entry(_chosen(chosen), metrics, {"autoreg.note": selection.note})


def refit_entry(findings: Findings) -> Entry:
    """The last run of a study: the choice refitted on all development rows, and opened rows.

    It is the newest one. MLflow's list begins with the newest hundred runs and their parents,
    and a study is older than its trials: this run makes the list show the study.
    """
    chosen, judged = findings.final.chosen.candidate, findings.verdict.held_out
    tags = {"autoreg.role": "refit", "autoreg.technique": chosen.label}
    curves = winner_curves(findings)
    if judged is None:
        return Entry(_chosen(chosen), {}, tags, curves)
    tags["autoreg.opening"] = judged.opening
    numbers = {
        "held_out_score": judged.score,
        "held_out_loss": judged.loss,
        "held_out_baseline_loss": judged.baseline_loss,
    }
    metrics = {name: value for name, value in numbers.items() if value is not None}
    metrics |= {f"held_out_{name}": one.value for name, one in judged.monitored.items()}
    return Entry(_chosen(chosen), metrics, tags, curves)


def study_params(spec: StudySpec, data: Mapping[str, Any], splits: Mapping[str, Any]) -> Entry:
    """The parent run at the start of a study: its configuration and the facts of its data."""
    assert not isinstance(spec.space, str)
    params = {
        "data": clean(data["name"]),
        "rows": data["rows"],
        "features": data["columns"],
        "task": data["task"],
        "target": clean(data["target"]),
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
    metrics |= {f"nested_{name}": verdict.scores[name].value for name in verdict.monitored}
    if verdict.held_out and verdict.held_out.score is not None:
        metrics["held_out_score"] = verdict.held_out.score
        opened = verdict.held_out.monitored
        metrics |= {f"held_out_{name}": one.value for name, one in opened.items()}
    if verdict.runner_up and verdict.runner_up.difference:
        metrics["runner_up_margin"] = verdict.runner_up.difference.value
    if findings.budget:
        metrics["gap"] = findings.budget[-1].gap
        metrics["overtuning"] = overtuning(findings.budget)[0]
    metrics |= _worth(findings)
    tags = {
        "autoreg.metric": verdict.metric,
        "autoreg.family": chosen.family,
        "autoreg.technique": chosen.label,
        "autoreg.chosen": chosen.describe(),
        "autoreg.signal": "yes" if verdict.has_signal else "no evidence",
        "autoreg.alarms": ", ".join(one.code for one in findings.alarms),
    }
    if findings.certificate:
        tags["autoreg.verified"] = findings.certificate.outcome
        tags["autoreg.verified_on"] = findings.certificate.when
    return Entry({}, metrics | _beside(findings), tags)


def _worth(findings: Findings) -> dict[str, float]:
    """What each ingredient of the winner gains, in loss, and what others would."""
    found = findings.attribution
    names = {"left_out": "worth", "added": "worth_added", "pair": "worth_pair"}
    return {
        f"{names[one.kind]}.{_who(one)}": one.gain.value
        for one in (found.effects if found else ())
        if one.gain is not None
    }


def _who(effect: Effect) -> str:
    several = effect.kind == "left_out" and len(effect.techniques) > 1
    return "all" if several else ".".join(effect.techniques)


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


# ---- documents for the writer ----------------------------------------------------------------


def opening(
    spec: StudySpec, key: str, data: Mapping[str, Any], splits: Mapping[str, Any]
) -> dict[str, Any]:
    """The document that opens a study's view: its key, its configuration, facts of its data."""
    # The path of a file may name people and machines; the digest says which data it was.
    name = clean(data["name"])
    source = spec.data.model_copy(update={"source": name})
    return {
        "key": key,
        "study": spec.study,
        "lead": FINAL if spec.select.final == "search" else None,
        "entry": study_params(spec, data, splits).to_data(),
        "config": spec.model_copy(update={"data": source}).model_dump(mode="json"),
        "data": {
            "name": name,
            "digest": data["digest"],
            "rows": data["rows"],
            "columns": data["columns"],
        },
    }


def closing(findings: Findings, key: str) -> dict[str, Any]:
    """The document that closes a study's view: choices, verdict, texts, what the model is."""
    verdict, chosen = findings.verdict, findings.final.chosen.candidate
    return {
        "key": key,
        "lead": findings.lead,
        "has_model": findings.has_model,
        "searches": {
            name: search_entry(selection, verdict).to_data()
            for name, selection in findings.selections.items()
        },
        "refit": refit_entry(findings).to_data(),
        "verdict": verdict_entry(findings).to_data(),
        "note": markdown(_discreet(findings)),
        "technique": chosen.label,
        "selection": findings.final.digest(str(findings.data["digest"])),
        "model": {name: str(value) for name, value in _chosen(chosen).items()},
        "texts": _texts(findings),
    }


def _discreet(findings: Findings) -> Findings:
    """Before marks are escaped, which hides a secret from those who look for one."""
    spec = findings.spec.model_copy(update={"question": discreet(findings.spec.question)})
    return replace(findings, spec=spec)


def _texts(findings: Findings) -> dict[str, str]:
    """Verdict, evidence and certificate as data, trials and coefficients as tables, by name."""
    import pandas as pd

    trials = pd.DataFrame([trial.row for trial in findings.trials])
    evidence = {
        **findings.evidence.to_data(),
        "alarms": [one.to_data() for one in findings.alarms],
        "sheet": [one.to_data() for one in findings.sheet],
    }
    texts = {
        TEXT_NAME: report_markdown(_discreet(findings)),
        "verdict.json": json.dumps(findings.verdict.to_data(), indent=2),
        "evidence.json": json.dumps(evidence, indent=2),
        "trials.csv": tame(trials).to_csv(index=False),
    }
    if findings.sheet:
        texts[SHEET_NAME] = sheet_markdown(findings)
    if findings.certificate:
        texts[FILE_NAME] = json.dumps(findings.certificate.to_data(), indent=2)
    if findings.attribution:
        texts[ATTRIBUTION] = json.dumps(findings.attribution.to_data(), indent=2)
    if findings.coefficients is not None:
        read = pd.DataFrame(findings.coefficients.rows)
        texts["coefficients.csv"] = tame(read).to_csv(index=False)
    return texts


def tame(table: Any) -> Any:
    """A table whose texts no spreadsheet takes for formulas.

    >>> import pandas as pd
    >>> tame(pd.DataFrame({"input": ["=cmd()", "age"], "size": [-1.5, 2.0]})).values.tolist()
    [["'=cmd()", -1.5], ['age', 2.0]]
    """

    def quiet(cell: Any) -> Any:
        return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell

    texts = table.select_dtypes(exclude="number").columns
    return table.assign(**{name: table[name].map(quiet) for name in texts})


# ---- parts -----------------------------------------------------------------------------------


def dials(candidate: Candidate) -> dict[str, Any]:
    """Every chosen value by its full name: ``ridge.strength``, ``network.width``, ..."""
    chosen = {
        f"{one.key}.{name}": value
        for one in candidate.techniques
        for name, value in one.values.items()
    }
    family = candidate.family
    return chosen | {f"{family}.{name}": value for name, value in candidate.architecture}


def _techniques(candidate: Candidate) -> int:
    return 0 if candidate.is_none else len(candidate.techniques)


def _chosen(candidate: Candidate) -> dict[str, Any]:
    return {"family": candidate.family, "technique": candidate.label, **dials(candidate)}
