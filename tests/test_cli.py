"""The command line as a person or a scheduler uses it: real processes, real files."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
from sklearn.datasets import load_wine

SPACE = """\
space: tiny
families:
  linear:
    techniques: [ridge, lasso]
incumbent: {family: linear, techniques: [ridge]}
path_points: 5
"""
STUDY = """\
study: cultivars
question: Which penalty?
data: {source: wine.csv, target: cultivar}
space: tiny.yaml
trials: 3
folds: {outer: 3}
"""


def autoreg(*arguments, cwd, **environment):
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"} | environment
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(
        [sys.executable, "-m", "autoreg", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    raw = load_wine(as_frame=True)
    raw.data.assign(cultivar=raw.target.map({0: "a", 1: "b", 2: "c"})).to_csv(
        folder / "wine.csv", index=False
    )
    (folder / "tiny.yaml").write_text(SPACE)
    (folder / "cultivars.yaml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def ran(folder):
    return autoreg("run", "cultivars.yaml", "--json", "--workers", 1, cwd=folder)


def test_json_is_the_last_line_and_the_only_thing_on_stdout(ran, folder):
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert (document["study"], document["trials"], document["schema"]) == ("cultivars", 12, 1)
    assert document["mlflow_run"]
    assert document["report"] == str(folder / "mlruns/studies/cultivars/report.html")


def test_progress_goes_to_stderr_in_plain_lines(ran):
    assert "search 3/3" in ran.stderr
    assert "to go" in ran.stderr
    assert "\x1b" not in ran.stderr


def test_running_again_prints_the_same_verdict_and_show_repeats_it(ran, folder):
    again = autoreg("run", "cultivars.yaml", "--workers", 1, cwd=folder)
    assert again.returncode == 0, again.stderr
    assert "nested" in again.stdout
    shown = autoreg("show", "cultivars", cwd=folder)
    assert shown.stdout == again.stdout
    listed = autoreg("show", cwd=folder).stdout
    assert listed.startswith("cultivars\tcomplete\t")


def test_predict_writes_csv(ran, folder):
    model = folder / "mlruns/studies/cultivars/model"
    done = autoreg("predict", model, "wine.csv", "--proba", cwd=folder)
    lines = done.stdout.splitlines()
    assert lines[0] == "prediction,probability_a,probability_b,probability_c"
    assert len(lines) == 179
    labels = [line.split(",")[0] for line in lines[1:]]
    truth = pd.read_csv(folder / "wine.csv")["cultivar"]
    assert (truth == labels).mean() > 0.9


def test_predict_names_the_column_that_is_missing(ran, folder):
    pd.read_csv(folder / "wine.csv").drop(columns="hue").to_csv(folder / "no.csv", index=False)
    done = autoreg("predict", "mlruns/studies/cultivars/model", "no.csv", cwd=folder)
    assert done.returncode == 2
    assert "hue" in done.stderr


def test_init_writes_a_study_that_validates_and_teaches(folder):
    done = autoreg("init", "wine.csv", "--target", "cultivar", "--name", "mine", cwd=folder)
    assert done.returncode == 0, done.stderr
    text = (folder / "mine.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=")
    assert "178 rows" in text
    assert json.loads((folder / "autoreg-study.schema.json").read_text())["title"] == "StudySpec"
    checked = autoreg("validate", "mine.yaml", cwd=folder)
    assert checked.returncode == 0, checked.stderr
    assert "multiclass" in checked.stdout
    twice = autoreg("init", "wine.csv", "--target", "cultivar", "--name", "mine", cwd=folder)
    assert twice.returncode == 2


def test_init_offers_counts_where_they_are_possible(folder):
    rows = "\n".join(f"{k},{k % 5},{k}.5" for k in range(12))
    (folder / "events.csv").write_text(f"a,events,dose\n{rows}\n")
    for target, words in {"events": "count, if it is a number of", "dose": "change it if"}.items():
        autoreg("init", "events.csv", "--target", target, "--name", target, cwd=folder)
        assert f"# inferred; {words}" in (folder / f"{target}.yaml").read_text()


def test_init_with_a_wrong_target_suggests_the_right_one(folder):
    done = autoreg("init", "wine.csv", "--target", "cultiva", "--name", "x", cwd=folder)
    assert done.returncode == 2
    assert "did you mean 'cultivar'" in done.stderr
    assert not (folder / "x.yaml").exists()


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (["techniques"], "ridge\tlinear\t"),
        (["techniques", "dropout"], "Srivastava"),
        (["spaces"], "linear_and_network\t"),
        (["studies"], "breast_cancer\t"),
        (["schema"], '"StudySpec"'),
        (["schema", "space"], '"SpaceSpec"'),
        (["--help"], "init"),
        (["run", "--help"], "--json"),
        (["validate", "diabetes"], "442 rows"),
    ],
)
def test_commands_that_tell(folder, command, found):
    done = autoreg(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert found in done.stdout


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["run", "brest_cancer"], "did you mean breast_cancer"),
        (["run", "nothing.yaml"], "no such file"),
        (["techniques", "dropuot"], "did you mean dropout"),
        (["show", "cultivar"], "did you mean cultivars"),
        (["schema", "trial"], "not of 'trial'"),
        (["predict", "nowhere", "wine.csv"], "there is no readable autoreg model"),
        (["frobnicate"], "No such command"),
    ],
)
def test_bad_usage_ends_with_two_and_a_remedy(ran, folder, command, message):
    done = autoreg(*command, cwd=folder)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_home_comes_from_the_environment(folder, tmp_path):
    done = autoreg(
        "run", "cultivars.yaml", "--json", "--no-tracking", cwd=folder, AUTOREG_HOME=str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["mlflow_run"] is None
    assert (tmp_path / "studies/cultivars/report.html").exists()


def test_an_unknown_key_is_named_with_file_and_line(folder):
    (folder / "bad.yaml").write_text(STUDY + "trails: 3\n")
    done = autoreg("run", "bad.yaml", cwd=folder)
    assert done.returncode == 2
    assert "bad.yaml:7: unknown key 'trails'; did you mean trials?" in done.stderr
