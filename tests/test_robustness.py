"""Accuracy under attack: exact for lines, never above plain accuracy, shown where it belongs."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from model_samples import FOLDER, SAMPLES, dataset
from sklearn.datasets import load_breast_cancer
from sklearn.svm import SVC

import autoreg
from autoreg.candidate import candidate
from autoreg.data import load
from autoreg.engines import engine_for
from autoreg.engines.attack import attacked, lead, movable
from autoreg.engines.base import Job, TrainingSet
from autoreg.engines.slopes import Differentiable
from autoreg.errors import DataError, SpecError
from autoreg.metrics import metric
from autoreg.model import Parameters
from autoreg.spec import DataSpec, Training
from autoreg.study import prepare
from autoreg.techniques import technique
from autoreg.tracking.layout import refit_entry, search_entry, verdict_entry
from autoreg.verdict import HeldOut

CLASSIFIERS = [name for name, (task, _) in SAMPLES.items() if task in ("binary", "multiclass")]
NETWORKS = [name for name in CLASSIFIERS if SAMPLES[name][1][0] == "network"]
REACHES = (0.0, 0.1, 0.25, 0.5, 1.0)


def sample(name):
    return autoreg.load(FOLDER / "format_2" / name).parameters, dataset(name, SAMPLES[name][0])


def averaged(model):
    """A network and two others of its structure, as one model."""
    rng = np.random.default_rng(0)
    others = [
        replace(
            model,
            arrays={
                key: values if key == "embedded" else values * rng.uniform(0.7, 1.3)
                for key, values in model.arrays.items()
            },
        )
        for _ in range(2)
    ]
    return Parameters.averaged([model, *others])


def accuracy(model, table, reach):
    said = attacked(model, table.columns, table.X, table.y, reach)
    return float((said.argmax(axis=1) == table.y).mean())


# ---- the attack --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [lambda model: model, averaged], ids=["one", "averaged"])
@pytest.mark.parametrize("name", NETWORKS)
def test_torch_sees_the_network_that_numpy_predicts_with(name, form):
    model, table = sample(name)
    model = form(model)
    Z = model.preprocessor.transform(table.X)
    expected = model.predictions(table.X, table.task)
    np.testing.assert_allclose(Differentiable(model).chances(Z), expected, atol=1e-12)


def test_torch_sees_norms_skips_and_passes():
    model, table = sample("network")
    passes, _ = sample("passes")
    for one in (model, passes):  # of regressions: their outputs become scores of two classes
        arrays = {k: v for k, v in one.arrays.items() if not k.startswith("target")}
        classifier = replace(one, arrays=arrays)
        Z = classifier.preprocessor.transform(table.X)
        expected = classifier.predictions(table.X, "binary")
        np.testing.assert_allclose(Differentiable(classifier).chances(Z), expected, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_uphill_is_where_small_steps_say(name):
    model, table = sample(name)
    network, step = Differentiable(model), 1e-6
    Z = model.preprocessor.transform(table.X)
    signs, right, told = network.uphill(Z, table.y), 0, 0
    for column in range(Z.shape[1]):
        move = np.zeros_like(Z)
        move[:, column] = step
        ahead, behind = (lead(np.log(network.chances(Z + m)), table.y) for m in (move, -move))
        clear = np.abs(ahead - behind) > 1e-9
        right += int((np.sign(behind - ahead) == signs[:, column])[clear].sum())
        told += int(clear.sum())
    assert told > 100
    assert right > 0.98 * told  # but for rows that lie on a kink


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_for_a_linear_model_no_point_of_the_box_is_worse(task):
    """Every corner of the box is tried, and the margin of the textbook."""
    draws = np.random.default_rng(5)
    frame = pd.DataFrame(draws.normal(size=(80, 4)), columns=list("abcd"))
    frame["kind"] = draws.choice(["x", "y", "z"], 80)
    score = frame["a"] - frame["b"] + (frame["kind"] == "x") + 0.5 * draws.normal(size=80)
    edges = [0.0] if task == "binary" else [-0.7, 0.7]
    frame["y"] = np.array(["low", "middle", "top"])[np.digitize(score, edges)]
    table = load(DataSpec(target="y"), frame)
    one = candidate("linear", [technique("ridge")(strength=0.01)], {})
    rows = np.arange(table.n)
    job = Job(one, TrainingSet(rows, ()), rows, 0, keep_model=True)
    (fit,) = engine_for([one], table.task).run([job], table)
    model, reach = fit.model, 0.4
    scaler = model.preprocessor
    numeric = movable(table.columns)[scaler.groups]
    Z = scaler.transform(table.X)
    W, b = model.arrays["coefficients"], model.arrays["intercept"]
    worst = np.full(table.n, np.inf)
    for corner in product((-reach, 0.0, reach), repeat=4):
        move = np.zeros(Z.shape[1])
        move[numeric] = corner
        scores = (Z + move) @ W + b
        if scores.shape[1] == 1:
            scores = np.column_stack([np.zeros(len(scores)), scores])
        worst = np.minimum(worst, lead(scores, table.y))
    said = attacked(model, table.columns, table.X, table.y, reach)
    sure = np.abs(worst) > 1e-9
    assert ((lead(said, table.y) > 0) == (worst > 0))[sure].all()
    assert 0 < (worst <= 0).sum() < table.n


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_an_attack_never_helps_and_a_wider_one_hurts_more(name):
    model, table = sample(name)
    found = [accuracy(model, table, reach) for reach in REACHES]
    plain = float((model.predictions(table.X, table.task).argmax(axis=1) == table.y).mean())
    assert found[0] == plain
    assert found == sorted(found, reverse=True)
    assert found[-1] < plain


def test_several_steps_find_worse_points_than_luck_does():
    model, table = sample("filters")
    reach, draws = 0.3, np.random.default_rng(1)
    network, scaler = Differentiable(model), model.preprocessor
    box = reach * movable(table.columns)[scaler.groups] * ~np.isnan(table.X[:, scaler.groups])
    Z, worst = scaler.transform(table.X), np.full(table.n, np.inf)
    for _ in range(200):
        moved = Z + box * draws.uniform(-1, 1, Z.shape)
        worst = np.minimum(worst, lead(network.chances(moved), table.y))
    found = lead(attacked(model, table.columns, table.X, table.y, reach), table.y)
    assert (found <= worst + 1e-9).mean() > 0.95


def test_categories_gaps_and_constant_columns_stay():
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan, 4.0], "b": [3.0] * 4, "c": list("xyxy")})
    table = load(DataSpec(target="y"), frame.assign(y=list("nnpp")))
    one = candidate("linear", [technique("ridge")(strength=0.1)], {})
    rows = np.arange(4)
    job = Job(one, TrainingSet(rows, ()), rows, 0, keep_model=True)
    (fit,) = engine_for([one], "binary").run([job], table)
    gap = table.X[[2]]
    said = attacked(fit.model, table.columns, gap, table.y[[2]], 5.0)
    np.testing.assert_allclose(said, fit.model.predictions(gap, "binary"), rtol=1e-12)
    whole = attacked(fit.model, table.columns, table.X[[3]], table.y[[3]], 5.0)
    assert not np.allclose(whole, fit.model.predictions(table.X[[3]], "binary"))


def test_training_on_moved_rows_keeps_more_of_them_right():
    bunch = load_breast_cancer(as_frame=True)
    table = load(DataSpec(target="y"), bunch.data.assign(y=bunch.target.map({0: "m", 1: "b"})))
    train, ahead = np.arange(0, table.n, 2), np.arange(1, table.n, 2)
    shape = {"width": 32, "depth": 1, "learning_rate": 0.01}
    kept = []
    for parts in ([], [technique("adversarial_pgd")(weight=0.5, reach=0.3, steps=5)]):
        one = candidate("network", parts, shape)
        settings = Training(epochs=40)
        job = Job(one, TrainingSet(train, ()), ahead, 0, settings=settings, keep_model=True)
        (fit,) = engine_for([one], "binary").run([job], table)
        said = attacked(fit.model, table.columns, table.X[ahead], table.y[ahead], 0.3)
        kept.append(float((said.argmax(axis=1) == table.y[ahead]).mean()))
    assert kept[1] > kept[0] + 0.03


# ---- the metric, and where it may be used --------------------------------------------------------


def test_the_name_says_how_far_rows_may_move():
    assert metric("adversarial_accuracy", "binary").reach == 0.1
    wide = metric("adversarial_accuracy_25")
    assert (wide.reach, wide.title) == (0.25, "accuracy under attack (0.25 sd)")
    assert metric("accuracy").reach == 0.0
    for wrong in ("adversarial_accuracy_0", "adversarial_accuracy_x", "adversarial_accuracy_1000"):
        with pytest.raises(SpecError, match="unknown metric"):
            metric(wrong)


@pytest.mark.parametrize(
    ("changes", "fault", "error"),
    [
        ({"metrics": ["adversarial_accuracy"]}, "cannot be the first of `metrics`", SpecError),
        (
            {"metrics": ["accuracy"], "select": {"metric": "adversarial_accuracy"}},
            "cannot be select: metric",
            SpecError,
        ),
        (
            {"data": {"source": "diabetes"}, "metrics": ["r2", "adversarial_accuracy"]},
            "not for regression targets",
            SpecError,
        ),
        (
            {"metrics": ["accuracy", "adversarial_accuracy"], "estimators": {"svm": SVC()}},
            "leave out adversarial_accuracy, or svm",
            SpecError,
        ),
    ],
)
def test_where_it_cannot_be_measured_it_is_refused(changes, fault, error):
    study = {"study": "s", "data": {"source": "wine"}, "space": "linear"} | changes
    with pytest.raises(error, match=fault):
        prepare(study)


def test_a_table_without_numbers_has_nothing_to_move():
    draws = np.random.default_rng(0)
    frame = pd.DataFrame({"c": draws.choice(list("xyz"), 90), "y": draws.choice(list("pn"), 90)})
    study = {
        "study": "s", "data": {"target": "y"}, "space": "linear",
        "metrics": ["accuracy", "adversarial_accuracy"],
    }  # fmt: skip
    with pytest.raises(DataError, match="no column holds any"):
        prepare(study, frame)


STUDY = {
    "study": "moved",
    "question": "what does robustness cost?",
    "data": {"source": "breast_cancer"},
    "space": {
        "space": "small",
        "families": {
            "linear": {"techniques": ["none", "ridge"]},
            "network": {
                "techniques": ["none", "early_stopping"],
                "architecture": {"width": [8, 8], "depth": [1, 1], "learning_rate": [0.01, 0.01]},
            },
        },
        "incumbent": {"family": "linear", "techniques": ["ridge"]},
        "path_points": 5,
    },
    "trials": 5,
    "folds": {"outer": 3},
    "training": {"epochs": 10},
    "attribution": False,
    "metrics": ["accuracy", "adversarial_accuracy_50"],
}
NAME = "adversarial_accuracy_50"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    home = tmp_path_factory.mktemp("moved")
    return autoreg.run_study(STUDY, home=home, tracking=False, workers=1, progress=False)


def test_it_is_monitored_on_outer_folds_and_held_out_rows_and_in_no_search(ran):
    verdict = ran.verdict
    assert verdict.monitored == (NAME,)
    assert all(set(trial.scores) == {"accuracy"} for trial in ran.findings.trials)
    assert 0 < verdict.scores[NAME].value < verdict.nested.value
    for fold in verdict.folds:
        assert 0 <= fold.monitored[NAME] <= fold.score
    judged = [one for one in verdict.standings if one.score]
    assert {one.family for one in judged} == {"linear", "network"}
    assert all(one.monitored[NAME].value <= one.score.value for one in judged)
    opened = verdict.held_out.monitored[NAME]
    assert 0 < opened.value <= verdict.held_out.score
    again = HeldOut.from_data(json.loads(json.dumps(verdict.held_out.to_data())))
    assert again.monitored == verdict.held_out.monitored


def test_the_held_out_number_is_that_of_the_stored_model(ran):
    table = load(DataSpec(source="breast_cancer"))
    ready = prepare(STUDY)
    rest = ready.bench.table.marks
    held = table.rows(np.flatnonzero(~np.isin(table.marks, rest)))
    said = attacked(ran.model.parameters, held.columns, held.X, held.y, 0.5)
    share = float((said.argmax(axis=1) == held.y).mean())
    assert share == pytest.approx(ran.verdict.held_out.monitored[NAME].value)


def test_report_and_mlflow_tell_it_at_the_outer_level(ran):
    text = ran.report.with_name("report.md").read_text()
    assert "accuracy under attack (0.5 sd)" in text
    assert "no search looked at it" in text
    page = ran.report.read_text()
    assert page.count("accuracy under attack (0.5 sd)") >= 3
    findings = ran.findings
    assert verdict_entry(findings).metrics[f"nested_{NAME}"] == ran.verdict.scores[NAME].value
    assert f"held_out_{NAME}" in refit_entry(findings).metrics
    one = search_entry(findings.selections["outer-0"], ran.verdict)
    assert one.metrics[f"outer_{NAME}"] == ran.verdict.folds[0].monitored[NAME]
    assert f"outer_{NAME}" not in search_entry(findings.final, ran.verdict).metrics


def test_it_changes_nothing_about_the_search(ran, tmp_path):
    plain = STUDY | {"metrics": ["accuracy"]}
    other = autoreg.run_study(plain, home=tmp_path, tracking=False, workers=1, progress=False)
    assert other.selection.to_data() == ran.selection.to_data()
    assert other.verdict.nested == ran.verdict.nested
    assert other.verdict.monitored == ()
