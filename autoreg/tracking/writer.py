"""Writes a study into an MLflow store, each run exactly once; used by one thread only."""

from __future__ import annotations

import json
import logging
import math
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunTag,
)

from autoreg.certificate import FILE_NAME
from autoreg.findings import Findings
from autoreg.report import sheet_markdown
from autoreg.spec import StudySpec
from autoreg.tracking import layout
from autoreg.tracking.layout import Entry
from autoreg.tracking.serving import wrap
from autoreg.tracking.store import Store
from autoreg.trial import Trial

if TYPE_CHECKING:
    import pandas as pd

DONE = frozenset({"FINISHED", "FAILED", "KILLED"})
BATCH = 800  # metrics; MLflow takes 1000 things at once, params and tags included

NOISY = ("alembic", "mlflow.store.db.utils", "mlflow.tracking", "mlflow.pyfunc")


class Writer:
    """The runs of one study: a parent, a run for each search, a run for each trial."""

    def __init__(self, store: Store) -> None:
        _quieten()
        self.store = store
        self.store.prepare()
        self.client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
        self.experiment = self._experiment()
        self.runs: dict[str, str] = {}
        self.done: set[str] = set()
        self.key = ""
        self.study = ""
        self._doubtful = False
        self._found: set[str] = set()

    @property
    def parent(self) -> str:
        """The id of the parent run."""
        return self.runs[self.key]

    def begin(
        self, spec: StudySpec, key: str, data: Mapping[str, Any], splits: Mapping[str, Any]
    ) -> None:
        """Find the runs that exist already, and open the parent."""
        self.key, self.study = key, spec.study
        self._recall()
        self._open(key, spec.study, {"autoreg.role": "study"})
        self._log(self.parent, layout.study_params(spec, data, splits))
        self._log_data(data)
        # The path of a file may name people and machines; the digest says which data it was.
        source = spec.data.model_copy(update={"source": data["name"]})
        config = spec.model_copy(update={"data": source}).model_dump(mode="json")
        self.client.log_text(self.parent, json.dumps(config, indent=2), "study.json")

    def trial(self, trial: Trial) -> None:
        """Write a trial's run, unless it is complete already."""
        key = f"{self.key}:{trial.search}:{trial.number}"
        if key in self.done:
            return
        search = self._search(trial.search)
        ended = _now()
        started = ended - round(1000 * trial.seconds)
        run = self._open(key, layout.trial_name(trial), {}, search, started)
        self._log(run, layout.trial_entry(trial))
        self._close(key, "FAILED" if trial.failure else "FINISHED", ended)

    def verdict(self, findings: Findings) -> None:
        """Write what each search chose, and how that did; close the searches."""
        for name, selection in findings.selections.items():
            run = self._search(name)
            self._log(run, layout.search_entry(selection, findings.verdict))
            self._close(self._search_key(name), "FINISHED")
        self._log(self.parent, layout.verdict_entry(findings))

    def close(self) -> None:
        """Close the parent: everything is written."""
        self._close(self.key, "FINISHED")
        self.store.tidy()

    def doubt(self) -> None:
        """A call failed, and may have done its work all the same: look before it is repeated."""
        self._doubtful = True

    def abandon(self, status: str) -> None:
        """Close every run that is open, with one status."""
        for key in [key for key in self.runs if key not in self.done]:
            self._close(key, status)

    # ---- runs ---------------------------------------------------------------------------------

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.store.experiment)
        if found is not None:
            return str(found.experiment_id)
        # The kind makes the pages open in the view for training runs.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        made = self.client.create_experiment(self.store.experiment, self.store.artifacts, kind)
        self.client.set_experiment_tag(made, "mlflow.note.content", layout.experiment_note(made))
        return made

    def _recall(self) -> None:
        """Learn which runs of this study are in the store, and which are complete."""
        for run in self._existing():
            name = run.data.tags["autoreg.key"]
            self.runs[name] = run.info.run_id
            # The role of a trial's run is written last: without it, the run is half written.
            if run.info.status in DONE and "autoreg.role" in run.data.tags:
                self.done.add(name)
            self._found.add(run.info.run_id)
        self._doubtful = False

    def _existing(self) -> list[Run]:
        """All runs of this study that are in the store."""
        found: list[Run] = []
        token: str | None = None
        chosen = f"tags.`autoreg.study_key` = '{self.key}'"
        while True:
            page = self.client.search_runs([self.experiment], chosen, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def _open(
        self,
        key: str,
        name: str,
        tags: Mapping[str, str],
        parent: str | None = None,
        start: int | None = None,
    ) -> str:
        """The run of a key: found again and set to running, or created."""
        if self._doubtful:
            self._recall()
        if key in self.done:
            self.done.discard(key)
            self.client.update_run(self.runs[key], status="RUNNING")
        if key not in self.runs:
            own = {"autoreg.key": key, "autoreg.study_key": self.key, "autoreg.study": self.study}
            own |= {"mlflow.parentRunId": parent} if parent else {}
            run = self.client.create_run(
                self.experiment, start_time=start, tags={**own, **tags}, run_name=name
            )
            self.runs[key] = run.info.run_id
        return self.runs[key]

    def _search_key(self, name: str) -> str:
        return f"{self.key}:{name}"

    def _search(self, name: str) -> str:
        key = self._search_key(name)
        if key in self.runs and key not in self.done:
            return self.runs[key]
        tags = {"autoreg.role": "search", "autoreg.fold": name}
        return self._open(key, name, tags, self.parent)

    def _close(self, key: str, status: str, ended: int | None = None) -> None:
        self.client.set_terminated(self.runs[key], status, ended)
        self.done.add(key)

    # ---- what runs hold -----------------------------------------------------------------------

    def _log(self, run: str, entry: Entry) -> None:
        """Add an entry to a run; what a run found in the store holds already stays as it is."""
        now = _now()
        there = self.client.get_run(run).data.metrics if run in self._found else {}
        numbers = {name: [value] for name, value in entry.metrics.items()} | dict(entry.curves)
        metrics = [
            Metric(name, value, now, step)
            for name, values in numbers.items()
            if values and there.get(name) != values[-1]
            for step, value in enumerate(values)
            if math.isfinite(value)
        ]
        params = [Param(k, str(v)[: layout.LONGEST_PARAM]) for k, v in entry.params.items()]
        tags = dict(entry.tags)
        if lost := sorted(
            name for name, value in entry.metrics.items() if not math.isfinite(value)
        ):
            tags["autoreg.nonfinite"] = ", ".join(lost)
        while len(metrics) > BATCH:
            self.client.log_batch(run, metrics[:BATCH], synchronous=True)
            metrics = metrics[BATCH:]
        labels = [RunTag(name, value) for name, value in tags.items()]
        self.client.log_batch(run, metrics, params, labels, synchronous=True)

    def _log_data(self, data: Mapping[str, Any]) -> None:
        profile = {"num_rows": data["rows"], "num_elements": data["rows"] * data["columns"]}
        one = Dataset(
            name=data["name"],
            digest=data["digest"],
            source_type="autoreg",
            source=json.dumps({"name": data["name"]}),
            profile=json.dumps(profile),
        )
        self.client.log_inputs(
            self.parent, [DatasetInput(one, [InputTag("mlflow.data.context", "study")])]
        )

    def files(self, findings: Findings, report: Path) -> None:
        """Upload report, verdict and certificate, all trials and the coefficients as tables."""
        import pandas as pd

        verdict = json.dumps(findings.verdict.to_data(), indent=2)
        table = pd.DataFrame([trial.row for trial in findings.trials])
        self.client.log_artifact(self.parent, str(report))
        self.client.log_text(self.parent, verdict, "verdict.json")
        evidence = {
            **findings.evidence.to_data(),
            "alarms": [one.to_data() for one in findings.alarms],
            "sheet": [one.to_data() for one in findings.sheet],
        }
        self.client.log_text(self.parent, json.dumps(evidence, indent=2), "evidence.json")
        if findings.sheet:
            self.client.log_text(self.parent, sheet_markdown(findings), "info_sheet.md")
        self.client.log_text(self.parent, table.to_csv(index=False), "trials.csv")
        if findings.certificate is not None:
            proof = json.dumps(findings.certificate.to_data(), indent=2)
            self.client.log_text(self.parent, proof, FILE_NAME)
        if findings.coefficients is not None:
            read = pd.DataFrame(findings.coefficients.rows)
            self.client.log_text(self.parent, read.to_csv(index=False), "coefficients.csv")

    def model(self, findings: Findings, folder: Path, example: pd.DataFrame) -> None:
        """Store the final model, once for each selection, loadable as ``models:/<id>``."""
        digest = findings.final.digest(str(findings.data["digest"]))
        parent = self.client.get_run(self.parent)
        if parent.data.tags.get("autoreg.selection") == digest:
            return
        model = self._logged_model(findings, digest)
        if model.status != LoggedModelStatus.READY:
            with tempfile.TemporaryDirectory() as place:
                wrapped = wrap(folder, Path(place) / "model", example)
                self.client.log_model_artifacts(model.model_id, str(wrapped))
            self.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        if model.model_id not in _models_of(parent):
            self.client.log_outputs(self.parent, [LoggedModelOutput(model.model_id, step=0)])
        self.client.set_tag(self.parent, "autoreg.model", f"models:/{model.model_id}")
        self.client.set_tag(self.parent, "autoreg.selection", digest)

    def _logged_model(self, findings: Findings, digest: str) -> LoggedModel:
        """The selection's model: one that an earlier try began, or a new one."""
        of_this_study = f"source_run_id = '{self.parent}'"
        for model in self.client.search_logged_models([self.experiment], of_this_study):
            if model.tags.get("autoreg.selection") == digest:
                return model
        chosen = findings.final.chosen.candidate
        tags = {"autoreg.technique": chosen.label, "autoreg.family": chosen.family}
        return self.client.create_logged_model(
            self.experiment,
            name=self.study,
            source_run_id=self.parent,
            params={name: str(value) for name, value in layout.dials(chosen).items()},
            tags={**tags, "autoreg.selection": digest},
        )


def _models_of(run: Run) -> set[str]:
    return {one.model_id for one in run.outputs.model_outputs} if run.outputs else set()


def _quieten() -> None:
    """Keep the store's own remarks (schema migrations, deprecated SQL) off the terminal."""
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")


def _now() -> int:
    """Milliseconds since 1970."""
    return round(1000 * time.time())
