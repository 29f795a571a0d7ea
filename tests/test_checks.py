"""Every check, found by walking: it explains itself, rings on its leak, is quiet otherwise."""

import inspect
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from findings_sample import sample
from leaky_tables import LEAKS, clean, dataset, labels, persons, repeated_rows, undeclared_time
from typer.testing import CliRunner

from autoreg.alarm import SEVERITIES, Alarm
from autoreg.candidate import candidate
from autoreg.checks import (
    StudyCheck,
    TableCheck,
    checks,
    look_at_study,
    look_at_table,
    refuse_errors,
)
from autoreg.checks.base import Look
from autoreg.cli import app
from autoreg.data.dataset import Column
from autoreg.errors import DataError, SpecError
from autoreg.info_sheet import QUESTIONS, SIGNS, info_sheet
from autoreg.inspection import inspected
from autoreg.report.beside import sheet_markdown
from autoreg.spec import FoldsSpec, StudySpec
from autoreg.study import prepare, run_study
from autoreg.techniques import technique
from autoreg.verdict import HeldOut

SPEC = StudySpec(study="s")
TABLE_CHECKS = [one for one in checks().values() if isinstance(one, TableCheck)]


def codes(table, spec=SPEC, severities=("error", "warning")):
    return {one.code for one in look_at_table(table, spec).alarms if one.severity in severities}


def a_table(n=100, p=5, seed=0, classes=("no", "yes"), columns=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    y = labels(rng, X[:, 0]) if classes else X[:, 0] + rng.normal(size=n)
    return dataset(X, y, classes, columns)


# ---- laws ------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", checks().values(), ids=lambda one: one.code)
def test_a_check_explains_itself(check):
    file = Path(inspect.getfile(type(check)))
    assert check.code == file.stem
    assert check.severity in SEVERITIES
    assert len(check.title) > 20
    assert len(check.remedy) > 20
    assert all(any(c.isdigit() for c in one) for one in check.references)
    assert check.references
    assert isinstance(check, TableCheck | StudyCheck)
    assert inspect.getdoc(type(check)).splitlines()[0].endswith(".")


def test_every_alarm_about_tables_has_a_leak_that_rings_it():
    rung = set().union(*LEAKS.values())
    strict = {one.code for one in TABLE_CHECKS if one.severity != "info"}
    assert strict - rung == {"rare_class"}


@pytest.mark.parametrize("leak", LEAKS, ids=lambda one: one.__name__)
def test_a_leak_rings_its_alarm(leak):
    missed = [
        seed for seed in range(6) if not codes(leak(np.random.default_rng(seed))) & LEAKS[leak]
    ]
    assert missed == []


def test_clean_tables_are_quiet():
    """H7, small: the full one is in benchmarks/honesty.py. 5 % of 70 would be more than 3."""
    rung = {seed: codes(clean(seed)) for seed in range(1000, 1070)}
    assert sum(bool(found) for found in rung.values()) <= 1, rung


@pytest.mark.parametrize("check", TABLE_CHECKS, ids=lambda one: one.code)
def test_a_check_survives_the_smallest_and_the_oddest_tables(check):
    one_column = dataset(np.zeros((4, 1)), np.arange(4.0))
    gaps = dataset(np.where(np.eye(40, 3) > 0, 1.0, np.nan), np.arange(40.0))
    huge = dataset(1e90 * np.random.default_rng(0).normal(size=(50, 4)), np.arange(50.0))
    constant = dataset(np.ones((60, 3)), np.arange(60) % 2, ("a", "b"))
    for table in (one_column, gaps, huge, constant):
        look = Look.at(table, SPEC)
        reason = check.why_not(look)
        assert reason is None or len(reason) > 5
        if reason is None:
            assert check.seen(look) is None or isinstance(check.seen(look), str)


# ---- roles -----------------------------------------------------------------------------------


def test_declared_roles_silence_the_alarms_about_them():
    rng = np.random.default_rng(0)
    grouped = persons(rng, shuffled=False, static=True)
    assert codes(replace(grouped, group=None)) >= {"ordered_rows", "repeated_measures"}
    assert codes(grouped) == set()
    slow = undeclared_time(rng)
    assert "ordered_rows" in codes(slow)
    assert codes(replace(slow, time=np.arange(slow.n))) == set()


def test_twins_of_one_group_are_never_split_apart_and_count_for_nothing():
    table = repeated_rows(np.random.default_rng(0))
    kinds = np.unique(table.X, axis=0, return_inverse=True)[1].ravel()
    assert "duplicate_rows" in codes(table)
    assert "duplicate_rows" not in codes(replace(table, group=kinds))
    assert "duplicate_rows" in codes(replace(table, group=np.arange(table.n)))


def test_tables_of_few_values_have_equal_rows_by_chance():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (300, 4)).astype(float)
    assert codes(dataset(X, labels(rng, X[:, 0]), ("no", "yes"))) == set()


