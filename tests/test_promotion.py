"""Champion and challenger: the gate, the aliases, the way back."""

import json
import shutil
from dataclasses import replace

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from scipy import stats
from tracked import LINEAR, QUICK, projected, run, uri_of
from typer.testing import CliRunner

from autoreg.cli import app
from autoreg.data import load
from autoreg.errors import StudyError
from autoreg.model import Model
from autoreg.sealed import Openings, row_hashes
from autoreg.spec import DataSpec
from autoreg.statistics import one_sided_p
from autoreg.tracking.gate import (
    ENOUGH,
    ERROR,
    FEWEST,
    Standing,
    as_seen_by,
    compare,
    evidence_of,
    paired,
    remember_rows,
    remembered,
    share_of,
    units_of,
    unseen,
)
from autoreg.tracking.promote import promote, rollback
from autoreg.tracking.spool import Spool
from autoreg.tracking.store import Store

WEAK = QUICK | {"study": "houses", "space": LINEAR, "data": {"target": "price"}}


def table(rows, seed, noise=0.3):
    draws = np.random.default_rng(seed)
    frame = pd.DataFrame(draws.normal(size=(rows, 4)), columns=list("abcd"))
    frame["kind"] = draws.choice(["flat", "house"], rows)
    price = frame["a"] - 2 * frame["b"] + (frame["kind"] == "house")
    return frame.assign(price=price + noise * draws.normal(size=rows))


@pytest.fixture(scope="module")
def houses(tmp_path_factory, blank_for_module):
    """Two tracked studies in one home: of few noisy rows, and of many good ones."""
    home = tmp_path_factory.mktemp("houses")
    shutil.copy(blank_for_module, home / "mlflow.db")
    tables = {"old": table(40, 0, noise=4.0), "new": table(120, 1)}
    for name, frame in tables.items():
        result = run(home, WEAK | {"study": name}, data=frame)
        assert result.tracking_problem is None
    return home, tables


@pytest.fixture(scope="module")
def blank_for_module(blank):
    return blank


@pytest.fixture
def home(houses, tmp_path):
    """A copy: what one test promotes, the next one must not find."""
    shutil.copytree(houses[0], tmp_path / "home")
    return tmp_path / "home"


def aliases(home):
    client = MlflowClient(tracking_uri=uri_of(home), registry_uri=uri_of(home))
    return {str(k): str(v) for k, v in client.get_registered_model("houses").aliases.items()}


def fresh(home, rows=60, seed=9, **columns):
    frame = table(rows, seed).assign(**columns)
    frame.to_csv(home / "fresh.csv", index=False)
    return home / "fresh.csv"


# ---- the way of a model ------------------------------------------------------------------------


def test_a_better_model_becomes_champion_and_a_rollback_brings_the_old_one_back(home, monkeypatch):
    first = promote("old", home, name="houses")
    assert (first.promoted, aliases(home)) == (True, {"champion": "1"})
    assert promote("old", home, name="houses").version == "1"  # again: no second version
    answer = promote("new", home, data=fresh(home), name="houses")
    assert answer.promoted
    assert answer.comparison.rows == answer.comparison.units == 60
    assert aliases(home) == {"champion": "2", "previous": "1"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri_of(home))
    loaded = mlflow.pyfunc.load_model("models:/houses@champion")
    mine = Model.load(home / "studies" / "new" / "model")
    frame = table(5, 3)
    np.testing.assert_array_equal(loaded.predict(frame), mine.predict(frame))
    back = rollback("houses", home)
    assert (back.version, aliases(home)) == ("1", {"champion": "1"})
    with pytest.raises(StudyError, match="no previous champion"):
        rollback("houses", home)


def test_all_of_it_works_through_a_server(home, server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server[0])
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "houses")
    for name in ("old", "new"):
        state = projected(Spool(home / "studies" / name), store=Store(server[0], "houses"))
        assert state.reason is None
    assert promote("old", home, name="houses").promoted
    assert promote("new", home, data=fresh(home), name="houses").promoted
    loaded = mlflow.pyfunc.load_model("models:/houses@champion")
    assert len(loaded.predict(table(5, 3))) == 5
    assert rollback("houses", home).version == "1"


