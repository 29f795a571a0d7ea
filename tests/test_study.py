"""The main job from end to end: verdict, files, continuation, failures."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from impatient import Impatient

import autoreg
from autoreg.engines import engines
from autoreg.engines.base import Failure
from autoreg.engines.loop import LoopEngine
from autoreg.errors import AutoregError, DataError, NoValidTrialError, StudyError
from autoreg.ledger import Ledger
from autoreg.study import prepare

SPACE = {
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
}


def study(**changes):
    document = {
        "study": "tiny",
        "data": {"source": "wine"},
        "space": SPACE,
        "trials": 8,
        "folds": {"outer": 3},
        "training": {"epochs": 4},
    }
    return document | changes


def run(home, document=None, **options):
    options = {"tracking": False, "workers": 1, "home": home} | options
    return autoreg.run_study(document or study(), **options)


def essence(result):
    """All of a result that must not depend on how it came about."""
    document = result.to_data()
    for name in ("report", "model", "mlflow_run"):
        del document[name]
    arrays = {name: a.tobytes() for name, a in result.model.parameters.arrays.items()}
    return [trial.essence for trial in result.findings.trials], document, arrays


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(tmp_path_factory.mktemp("finished"))


def test_the_verdict_has_all_numbers_side_by_side(finished):
    verdict = finished.verdict
    assert len(finished.trials) == 4 * 8
    assert verdict.nested.low <= verdict.nested.value <= verdict.nested.high
    assert 0.8 < verdict.held_out.score <= 1
    assert verdict.held_out.opening == "first"
    assert set(verdict.none) == {"linear", "network"}
    assert 0 <= verdict.agreement <= 3
    assert verdict.has_signal
    assert verdict.runner_up.folds == 3


def test_the_outer_folds_judge_every_development_row_once(finished):
    rows = [fold.rows for fold in finished.verdict.folds]
    assert sum(rows) == finished.findings.splits["development_rows"]


def test_the_document_holds_what_it_promises(finished):
    document = json.loads(json.dumps(finished.to_data()))
    promised = {
        "schema", "study", "status", "selection", "inner_best", "nested", "held_out", "none",
        "trials", "report", "mlflow_run",
    }  # fmt: skip
    assert promised <= set(document)
    assert set(document["nested"]) == {"metric", "score", "low", "high"}
    assert document["selection"]["techniques"]


def test_the_files_are_there_and_the_model_predicts_from_them(finished):
    frame = pd.DataFrame(
        np.zeros((2, 13)), columns=[column.name for column in finished.model.columns]
    )
    loaded = autoreg.Model.load(finished.folder / "model")
    assert np.array_equal(loaded.predict_proba(frame), finished.predict_proba(frame))
    assert finished.report.read_text().startswith("<!DOCTYPE html>")
    assert (finished.folder / "result.json").exists()


def test_predictions_are_the_original_labels():
    from sklearn.datasets import load_wine

    raw = load_wine(as_frame=True)
    names = np.array(["barolo", "grignolino", "barbera"])
    frame = raw.data.assign(cultivar=names[raw.target])
    import tempfile

    result = run(tempfile.mkdtemp(), study(data={"target": "cultivar"}), data=frame)
    assert set(result.predict(frame)) == set(names)
    assert (result.predict(frame) == frame["cultivar"]).mean() > 0.95


def test_two_workers_give_the_same_result(finished, tmp_path):
    assert essence(run(tmp_path, workers=2)) == essence(finished)


def test_another_seed_searches_elsewhere_but_seals_the_same_rows(finished, tmp_path):
    other = run(tmp_path, study(seed=1))
    assert essence(other)[0] != essence(finished)[0]
    assert prepare(study(seed=1)).bench.table.digest == prepare(study()).bench.table.digest


# ---- cut off and continued -------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 1, 7, 19, 31, 32, 36])
def test_a_study_cut_off_after_any_record_continues_to_the_same_result(finished, tmp_path, kept):
    ledger = (finished.folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    folder = tmp_path / "studies" / "tiny"
    folder.mkdir(parents=True)
    (folder / "ledger.jsonl").write_bytes(b"".join(ledger[: 1 + kept]) + ledger[1 + kept][:40])
    assert essence(run(tmp_path)) == essence(finished)


def test_a_finished_study_runs_again_without_a_single_search_fit(finished, monkeypatch):
    jobs = []

    def counted(honest):
        def run(self, batch, *args, **options):
            jobs.extend(batch)
            return honest(self, batch, *args, **options)

        return run

    for engine in map(type, engines()):
        monkeypatch.setattr(engine, "run", counted(engine.run))
    again = run(finished.folder.parents[1])
    assert essence(again) == essence(finished)
    # The final model, its path, and the outer refits, whose predictions calibrate.
    assert len(jobs) == 2 + 3


def test_a_killed_process_leaves_a_study_that_continues(finished, tmp_path):
    code = (
        "import sys, json, autoreg; autoreg.run_study(json.loads(sys.argv[1]),"
        " home=sys.argv[2], tracking=False, workers=1)"
    )
    arguments = [sys.executable, "-c", code, json.dumps(study()), str(tmp_path)]
    process = subprocess.Popen(arguments)
    ledger = tmp_path / "studies" / "tiny" / "ledger.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if ledger.exists() and ledger.read_bytes().count(b'"kind":"trial"') >= 5:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 5 <= ledger.read_bytes().count(b'"kind":"trial"') < 32
    assert essence(run(tmp_path)) == essence(finished)


class AfterARound(Impatient):
    """Interrupts between rounds: what is under way counts as progress too, and keeps no trial."""

    def advance(self, done, note=""):
        if note:
            super().advance(done, note)


def test_ctrl_c_keeps_every_finished_trial(finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=AfterARound(4))
    ledger = tmp_path / "studies" / "tiny" / "ledger.jsonl"
    kept = ledger.read_bytes()
    assert 4 <= kept.count(b'"kind":"trial"') < 32  # a round of four searches at least
    assert essence(run(tmp_path)) == essence(finished)
    assert ledger.read_bytes().startswith(kept)  # none was fitted twice


def test_another_configuration_under_the_same_name_is_refused_and_fresh_keeps_the_old(tmp_path):
    run(tmp_path)
    with pytest.raises(StudyError, match="another configuration.*--fresh"):
        run(tmp_path, study(trials=7))
    run(tmp_path, study(trials=7), fresh=True)
    assert (tmp_path / "studies" / "tiny.1" / "ledger.jsonl").exists()


def test_a_changed_selection_leaves_the_rows_sealed_unless_reopened(tmp_path):
    run(tmp_path)
    network = {"network": SPACE["families"]["network"]}
    space = {**SPACE, "families": network, "incumbent": {"family": "network"}}
    changed = study(study="again", space=space, trials=2)
    sealed = run(tmp_path, changed).verdict.held_out
    assert (sealed.opening, sealed.score) == ("sealed", None)
    result = run(tmp_path, changed, reopen=True)
    again = result.verdict.held_out
    assert again.opening == "reused 1"
    assert again.score is not None
    assert again.interval.method == "rows, reused 1"
    assert any("not fresh: reused 1" in line for line in result.summary)
    # Now it is this selection's recorded verdict, and the first one's is still its own.
    assert run(tmp_path, changed).verdict.held_out == again
    assert run(tmp_path).verdict.held_out.opening == "first"


# ---- budgets ---------------------------------------------------------------------------------


def test_a_time_budget_ends_all_searches_at_a_common_round_and_is_replayed(tmp_path):
    document = study(minutes=1e-4)
    first = run(tmp_path, document)
    counts = first.trials.groupby("search").size()
    assert set(counts) == {4}  # networks are searched, four ahead
    assert any("ended the search" in remark for remark in first.findings.remarks)
    assert essence(run(tmp_path, document)) == essence(first)


def test_an_exhausted_space_ends_early_and_says_so(tmp_path):
    space = SPACE | {"families": {"linear": {"techniques": ["ridge", "lasso"]}}}
    result = run(tmp_path, study(space=space, trials=20))
    assert set(result.trials.groupby("search").size()) == {3}
    assert any("exhausted" in remark for remark in result.findings.remarks)


# ---- failures --------------------------------------------------------------------------------


class Fails(LoopEngine):
    """Fails where a condition on the job holds."""

    def __init__(self, when):
        super().__init__()
        self.when = when

    def run(self, jobs, table, **options):
        outcomes = super().run(jobs, table, **options)
        return [
            Failure("planted failure") if self.when(job) else outcome
            for job, outcome in zip(jobs, outcomes, strict=True)
        ]


def failing(monkeypatch, when):
    monkeypatch.setattr("autoreg.prepared.engine_for", lambda candidates, task, own: Fails(when))


def test_a_failed_fold_is_recorded_counted_and_never_selected(tmp_path, monkeypatch):
    failing(monkeypatch, lambda job: job.candidate.label == "ridge" and job.steps is None)
    result = run(tmp_path)
    failed = result.trials[result.trials["technique"] == "ridge"]
    assert failed["failure"].str.contains("planted failure").all()
    assert failed["val_loss"].isna().all()
    assert result.selection.chosen.candidate.label != "ridge"
    assert all(fold.chosen.label != "ridge" for fold in result.verdict.folds)


def test_a_failed_outer_refit_is_scored_as_featureless_and_flagged(tmp_path, monkeypatch):
    def is_first_refit(job):
        return job.steps is not None and job.training.excluded == ("block-0",)

    failing(monkeypatch, is_first_refit)
    result = run(tmp_path)
    fold = result.verdict.folds[0]
    assert fold.loss == fold.baseline_loss
    assert "scored as featureless" in fold.flags[0]


def test_no_valid_trial_raises_and_opens_nothing(tmp_path, monkeypatch):
    failing(monkeypatch, lambda job: True)
    with pytest.raises(NoValidTrialError, match="planted failure"):
        run(tmp_path)
    assert not (tmp_path / "openings.jsonl").exists()


# ---- bad input, before the first fit ---------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"source": "wines"}}, "did you mean wine"),
        ({"metrics": ["acuracy"]}, "did you mean accuracy"),
        ({"metrics": ["r2"]}, "not for multiclass"),
        ({"space": SPACE | {"incumbent": {"family": "linear", "techniques": ["x"]}}}, "incumbent"),
        ({"trails": 3}, "did you mean trials"),
        ({"folds": {"outer": 200}}, "fold"),
        ({"data": {"source": "wine", "task": "count"}}, "'class_0'"),
        ({"data": {"source": "wine", "feature_groups": {"g": ["alcohl"]}}}, "mean 'alcohol'"),
        ({"linear": {"loss": "huber"}}, "huber is for regression"),
        ({"linear": {"unpenalized": ["alcohl"]}}, "did you mean 'alcohol'"),
        ({"linear": {"at_most": 2}, "space": "network"}, "no linear family"),
    ],
)
def test_bad_input_is_refused_before_any_work(tmp_path, changes, message):
    with pytest.raises(AutoregError, match=message):
        run(tmp_path, study(**changes))
    assert not (tmp_path / "studies").exists()


@pytest.mark.parametrize("space", ["linear", SPACE])
def test_counts_are_searched_judged_and_predicted(tmp_path, space):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(150, 4)), columns=["a_1", "a_2", "b_1", "c"])
    frame["n"] = rng.poisson(np.exp(0.8 * frame["a_1"] + 0.3))
    data = {"target": "n", "task": "count", "feature_groups": "_"}
    result = run(tmp_path, study(data=data, space=space), data=frame)
    assert result.verdict.metric == "poisson_deviance"
    assert result.verdict.signal.low > 0
    assert "in mean Poisson deviance" in " ".join(result.summary)
    loaded = autoreg.Model.load(result.folder / "model")
    assert (loaded.predict(frame) > 0).all()
    assert np.array_equal(loaded.predict(frame), result.predict(frame))
    assert [one.group for one in loaded.columns] == ["a", "a", "", ""]
    with pytest.raises(DataError, match="a count model predicts means"):
        loaded.predict_proba(frame)


def test_a_model_from_before_groups_is_read(finished, tmp_path):
    shutil.copytree(finished.folder / "model", tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    document = json.loads(path.read_text())
    for column in document["columns"]:
        del column["group"]
    del document["sha256"]  # as format 1 was
    path.write_text(json.dumps(document | {"format": 1}))
    assert autoreg.Model.load(tmp_path / "model").columns == finished.model.columns


def test_a_study_without_data_says_what_to_give(tmp_path):
    with pytest.raises(DataError, match="source"):
        run(tmp_path, study(data={}))


def test_the_time_role_is_obeyed_and_the_interval_called_approximate(tmp_path):
    rng = np.random.default_rng(0)
    days = pd.date_range("2026-01-01", periods=160)
    frame = pd.DataFrame({"day": days, "a": rng.normal(size=160)})
    frame["y"] = frame["a"] + 0.1 * rng.normal(size=160)
    space = SPACE | {"families": {"linear": {"techniques": ["ridge"]}}}
    document = study(data={"target": "y", "time": "day"}, space=space)
    result = run(tmp_path, document, data=frame)
    assert any("approximate" in remark for remark in result.verdict.statement)
    assert result.verdict.nested.value > 0.9


def test_weights_count_in_fits_and_scores(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=120), "w": 1.0})
    frame["y"] = frame["a"] + 0.1 * rng.normal(size=120)
    space = SPACE | {"families": {"linear": {"techniques": ["ridge"]}}}
    document = study(data={"target": "y", "weight": "w"}, space=space, held_out=None)
    equal = run(tmp_path / "a", document, data=frame)
    assert equal.verdict.held_out is None
    frame.loc[:20, "w"] = 30.0
    heavy = run(tmp_path / "b", document, data=frame)
    assert heavy.verdict.nested.value != equal.verdict.nested.value


def test_the_ledger_is_the_whole_truth(finished):
    records = Ledger.open(
        finished.folder / "ledger.jsonl", prepare(study(), workers=1).header
    ).records
    assert [r["kind"] for r in records].count("trial") == 32
    assert "held_out" not in json.dumps(records)
    assert os.path.getsize(finished.folder / "ledger.jsonl") < 400_000
