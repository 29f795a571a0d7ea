"""``verify``: honest studies get a certificate, planted leaks are caught, blind checks say so."""

import json
from dataclasses import replace

import leaks
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import autoreg
from autoreg import noninterference
from autoreg.certificate import (
    FILE_NAME,
    Certificate,
    Check,
    read_certificate,
    write_certificate,
)
from autoreg.cli import app
from autoreg.data import load
from autoreg.engines.base import Fit
from autoreg.errors import StudyError
from autoreg.garbage import KINDS, kinds_for
from autoreg.noninterference import proven, shortened
from autoreg.progress import Silent
from autoreg.spec import DataSpec
from autoreg.study import prepare
from autoreg.tuner import Tuner

LINEAR = {
    "space": "small",
    "families": {"linear": {"techniques": ["ridge", "elastic_net"]}},
    "incumbent": {"family": "linear", "techniques": ["ridge"]},
    "path_points": 4,
}
RIDGE = {**LINEAR, "families": {"linear": {"techniques": ["ridge"]}}}
NETWORK = {
    **LINEAR,
    "families": {
        "network": {
            "techniques": ["early_stopping", "dropout"],
            "architecture": {"width": [8, 8], "depth": [1, 1]},
        }
    },
    "incumbent": {"family": "network", "techniques": ["early_stopping"]},
}


def table(n=96, seed=0):
    """Numbers, a category and gaps; targets for every task."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)) * [1, 30, 0.1] + 5, columns=["a", "b", "c"])
    frame["kind"] = rng.choice(["red", "blue", "grey"], n, p=[0.5, 0.3, 0.2])
    score = frame["a"] - 5 + (frame["kind"] == "red") + rng.normal(size=n)
    frame["class"] = np.where(score > 1.2, "yes", "no")
    frame["number"] = score * 10
    frame["count"] = rng.poisson(np.exp(np.clip(score, -2, 2)))
    frame["patient"] = np.arange(n) // 3
    frame["day"] = pd.date_range("2026-01-01", periods=n)
    frame["weight"] = rng.uniform(0.5, 2, n)
    frame.loc[rng.random(n) < 0.15, "b"] = np.nan
    return frame


TARGETS = {"binary": "class", "regression": "number", "count": "count"}
ROLES = ["group", "time", "weight"]
ROLE_COLUMNS = {"group": "patient", "time": "day", "weight": "weight"}


def study(task="binary", space=LINEAR, roles=(), **changes):
    unused = {*TARGETS.values(), *ROLE_COLUMNS.values()} - {TARGETS[task]}
    used = {role: ROLE_COLUMNS[role] for role in roles}
    drop = sorted(unused - set(used.values()))
    data = {"target": TARGETS[task], "task": task, "drop": drop, **used}
    document = {"study": "small", "data": data, "space": space, "trials": 9}
    return document | {"folds": {"outer": 3}, "training": {"epochs": 3}} | changes


def bench_of(task="binary", **changes):
    return prepare(study(task, **changes), table(), workers=1).bench


def checks(bench, trials=2):
    return proven(shortened(bench, trials)[0], trials, Silent())[1]


def outcomes(found):
    return {check.outcome for check in found}


# ---- honest studies ----------------------------------------------------------------------------


@pytest.mark.parametrize("task", TARGETS)
def test_linear_models_get_a_clean_certificate(task):
    found = checks(bench_of(task))
    assert outcomes(found) == {"clean"}
    assert {check.garbage for check in found if check.level == "outer"} == set(KINDS)
    assert {check.block for check in found if check.level == "outer"} == {
        "outer-0", "outer-1", "outer-2",
    }  # fmt: skip
    assert all(check.compared > 40 for check in found if check.level == "outer")
    assert all(check.seen > 0 for check in found if check.level != "alone")


def wide(task="regression"):
    """More columns than rows: 100 by 300."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(100, 300)), columns=[f"x{k}" for k in range(300)])
    frame["number"] = frame["x0"] + rng.normal(size=100)
    document = study(task, folds={"outer": 3, "repeats": 1}, held_out=None)
    return prepare(document | {"data": {"target": "number"}}, frame, workers=1).bench


def test_more_columns_than_rows_get_a_clean_certificate():
    assert outcomes(checks(wide())) == {"clean"}


@pytest.mark.parametrize("leaky", [leaks.scaler, leaks.screen])
def test_a_leak_among_more_columns_than_rows_is_caught(leaky):
    bench = wide()
    found = checks(replace(bench, engine=leaks.Leaky(bench.engine, leaky)), trials=1)
    assert {check.level for check in found if check.leaks} == {"outer", "inner"}


class Heard:
    """Remembers what a listener is told."""

    def begin(self, phase, steps, done=0):
        self.steps, self.told, self.over = steps, [], False

    def advance(self, done, note=""):
        self.told.append(done)

    def end(self):
        self.over = True


@pytest.mark.parametrize(("space", "trials"), [(LINEAR, 2), (NETWORK, 3)])
def test_progress_rises_to_the_number_of_steps(space, trials):
    heard = Heard()
    run, _ = proven(shortened(bench_of(space=space), trials)[0], trials, heard)
    assert heard.told == sorted(heard.told)
    assert heard.told[-1] == heard.steps
    assert heard.over
    assert run.longest >= trials


