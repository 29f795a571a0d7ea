"""Exported winners, run where autoreg cannot be imported, say what the models say."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from mixed_tables import mixed
from model_samples import FOLDER, asked
from typer.testing import CliRunner

import autoreg
from autoreg.candidate import candidate
from autoreg.cli import app
from autoreg.data import load
from autoreg.engines import engine_for
from autoreg.engines.base import Job, TrainingSet
from autoreg.errors import StudyError
from autoreg.model import Model, Parameters
from autoreg.programs import equation, export
from autoreg.spec import DataSpec, Training
from autoreg.techniques import technique

SAMPLES = sorted(path.parent.name for path in FOLDER.glob("format_2/*/model.json"))
LINEAR = ["line", "counts", "two_classes", "classes"]

# Whoever imports autoreg in such an interpreter gets an error.
ALONE = """
import runpy, sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "autoreg":
            raise ImportError("there is no autoreg here")
sys.meta_path.insert(0, Gone())
try:
    import autoreg
except ImportError:
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def sample(name):
    return autoreg.load(FOLDER / "format_2" / name)


def run_alone(program, *tables):
    names = []
    for number, table in enumerate(tables):
        names.append(program.with_name(f"table{number}.csv"))
        table.to_csv(names[-1], index=False)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, program, *names], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    program.with_name("answers.csv").write_text(done.stdout)
    return pd.read_csv(program.with_name("answers.csv"))


def agrees(told, model, rows, **tolerance):
    if not model.classes:
        np.testing.assert_allclose(told["prediction"], model.predict(rows), **tolerance)
        return
    chances = model.predict_proba(rows)
    names = [f"probability_{one}" for one in model.classes]
    np.testing.assert_allclose(told[names], chances, **tolerance)
    sure = np.ptp(np.sort(chances, axis=1)[:, -2:], axis=1) > 1e-6
    assert (told["prediction"].to_numpy()[sure] == model.predict(rows)[sure]).all()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_program_without_autoreg_says_what_the_model_says(name, tmp_path):
    model, rows = sample(name), asked(name)
    written = export(model, "script", tmp_path / "winner.py")
    assert [path.suffix for path in written] == ([".py"] if name in LINEAR else [".py", ".npz"])
    source = written[0].read_text()
    assert "import autoreg" not in source
    assert len(source.splitlines()) < 140
    agrees(run_alone(written[0], rows), model, rows, rtol=1e-9, atol=1e-12)


def averaged(name):
    """A sample of a network and two others of its structure, as one model."""
    model, rng = sample(name), np.random.default_rng(0)
    own = model.parameters
    others = [
        replace(own, arrays={key: a * rng.uniform(0.7, 1.3) for key, a in own.arrays.items()})
        for _ in range(2)
    ]
    if "embedded" in own.arrays:  # positions, which are no numbers to be changed
        others = [
            replace(one, arrays={**one.arrays, "embedded": own.arrays["embedded"]})
            for one in others
        ]
    return replace(model, parameters=Parameters.averaged([own, *others]))


NETWORKS = [name for name in SAMPLES if name not in (*LINEAR, "ratings")]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_of_several_networks_says_their_mean(name, tmp_path):
    model, rows = averaged(name), asked(name)
    assert len(model.parameters.members) == 3
    written = export(model, "script", tmp_path / "winner.py")
    agrees(run_alone(written[0], rows), model, rows, rtol=1e-9, atol=1e-12)