def test_a_worse_model_stays_challenger_and_the_look_is_written_down(home):
    promote("new", home, name="houses")
    answer = promote("old", home, data=fresh(home), name="houses")
    assert not answer.promoted
    assert "not clearly better" in answer.reason
    assert aliases(home) == {"champion": "1", "challenger": "2"}
    (line,) = map(json.loads, (home / "promotions.jsonl").read_text().splitlines())
    assert (line["champion"], line["challenger"], len(line["hashes"])) == ("1", "2", 60)
    assert not line["comparison"]["passed"]


def test_a_margin_can_be_too_much_to_ask(home):
    promote("old", home, name="houses")
    answer = promote("new", home, data=fresh(home), name="houses", margin=1e6)
    assert not answer.promoted


def test_rows_that_a_model_was_trained_on_are_left_out_of_the_comparison(home, houses):
    promote("old", home, name="houses")
    pd.concat([*houses[1].values(), table(60, 9)]).to_csv(home / "all.csv", index=False)
    answer = promote("new", home, data=home / "all.csv", name="houses")
    development = sum(
        int(Spool(home / "studies" / name).opening["entry"]["params"]["rows"])
        - int(Spool(home / "studies" / name).opening["entry"]["params"]["held_out_rows"])
        for name in houses[1]
    )
    assert answer.comparison.seen == development
    assert answer.comparison.rows == 40 + 120 + 60 - development


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no data", "--data"),
        ("few rows", "at least 20 rows"),
        ("training rows", "at least 20 rows"),
        ("no hashes", "gate is shut"),
        ("another key", "another home folder"),
    ],
)
def test_the_gate_says_why_it_is_shut(home, houses, kind, words):
    promote("old", home, name="houses")
    data = fresh(home, rows=19 if kind == "few rows" else 60)
    model = home / "studies" / "new" / "model"
    if kind == "training rows":
        houses[1]["old"].to_csv(data, index=False)
        hashes = remembered(home / "studies" / "old" / "model", Openings(home).key)
        assert len(hashes) == 32  # 8 of 40 are held out: too few to compare on
    if kind == "no hashes":
        (model / "rows.npz").unlink()
    if kind == "another key":
        (home / "openings.key").write_text("another")
    with pytest.raises(StudyError, match=words):
        promote("new", home, data=None if kind == "no data" else data, name="houses")
    assert aliases(home)["champion"] == "1"


def test_looking_at_the_same_rows_again_is_counted(home):
    promote("new", home, name="houses")
    data = fresh(home)
    promote("old", home, data=data, name="houses")
    promote("old", home, name="others")
    again = promote("new", home, data=data, name="others")
    assert "1 earlier comparisons saw such rows" in again.reason


def test_rows_that_were_trained_on_and_so_left_out_are_not_seen_again(home, houses):
    promote("new", home, name="houses")
    key, model = Openings(home).key, Model.load(home / "studies" / "new" / "model")
    trained = remembered(home / "studies" / "new" / "model", key)
    rows = as_seen_by(model, rows_of(houses[1]["new"]))
    window = houses[1]["new"][[one in trained for one in row_hashes(rows, key)]]
    for seed in (40, 41):
        pd.concat([window, table(60, seed)]).to_csv(home / "window.csv", index=False)
        answer = promote("old", home, data=home / "window.csv", name="houses")
        assert (answer.comparison.rows, answer.comparison.seen) == (60, len(window))
        assert "earlier comparisons" not in answer.reason


def test_a_champion_that_is_asked_again_is_harder_to_beat_until_it_falls(home):
    promote("new", home, name="houses")
    known = []
    for number in (1, 2):
        answer = promote("old", home, data=fresh(home, seed=20 + number), name="houses")
        known.append(answer.comparison)
        assert (answer.promoted, known[-1].asking) == (False, number)
        assert known[-1].evidence == pytest.approx(np.prod([one.added for one in known]))
    assert "asking 2 of this champion, which falls wrongly with 5% probability" in answer.reason
    assert "it takes p 0.0038" in answer.reason
    again = promote("old", home, data=fresh(home, seed=21), name="houses").comparison
    assert again == known[0]  # the same rows and models: the same question
    alone = promote("old", home, data=fresh(home, seed=23), name="houses", corrected=False)
    assert "not corrected for being asking 3 of this champion" in alone.reason
    fourth = promote("old", home, data=fresh(home, seed=24), name="houses").comparison
    assert fourth.asking == 4  # the one that was not corrected was an asking, too
    lines = [json.loads(one) for one in (home / "promotions.jsonl").read_text().splitlines()]
    assert [one["comparison"]["asking"] for one in lines] == [1, 2, 1, 3, 4]