def test_networks_get_a_clean_certificate():
    assert outcomes(checks(bench_of(space=NETWORK), trials=1)) == {"clean"}


@pytest.mark.parametrize("role", ROLES)
def test_every_role_gets_a_clean_certificate(role):
    assert outcomes(checks(bench_of(roles=[role]))) == {"clean"}


@pytest.mark.parametrize("folds", [{"outer": 3, "inner": 2}, {"outer": 3, "repeats": 2}])
def test_other_inner_folds_get_a_clean_certificate(folds):
    assert outcomes(checks(bench_of(folds=folds))) == {"clean"}


def test_a_block_of_the_future_touches_no_earlier_search():
    found = checks(bench_of(roles=["time"]))
    seen = {check.block: check.seen for check in found if check.level == "outer"}
    assert seen["outer-0"] > seen["outer-2"] == 1  # of the last block, only the final search knows


def test_sums_of_a_stream_get_a_clean_certificate(tmp_path):
    frame = table(300)[["a", "c", "number"]]
    frame.to_parquet(tmp_path / "rows.parquet")
    data = {"source": str(tmp_path / "rows.parquet"), "target": "number", "stream": True}
    ready = prepare(study("regression") | {"data": data}, workers=1)
    found = checks(ready.bench)
    assert outcomes(found) == {"clean"}
    assert "missing" not in {check.garbage for check in found}


# ---- garbage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TARGETS)
def test_garbage_spoils_the_rows_that_it_is_given_and_no_others(task):
    data = bench_of(task, roles=["weight"]).table
    rows = np.arange(10, 30)
    others = np.setdiff1d(np.arange(data.n), rows)
    for garbage in kinds_for(data):
        spoilt = garbage.on(data, rows)
        shift = 1.0 if garbage.kind == "categories" else 0.0
        codes = [column.is_categorical for column in data.columns]
        expected = data.X[others] + shift * np.array(codes)
        assert np.array_equal(spoilt.X[others], expected, equal_nan=True)
        assert np.array_equal(spoilt.y[others], data.y[others])
        assert np.array_equal(spoilt.weight[others], data.weight[others])
        changed = not np.array_equal(spoilt.X[rows], data.X[rows], equal_nan=True)
        assert changed or not np.array_equal(spoilt.y[rows], data.y[rows])
        assert spoilt.classes == data.classes
        assert (spoilt.y >= 0).all() or task == "regression"
        assert garbage.on(data, rows).digest == spoilt.digest


def test_kinds_follow_the_schema():
    numbers = load(DataSpec(source="wine"))
    assert "categories" not in {one.kind for one in kinds_for(numbers)}
    sums = replace(numbers, streamed=np.ones(numbers.n))
    assert "missing" not in {one.kind for one in kinds_for(sums)}


# ---- planted leaks -----------------------------------------------------------------------------

PLANTED = {
    "scaler", "imputer", "encoder", "screen", "resampler", "calibration",
    "total-minus-block Gram", "candidate passed between searches",
}  # fmt: skip


def test_no_planted_leak_is_forgotten():
    assert {*leaks.ENGINES, "candidate passed between searches"} == PLANTED


@pytest.mark.parametrize("name", leaks.ENGINES)
def test_a_leak_of_an_engine_is_caught(name):
    leaky, task = leaks.ENGINES[name]
    bench = bench_of(task)
    found = checks(replace(bench, engine=leaky(bench.engine)), trials=1)
    caught = {check.level for check in found if check.leaks}
    assert caught == {"outer", "inner"}
    assert any("refit" in leak for check in found for leak in check.leaks)


def test_the_same_wrapper_without_a_leak_is_clean():
    bench = bench_of()
    assert outcomes(checks(replace(bench, engine=leaks.Leaky(bench.engine)))) == {"clean"}


def test_a_candidate_passed_between_searches_is_caught(monkeypatch):
    bench = bench_of()
    trials = shortened(bench, None)[1]  # the sampler has its say, too
    assert trials > len(bench.space.design())
    monkeypatch.setattr(Tuner, "ask", leaks.gossip(Tuner.ask))
    monkeypatch.setattr(noninterference, "kinds_for", lambda table: [KINDS["permuted"]])
    found = checks(bench, trials)
    caught = [check for check in found if check.leaks]
    assert "outer" in {check.level for check in caught}
    assert any("candidate" in leak for check in caught for leak in check.leaks)


class Deaf(leaks.Leaky):
    """Learns nothing: what it predicts depends on no row."""

    def run(self, jobs, table, **options):
        classes = len(table.classes)
        return [
            Fit(np.full((len(job.walked), len(job.predict), classes), 1 / classes), ones, ones)
            for job in jobs
            for ones in [np.ones(len(job.walked))]
        ]


