"""What MLflow shows of a study, in real stores: runs, numbers, texts, model, ways in."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import mlflow
import numpy as np
import pandas as pd
import pytest
from findings_sample import sample
from mlflow import MlflowClient
from mlflow.utils.validation import MAX_ENTITIES_PER_BATCH
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from tracked import (
    QUICK,
    STUDY,
    TRIALS,
    artifacts,
    by_role,
    keys,
    projected,
    run,
    runs_of,
    uri_of,
)

import autoreg
from autoreg.attribution import Attribution, Effect
from autoreg.folds import FINAL
from autoreg.model import Model
from autoreg.report.ink import VARIABLES
from autoreg.statistics import Interval
from autoreg.tracking import server_command, sqlite, views
from autoreg.tracking.curves import ALL_POINTS, MOST_POINTS, thinned
from autoreg.tracking.layout import closing, refit_entry, trial_entry, verdict_entry
from autoreg.tracking.serving import wrap
from autoreg.tracking.spool import Spool, Told
from autoreg.tracking.store import Store, discreet
from autoreg.tracking.sync import differences
from autoreg.tracking.writer import Writer
from autoreg.trial import Pruned

COMMON = {"val_loss", "train_loss", "gap", "fit_seconds", "strength_norm", "n_techniques"}


@pytest.fixture(scope="module")
def runs(tracked):
    return runs_of(tracked[2])[1]


# ---- runs --------------------------------------------------------------------------------------


def test_a_connection_is_settled_once_and_not_asked_again(spool):
    """MLflow still repeats these settings (else the shortcut is dead), and they do hold."""
    asked, executed = [], []

    def ask(state):
        asked.append(getattr(state.statement, "text", ""))

    def execute(connection, cursor, statement, *_):
        if statement in sqlite.REPEATED:
            executed.append(statement)

    def ask_pragma(connection, name):
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    held = []

    def look(session):
        held.append(
            [ask_pragma(session.connection(), one) for one in ("foreign_keys", "busy_timeout")]
        )
        like = session.connection().exec_driver_sql("SELECT 'A' LIKE 'a'").scalar()
        held[-1].append(like)

    listeners = (
        (Session, "do_orm_execute", ask, {"insert": True}),
        (Engine, "before_cursor_execute", execute, {}),
        (Session, "before_commit", look, {}),
    )
    for target, name, listener, options in listeners:
        event.listen(target, name, listener, **options)
    try:
        assert projected(spool).reason is None
    finally:
        for target, name, listener, _ in listeners:
            event.remove(target, name, listener)
    assert min(asked.count(one) for one in sqlite.REPEATED) > TRIALS
    assert executed == []
    assert held
    assert all(one == [1, 20_000, 0] for one in held)


def test_one_parent_a_run_for_each_search_each_trial_and_the_refit(tracked, runs):
    result, _, _ = tracked
    assert result.tracking_problem is None
    (parent,) = by_role(runs, "study")
    (refit,) = by_role(runs, "refit")
    searches, trials = by_role(runs, "search"), by_role(runs, "trial")
    assert parent.info.run_id == result.mlflow_run
    assert (len(searches), len(trials)) == (4, TRIALS)
    above = {one.data.tags["mlflow.parentRunId"] for one in [*searches, refit]}
    assert above == {parent.info.run_id}
    names = {one.info.run_id: one.info.run_name for one in searches}
    for one in trials:
        assert names[one.data.tags["mlflow.parentRunId"]] == one.data.tags["autoreg.fold"]


def test_every_run_is_closed_and_every_key_is_there_once(runs):
    assert {one.info.status for one in runs} == {"FINISHED"}
    assert len(set(keys(runs))) == len(runs)


def test_times_are_those_of_the_ledger_and_the_refit_is_the_newest_run(tracked, runs):
    ledger = tracked[0].folder / "ledger.jsonl"
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    at = {f"{r['search']}:{r['number']}": r["at"] for r in records if r["kind"] == "trial"}
    for one in by_role(runs, "trial"):
        key = one.data.tags["autoreg.key"].split(":", 2)[2]
        assert one.info.end_time == round(1000 * at[key])
        seconds = one.data.metrics["fit_seconds"]
        assert one.info.end_time - one.info.start_time == pytest.approx(1000 * seconds, abs=1)
    newest = max(runs, key=lambda one: one.info.start_time)
    assert newest.data.tags["autoreg.role"] == "refit"


def test_every_trial_carries_the_common_columns_and_its_dials(runs):
    for one in by_role(runs, "trial"):
        assert set(one.data.metrics) >= COMMON
        assert {"family", "technique", "fold"} <= set(one.data.params)
        assert {"autoreg.study", "autoreg.technique", "autoreg.fold"} <= set(one.data.tags)
    ridge = next(one for one in by_role(runs, "trial") if one.data.params["technique"] == "ridge")
    assert "ridge.strength" in ridge.data.params


def test_no_outer_or_held_out_number_is_on_a_trial(tracked, runs):
    verdict = tracked[0].verdict
    secret = {verdict.held_out.loss, *(fold.loss for fold in verdict.folds)}
    for one in by_role(runs, "trial"):
        names = [*one.data.metrics, *one.data.params, *one.data.tags]
        assert not [n for n in names if "outer_" in n or "held_out" in n or "nested" in n]
        assert secret.isdisjoint(one.data.metrics.values())
    (refit,) = by_role(runs, "refit")
    assert refit.data.metrics["held_out_score"] == verdict.held_out.score


def test_curves_are_metrics_with_steps(tracked, runs):
    client = MlflowClient(tracking_uri=tracked[2])
    wanted = {"technique": "ridge", "fold": "final"}
    ridge = next(o for o in by_role(runs, "trial") if wanted.items() <= o.data.params.items())
    for name in ("val_loss", "train_loss", "n_columns"):
        path = client.get_metric_history(ridge.info.run_id, f"path_{name}")
        assert sorted(point.step for point in path) == [0, 25, 50, 75, 100]
    folds = client.get_metric_history(ridge.info.run_id, "fold_val_loss")
    assert sorted(point.step for point in folds) == [0, 1, 2]
    assert {"n_columns", "freedom"} <= set(ridge.data.metrics)
    network = next(o for o in by_role(runs, "trial") if o.data.params["family"] == "network")
    for name in ("curve_train", "curve_norm"):
        assert client.get_metric_history(network.info.run_id, name)
    assert not {"n_columns", "freedom"} & set(network.data.metrics)


def test_the_parent_tells_the_whole_story(tracked, runs, tmp_path):
    result, _, uri = tracked
    client = MlflowClient(tracking_uri=uri)
    (parent,) = by_role(runs, "study")
    assert parent.data.metrics["nested_score"] == pytest.approx(result.verdict.nested.value)
    assert parent.data.metrics["held_out_score"] == pytest.approx(result.verdict.held_out.score)
    (data,) = parent.inputs.dataset_inputs
    assert data.dataset.digest == result.findings.data["digest"]
    place = artifacts(client, parent.info.run_id, tmp_path)
    assert len((place / "trials.csv").read_text().splitlines()) == TRIALS + 1
    assert (place / "report.html").read_bytes() == result.report.read_bytes()
    assert result.mlflow_run in (place / "report.html").read_text()
    assert json.loads((place / "study.json").read_text())["trials"] == STUDY["trials"]
    assert (place / "verdict.json").exists()
    assert differences("tracked", tracked[1]) == []


def test_the_charts_of_the_report_are_files_that_stand_alone(tracked, runs, tmp_path):
    (parent,) = by_role(runs, "study")
    place = artifacts(MlflowClient(tracking_uri=tracked[2]), parent.info.run_id, tmp_path)
    figures = sorted((place / "figures").glob("*.svg"))
    assert len(figures) == tracked[0].report.read_text().count('role="img"') > 3
    for path in figures:
        root = ElementTree.fromstring(path.read_text())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert all(f"{name}:" in path.read_text() for name in VARIABLES.values())


def test_a_linear_choice_leaves_its_coefficients_with_the_parent(hostile):
    result, home = hostile
    client = MlflowClient(tracking_uri=uri_of(home / "home"))
    stored = pd.read_csv(client.download_artifacts(result.mlflow_run, "coefficients.csv"))
    mine = result.coefficients
    assert stored.columns.tolist() == mine.columns.tolist()
    np.testing.assert_array_equal(stored["coefficient"], mine["coefficient"])


def test_a_certificate_is_a_tag_and_a_file_of_the_parent(tmp_path):
    space = STUDY["space"] | {"families": {"linear": {"techniques": ["ridge"]}}}
    study = STUDY | {"space": space, "trials": 1}
    first = run(tmp_path, study)
    proof = autoreg.verify(study, home=tmp_path, workers=1, progress=False)
    client, runs = runs_of(uri_of(tmp_path))
    (parent,) = by_role(runs, "study")
    assert parent.info.run_id == first.mlflow_run
    assert parent.data.tags["autoreg.verified"] == proof.outcome == "clean"
    stored = client.download_artifacts(first.mlflow_run, "certificate.json")
    assert json.loads(Path(stored).read_text()) == proof.to_data()
    assert len(by_role(runs, "trial")) == 4
    assert {"gap", "overtuning"} <= set(parent.data.metrics)
    assert differences("tracked", tmp_path) == []


@pytest.mark.parametrize("policy", ["vote", "skip"])
def test_a_study_without_a_final_search_leads_to_the_search_of_its_choice(tmp_path, policy):
    result = run(tmp_path, QUICK | {"select": {"final": policy}})
    assert result.tracking_problem is None
    assert differences("tracked", tmp_path) == []
    client, runs = runs_of(uri_of(tmp_path))
    (parent,) = by_role(runs, "study")
    lead = result.findings.lead
    assert lead.startswith("outer")
    assert f"params.`fold` = '{lead}'" in parent.data.tags["mlflow.note.content"]
    view = client.get_experiment("1").tags[f"{views.VIEW_TAG}{views.view_key('tracked')}"]
    assert json.loads(view)["name"] == f"tracked: the search {lead}"
    assert ("autoreg.model" in parent.data.tags) == (policy == "vote")


def test_writing_again_writes_nothing_twice(tracked, runs):
    result, _, uri = tracked
    state = projected(Spool(result.folder))
    assert (state.reason, state.run) == (None, result.mlflow_run)
    _, after = runs_of(uri)
    assert {one.info.run_id for one in after} == {one.info.run_id for one in runs}
    client = MlflowClient(tracking_uri=uri)
    assert len(client.search_logged_models(["1"])) == 1
    for one in (*by_role(runs, "study"), *by_role(runs, "search"), *by_role(runs, "refit")):
        for name in one.data.metrics:
            assert len(client.get_metric_history(one.info.run_id, name)) == 1, name


def test_a_study_begun_anew_gets_runs_of_its_own(spool, tmp_path):
    first = projected(spool)
    spool.write("opening", spool.opening | {"key": "tracked:anew"})
    spool.write("closing", spool._read("closing") | {"key": "tracked:anew"})
    anew = projected(spool)
    assert (anew.reason, first.reason) == (None, None)
    assert anew.run != first.run
    _, runs = runs_of(uri_of(tmp_path))
    assert (len(by_role(runs, "study")), len(by_role(runs, "trial"))) == (2, 2 * TRIALS)


# ---- whose store, experiment and run -----------------------------------------------------------


def test_a_study_logs_into_the_run_that_mlflow_names(spool, tmp_path):
    client = MlflowClient(tracking_uri=uri_of(tmp_path))
    number = client.create_experiment("mine", (tmp_path / "files").as_uri())
    given = client.create_run(number, run_name="theirs", tags={"mine": "1"}).info.run_id
    store = Store.of(tmp_path, {"MLFLOW_RUN_ID": given})
    state = projected(spool, store=store)
    assert (state.reason, state.run) == (None, given)
    held = client.get_run(given)
    assert (held.info.run_name, held.data.tags["mine"]) == ("theirs", "1")
    assert held.data.tags["autoreg.role"] == "study"
    assert held.info.status == "FINISHED"
    assert len(runs_of(uri_of(tmp_path), "mine")[1]) == TRIALS + 6
    # Another study in the same environment becomes the run's child.
    opening = spool.opening
    spool.write("opening", opening | {"key": "tracked:other"})
    spool.ledger.write_text("")
    other = projected(spool, store=store)
    assert other.run != given
    assert client.get_run(other.run).data.tags["mlflow.parentRunId"] == given


def test_an_experiment_named_by_its_number_is_used(spool, tmp_path):
    client = MlflowClient(tracking_uri=uri_of(tmp_path))
    number = client.create_experiment("numbered", (tmp_path / "files").as_uri())
    state = projected(spool, store=Store.of(tmp_path, {"MLFLOW_EXPERIMENT_ID": number}))
    assert state.reason is None
    assert len(runs_of(uri_of(tmp_path), "numbered")[1]) == TRIALS + 6


def test_an_experiment_of_the_users_own_keeps_its_description(spool, tmp_path):
    client = MlflowClient(tracking_uri=uri_of(tmp_path))
    number = client.create_experiment("mine", (tmp_path / "files").as_uri())
    client.set_experiment_tag(number, "mlflow.note.content", "my words")
    store = Store.of(tmp_path, {"MLFLOW_EXPERIMENT_NAME": "mine"})
    assert projected(spool, store=store).reason is None
    assert client.get_experiment(number).tags["mlflow.note.content"] == "my words"


def test_a_users_own_active_run_stays_untouched(spool, tmp_path):
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    try:
        with mlflow.start_run() as own:
            assert projected(spool).reason is None
            assert mlflow.active_run().info.run_id == own.info.run_id
        held = mlflow.get_run(own.info.run_id).data
        assert (held.metrics, held.params) == ({}, {})
    finally:
        mlflow.set_tracking_uri(None)


def test_without_tracking_there_is_no_store_and_the_documents_wait(tmp_path):
    assert run(tmp_path, QUICK, tracking=False).mlflow_run is None
    assert not (tmp_path / "mlflow.db").exists()
    assert Spool(tmp_path / "studies" / "tracked").closing["technique"]


def test_the_process_of_a_study_never_imports_mlflow():
    code = "import sys, autoreg.study, autoreg.result; print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


# ---- ways in -----------------------------------------------------------------------------------


def test_the_experiment_leads_to_its_studies_with_filters_that_find_them(tracked, runs):
    client = MlflowClient(tracking_uri=tracked[2])
    text = client.get_experiment("1").tags["mlflow.note.content"]
    found = re.findall(r"searchFilter=([^)&]+)", text)
    sizes = [len(client.search_runs(["1"], unquote(one))) for one in found]
    assert sizes == [1, TRIALS, 0]


def test_the_note_holds_filters_that_find_what_they_say(tracked, runs):
    client = MlflowClient(tracking_uri=tracked[2])
    (parent,) = by_role(runs, "study")
    text = parent.data.tags["mlflow.note.content"]
    filters = dict(re.findall(r"^- (.*?): `` (.*) ``$", text, re.MULTILINE))
    sizes = {words: len(client.search_runs(["1"], one)) for words, one in filters.items()}
    chosen = tracked[0].selection.chosen.candidate.label
    mine = [one for one in by_role(runs, "trial") if one.data.params["technique"] == chosen]
    assert sizes["all trials"] == TRIALS
    assert sizes["the final search"] == STUDY["trials"]
    assert sizes["the chosen techniques"] == len(mine)
    assert sizes["one technique among others"] >= len(mine)
    assert sizes["failed trials"] == 0


def test_saved_views_hold_filters_and_columns_that_exist(tracked, runs):
    client = MlflowClient(tracking_uri=tracked[2])
    tags = client.get_experiment("1").tags
    saved = [json.loads(v) for k, v in tags.items() if k.startswith(views.VIEW_TAG)]
    assert {one["name"] for one in saved} == {
        "Studies",
        "Trials by inner loss",
        "tracked: the final search",
    }
    for one in saved:
        state = json.loads(one["state"])
        found = client.search_runs(["1"], state["searchFilter"], order_by=[state["orderByKey"]])
        held = {
            f"{kind}.`{name}`"
            for each in found
            for kind, names in [
                ("metrics", each.data.metrics),
                ("params", each.data.params),
                ("tags", each.data.tags),
            ]
            for name in names
        }
        assert set(state["selectedColumns"]) <= held


# ---- the model ---------------------------------------------------------------------------------


def test_the_model_loads_from_the_store_predicts_and_holds_no_pickle(tracked, runs, monkeypatch):
    result, _, uri = tracked
    (parent,) = by_role(runs, "study")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    folder = Path(mlflow.artifacts.download_artifacts(parent.data.tags["autoreg.model"]))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in {".pkl", ".pickle", ".joblib"}]
    pinned = (folder / "requirements.txt").read_text().splitlines()
    assert f"autoreg=={autoreg.__version__}" in pinned
    assert all("==" in line for line in pinned)
    assert json.loads((folder / "input_example.json").read_text())


def test_the_model_predicts_in_a_clean_process(tracked, runs, tmp_path):
    result, _, uri = tracked
    (parent,) = by_role(runs, "study")
    result.model.example().to_csv(tmp_path / "rows.csv", index=False)
    code = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "import mlflow, pandas as pd\n"
        f"mlflow.set_tracking_uri({uri!r})\n"
        f"model = mlflow.pyfunc.load_model({parent.data.tags['autoreg.model']!r})\n"
        "print(model.predict(pd.read_csv('rows.csv')).tolist())\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    mine = Model.load(result.folder / "model").predict(pd.read_csv(tmp_path / "rows.csv"))
    assert done.stdout.splitlines() == [str(mine.tolist()), "False"], done.stderr


def test_the_model_in_the_store_takes_every_table_that_the_model_takes(tmp_path):
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
    document = QUICK | {"data": {"target": "y", "categorical": ["code"]}}
    target = 0.1 * frame["whole"] + draws.normal(size=80)
    result = run(tmp_path, document, data=frame.assign(y=target), tracking=False)
    path = wrap(result.folder / "model", tmp_path / "wrapped", result.model.example())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own remarks on package versions
        loaded = mlflow.pyfunc.load_model(str(path))
    assert loaded.metadata.get_input_schema().input_names() == list(frame.columns)
    for rows in (frame, frame.iloc[[0]], frame.iloc[:, ::-1]):
        assert np.array_equal(loaded.predict(rows), result.predict(rows))


# ---- numbers that are none, long curves, batches -----------------------------------------------


def one_trial(**changes):
    trial = next(t for t in sample().trials if len(t.strengths) > 1 and not t.failure)
    return replace(trial, **changes)


def written(trial, spool):
    spool.write("opening", spool.opening | {"key": "sample:1", "study": "sample"})
    home = spool.study_folder.parents[1]
    writer = Writer(Store.of(home, {}))
    writer.begin(spool.opening)
    writer.trial(Told(trial, 1000))
    (run,) = by_role(runs_of(writer.store.uri)[1], "trial")
    return writer.client, run


def test_numbers_that_are_none_are_left_out_and_named(spool):
    scores = {"auc": np.inf, "accuracy": 0.9, "brier": np.nan}
    trial = one_trial(scores=scores, curve={"train": [0.5, np.inf, 0.25]})
    client, run = written(trial, spool)
    assert not {"auc", "brier"} & set(run.data.metrics)
    assert run.data.metrics["accuracy"] == 0.9
    assert run.data.tags["autoreg.nonfinite"] == "auc, brier, curve_train"
    steps = {p.step: p.value for p in client.get_metric_history(run.info.run_id, "curve_train")}
    assert steps == {0: 0.5, 2: 0.25}
    everything = [p.value for name in run.data.metrics for p in history(client, run, name)]
    assert np.isfinite(everything).all()
    assert max(map(abs, everything)) < 1e300


def test_a_pruned_trial_is_killed_tagged_and_written_once(spool):
    given_up = Pruned("folds", 2, 1.5, 1.0, 1.5)
    trial = one_trial(pruned=given_up)
    client, run = written(trial, spool)
    assert run.info.status == "KILLED"
    assert run.data.tags["autoreg.pruned"] == given_up.words
    assert run.data.metrics["pruned_after_folds"] == 2.0
    assert "val_loss" not in run.data.metrics
    again = Writer(Store.of(spool.study_folder.parents[1], {}))
    again.begin(spool.opening)
    assert f"{again.key}:{trial.search}:{trial.number}" in again.done
    client.delete_tag(run.info.run_id, "autoreg.pruned")  # killed, and no pruned one: half written
    again.begin(spool.opening)
    assert f"{again.key}:{trial.search}:{trial.number}" not in again.done


def test_the_winner_s_learning_curves_are_kept_at_length():
    findings = sample()
    chosen = findings.final.chosen
    curve = {name: [0.5 / (k + 1) for k in range(150)] for name in ("train", "stop", "norm")}
    trials = [
        replace(t, curve=curve) if (t.search, t.number) == (FINAL, chosen.trial) else t
        for t in findings.trials
    ]
    entry = refit_entry(replace(findings, trials=tuple(trials)))
    assert set(entry.curves) == {"curve_train", "curve_stop", "curve_gap", "curve_norm"}
    assert all(len(one) == ALL_POINTS for one in entry.curves.values())
    assert {value for _, value in entry.curves["curve_gap"]} == {0.0}


def test_the_parent_tells_what_each_ingredient_is_worth():
    findings = sample()
    gain = Interval(0.25, 0.1, 0.4)
    effects = (
        Effect("left_out", ("dropout",), gain),
        Effect("left_out", ("dropout", "ema"), gain),
        Effect("added", ("sam",), failure="diverged"),
    )
    worth = Attribution(findings.final.chosen.candidate, (0.5,), effects, 1, {})
    entry = verdict_entry(replace(findings, attribution=worth))
    told = {name: value for name, value in entry.metrics.items() if name.startswith("worth")}
    assert told == {"worth.dropout": 0.25, "worth.all": 0.25}
    assert "attribution.json" in closing(replace(findings, attribution=worth), "k")["texts"]


def history(client, run, name):
    return client.get_metric_history(run.info.run_id, name)


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_its_best():
    curve = [(step, float(step)) for step in range(1000)]
    found = thinned(curve, keep=123)
    assert len(found) == MOST_POINTS
    assert {0, 123, 999} <= {step for step, _ in found}
    assert found == sorted(set(found))
    assert thinned(curve[:MOST_POINTS]) == curve[:MOST_POINTS]


def test_no_batch_is_larger_than_a_server_takes(spool, monkeypatch):
    sizes, log = [], MlflowClient.log_batch

    def measured(self, run, *parts, **options):
        sizes.append(sum(map(len, parts)))
        return log(self, run, *parts, **options)

    monkeypatch.setattr(MlflowClient, "log_batch", measured)
    monkeypatch.setattr("autoreg.tracking.curves.MOST_POINTS", 5000)
    client, run = written(one_trial(curve={"long": np.linspace(0, 1, 1500).tolist()}), spool)
    assert max(sizes) <= MAX_ENTITIES_PER_BATCH
    steps = [point.step for point in history(client, run, "curve_long")]
    assert sorted(steps) == list(range(1500))


# ---- hostile names, secrets, places ------------------------------------------------------------


def test_hostile_names_arrive_and_have_no_power(hostile, tmp_path):
    result, home = hostile
    assert result.tracking_problem is None
    assert differences("tracked", home / "home") == []
    client, runs = runs_of(uri_of(home / "home"))
    (parent,) = by_role(runs, "study")
    text = parent.data.tags["mlflow.note.content"]
    assert "<script" not in text
    assert "](javascript" not in text
    assert len(text) < 8000
    place = artifacts(client, parent.info.run_id, tmp_path)
    for path in place.rglob("*.svg"):
        assert "<script" not in path.read_text().lower()
        ElementTree.fromstring(path.read_text())
    table = pd.read_csv(place / "coefficients.csv")
    cells = [cell for cell in table.to_numpy(dtype=object).ravel() if isinstance(cell, str)]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+", "-"))]


def test_no_row_no_secret_and_no_place_of_this_machine_is_in_a_run(hostile, tmp_path):
    result, home = hostile
    client, runs = runs_of(uri_of(home / "home"))
    place = artifacts(client, result.mlflow_run, tmp_path)
    held = [json.dumps([one.data.params, one.data.tags, one.info.run_name]) for one in runs]
    held += [path.read_text() for path in place.rglob("*") if path.is_file()]
    held += [json.dumps(client.get_experiment("1").tags)]
    for text in held:
        assert str(home) not in text
        assert str(Path.home()) not in text
        assert "a:b" not in text
        assert "31337.42" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{Path.home()}/x", "~/x"),
        (f"no file {Path.cwd()}/data.csv", "no file ./data.csv"),
        ("postgresql://me:pa:ss@host/db", "postgresql://host/db"),
        (f"{Path.home()}stead", f"{Path.home()}stead"),
    ],
)
def test_texts_are_discreet(text, expected):
    assert discreet(text) == expected


# ---- pure functions ----------------------------------------------------------------------------


def test_a_failed_trial_has_its_reason_and_no_loss():
    failed = next(trial for trial in sample().trials if trial.failure)
    entry = trial_entry(failed)
    assert entry.tags["autoreg.failure"] == failed.failure
    assert set(entry.metrics) == {"fit_seconds"}


def test_a_trial_holds_its_path_and_what_it_was_at_its_best_strength():
    trial = next(t for t in sample().trials if t.candidate.label == "lasso" and not t.failure)
    entry = trial_entry(trial)
    dial = trial.candidate.path
    steps = {round(100 * dial.strength(s)): k for k, s in enumerate(trial.strengths)}
    train = [float(np.average(row, weights=trial.weights)) for row in trial.train_losses]
    for step, value in entry.curves["path_train_loss"]:
        assert value == pytest.approx(train[steps[step]])
    assert (round(100 * dial.strength(trial.strengths[trial.best])), trial.loss) in entry.curves[
        "path_val_loss"
    ]
    assert entry.metrics["n_columns"] == trial.sparsity[trial.best]
    assert entry.metrics["freedom"] == trial.freedom


def test_documents_survive_the_journey_through_the_folder(tmp_path):
    document = closing(sample(), "key")
    spool = Spool(tmp_path)
    spool.write("opening", {"key": "key"})
    spool.write("closing", document)
    first = spool.closing
    assert first["verdict"]["metrics"] == dict(verdict_entry(sample()).metrics)
    spool.write("closing", document)
    assert spool.closing == first  # the time of the first writing stays
    spool.write("opening", {"key": "another"})
    assert spool.closing is None


def test_the_note_fits_into_a_tag_and_the_verdict_names_the_inner_score_optimistic():
    document = closing(sample(), "key")
    note = views.note(document["note"] * 9, "study", document["technique"], "final", "1")
    assert len(note) < 8000
    assert "Filters" in note
    assert "inner_best_optimistic" in document["verdict"]["metrics"]


def test_the_store_is_where_mlflow_says_or_in_the_home_folder(tmp_path):
    assert Store.of(tmp_path, {}).artifacts.startswith("file:///")
    other = Store.of(tmp_path, {"MLFLOW_TRACKING_URI": "sqlite:///x.db"})
    assert (other.uri, other.database) == ("sqlite:///x.db", None)
    assert other.artifacts.startswith("file:///")
    assert Store.of(tmp_path, {"MLFLOW_TRACKING_URI": "http://h"}).artifacts is None


def test_the_local_server_answers_only_to_its_own_name(server):
    """A page elsewhere that lets its name point to this machine must not read the store."""
    place = f"{server[0]}/api/2.0/mlflow/experiments/get?experiment_id=0"
    with urllib.request.urlopen(place) as answer:
        assert answer.status == 200
    stranger = urllib.request.Request(place, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(stranger)


def test_the_local_server_listens_here_only_and_runs_no_jobs(tmp_path):
    command = server_command(tmp_path, 5000)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false" in command