def test_rows_sorted_by_class_are_not_in_an_order_of_time():
    table = a_table(200)
    order = np.argsort(table.y, kind="stable")
    assert (
        codes(replace(table, X=table.X[order] + table.y[order][:, None], y=table.y[order])) == set()
    )


def test_a_table_sorted_by_its_target_is_not_asked():
    table = a_table(200, classes=())
    order = np.argsort(table.y)
    answers = look_at_table(replace(table, X=table.X[order], y=table.y[order]), SPEC)
    assert answers.not_asked["ordered_rows"] == "the rows are sorted by the target"


def test_a_rare_class_counts_groups_where_they_are_declared():
    table = a_table(40)
    rare = replace(table, y=(np.arange(40) < 4).astype(np.int64))
    assert codes(rare) == {"rare_class"}
    enough = replace(table, y=(np.arange(40) < 8).astype(np.int64))
    assert codes(enough) == set()
    assert codes(replace(enough, group=np.arange(40) // 4)) == {"rare_class"}
    assert codes(rare, StudySpec(study="s", folds=FoldsSpec(outer=4))) == set()


def test_names_tell_groups_and_times():
    columns = tuple(Column(name, "numeric") for name in ("patient_id", "Year", "c", "d"))
    table = a_table(200, 4, columns=columns)
    X = table.X.copy()
    X[:, 0] = np.random.default_rng(2).permutation(200) % 40
    X[:, 1] = 2000 + np.random.default_rng(1).integers(0, 20, 200)
    assert codes(replace(table, X=X)) == {"repeated_measures", "time_column"}


def test_remarks_are_no_warnings():
    table = a_table(60, 80)
    X = table.X.copy()
    X[:, 1] = 7.0
    X[0, 2] = 1e6
    answers = look_at_table(replace(table, X=X), prepare("breast_cancer").spec)
    assert {one.code for one in answers.alarms} == {
        "constant_column",
        "scale_of_one_row",
        "unpenalized_wide",
    }
    assert all(one.severity == "info" for one in answers.alarms)


# ---- ignoring, refusing ------------------------------------------------------------------------


def test_alarms_are_ignored_by_code_and_unknown_codes_are_refused():
    table = repeated_rows(np.random.default_rng(0))
    assert codes(table, StudySpec(study="s", ignore=("duplicate_rows",))) == set()
    with pytest.raises(SpecError, match="did you mean duplicate_rows"):
        look_at_table(table, StudySpec(study="s", ignore=("duplicate_row",)))


def test_ignoring_does_not_make_another_study():
    assert StudySpec(study="s", ignore=("id_column",)).digest == SPEC.digest


def test_an_error_stops_a_study_before_its_search(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))
    frame["target"] = 5 - 2 * frame["b"]
    study = {"study": "s", "data": {"target": "target"}, "space": "linear", "trials": 13}
    assert [one.code for one in prepare(study, frame).alarms] == ["target_copy", "tells_target"]
    with pytest.raises(DataError, match=r"(?s)target_copy: .*'b'.*or set ignore: \[target_copy\]"):
        run_study(study, frame, home=tmp_path, tracking=False)
    assert not list(tmp_path.rglob("ledger.jsonl"))


def test_warnings_stop_nothing():
    refuse_errors([Alarm("a", "warning", "t", "s", "r"), Alarm("b", "info", "t", "s", "r")])
    assert Alarm.from_data(Alarm("a", "info", "t", "s", "r").to_data()).code == "a"


def test_large_tables_are_looked_at_in_part():
    look = Look.at(dataset(np.zeros((30_000, 1)), np.arange(30_000.0)), SPEC)
    assert look.n == 20_000


# ---- after a study ---------------------------------------------------------------------------


def with_verdict(found, **changes):
    return replace(found, verdict=replace(found.verdict, **changes))


def test_a_sound_study_is_quiet():
    assert look_at_study(sample()) == ()


def test_strengths_at_the_end_of_their_range_ring():
    found = sample()
    chosen = found.final.chosen
    dial = technique("ridge").dials[0]
    for value, end in ((dial.low, "weak"), (dial.high, "strong")):
        ridge = candidate("linear", [technique("ridge")(strength=value)], {})
        edge = replace(chosen, candidate=ridge)
        final = replace(found.final, chosen=edge)
        (alarm,) = look_at_study(replace(found, selections={**found.selections, "final": final}))
        assert alarm.code == "strength_at_edge"
        assert f"at the {end} end" in alarm.seen


def test_reused_rows_and_results_too_good_to_be_true_ring():
    found = sample()
    again = replace(found.verdict.held_out, opening="reused 2")
    (alarm,) = look_at_study(with_verdict(found, held_out=again))
    assert (alarm.code, alarm.seen) == ("held_out_reused", "reused 2")
    assert look_at_study(with_verdict(found, held_out=HeldOut(9, "kept"))) == ()
    tiny = replace(found.verdict.nested_loss, value=1e-9)
    assert [one.code for one in look_at_study(with_verdict(found, nested_loss=tiny))] == [
        "too_good"
    ]


def test_a_lucky_search_is_remarked():
    found = sample()
    lucky = with_verdict(found, inner_best_loss=found.verdict.nested_loss.low - 0.01)
    (alarm,) = look_at_study(lucky)
    assert (alarm.code, alarm.severity) == ("optimistic_search", "info")


def test_alarms_of_the_table_are_kept_and_the_worst_comes_first():
    alarms = (Alarm("b", "info", "t", "s", "r"), Alarm("a", "error", "t", "s", "r"))
    found = replace(sample(), alarms=alarms)
    again = replace(found.verdict.held_out, opening="reused 1")
    found = with_verdict(found, held_out=again)
    assert [one.code for one in look_at_study(found)] == ["a", "held_out_reused", "b"]


# ---- the info sheet --------------------------------------------------------------------------


def test_the_sheet_has_eight_kinds_six_with_evidence_and_two_asked():
    sheet = info_sheet(sample())
    assert [one.code for one in sheet] == list(QUESTIONS)
    status = [one.status for one in sheet]
    assert (status.count("evidence"), status.count("asked")) == (6, 2)
    assert json.loads(json.dumps([one.to_data() for one in sheet]))[0]["code"] == "L1.1"


def test_alarms_stand_in_the_sheet_and_users_answer():
    found = sample()
    spec = found.spec.model_copy(
        update={
            "sheet": found.spec.sheet.model_copy(update={"features": "all measured at admission"}),
            "ignore": ("time_column",),
        }
    )
    alarm = Alarm("duplicate_rows", "warning", "rows are equal", "9 rows", "remove them")
    found = replace(found, spec=spec, alarms=(alarm,))
    sheet = {one.code: one for one in info_sheet(found)}
    assert sheet["L1.4"].status == "alarm"
    assert "9 rows" in sheet["L1.4"].answer
    assert sheet["L2"].status == "answered"
    assert "the study ignores time_column" in sheet["L3.1"].answer
    text = sheet_markdown(replace(found, sheet=info_sheet(found)))
    assert "ALARM" in text
    assert "duplicate_rows (warning)" in text


def test_the_sheet_knows_checks_that_exist():
    assert set().union(*SIGNS.values()) <= set(checks())


# ---- autoreg check ---------------------------------------------------------------------------


@pytest.fixture
def visits(tmp_path):
    table = persons(np.random.default_rng(0), shuffled=True, static=True)
    frame = pd.DataFrame(table.X, columns=[one.name for one in table.columns])
    frame["person"], frame["ill"] = table.group, np.array(["no", "yes"])[table.y]
    path = tmp_path / "visits.csv"
    frame.to_csv(path, index=False)
    return path


def test_check_rings_and_declaring_the_group_makes_it_fine(visits):
    run = CliRunner().invoke(app, ["check", str(visits), "--target", "ill"])
    assert run.exit_code == 3
    assert "repeated_measures" in run.stdout
    fine = CliRunner().invoke(app, ["check", str(visits), "--target", "ill", "--group", "person"])
    assert fine.exit_code == 0, fine.stdout
    assert "unasked  repeated_measures: groups or folds are declared" in fine.stdout


def test_check_answers_programs(visits):
    arguments = ["check", str(visits), "--target", "ill", "--drop", "person", "--json"]
    run = CliRunner().invoke(app, arguments)
    document = json.loads(run.stdout)
    assert [one["code"] for one in document["alarms"]] == ["repeated_measures"]
    assert "duplicate_rows" in document["passed"]
    ignored = CliRunner().invoke(app, [*arguments, "--ignore", "repeated_measures"])
    assert ignored.exit_code == 0


def test_studies_and_bundled_sets_can_be_checked():
    assert (
        inspected("breast_cancer").alarms
        == inspected("breast_cancer", {"target": "diagnosis"}).alarms
    )
    with pytest.raises(SpecError, match="leave the options out"):
        inspected("mine.yaml", {"target": "y"})
    with pytest.raises(DataError, match="did you mean iris"):
        inspected("irs")