def test_an_engine_that_learns_nothing_is_no_proof_of_anything():
    bench = bench_of()
    found = checks(replace(bench, engine=Deaf(bench.engine)))
    blind = [check for check in found if check.outcome == "blind"]
    assert {check.level for check in blind} >= {"inner"}
    one = Certificate("s", "a", "b", "c", "2026-01-01", {}, 2, 3, tuple(found))
    assert one.outcome == "blind"
    assert "nothing is proven" in one.words[0]


# ---- the certificate ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proven_study(tmp_path_factory):
    """A study that was run, and then verified."""
    home = tmp_path_factory.mktemp("home")
    frame = table()
    first = autoreg.run_study(study(), frame, home=home, tracking=False, workers=1, progress=False)
    before = first.report.read_text()
    options = {"home": home, "tracking": False, "workers": 1, "progress": False}
    proof = autoreg.verify(study(), frame, trials=3, **options)
    return home, first, before, proof


def test_the_certificate_says_what_was_done(proven_study):
    home, first, _, proof = proven_study
    assert proof.outcome == "clean"
    stored = json.loads((home / "studies" / "small" / FILE_NAME).read_text())
    assert Certificate.from_data(stored) == proof
    assert stored["configuration"] == first.findings.spec.digest
    assert stored["splits"] == first.findings.splits["digest"]
    assert {"autoreg", "numpy", "python", "machine"} <= set(stored["versions"])
    assert {check["level"] for check in stored["checks"]} == {
        "held-out", "outer", "inner", "alone",
    }  # fmt: skip
    assert all(check["bytes"] > 0 for check in stored["checks"])


def test_recorded_trials_are_run_again_and_come_out_equal(proven_study):
    proof = proven_study[3]
    assert (proof.replayed, proof.differing) == (4 * proof.trials, 0)


def test_report_and_show_tell_of_the_certificate(proven_study):
    home, _, before, proof = proven_study
    page = (home / "studies" / "small" / "report.html").read_text()
    assert 'id="proof"' not in before
    assert 'id="proof"' in page
    assert proof.words[0] in page
    shown = CliRunner().invoke(app, ["show", "small", "--home", str(home)])
    assert f"verified     {proof.sentence}" in shown.stdout


def test_verifying_opens_nothing_again_and_moves_no_number(proven_study):
    home, first, _, _ = proven_study
    lines = (home / "openings.jsonl").read_text().splitlines()
    assert sum('"reused"' in line for line in lines) == 1
    document = json.loads((home / "studies" / "small" / "result.json").read_text())
    assert document["held_out"] == first.to_data()["held_out"]
    assert document["nested"] == first.to_data()["nested"]


def test_a_changed_certificate_proves_nothing(proven_study, tmp_path):
    proof = proven_study[3]
    header = {"configuration": proof.configuration, "data": proof.data, "splits": proof.splits}
    path = write_certificate(proof, tmp_path)
    assert read_certificate(tmp_path, header) == proof
    assert read_certificate(tmp_path, header | {"data": "other"}) is None
    path.write_text(path.read_text().replace('"outer-1"', '"outer-2"', 1))
    assert read_certificate(tmp_path, header) is None
    path.write_text("{")
    assert read_certificate(tmp_path, header) is None


def test_another_configuration_of_the_same_name_is_refused(proven_study):
    home = proven_study[0]
    with pytest.raises(StudyError, match="another configuration"):
        autoreg.verify(study(seed=1), table(), home=home, workers=1, progress=False)


def wine_study(folder):
    """A small study in a file."""
    path = folder / "wine.yaml"
    path.write_text(json.dumps(study(space=RIDGE) | {"data": {"source": "wine"}}))
    return path


def test_the_command_line_says_it_in_words_and_as_data(tmp_path):
    options = ["--home", str(tmp_path), "--trials", "1", "--workers", "1", "--no-tracking"]
    path = wine_study(tmp_path)
    done = CliRunner().invoke(app, ["verify", str(path), *options])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("no leak: ")
    data = json.loads(CliRunner().invoke(app, ["verify", str(path), *options, "--json"]).stdout)
    assert data["outcome"] == "clean"
    assert data["trials"] == 1


def test_a_leak_ends_the_command_with_a_failure(tmp_path, monkeypatch):
    leaky = leaks.ENGINES["scaler"][0]
    honest = prepare("wine").bench.engine
    monkeypatch.setattr("autoreg.prepared.engine_for", lambda candidates, task, own: leaky(honest))
    arguments = ["verify", str(wine_study(tmp_path)), "--trials", "1", "--workers", "1"]
    done = CliRunner().invoke(app, [*arguments, "--home", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stdout.startswith("LEAK: ")


def test_words_of_a_leak_name_search_value_and_garbage():
    leak = "search outer-1: trial 1, losses (9 of 200 values) when outer-1 got targets flipped"
    check = Check("outer", "flipped", "outer-1", 30, 200, 1600, (leak,), 3)
    one = Certificate("s", "a", "b", "c", "2026-01-01", {}, 8, 4, (check,) * 5, differing=2)
    assert one.outcome == "leak"
    assert one.words[0].startswith(f"LEAK: {leak}; ")
    assert one.words[0].endswith("and 2 more")
    assert "2 recorded trials came out otherwise" in one.words[-1]
