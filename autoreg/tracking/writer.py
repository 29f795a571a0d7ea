"""Writes a study into an MLflow store, each run exactly once; used by one process only.

A run is known by its key. Keys, times and values come from the ledger and its documents, so
what is written twice is the same. A run that carries its final status is complete.
"""

from __future__ import annotations

import json
import logging
import math
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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

from autoreg.model import Model
from autoreg.report import DATA_NAME, FILE_NAME
from autoreg.tracking import layout, sqlite, views
from autoreg.tracking.curves import Curve
from autoreg.tracking.figures import charts
from autoreg.tracking.layout import Entry
from autoreg.tracking.serving import made_up, wrap
from autoreg.tracking.spool import Told
from autoreg.tracking.store import Store, discreet

REPORTS = (FILE_NAME, DATA_NAME)
DONE = {"trial": ("FINISHED", "FAILED")}  # what ends a run that is complete, by role
TRIAL_LEVEL = 2  # a trial's key has one part more than that of its search
BATCH = 800  # metrics; MLflow takes 1000 things at once, params and tags included
UNNAMEABLE = re.compile(r"[/:.%\"']")  # what MLflow takes in no name of a model
NOISY = ("alembic", "mlflow.store.db.utils", "mlflow.tracking", "mlflow.pyfunc")