def test_a_program_is_tidy(tmp_path):
    for name in SAMPLES:
        export(sample(name), "script", tmp_path / f"{name}.py")
    for name in NETWORKS:
        export(averaged(name), "script", tmp_path / f"{name}_averaged.py")
    rules = "--select=E,F,I,B --line-length=100"
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", *rules.split(), tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["two_classes", "network", "filters", "ratings"])
def test_a_notebook_holds_the_same_program(name, tmp_path, monkeypatch):
    model, rows = sample(name), asked(name)
    export(model, "notebook", tmp_path / "winner.ipynb")
    cells = json.loads((tmp_path / "winner.ipynb").read_text())["cells"]
    assert [cell["cell_type"] for cell in cells[:2]] == ["markdown", "code"]
    source = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    source = source.replace('predict(pd.read_csv("new.csv"))', "told = predict(rows)")
    monkeypatch.chdir(tmp_path)
    scope = {"rows": rows}
    before = torch.get_default_dtype()  # programs of networks compute in float64
    try:
        exec(source, scope)
    finally:
        torch.set_default_dtype(before)
    agrees(scope["told"], model, rows, rtol=1e-9, atol=1e-12)


# ---- learned anew ------------------------------------------------------------------------------


def fitted(task, parts):
    """A linear model of real rows, which its program may learn anew; and the rows."""
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

    loaders = {"regression": load_diabetes, "binary": load_breast_cancer, "multiclass": load_wine}
    bunch = loaders[task](as_frame=True)
    frame = bunch.data.iloc[:, :6].assign(y=bunch.target)
    table = load(DataSpec(target="y", task=task), frame)
    one, rows = candidate("linear", parts, {}), np.arange(table.n)
    job = Job(one, TrainingSet(rows, ()), rows[:1], 0, keep_model=True)
    (outcome,) = engine_for([one], task).run([job], table)
    about = {"candidate": one.to_data(), "study": "anew"}
    return Model(table.columns, task, "y", table.classes, outcome.model, about), frame


@pytest.mark.parametrize(
    ("task", "key", "dials", "shell"),
    [
        ("regression", "none", {}, "LinearRegression("),
        ("regression", "ridge", {"strength": 0.02}, "Ridge(alpha"),
        ("regression", "lasso", {"strength": 0.05}, "ElasticNet(alpha"),
        ("regression", "elastic_net", {"strength": 0.05, "mix": 0.3}, "ElasticNet(alpha"),
        ("binary", "ridge", {"strength": 0.05}, "LogisticRegression(C"),
        ("binary", "lasso", {"strength": 0.1}, 'solver="saga"'),
        ("multiclass", "elastic_net", {"strength": 0.1, "mix": 0.5}, 'solver="saga"'),
        ("multiclass", "ridge", {"strength": 0.1}, "LogisticRegression(C"),
    ],
)
def test_scikit_learn_finds_the_same_model_anew(task, key, dials, shell, tmp_path):
    """The penalty that the program writes is the one that autoreg meant."""
    model, frame = fitted(task, [technique(key)(**dials)])
    (program,) = export(model, "script", tmp_path / "winner.py")
    assert shell in program.read_text()
    rows = frame.drop(columns="y").head(20)
    agrees(run_alone(program, rows, frame), model, rows, rtol=2e-3, atol=1e-3)


def test_a_wrong_strength_would_be_seen(tmp_path):
    model, frame = fitted("regression", [technique("ridge")(strength=0.02)])
    (program,) = export(model, "script", tmp_path / "winner.py")
    program.write_text(program.read_text().replace("STRENGTH = 0.02", "STRENGTH = 0.04"))
    rows = frame.drop(columns="y").head(20)
    with pytest.raises(AssertionError):
        agrees(run_alone(program, rows, frame), model, rows, rtol=2e-3, atol=1e-3)


def test_what_scikit_learn_has_not_is_not_learned_anew(tmp_path):
    for parts in ([technique("mcp")(strength=0.1, gamma=3.0)], [technique("ridge")(strength=0.02)]):
        model, _ = fitted("regression", parts)
        model = replace(model, about=model.about | {"linear": {"loss": "huber"}})
        (program,) = export(model, "script", tmp_path / "winner.py")
        assert "def fit" not in program.read_text()