def test_a_new_champion_begins_a_new_reign_and_one_that_comes_back_goes_on(home):
    promote("old", home, name="houses")
    first = promote("new", home, data=fresh(home, seed=30), name="houses")
    assert (first.promoted, first.comparison.asking) == (True, 1)
    back = promote("old", home, data=fresh(home, seed=31), name="houses")
    assert (back.promoted, back.comparison.asking) == (False, 1)
    rollback("houses", home)
    again = promote("new", home, data=fresh(home, seed=32), name="houses").comparison
    assert again.asking == 2
    assert again.evidence == pytest.approx(first.comparison.added * again.added)


def test_the_command_says_how_often_it_asked(home):
    promote("new", home, name="houses")
    words = ["promote", "old", "--name", "houses", "--home", str(home)]
    done = CliRunner().invoke(app, [*words, "--data", str(fresh(home))])
    assert done.exit_code == 3
    assert "it takes p 0.015 (here 1), or evidence of 40 (here 0.5)" in done.stdout
    done = CliRunner().invoke(app, [*words, "--data", str(fresh(home, seed=10)), "--alone"])
    assert "not corrected for being asking 2" in done.stdout


def test_a_study_that_is_not_in_mlflow_cannot_be_promoted(home):
    (home / "mlflow.db").unlink()
    with pytest.raises(StudyError, match="autoreg sync old"):
        promote("old", home)


# ---- the gate ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sides(houses):
    home, tables = houses
    key = Openings(home).key
    folders = [home / "studies" / name / "model" for name in ("old", "new")]
    return [(Model.load(folder), remembered(folder, key)) for folder in folders], key


def judged(sides, rows, key, **changes):
    fresh = unseen(*sides, rows, key)
    return compare(sides[0][0], sides[1][0], rows, fresh, **changes)


def rows_of(frame, **roles):
    return load(DataSpec(target="price", task="regression", **roles), frame)


def test_without_units_the_bound_is_that_of_a_plain_paired_t(sides):
    models, key = sides
    frame = table(60, 9)
    rows = rows_of(frame)
    found = judged(models, rows, key)
    losses = [(rows.y - model.predict(frame)) ** 2 for model, _ in models]
    gain = losses[0] - losses[1]
    low = gain.mean() - stats.t.ppf(0.95, 59) * gain.std(ddof=1) / np.sqrt(60)
    assert found.gain.value == pytest.approx(gain.mean())
    assert found.gain.low == pytest.approx(low)


def reign(draws, weeks, shift=0.0):
    """When a champion falls that is asked every week; losses as skewed as squared errors are."""
    noise, one, other = np.moveaxis(draws.normal(size=(weeks, 3, 80)), 1, 0)
    gains = (noise - 0.3 * one) ** 2 - (noise - 0.3 * other) ** 2 + shift
    blocks = gains.reshape(weeks, FEWEST, -1).mean(axis=2)
    p = stats.ttest_1samp(blocks, 0.0, axis=1, alternative="greater").pvalue
    evidence = np.cumprod([evidence_of(week) for week in p])
    spent = p <= [share_of(asking) for asking in range(1, weeks + 1)]
    return p <= ERROR, (p <= ERROR) & (spent | (evidence >= ENOUGH)), (gains, p)


def test_of_equals_asked_every_week_for_a_year_one_in_twenty_falls_at_most():
    """The planted fault is the bound of 95% each time: it lets one fall in nearly every year."""
    draws, years = np.random.default_rng(7), 600
    found = [reign(draws, 52)[:2] for _ in range(years)]
    assert np.mean([whole.any() for _, whole in found]) <= 0.05
    assert np.mean([each.any() for each, _ in found]) > 0.8


