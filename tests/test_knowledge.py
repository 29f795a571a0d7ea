"""What finished studies teach: settings of similar tables, never their scores, never one's own."""

import sqlite3

import numpy as np
import pandas as pd
import pytest

import autoreg
from autoreg.data import load
from autoreg.knowledge import Knowledge, Lesson, best_settings, meta_features, nearest
from autoreg.space import Space
from autoreg.spec import DataSpec, read_space
from autoreg.state import recorded_question

STUDY = {
    "data": {"target": "y"},
    "space": {
        "space": "small",
        "families": {"linear": {"techniques": ["ridge", "lasso", "adaptive_lasso"]}},
        "incumbent": {"family": "linear", "techniques": ["ridge"]},
        "path_points": 6,
    },
    "held_out": "none",
    "folds": {"outer": 3},
    "trials": 4,
}


def lesson(data, rows, *settings, task="binary", key=None):
    return Lesson(key or data, "study", data, task, {"rows": rows}, settings)


def setting(name):
    return {"family": "linear", "techniques": [name]}


def frame(seed, n=60, p=6):
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(rng.normal(size=(n, p)), columns=[f"x{k}" for k in range(p)])
    return made.assign(y=made["x0"] - made["x1"] + 0.3 * rng.normal(size=n))


def run(home, name, data, **more):
    document = STUDY | {"study": name}
    return autoreg.run_study(
        document, data, home=home, workers=1, progress=False, tracking=False, **more
    )


# ---- the base ----------------------------------------------------------------------------------


def test_learning_a_study_again_changes_nothing(tmp_path):
    base = Knowledge(tmp_path)
    for _ in range(2):
        base.learn(lesson("a", 5.0, setting("ridge")))
    assert base.lessons() == [lesson("a", 5.0, setting("ridge"))]
    assert Knowledge(tmp_path).lessons() == base.lessons()


def test_only_tables_of_the_same_task_teach_and_never_the_own_one(tmp_path):
    base = Knowledge(tmp_path)
    base.learn(lesson("own", 5.0, setting("ridge")))
    base.learn(lesson("numbers", 5.0, setting("lasso"), task="regression"))
    base.learn(lesson("other", 900.0, setting("mcp")))
    assert base.settings_for("binary", {"rows": 5.0}, 9, without="own") == [setting("mcp")]
    assert base.settings_for("multiclass", {"rows": 5.0}, 9) == []


def test_near_tables_take_turns_and_no_setting_comes_twice(tmp_path):
    base = Knowledge(tmp_path)
    base.learn(lesson("far", 1000.0, setting("scad"), setting("ard")))
    base.learn(lesson("less", 10.0, setting("ridge"), setting("lasso")))
    base.learn(lesson("more", 12.0, setting("ridge"), setting("mcp")))
    found = base.settings_for("binary", {"rows": 11.0}, 4)
    assert [one["techniques"][0] for one in found] == ["ridge", "scad", "lasso", "mcp"]


def test_one_table_that_was_studied_often_counts_once():
    often = [lesson("same", 10.0, key=str(k)) for k in range(9)]
    other = lesson("other", 99.0)
    assert [one.data for one in nearest({"rows": 10.0}, [*often, other], 2)] == ["same", "other"]


@pytest.mark.parametrize("stretch", [1.0, 1e6])
def test_likeness_does_not_depend_on_the_size_of_a_number(stretch):
    """By rank: where one meta-feature has huge numbers, the others count as much."""
    known = [
        Lesson(name, "s", name, "binary", {"rows": stretch * rows, "skew": skew}, ())
        for name, rows, skew in (("a", 1.0, 9.0), ("b", 2.0, 1.0), ("c", 3.0, 5.0))
    ]
    near = nearest({"rows": stretch * 2.4, "skew": 1.1}, known, 3)
    assert near[0].data == "b"
    assert [one.data for one in near] == [
        one.data for one in nearest({"rows": stretch * 2.4, "skew": 1.1}, known[::-1], 3)
    ]


# ---- what a table is like ----------------------------------------------------------------------