# ---- graphs and equations ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "made"),
    [(name, sample) for name in SAMPLES if name not in ("filters", "ratings")]
    + [(name, averaged) for name in NETWORKS if name != "filters"],
)
def test_a_graph_says_what_the_model_says(name, made, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    model, rows = made(name), asked(name)
    (path,) = export(model, "onnx", tmp_path / "winner.onnx")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {}
    for column in model.columns:
        cells = rows[column.name]
        if column.is_categorical:
            told = ["" if pd.isna(one) else str(one) for one in cells]
            feed[column.name] = np.array(told, dtype=object)[:, None]
        else:
            feed[column.name] = cells.to_numpy(np.float64)[:, None]
    names = [one.name for one in session.get_outputs()]
    found = dict(zip(names, session.run(None, feed), strict=True))
    if model.classes:
        expected = model.predict_proba(rows)
        np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-9, atol=1e-12)
        labels = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
        assert [labels[k] for k in found["prediction"]] == model.predict(rows).tolist()
    else:
        np.testing.assert_allclose(found["prediction"], model.predict(rows), rtol=1e-9)


def test_a_factorization_has_no_graph_and_no_equation(tmp_path):
    with pytest.raises(StudyError, match="looks users and items up"):
        export(sample("ratings"), "onnx", tmp_path / "winner.onnx")
    with pytest.raises(StudyError, match="export a factorization to script"):
        export(sample("ratings"), "equation", tmp_path / "winner.md")


def test_a_factorization_of_ids_that_look_like_numbers_finds_them_in_its_program(tmp_path):
    model, rows = sample("ratings"), asked("ratings")
    cities = [
        replace(c, levels=("007", "7", "x")) if c.name == "city" else c for c in model.columns
    ]
    model, rows["city"] = replace(model, columns=tuple(cities)), ["7", "007", "x", None, "7", "8"]
    written = export(model, "script", tmp_path / "winner.py")
    told = run_alone(written[0], rows)["prediction"]
    np.testing.assert_allclose(told, model.predict(rows), rtol=1e-12)
    assert told.nunique() > 4


def test_an_image_network_has_no_graph(tmp_path):
    with pytest.raises(StudyError, match="filters of images"):
        export(sample("filters"), "onnx", tmp_path / "winner.onnx")


def test_an_equation_is_in_the_units_of_the_columns():
    model, frame = fitted("regression", [technique("none")()])
    lines = equation(model).splitlines()
    from sklearn.linear_model import LinearRegression

    X = frame.drop(columns="y")
    line = LinearRegression().fit(X, frame["y"])
    for name, slope in zip(X.columns, line.coef_, strict=True):
        assert f"{abs(slope):.6g} * {name}" in lines[2]
    assert lines[2].startswith(f"    y = {line.intercept_:.6g} ")
    rows = [one for one in lines if one.startswith("| ")]
    assert len(rows) == 1 + X.shape[1]


def test_equations_name_categories_classes_and_networks_have_none():
    text = equation(sample("classes"))
    assert "score of 0 =" in text
    assert "[city=Rome]" in text
    assert "log odds of binary = yes" in equation(sample("two_classes"))
    assert "log(mean count)" in equation(sample("counts"))
    with pytest.raises(StudyError, match="only linear winners"):
        equation(sample("network"))


# ---- columns that autoreg makes ----------------------------------------------------------------

MADE = {
    "dates": {"dates": ("signed", "seen")},
    "gaps": {"gaps": "mark"},
    "fences": {"outliers": "pull_in"},
    "targets": {"mean_target": ("code", "city")},
    "texts": {"text": ("note",)},
    "all": {
        "dates": ("signed", "seen"),
        "gaps": "mark",
        "outliers": "pull_in",
        "mean_target": ("code", "city"),
        "text": ("note",),
    },
}
USED = ["amount", "items", "paid", "city", "code"]