def test_many_small_gains_add_up_to_a_fall_that_spending_alone_would_not_allow():
    draws = np.random.default_rng(8)
    falls = [reign(draws, 26, shift=0.16)[1].any() for _ in range(100)]  # 1.7 standard errors
    assert np.mean(falls) > 0.9
    _, _, (gains, p) = reign(draws, 3)
    interval = paired(gains[1], np.ones(80), np.arange(80) * FEWEST // 80)
    assert one_sided_p(interval, FEWEST) == pytest.approx(p[1])  # which is what the gate asks


def test_a_comparison_that_passes_needs_the_bound_of_95_percent_too(sides):
    models, key = sides
    rows = rows_of(table(60, 9))
    plain = judged(models, rows, key)
    needed = plain.gain.low  # a margin at which p is 5%
    at_edge = [
        judged(models, rows, key, margin=needed + step, standing=Standing(8, 1e6))
        for step in (-1e-6, 1e-6)
    ]
    assert [one.passed for one in at_edge] == [True, False]
    assert at_edge[0].p == pytest.approx(0.05, abs=1e-3)
    poor = judged(models, rows, key, margin=needed - 1e-6, standing=Standing(8, 1.0))
    assert not poor.passed
    assert replace(poor, corrected=False).passed


def test_rows_that_were_compared_before_add_no_evidence(sides):
    models, key = sides
    rows = rows_of(table(60, 9))
    first = judged(models, rows, key)
    assert first.added > 1
    again = judged(models, rows, key, standing=Standing(2, first.added, repeated=True))
    assert (again.added, again.evidence) == (1.0, first.added)


def test_groups_are_the_units_and_too_few_of_them_keep_the_gate_shut(sides):
    models, key = sides
    frame = table(200, 9)
    found = judged(models, rows_of(frame.assign(who=np.arange(200) // 8), group="who"), key)
    assert (found.units, found.unit) == (25, "groups")
    with pytest.raises(StudyError, match="at least 20 groups"):
        judged(models, rows_of(frame.assign(who=np.arange(200) // 20), group="who"), key)


def test_equal_rows_in_a_group_count_once():
    draws = np.random.default_rng(0)
    gains = draws.normal(1, 1, 30)
    once = paired(gains, np.ones(30), np.arange(30))
    tenfold = paired(np.repeat(gains, 10), np.ones(300), np.repeat(np.arange(30), 10))
    assert (tenfold.low, tenfold.value) == pytest.approx((once.low, once.value))
    blind = paired(np.repeat(gains, 10), np.ones(300), np.arange(300))
    assert blind.low > once.low + 0.1  # what ignoring groups would claim


def test_time_makes_blocks_and_twenty_of_them(sides):
    rows = rows_of(table(100, 9).assign(day=np.arange(100) // 2), time="day")
    units, unit = units_of(rows, np.arange(100))
    assert unit == "blocks of time"
    assert len(np.unique(units)) == FEWEST
    order = np.argsort(rows.time, kind="stable")
    assert (np.diff(units[order]) >= 0).all()
    few = rows_of(table(100, 9).assign(day=np.arange(100) // 10), time="day")
    assert len(np.unique(units_of(few, np.arange(100))[0])) == 10


def test_a_row_is_known_by_its_content_under_each_models_own_schema(sides, tmp_path):
    models, key = sides
    model, trained = models[0]
    frame = table(40, 0, noise=4.0)
    for again in (
        frame.iloc[::-1],
        frame[["price", "kind", "d", "c", "b", "a"]],
        frame.assign(a_new_column=1.0),
        pd.concat([frame, frame.assign(kind="castle")]),
    ):
        rows = rows_of(again)
        seen = row_hashes(as_seen_by(model, rows), key)
        assert sum(one in trained for one in seen) == 32
    changed = rows_of(frame.assign(a=frame["a"] + 1e-9))
    seen = row_hashes(as_seen_by(model, changed), key)
    assert not set(seen) & trained


def test_the_gate_is_blind_to_nothing_it_was_trained_on(sides):
    """A planted fault: a champion that has memorized the rows of the comparison."""
    models, key = sides
    rows = rows_of(table(60, 9))
    memory = frozenset(row_hashes(as_seen_by(models[0][0], rows), key))
    with pytest.raises(StudyError, match="0 of 60 rows"):
        unseen((models[0][0], memory), models[1], rows, key)


def test_of_a_stream_no_rows_are_remembered(tmp_path):
    rows = rows_of(table(30, 0))
    remember_rows(tmp_path, replace(rows, streamed=np.ones(30)), "key")
    with pytest.raises(StudyError, match="gate is shut"):
        remembered(tmp_path, "key")


def test_hashes_beside_a_model_hold_no_value_and_not_the_key(tmp_path):
    rows = rows_of(table(30, 0))
    remember_rows(tmp_path, rows, "a secret key")
    with np.load(tmp_path / "rows.npz") as stored:
        assert stored["hashes"].shape == (30, 10)
        assert set(stored.files) == {"hashes", "key"}
        assert "secret" not in str(stored["key"])
    assert remembered(tmp_path, "a secret key") == frozenset(row_hashes(rows, "a secret key"))