def test_meta_features_know_no_order_and_no_unit():
    data = frame(0)
    turned = data[[*data.columns[5::-1], "y"]] * 1000.0
    found, again = (meta_features(load(DataSpec(target="y"), one)) for one in (data, turned))
    assert found == pytest.approx(again)
    assert all(np.isfinite(value) for value in found.values())


@pytest.mark.parametrize("case", ["constant", "one column", "missing", "words"])
def test_meta_features_of_poor_tables_are_numbers(case):
    data = frame(1)
    if case == "one column":
        data = data[["x0", "y"]]
    if case == "constant":
        data["x2"] = 7.0
    if case == "missing":
        data.loc[::2, "x1"] = np.nan
    if case == "words":
        data = data[["y"]].assign(word=np.where(data["x0"] > 0, "a", "b"))
    found = meta_features(load(DataSpec(target="y"), data))
    assert all(np.isfinite(value) for value in found.values())


# ---- in a study --------------------------------------------------------------------------------


def first_of(home, name):
    return recorded_question(home, name).first


def test_a_study_learns_from_others_and_not_from_itself(tmp_path):
    teacher = run(tmp_path, "teacher", frame(2))
    best = tuple(best_settings(teacher.findings.trials, 2))
    pupil = run(tmp_path, "pupil", frame(3), learn=2)
    assert first_of(tmp_path, "pupil") == best
    asked = [one.candidate.to_data() for one in pupil.findings.trials]
    assert all(setting in asked for setting in best)
    assert "2 of 2 settings of earlier studies first" in " ".join(pupil.findings.remarks)
    run(tmp_path / "alone", "teacher", frame(2), learn=2)
    run(tmp_path / "alone", "again", frame(2), learn=2)
    assert first_of(tmp_path / "alone", "again") == ()


def test_a_study_that_was_begun_keeps_what_it_was_begun_with(tmp_path):
    """Also where nothing was known then, or another study has finished in between."""
    one = run(tmp_path, "one", frame(2), learn=2)
    run(tmp_path, "two", frame(3))
    again = run(tmp_path, "one", frame(2), learn=2)
    assert len(again.findings.trials) == len(one.findings.trials)
    assert first_of(tmp_path, "one") == ()
    run(tmp_path, "one", frame(2), learn=2, fresh=True)
    assert len(first_of(tmp_path, "one")) == 2


def test_the_base_holds_settings_and_no_scores(tmp_path):
    result = run(tmp_path, "teacher", frame(2))
    with sqlite3.connect(tmp_path / "knowledge.db") as connection:
        (words,) = connection.execute("SELECT settings FROM studies").fetchone()
    assert "loss" not in words
    losses = {f"{one.loss:.6f}" for one in result.findings.trials}
    assert not any(loss in words for loss in losses)


# ---- from table to table -----------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("here", [True, False])
def test_settings_go_from_tables_with_measured_columns_to_others_and_back(there, here):
    """Refinements that one of the tables cannot have are left out, or at their default."""
    spec = read_space("network")
    teaching, learning = (Space.build(spec, "regression", measured=one) for one in (there, here))
    taught = [one.to_data() for one in teaching.design()]
    found = Space.build(spec, "regression", measured=here, first=taught).first
    assert [one.technique_set for one in found] == [one.technique_set for one in teaching.design()]
    wanted = {dial.name: dial for dial in learning.architectures["network"]}
    for one, told in zip(found, taught, strict=True):
        shape = dict(one.architecture)
        assert set(shape) == set(wanted)
        for name, value in shape.items():
            assert value == told["architecture"].get(name, wanted[name].default)


def test_a_setting_with_a_dial_that_nobody_knows_is_not_tried():
    spec = read_space("network")
    one = Space.build(spec, "regression").design()[0].to_data()
    odd = one | {"architecture": one["architecture"] | {"colour": 1}}
    wide = one | {"architecture": one["architecture"] | {"width": 100_000}}
    assert Space.build(spec, "regression", first=[odd, wide]).first == ()