def made_of(kinds, task, family):
    """A model of a table with columns that are made, and rows that training did not have."""
    declared = MADE[kinds]
    names = [*USED, *declared.get("dates", ()), *declared.get("text", ())]
    frame = mixed(rows=160)
    frame.loc[3, "amount"] = 500.0
    target = {"regression": frame["y"], "multiclass": frame["y"].rank(pct=True).mul(2.99) // 1}
    frame["y"] = target[task]
    table = load(DataSpec(target="y", task=task, **declared), frame[[*names, "y"]])
    dials = {"width": 5, "depth": 1, "learning_rate": 0.01} if family == "network" else {}
    parts = [technique("weight_decay")() if dials else technique("ridge")(strength=0.05)]
    one, rows = candidate(family, parts, dials), np.arange(table.n)
    few = Training(epochs=2)
    job = Job(one, TrainingSet(rows, ()), rows[:1], 0, settings=few, keep_model=True)
    (outcome,) = engine_for([one], task).run([job], table)
    about = {"candidate": one.to_data(), "study": "made"}
    new = mixed(first=400, rows=25, seed=1)[names]
    new.loc[2, "amount"], new.loc[4, "code"], new.loc[5, "city"] = -900.0, "Z9", "Lima"
    return Model(table.columns, task, "y", table.classes, outcome.model, about), new


@pytest.mark.parametrize("kinds", sorted(MADE))
@pytest.mark.parametrize(
    ("task", "family"),
    [("regression", "linear"), ("multiclass", "linear"), ("multiclass", "network")],
)
def test_a_program_makes_columns_as_the_model_does(kinds, task, family, tmp_path):
    model, rows = made_of(kinds, task, family)
    written = export(model, "script", tmp_path / "winner.py")
    beside = family == "network" or kinds in ("texts", "all")
    assert [path.suffix for path in written] == ([".py", ".npz"] if beside else [".py"])
    agrees(run_alone(written[0], rows), model, rows, rtol=1e-9, atol=1e-11)
    learned = kinds not in ("dates", "gaps")
    assert ("def fit" in written[0].read_text()) == (family == "linear" and not learned)


def test_a_program_of_made_columns_is_tidy_and_refuses_unclear_dates(tmp_path):
    model, rows = made_of("all", "regression", "linear")
    program = export(model, "script", tmp_path / "winner.py")[0]
    rules = "--select=E,F,I,B --ignore=E501 --line-length=100"  # rows of numbers are long
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", *rules.split(), program]
    done = subprocess.run(ruff, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    rows["signed"] = "03/04/2026"
    with pytest.raises(AssertionError, match="write the dates of 'signed' as YYYY-MM-DD"):
        run_alone(program, rows)


def test_a_notebook_of_made_columns_takes_dates_as_such(tmp_path, monkeypatch):
    model, rows = made_of("all", "regression", "linear")
    export(model, "notebook", tmp_path / "winner.ipynb")
    cells = json.loads((tmp_path / "winner.ipynb").read_text())["cells"]
    source = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    monkeypatch.chdir(tmp_path)
    rows["signed"] = pd.to_datetime(rows["signed"]).dt.tz_localize("Asia/Tokyo")
    scope = {"rows": rows}
    exec(source.replace('predict(pd.read_csv("new.csv"))', "told = predict(rows)"), scope)
    agrees(scope["told"], model, rows, rtol=1e-9, atol=1e-11)
    assert scope["told"]["prediction"].nunique() > len(rows) // 2


def test_a_graph_of_made_columns_is_refused_in_words(tmp_path):
    model = made_of("dates", "regression", "linear")[0]
    with pytest.raises(StudyError, match="'signed: year' is made by autoreg"):
        export(model, "onnx", tmp_path / "winner.onnx")


def test_the_command_writes_beside_and_refuses_unknown_forms(tmp_path):
    folder = str(FOLDER / "format_2" / "line")
    out = tmp_path / "mine.md"
    done = CliRunner().invoke(app, ["export", folder, "--to", "equation", "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(out)
    assert out.read_text().startswith("# a linear model; regression of regression")
    wrong = CliRunner().invoke(app, ["export", folder, "--to", "pmml", "--out", str(out)])
    assert isinstance(wrong.exception, StudyError)
