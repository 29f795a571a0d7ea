"""MLflow's view against real stores: SQLite files, and a real server on this machine."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
import warnings
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import mlflow
import numpy as np
import pandas as pd
import pytest
from findings_sample import sample
from impatient import Impatient
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.utils.validation import MAX_ENTITIES_PER_BATCH

import autoreg
from autoreg.model import Model
from autoreg.study import prepare
from autoreg.tracking import open_tracker, server_command
from autoreg.tracking.layout import note, trial_entry, verdict_entry
from autoreg.tracking.store import Store
from autoreg.tracking.writer import Writer

STUDY = {
    "study": "tracked",
    "data": {"source": "wine"},
    "space": {
        "space": "tiny",
        "families": {
            "linear": {"techniques": ["ridge", "lasso"]},
            "network": {
                "techniques": ["early_stopping", "dropout"],
                "architecture": {"width": [8, 16], "depth": [1, 1]},
            },
        },
        "incumbent": {"family": "linear", "techniques": ["ridge"]},
        "path_points": 5,
    },
    "trials": 6,
    "folds": {"outer": 3},
    "training": {"epochs": 3},
}
COMMON = {"val_loss", "train_loss", "gap", "fit_seconds", "strength_norm", "n_techniques"}


def run(home, **options):
    return autoreg.run_study(STUDY, home=home, workers=1, **options)


def runs_of(uri, experiment="autoreg"):
    client = MlflowClient(tracking_uri=uri)
    number = client.get_experiment_by_name(experiment).experiment_id
    return client, client.search_runs([number], run_view_type=ViewType.ALL, max_results=1000)


def by_role(runs, role):
    return [one for one in runs if one.data.tags.get("autoreg.role") == role]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    home = tmp_path_factory.mktemp("tracked")
    return run(home), home, f"sqlite:///{home / 'mlflow.db'}"


@pytest.fixture(scope="module")
def runs(tracked):
    return runs_of(tracked[2])[1]


def test_one_parent_a_run_for_each_search_and_one_for_each_trial(tracked, runs):
    result, _, _ = tracked
    assert result.tracking_problem is None
    (parent,) = by_role(runs, "study")
    searches, trials = by_role(runs, "search"), by_role(runs, "trial")
    assert parent.info.run_id == result.mlflow_run
    assert (len(searches), len(trials)) == (4, 24)
    assert {one.data.tags["mlflow.parentRunId"] for one in searches} == {parent.info.run_id}
    above = {one.info.run_id: one.info.run_name for one in searches}
    for one in trials:
        assert above[one.data.tags["mlflow.parentRunId"]] == one.data.tags["autoreg.fold"]


def test_every_run_is_closed_and_every_key_is_there_once(runs):
    assert {one.info.status for one in runs} == {"FINISHED"}
    keys = [one.data.tags["autoreg.key"] for one in runs]
    assert len(set(keys)) == len(keys)


def test_every_trial_carries_the_common_columns_and_its_dials(runs):
    for one in by_role(runs, "trial"):
        assert set(one.data.metrics) >= COMMON
        assert {"family", "technique", "fold"} <= set(one.data.params)
        folds = [name for name in one.data.metrics if name.endswith("_val_loss")]
        assert len([name for name in folds if name.startswith("fold_")]) in (2, 3)
    ridge = next(one for one in by_role(runs, "trial") if one.data.params["technique"] == "ridge")
    assert "ridge.strength" in ridge.data.params


def test_no_outer_or_held_out_number_is_on_a_trial(tracked, runs):
    for one in by_role(runs, "trial"):
        names = [*one.data.metrics, *one.data.params, *one.data.tags]
        assert not [n for n in names if "outer_" in n or "held_out" in n or "nested" in n]
    verdict = tracked[0].verdict
    secret = {verdict.held_out.loss, *(fold.loss for fold in verdict.folds)}
    for one in by_role(runs, "trial"):
        assert secret.isdisjoint(one.data.metrics.values())


def test_curves_are_metrics_with_steps(tracked, runs):
    client = MlflowClient(tracking_uri=tracked[2])
    ridge = next(one for one in by_role(runs, "trial") if one.data.params["technique"] == "ridge")
    for name in ("strength", "val_loss", "train_loss", "n_columns"):
        path = client.get_metric_history(ridge.info.run_id, f"path_{name}")
        assert [point.step for point in path] == [0, 1, 2, 3, 4]
    assert {"n_columns", "freedom"} <= set(ridge.data.metrics)
    network = next(o for o in by_role(runs, "trial") if o.data.params["family"] == "network")
    assert client.get_metric_history(network.info.run_id, "curve_train")
    assert not {"n_columns", "freedom"} & set(network.data.metrics)


def test_a_linear_choice_leaves_its_coefficients_with_the_parent(tmp_path):
    space = STUDY["space"] | {"families": {"linear": {"techniques": ["lasso"]}}}
    space |= {"incumbent": {"family": "linear", "techniques": ["lasso"]}}
    result = autoreg.run_study(STUDY | {"space": space, "trials": 2}, home=tmp_path, workers=1)
    assert result.tracking_problem is None
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    stored = pd.read_csv(client.download_artifacts(result.mlflow_run, "coefficients.csv"))
    mine = result.coefficients
    assert stored.columns.tolist() == mine.columns.tolist()
    assert stored["input"].tolist() == mine["input"].tolist()
    np.testing.assert_array_equal(stored["coefficient"], mine["coefficient"])


def test_a_certificate_is_a_tag_and_a_file_of_the_parent(tmp_path):
    space = STUDY["space"] | {"families": {"linear": {"techniques": ["ridge"]}}}
    study = STUDY | {"space": space, "trials": 1}
    first = autoreg.run_study(study, home=tmp_path, workers=1, progress=False)
    proof = autoreg.verify(study, home=tmp_path, workers=1, progress=False)
    client, runs = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (parent,) = by_role(runs, "study")
    assert parent.info.run_id == first.mlflow_run
    assert parent.data.tags["autoreg.verified"] == proof.outcome == "clean"
    stored = client.download_artifacts(first.mlflow_run, "certificate.json")
    assert json.loads(Path(stored).read_text()) == proof.to_data()
    assert len(by_role(runs, "trial")) == 4
    assert {"gap", "overtuning"} <= set(parent.data.metrics)


def test_the_experiment_leads_to_its_studies_with_a_filter_that_finds_them(tracked, runs):
    client = MlflowClient(tracking_uri=tracked[2])
    text = client.get_experiment("1").tags["mlflow.note.content"]
    found = re.findall(r"\]\(#/experiments/1/runs\?searchFilter=([^)&]+)", text)
    sizes = [len(client.search_runs(["1"], unquote(one))) for one in found]
    assert sizes == [1, len(by_role(runs, "trial")), 0]


def test_an_experiment_of_the_users_own_keeps_its_description(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path / 'own.db'}"
    client = MlflowClient(tracking_uri=uri)
    number = client.create_experiment("mine", (tmp_path / "files").as_uri())
    client.set_experiment_tag(number, "mlflow.note.content", "my words")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    assert run(tmp_path / "home").tracking_problem is None
    assert client.get_experiment(number).tags["mlflow.note.content"] == "my words"


def test_the_parent_tells_the_whole_story(tracked, runs):
    result, _, uri = tracked
    client = MlflowClient(tracking_uri=uri)
    (parent,) = by_role(runs, "study")
    assert parent.data.metrics["nested_score"] == pytest.approx(result.verdict.nested.value)
    assert parent.data.metrics["held_out_score"] == pytest.approx(result.verdict.held_out.score)
    assert "Filters" in parent.data.tags["mlflow.note.content"]
    (data,) = parent.inputs.dataset_inputs
    assert data.dataset.digest == result.findings.data["digest"]
    names = {one.path for one in client.list_artifacts(parent.info.run_id)}
    assert {"report.html", "verdict.json", "trials.csv", "study.json"} <= names
    text = Path(client.download_artifacts(parent.info.run_id, "trials.csv")).read_text()
    assert len(text.splitlines()) == 25
    report = Path(client.download_artifacts(parent.info.run_id, "report.html"))
    assert report.read_bytes() == result.report.read_bytes()
    assert result.mlflow_run in report.read_text()


def test_the_model_loads_from_the_store_predicts_and_holds_no_pickle(tracked, runs, monkeypatch):
    result, _, uri = tracked
    (parent,) = by_role(runs, "study")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own remarks on package versions
        loaded = mlflow.pyfunc.load_model(parent.data.tags["autoreg.model"])
    example = result.model.example()
    mine = Model.load(result.folder / "model").predict(example)
    assert np.array_equal(loaded.predict(example), mine)
    folder = Path(mlflow.artifacts.download_artifacts(parent.data.tags["autoreg.model"]))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in {".pkl", ".pickle", ".joblib"}]
    assert f"autoreg=={autoreg.__version__}" in (folder / "requirements.txt").read_text()


def test_the_model_in_the_store_takes_every_table_that_the_model_takes(tmp_path, monkeypatch):
    draws = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "whole": draws.integers(0, 50, 80),
            "fraction": draws.normal(size=80),
            "yes": draws.integers(0, 2, 80).astype(bool),
            "colour": draws.choice(["red", "blue"], 80),
            "code": draws.integers(1, 4, 80),
        }
    )
    frame.loc[3, "colour"], frame.loc[5, "fraction"] = None, np.nan
    document = STUDY | {"data": {"target": "y", "categorical": ["code"]}, "trials": 2}
    target = 0.1 * frame["whole"] + draws.normal(size=80)
    result = autoreg.run_study(document, data=frame.assign(y=target), home=tmp_path, workers=1)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    parent = MlflowClient(tracking_uri=uri).get_run(result.mlflow_run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own remarks on package versions
        loaded = mlflow.pyfunc.load_model(parent.data.tags["autoreg.model"])
    assert loaded.metadata.get_input_schema().input_names() == list(frame.columns)
    for rows in (frame, frame.iloc[[0]], frame.iloc[:, ::-1]):
        assert np.array_equal(loaded.predict(rows), result.predict(rows))


def test_nothing_in_a_run_names_the_folders_of_the_machine(tmp_path):
    frame = pd.DataFrame({"a": np.arange(60.0), "y": np.arange(60.0) % 7})
    frame.to_csv(tmp_path / "table.csv", index=False)
    document = STUDY | {"data": {"source": str(tmp_path / "table.csv"), "target": "y"}}
    document |= {"trials": 2}
    autoreg.run_study(document, home=tmp_path / "home", workers=1)
    client, runs = runs_of(f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}")
    for one in runs:
        held = json.dumps([one.data.params, one.data.tags])
        assert str(tmp_path) not in held
    (parent,) = by_role(runs, "study")
    for name in ("study.json", "verdict.json", "trials.csv", "report.html"):
        path = Path(client.download_artifacts(parent.info.run_id, name))
        assert str(tmp_path) not in path.read_text()


def test_running_again_writes_nothing_twice(tracked, runs):
    _, home, uri = tracked
    again = run(home)
    _, after = runs_of(uri)
    assert {one.info.run_id for one in after} == {one.info.run_id for one in runs}
    assert again.mlflow_run == tracked[0].mlflow_run
    client = MlflowClient(tracking_uri=uri)
    assert len(client.search_logged_models(["1"])) == 1
    for one in (*by_role(runs, "study"), *by_role(runs, "search")):
        for name in one.data.metrics:
            assert len(client.get_metric_history(one.info.run_id, name)) == 1, name


def test_a_trial_that_was_half_written_is_completed_by_the_next_run(tmp_path, monkeypatch):
    def full(self, run, *_, **__):
        if "/" in self.get_run(run).info.run_name:
            raise OSError("disk full")

    monkeypatch.setattr(MlflowClient, "log_batch", full)
    monkeypatch.setattr("autoreg.tracking.tracker.WAITS", ())
    assert "disk full" in run(tmp_path).tracking_problem
    monkeypatch.undo()
    assert run(tmp_path).tracking_problem is None
    _, runs = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert len(by_role(runs, "trial")) == 24
    assert all("val_loss" in one.data.metrics for one in by_role(runs, "trial"))
    assert {one.info.status for one in runs} == {"FINISHED"}


def test_a_break_after_a_long_silence_still_closes_the_runs(tmp_path, monkeypatch):
    closed = MlflowClient.set_terminated

    def slowly(*args):
        time.sleep(0.3)
        closed(*args)

    def break_off(ready):
        with open_tracker(tmp_path) as tracker:
            tracker.begin(ready.spec, "tracked:key", ready.facts, ready.splits)
            assert tracker.run()
            monkeypatch.setattr(Store, "patience", 1.0)
            tracker._moved -= 3600  # as after a trial of an hour
            monkeypatch.setattr(MlflowClient, "set_terminated", slowly)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off(prepare(STUDY))
    _, (parent,) = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert parent.info.status == "KILLED"


def test_a_study_begun_anew_gets_runs_of_its_own(tmp_path):
    first = run(tmp_path)
    anew = run(tmp_path, fresh=True)
    assert anew.tracking_problem is None
    assert anew.mlflow_run != first.mlflow_run
    _, runs = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert len(by_role(runs, "study")) == 2
    assert len(by_role(runs, "trial")) == 48


def test_a_study_that_broke_off_is_closed_and_completed_later(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=Impatient(4))
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    _, runs = runs_of(uri)
    assert by_role(runs, "study")[0].info.status == "KILLED"
    assert len(by_role(runs, "trial")) == 16  # four searches, four trials ahead
    run(tmp_path)
    _, runs = runs_of(uri)
    assert {one.info.status for one in runs} == {"FINISHED"}
    assert len(by_role(runs, "trial")) == 24


def same(one, other):
    pairs = zip(one.findings.trials, other.findings.trials, strict=True)
    return all(mine.essence == theirs.essence for mine, theirs in pairs)


@pytest.mark.parametrize("kind", ["closed port", "no such folder", "a folder in its place"])
def test_a_store_that_is_away_changes_nothing_but_the_remark(tracked, tmp_path, monkeypatch, kind):
    uris = {
        "closed port": f"http://127.0.0.1:{free_port()}",
        "no such folder": "sqlite:////proc/nowhere/mlflow.db",
    }
    if kind in uris:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uris[kind])
    else:
        (tmp_path / "mlflow.db").mkdir()
    monkeypatch.setattr("autoreg.tracking.tracker.WAITS", (0.0, 0.0))
    result = run(tmp_path)
    assert "were not written" in result.tracking_problem
    assert result.mlflow_run is None
    assert same(result, tracked[0])
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


class Lying:
    """A client each of whose methods, once, does its work and then says that it did not."""

    lied = frozenset()

    def __init__(self, **options):
        self._client = MlflowClient(**options)

    def __getattr__(self, name):
        def call(*args, **options):
            answer = getattr(self._client, name)(*args, **options)
            if name not in Lying.lied:
                Lying.lied |= {name}
                raise ConnectionResetError(f"{name} was cut off")
            return answer

        return call


def test_an_answer_that_is_lost_does_not_make_a_run_or_a_model_twice(
    tracked, runs, tmp_path, monkeypatch
):
    monkeypatch.setattr(Lying, "lied", frozenset())
    monkeypatch.setattr("autoreg.tracking.writer.MlflowClient", Lying)
    monkeypatch.setattr("autoreg.tracking.tracker.WAITS", (0.0,) * 12)
    result = run(tmp_path)
    assert result.tracking_problem is None
    client, written = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    keys = [one.data.tags["autoreg.key"] for one in written]
    parts = sorted(key.split(":")[2:] for key in keys)  # without the id of the ledger
    assert parts == sorted(one.data.tags["autoreg.key"].split(":")[2:] for one in runs)
    assert {one.info.status for one in written} == {"FINISHED"}
    (model,) = client.search_logged_models(["1"])
    (parent,) = by_role(written, "study")
    assert parent.data.tags["autoreg.model"] == f"models:/{model.model_id}"
    assert [one.model_id for one in parent.outputs.model_outputs] == [model.model_id]
    assert {"create_run", "log_batch", "create_logged_model", "log_outputs"} <= Lying.lied


def test_nobody_waits_for_a_server_that_never_answers(tracked, tmp_path, monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{address}")
        monkeypatch.setattr(Store, "patience", 1.0)
        result = run(tmp_path)
    assert f"http://{address} (no answer within 1 seconds)" in result.tracking_problem
    assert result.mlflow_run is None
    assert same(result, tracked[0])


def test_a_store_that_refuses_one_thing_is_left_without_open_runs(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no place for me@home in http://me:secret@host/x")

    monkeypatch.setattr("autoreg.tracking.writer.Writer.files", refuse)
    monkeypatch.setattr("autoreg.tracking.tracker.WAITS", ())
    problem = run(tmp_path).tracking_problem
    # The report, and behind it the model and the end of the parent.
    assert problem.startswith("3 of 29 entries were not written")
    assert "PermissionError" in problem
    assert "secret" not in problem
    _, runs = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert by_role(runs, "study")[0].info.status == "FAILED"
    monkeypatch.undo()
    assert run(tmp_path).tracking_problem is None
    _, after = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert {one.info.status for one in after} == {"FINISHED"}
    assert len(after) == len(runs)


def test_what_was_not_written_is_written_by_the_next_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/nowhere/mlflow.db")
    monkeypatch.setattr("autoreg.tracking.tracker.WAITS", (0.0, 0.0))
    assert run(tmp_path).tracking_problem
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert run(tmp_path).tracking_problem is None
    _, runs = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert len(by_role(runs, "trial")) == 24


def test_a_users_own_active_run_stays_untouched(tmp_path):
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'own.db'}")
    try:
        with mlflow.start_run() as own:
            run(tmp_path / "home")
            assert mlflow.active_run().info.run_id == own.info.run_id
        held = mlflow.get_run(own.info.run_id).data
        assert (held.metrics, held.params) == ({}, {})
        assert mlflow.get_tracking_uri().endswith("own.db")
    finally:
        mlflow.set_tracking_uri(None)


def test_without_tracking_there_is_no_store(tmp_path):
    assert run(tmp_path, tracking=False).mlflow_run is None
    assert not (tmp_path / "mlflow.db").exists()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_real_server_is_written_to_and_serves_its_pages(tmp_path, monkeypatch, capfd):
    port = free_port()
    command = server_command(tmp_path / "served", port)
    assert "127.0.0.1" in command
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/health")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
        result = run(tmp_path / "home")
        assert result.tracking_problem is None
        assert capfd.readouterr().out == ""
        client, runs = runs_of(address, "mine")
        assert len(by_role(runs, "trial")) == 24
        names = {one.path for one in client.list_artifacts(result.mlflow_run)}
        assert "report.html" in names
        assert not (tmp_path / "home" / "mlflow.db").exists()
        with urllib.request.urlopen(address) as page:
            assert b"MLflow" in page.read()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def wait_for(address, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{address} did not answer")


# ---- pure functions --------------------------------------------------------------------------


def test_a_failed_trial_has_its_reason_and_no_loss():
    failed = next(trial for trial in sample().trials if trial.failure)
    entry = trial_entry(failed)
    assert entry.tags["autoreg.failure"] == failed.failure
    assert set(entry.metrics) == {"fit_seconds"}


def test_a_trial_holds_its_whole_path_and_what_it_was_at_its_best_strength():
    trial = next(t for t in sample().trials if t.candidate.label == "lasso" and not t.failure)
    entry = trial_entry(trial)
    assert entry.curves["path_strength"] == list(trial.strengths)
    assert entry.curves["path_val_loss"] == trial.means.tolist()
    train = [float(np.average(row, weights=trial.weights)) for row in trial.train_losses]
    assert entry.curves["path_train_loss"] == pytest.approx(train)
    assert entry.curves["path_n_columns"] == trial.sparsity.tolist()
    assert entry.metrics["n_columns"] == trial.sparsity[trial.best]
    assert entry.metrics["freedom"] == trial.freedom


@pytest.mark.parametrize("metrics", [1000, 2500])
def test_no_batch_is_larger_than_a_server_takes(tmp_path, monkeypatch, metrics):
    sizes, log = [], MlflowClient.log_batch

    def measured(self, run, *parts, **options):
        sizes.append(sum(map(len, parts)))
        return log(self, run, *parts, **options)

    monkeypatch.setattr(MlflowClient, "log_batch", measured)
    found = sample()
    trial = next(t for t in found.trials if len(t.strengths) > 1 and not t.failure)
    writer = Writer(Store.of(tmp_path, {}))
    writer.begin(found.spec, "study:1", found.data, found.splits)
    entry = trial_entry(replace(trial, curve={}))
    others = len(entry.metrics) + sum(map(len, entry.curves.values()))
    long = np.linspace(0, 1, metrics - others).tolist()
    writer.trial(replace(trial, curve={"long": long}))
    (run,) = by_role(runs_of(writer.store.uri)[1], "trial")
    assert max(sizes) <= MAX_ENTITIES_PER_BATCH
    history = writer.client.get_metric_history(run.info.run_id, "curve_long")
    assert sorted(point.step for point in history) == list(range(len(long)))


def test_the_note_fits_into_a_tag_and_the_verdict_names_the_inner_score_optimistic():
    assert len(note(sample())) < 8000
    assert "inner_best_optimistic" in verdict_entry(sample()).metrics


def test_the_store_is_where_mlflow_says_or_in_the_home_folder(tmp_path):
    assert Store.of(tmp_path, {}).artifacts.startswith("file:///")
    other = Store.of(tmp_path, {"MLFLOW_TRACKING_URI": "sqlite:///x.db"})
    assert (other.uri, other.database) == ("sqlite:///x.db", None)