class Writer:
    """The runs of one study: a parent, a run for each search, a run for each trial, a refit."""

    def __init__(self, store: Store) -> None:
        _quieten()
        sqlite.attend()
        self.store = store
        self.store.prepare()
        self.client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
        self.experiment = self._experiment()
        self.runs: dict[str, str] = {}
        self.done: set[str] = set()
        self.key = ""
        self.study = ""
        self._doubtful = False
        self._opened: set[str] = set()

    @property
    def parent(self) -> str:
        """The id of the parent run."""
        return self.runs[self.key]

    def begin(self, opening: Mapping[str, Any]) -> None:
        """Find the runs that exist already, and open the parent, unless it is complete."""
        self.key, self.study = opening["key"], opening["study"]
        self._recall()
        if self.key in self.done:
            return
        self._open_parent(opening["at"])
        self._log(self.parent, Entry.from_data(opening["entry"]), opening["at"])
        self._log_data(opening["data"])
        self._log_text("study.json", json.dumps(opening["config"], indent=2))
        if opening["lead"]:  # else it is known at the end
            self._seed_view(opening["lead"], opening["at"])

    def trial(self, told: Told) -> None:
        """Write a trial's run, unless it is complete already."""
        trial = told.trial
        key = f"{self.key}:{trial.search}:{trial.number}"
        self._make_sure()
        if key in self.done:
            return
        entry = layout.trial_entry(trial)
        started = told.at - round(1000 * trial.seconds)
        search = self._search(trial.search, started)
        run = self._open(key, layout.trial_name(trial), entry.tags, search, started)
        self._log(run, Entry(entry.params, entry.metrics, {}, entry.curves), told.at)
        self._close(key, layout.status(trial), told.at)

    def verdict(self, closing: Mapping[str, Any]) -> None:
        """Write what each search chose, and how that did; close the searches; the refit."""
        at = closing["at"]
        self._make_sure()
        for name, entry in closing["searches"].items():
            run = self._search(name, at)
            self._log(run, Entry.from_data(entry), at)
            self._close(self._search_key(name), "FINISHED", at)
        refit = Entry.from_data(closing["refit"])
        self._log(self._open(f"{self.key}:refit", "refit", refit.tags, self.parent, at), refit, at)
        self._close(f"{self.key}:refit", "FINISHED", at)
        self._log(self.parent, Entry.from_data(closing["verdict"]), at)
        lead = closing["lead"]
        self._seed_view(lead, at)
        note = views.note(closing["note"], self.study, closing["technique"], lead, self.experiment)
        self.client.set_tag(self.parent, "mlflow.note.content", discreet(note))

    def files(self, closing: Mapping[str, Any], folder: Path) -> None:
        """Upload the report in its forms, its charts, the verdict as data, and the tables."""
        forms = [path for name in REPORTS if (path := folder / name).exists()]
        texts = closing["texts"] | {path.name: path.read_text(encoding="utf-8") for path in forms}
        shown = charts(texts.get(REPORTS[0], ""))
        texts |= {f"figures/{name}": chart for name, chart in shown.items()}
        with tempfile.TemporaryDirectory() as place:
            for name, text in texts.items():
                path = Path(place) / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(discreet(text), encoding="utf-8")
            self.client.log_artifacts(self.parent, place)

    def model(self, closing: Mapping[str, Any], folder: Path) -> None:
        """Store the final model, once for each selection, loadable as ``models:/<id>``."""
        if not closing["has_model"]:
            return
        digest = closing["selection"]
        parent = self.client.get_run(self.parent)
        if parent.data.tags.get("autoreg.selection") == digest:
            return
        model = self._logged_model(closing)
        if model.status != LoggedModelStatus.READY:
            with tempfile.TemporaryDirectory() as place:
                wrapped = wrap(folder, Path(place) / "model", Model.load(folder).example())
                self.client.log_model_artifacts(model.model_id, str(wrapped))
            self.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        if model.model_id not in _models_of(parent):
            self.client.log_outputs(self.parent, [LoggedModelOutput(model.model_id, step=0)])
        self.client.set_tag(self.parent, "autoreg.model", f"models:/{model.model_id}")
        self.client.set_tag(self.parent, "autoreg.selection", digest)

    @staticmethod
    def warm_up() -> None:
        """Wrap a made-up model, so that the study need not wait for MLflow's second thoughts."""
        with tempfile.TemporaryDirectory() as place:
            model = made_up()
            model.save(Path(place) / "saved")
            wrap(Path(place) / "saved", Path(place) / "model", model.example())

    def close(self, at: int) -> None:
        """Close the parent: everything is written."""
        self._make_sure()
        self._close(self.key, "FINISHED", at)
        self.store.tidy()

    def doubt(self) -> None:
        """A call failed, and may have done its work all the same: look before it is repeated."""
        self._doubtful = True

    def abandon(self, status: str) -> None:
        """Close every run that is open; a trial that is half written is marked as killed."""
        self._make_sure()
        for key in [key for key in self.runs if key not in self.done]:
            of_trial = key.count(":") > TRIAL_LEVEL
            self.client.set_terminated(self.runs[key], "KILLED" if of_trial else status)
        self.store.tidy()

    # ---- runs ---------------------------------------------------------------------------------

    def _experiment(self) -> str:
        if self.store.run:
            return str(self.client.get_run(self.store.run).info.experiment_id)
        if self.store.experiment_id:
            return self.store.experiment_id
        found = self.client.get_experiment_by_name(self.store.experiment)
        if found is None:
            # The kind makes the pages open in the view for training runs.
            kind = {"mlflow.experimentKind": "custom_model_development", "autoreg.layout": "0"}
            name, place = self.store.experiment, self.store.artifacts
            made = self.client.create_experiment(name, place, kind)
            found = self.client.get_experiment(made)
        number = str(found.experiment_id)
        # Of an experiment that somebody else has made, the description is theirs.
        if found.tags.get("autoreg.layout", views.LAYOUT) != views.LAYOUT:
            for name, value in views.experiment_tags(number, found.creation_time or 0).items():
                self.client.set_experiment_tag(number, name, value)
        return number

    def _recall(self) -> None:
        """Learn which runs of this study are in the store, and which are complete."""
        self.runs, self.done = {}, set()
        for run in self._existing():
            name = run.data.tags["autoreg.key"]
            self.runs[name] = run.info.run_id
            final = DONE.get(run.data.tags.get("autoreg.role", ""), ("FINISHED",))
            if run.info.status in final or _is_pruned(run):
                self.done.add(name)
        self._opened = set()
        self._doubtful = False

    def _make_sure(self) -> None:
        """After a call that failed, look what is there."""
        if self._doubtful and self.key:
            self._recall()

    def _existing(self) -> list[Run]:
        """All runs of this study that are in the store."""
        found: list[Run] = []
        token: str | None = None
        chosen = f"tags.`autoreg.study_key` = '{self.key}'"
        while True:
            page = self.client.search_runs(
                [self.experiment], chosen, max_results=5000, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    def _open_parent(self, at: int) -> None:
        """The parent: found again, the run that MLFLOW_RUN_ID names, or a new one.

        A given run that holds another study already gets this one as its child.
        """
        role = {"autoreg.role": "study"}
        given = self.store.run
        if given is None or self.key in self.runs:
            self._open(self.key, self.study, role, None, at)
        elif "autoreg.key" in self.client.get_run(given).data.tags:
            self._open(self.key, self.study, role, given, at)
        else:
            tags = [RunTag(name, value) for name, value in (self._own(self.key) | role).items()]
            self.client.log_batch(given, tags=tags, synchronous=True)
            self.runs[self.key] = given

    def _seed_view(self, lead: str, at: int) -> None:
        """A view of the study's own, in the menu of saved views."""
        self.client.set_experiment_tag(self.experiment, *views.study_view(self.study, lead, at))

    def _own(self, key: str) -> dict[str, str]:
        return {
            "autoreg.key": key,
            "autoreg.study_key": self.key,
            "autoreg.study": self.study,
        }

    def _open(
        self, key: str, name: str, tags: Mapping[str, str], parent: str | None, start: int
    ) -> str:
        """The run of a key: found again and set to running, or created."""
        self._make_sure()
        if key in self.done or key in self._opened:
            return self.runs[key]
        if key in self.runs:
            self.client.update_run(self.runs[key], status="RUNNING")
        else:
            own = self._own(key) | ({"mlflow.parentRunId": parent} if parent else {})
            run = self.client.create_run(
                self.experiment, start_time=start, tags={**own, **_said(tags)}, run_name=name
            )
            self.runs[key] = run.info.run_id
        self._opened.add(key)
        return self.runs[key]

    def _search_key(self, name: str) -> str:
        return f"{self.key}:{name}"

    def _search(self, name: str, at: int) -> str:
        tags = {"autoreg.role": "search", "autoreg.fold": name}
        return self._open(self._search_key(name), name, tags, self.parent, at)

    def _close(self, key: str, status: str, ended: int) -> None:
        if key not in self.done:
            self.client.set_terminated(self.runs[key], status, ended)
            self.done.add(key)

    # ---- what runs hold -----------------------------------------------------------------------

    def _log(self, run: str, entry: Entry, at: int) -> None:
        """Add an entry to a run; the same numbers at the same time are kept once."""
        numbers = {name: [(0, value)] for name, value in entry.metrics.items()} | dict(entry.curves)
        metrics = [
            Metric(name, value, at, step)
            for name, curve in numbers.items()
            for step, value in curve
            if math.isfinite(value)
        ]
        params = [
            Param(name, discreet(str(value))[: layout.LONGEST_PARAM])
            for name, value in entry.params.items()
        ]
        tags = _said(entry.tags)
        if lost := sorted(_nonfinite(numbers)):
            tags["autoreg.nonfinite"] = ", ".join(lost)
        while len(metrics) > BATCH:
            self.client.log_batch(run, metrics[:BATCH], synchronous=True)
            metrics = metrics[BATCH:]
        labels = [RunTag(name, value) for name, value in tags.items()]
        self.client.log_batch(run, metrics, params, labels, synchronous=True)

    def _log_data(self, data: Mapping[str, Any]) -> None:
        profile = {"num_rows": data["rows"], "num_elements": data["rows"] * data["columns"]}
        name = discreet(data["name"])
        one = Dataset(
            name=name,
            digest=data["digest"],
            source_type="autoreg",
            source=json.dumps({"name": name}),
            profile=json.dumps(profile),
        )
        self.client.log_inputs(
            self.parent, [DatasetInput(one, [InputTag("mlflow.data.context", "study")])]
        )

    def _log_text(self, name: str, text: str) -> None:
        self.client.log_text(self.parent, discreet(text), name)

    def _logged_model(self, closing: Mapping[str, Any]) -> LoggedModel:
        """The selection's model: one that an earlier try began, or a new one."""
        digest = closing["selection"]
        of_this_study = f"source_run_id = '{self.parent}'"
        for model in self.client.search_logged_models([self.experiment], of_this_study):
            if model.tags.get("autoreg.selection") == digest:
                return model
        tags = {"autoreg.technique": closing["technique"], "autoreg.study_key": self.key}
        return self.client.create_logged_model(
            self.experiment,
            name=UNNAMEABLE.sub("-", self.study),
            source_run_id=self.parent,
            params=closing["model"],
            tags={**tags, "autoreg.selection": digest},
        )


def _said(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: discreet(value)[: layout.LONGEST_TAG] for name, value in tags.items()}


def _nonfinite(numbers: Mapping[str, Curve]) -> list[str]:
    return [
        name
        for name, curve in numbers.items()
        if not all(math.isfinite(value) for _, value in curve)
    ]


def _models_of(run: Run) -> set[str]:
    return {one.model_id for one in run.outputs.model_outputs} if run.outputs else set()


def _is_pruned(run: Run) -> bool:
    """Whether a run that was killed is that of a pruned trial, and whole; others are half written.

    A trial's numbers come in one call.
    """
    was_pruned = "autoreg.pruned" in run.data.tags and "fit_seconds" in run.data.metrics
    return bool(was_pruned and run.info.status == "KILLED")


def _quieten() -> None:
    """Keep the store's own remarks (schema migrations, deprecated SQL) off the terminal."""
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")
