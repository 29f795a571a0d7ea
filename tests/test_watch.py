"""Ticks: fetch, schema, drift, tune or skip, warm start, gate, ledger, webhook, rollback."""

import http.server
import json
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy
from scipy import stats
from typer.testing import CliRunner

from autoreg.cli import app
from autoreg.data import load
from autoreg.errors import BusyError, DataError, NothingToDoError, SpecError
from autoreg.knowledge import best_settings
from autoreg.ledger import locked
from autoreg.sealed import Openings
from autoreg.spec import DataSpec
from autoreg.tracking.promote import rollback
from autoreg.watch import WatchSpec, read_watch, tick
from autoreg.watch.drift import holm, psi, shifts
from autoreg.watch.fetch import fetch, windowed
from autoreg.watch.ticks import Ticks
from autoreg.watch.watching import DriftSpec, SourceSpec
from autoreg.watch.webhook import post

MOVED = 460  # from this day on the world is another
STUDY = {
    "data": {"target": "y", "time": "day"},
    "space": {
        "space": "tiny",
        "families": {"linear": {"techniques": ["ridge", "lasso"]}},
        "incumbent": {"family": "linear", "techniques": ["ridge"]},
        "path_points": 5,
    },
    "trials": 3,
    "folds": {"outer": 3},
    # Five strengths have their edges near.
    "ignore": ["strength_at_edge", "ordered_rows"],
}


def world(days, move=0.0):
    draws = np.random.default_rng(5).normal(size=(1000, 5))
    frame = pd.DataFrame(draws, columns=list("abcde"))
    frame["day"] = np.arange(1000)
    late = frame["day"] >= MOVED
    frame.loc[late, "a"] += move
    slope = np.where(late & (move > 0), -2.0, 1.0)
    frame["y"] = slope * frame["a"] + frame["b"] + 0.3 * frame.pop("e")
    return frame.head(days)


def watch(folder, **changes):
    document = {
        "watch": "demo", "study": STUDY, "source": {"file": "rows.csv"}, "window": 400, **changes,
    }  # fmt: skip
    return WatchSpec.model_validate(document), folder


def at(folder, days, name, move=0.0, dry=False, **changes):
    world(days, move).to_csv(folder / "rows.csv", index=False)
    asked = watch(folder, **changes)
    return tick(asked, name, home=folder / "home", dry=dry, workers=1, progress=False)


# ---- a life of ticks -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    """A dry tick, a first one, a calm one, one after a move, one more move: and what they said."""
    folder = tmp_path_factory.mktemp("life")
    ticks = [
        at(folder, 400, "t0", dry=None),
        at(folder, 400, "t1", dry=None),
        at(folder, 440, "t2", dry=None),
        at(folder, 860, "t3", move=3.0),
    ]
    return folder, ticks


def test_the_first_tick_is_dry_and_does_nothing(life):
    folder, (dry, first, *_) = life
    assert (dry.decision, dry.exit_code) == ("dry run", 0)
    assert dry.reason == "would tune: it is the first time"
    assert (first.decision, first.reason) == ("tuned", "it is the first time")
    assert first.gate == "there was no champion to beat"
    assert first.promoted


def test_nothing_moves_so_nothing_is_tuned(life):
    _, (_, _, calm, _) = life
    assert (calm.decision, calm.exit_code, calm.fresh) == ("skipped", 99, 40)
    assert "40 new rows, and nothing has moved" in calm.reason


def test_what_moved_is_named_tuned_for_judged_on_fresh_rows_and_promoted(life):
    folder, (*_, moved) = life
    assert moved.decision == "tuned"
    assert " moved: " in moved.reason
    assert {one.column for one in moved.drift if one.moved} == {"target", "a"}
    assert moved.verdict["held_out"]["opening"] == "first"
    assert moved.fresh == 400
    assert moved.verdict["held_out"]["rows"] == 200
    assert moved.promoted, moved.gate
    assert "neither model was trained on" in moved.gate
    assert moved.alarms == ()


def test_the_second_study_begins_with_what_was_good_in_the_first(life):
    folder, (_, first, _, moved) = life
    trials = [json.loads(line) for line in
              (folder / "home" / "studies" / moved.study / "ledger.jsonl").read_text().splitlines()
              if '"kind":"trial"' in line]  # fmt: skip
    final = sorted((t for t in trials if t["search"] == "final"), key=lambda t: t["number"])
    question = json.loads((folder / "home/studies" / moved.study / "study.json").read_text())
    assert final[0]["candidate"] == question["first"][0]
    assert len(question["first"]) == 3  # none, ridge, lasso
    report = (folder / "home" / "studies" / moved.study / "report.md").read_text()
    assert "settings of earlier studies first" in report


def test_the_ledger_of_ticks_and_that_of_openings_agree(life):
    folder, ticks = life
    lines = Ticks(folder / "home" / "watch" / "demo").all()
    assert [one["tick"] for one in lines] == ["t0", "t1", "t2", "t3"]
    openings = Openings(folder / "home").openings()
    assert [(one["study"], one["reused"]) for one in openings] == [("demo.t1", 0), ("demo.t3", 0)]


def test_a_tick_that_is_over_is_not_repeated(life):
    folder, _ = life
    with pytest.raises(NothingToDoError, match="t3 of demo is over"):
        at(folder, 860, "t3", move=3.0)


def test_one_command_brings_the_previous_champion_back(life):
    folder, _ = life
    answer = rollback("demo", folder / "home")
    assert (answer.version, answer.promoted) == ("1", True)


# ---- a tick that is cut off ------------------------------------------------------------------


def test_a_tick_that_was_cut_off_goes_on_with_the_same_rows(tmp_path, monkeypatch):
    real = tick.__globals__["run_study"]

    def cut(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setitem(tick.__globals__, "run_study", cut)
    with pytest.raises(KeyboardInterrupt):
        at(tmp_path, 300, "t1")
    monkeypatch.setitem(tick.__globals__, "run_study", real)
    again = at(tmp_path, 400, "t1")  # the source has grown meanwhile
    assert (again.rows, again.promoted) == (300, True)


@pytest.mark.parametrize("alarm", ["planted", None])
def test_alarms_keep_a_model_from_promotion(tmp_path, monkeypatch, alarm):
    from dataclasses import replace

    from autoreg.alarm import Alarm

    real = tick.__globals__["run_study"]

    def alarmed(*arguments, **options):
        result = real(*arguments, **options)
        alarms = (Alarm("planted", "warning", "Planted", "a planted alarm", "remove it"),)
        return replace(result, findings=replace(result.findings, alarms=alarms if alarm else ()))

    monkeypatch.setitem(tick.__globals__, "run_study", alarmed)
    found = at(tmp_path, 300, "t1")
    assert found.promoted == (alarm is None)
    assert found.exit_code == (3 if alarm else 0)
    if alarm:
        assert found.gate == "kept from promotion by alarms: planted"


def test_two_ticks_at_once_are_one_too_many(tmp_path):
    with locked(tmp_path / "home" / "watch" / "demo"), pytest.raises(BusyError):
        at(tmp_path, 300, "t1")


def test_skips_add_up_to_a_reason(tmp_path):
    at(tmp_path, 300, "t1")
    assert at(tmp_path, 330, "t2", every=1).decision == "skipped"
    again = at(tmp_path, 335, "t3", every=1)
    assert again.reason == "1 ticks were skipped since the last tuning"
    few = at(tmp_path, 337, "t4")
    assert few.reason == "only 2 rows are new; it takes 20"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop(columns="b"), "column 'b' is gone"),
        (lambda frame: frame.assign(b="x"), "column 'b' was numeric and is categorical now"),
    ],
)
def test_a_schema_that_changed_is_refused_with_the_column(tmp_path, change, words):
    at(tmp_path, 300, "t1")
    change(world(330)).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DataError, match=words):
        tick(watch(tmp_path), "t2", home=tmp_path / "home", dry=False, progress=False)


def test_snapshots_do_not_pile_up(tmp_path):
    at(tmp_path, 300, "t1", keep=2)
    for k in range(4):
        at(tmp_path, 330 + k, f"s{k}", keep=2)
    kept = {one.name for one in (tmp_path / "home/watch/demo/rows").iterdir()}
    assert kept == {"t1", "s2", "s3"}  # t1 is what drift is measured from


# ---- drift -----------------------------------------------------------------------------------


def table(frame):
    """The rows without their day, which always moves."""
    return load(DataSpec(target="y", task="regression"), frame.drop(columns="day", errors="ignore"))


def test_the_index_is_that_of_the_textbook():
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.3, 0.3])
    assert psi(1000 * p, 500 * q) == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert np.isfinite(psi([10, 0], [0, 10]))


def test_the_test_is_that_of_scipy_and_holm_shares_the_level_out():
    then, now = world(400), world(1000).tail(300)
    found = {one.column: one for one in shifts(table(then), table(now), DriftSpec())}
    statistic = stats.ks_2samp(then["c"], now["c"]).statistic
    assert found["c"].statistic == pytest.approx(statistic)
    assert holm([0.01, 0.5, 0.02]) == [0.03, 0.5, 0.04]
    assert not any(one.moved for one in found.values())


def test_levels_gaps_and_the_target_are_seen_to_move():
    draws = np.random.default_rng(0)
    then = pd.DataFrame({"k": draws.choice(["u", "v"], 300), "x": draws.normal(size=300)})
    then["y"] = draws.normal(size=300)
    now = then.assign(k=draws.choice(["u", "v"], 300, p=[0.9, 0.1]), y=then["y"] + 2)
    now.loc[:150, "x"] = np.nan
    found = {one.column: one for one in shifts(table(then), table(now), DriftSpec())}
    assert all(found[name].moved for name in ("k", "target", "x"))
    assert found["x"].missing == pytest.approx(151 / 300)


def test_few_rows_alone_raise_no_alarm():
    """In 25 rows the index alone is large by chance: a planted fault would call it drift."""
    then = world(400)
    falls = 0
    for start in range(400, 900, 25):
        now = table(world(1000).iloc[start : start + 25])
        found = shifts(table(then), now, DriftSpec())
        falls += any(one.moved for one in found)
        assert any(one.psi > 0.2 for one in found)
    assert falls <= 2


# ---- fetching ----------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same_rows(tmp_path):
    frame = world(90)
    frame.to_csv(tmp_path / "one.csv", index=False)
    (tmp_path / "many").mkdir()
    for k in range(3):
        frame.iloc[30 * k : 30 * k + 30].to_csv(tmp_path / "many" / f"{k}.csv", index=False)
    url = f"sqlite:///{tmp_path / 'rows.db'}"
    engine = sqlalchemy.create_engine(url)
    frame.to_sql("rows", engine, index=False)
    engine.dispose()
    parts = frame.assign(month=frame["day"] // 30)
    parts.to_parquet(tmp_path / "parts", partition_cols=["month"], index=False)
    sources = [
        {"file": "one.csv"},
        {"glob": "many/*.csv"},
        {"sql": {"url": url, "query": "SELECT * FROM rows ORDER BY day"}},
        {"parquet": {"folder": "parts"}},
    ]
    for source in sources:
        found = fetch(SourceSpec.model_validate(source), tmp_path)[list(frame.columns)]
        pd.testing.assert_frame_equal(
            found.sort_values("day", ignore_index=True), frame, check_dtype=False
        )
    some = {"parquet": {"folder": "parts", "filters": [["month", "=", 1]]}}
    assert set(fetch(SourceSpec.model_validate(some), tmp_path)["day"] // 30) == {1}


def test_secrets_come_from_the_environment(tmp_path, monkeypatch):
    source = SourceSpec.model_validate({"sql": {"url": "sqlite:///${PLACE}/r.db", "query": "x"}})
    with pytest.raises(SpecError, match="PLACE.*is not set"):
        fetch(source, tmp_path)


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ({"file": "none.csv"}, DataError, "no such file"),
        ({"glob": "none*.csv"}, DataError, "no file matches"),
        ({"parquet": {"folder": "none"}}, DataError, "no such folder"),
        ({"sql": {"url": "sqlite:////proc/no/r.db", "query": "SELECT 1"}}, BusyError, "try again"),
        ({"sql": {"url": "nonsense", "query": "SELECT 1"}}, DataError, "no address"),
    ],
)
def test_a_source_that_gives_nothing_says_why(tmp_path, source, error, words):
    with pytest.raises(error, match=words):
        fetch(SourceSpec.model_validate(source), tmp_path)


def test_files_of_a_glob_must_agree(tmp_path):
    world(30).to_csv(tmp_path / "1.csv", index=False)
    world(30).drop(columns="b").to_csv(tmp_path / "2.csv", index=False)
    with pytest.raises(DataError, match=r"2\.csv: column 'b'"):
        fetch(SourceSpec(glob="*.csv"), tmp_path)


def test_a_window_cuts_no_moment_in_two():
    frame = pd.DataFrame({"day": [1, 1, 2, 2, 3, 3], "x": range(6)})
    assert windowed(frame, "day", 3)["day"].tolist() == [3, 3]
    assert windowed(frame, "day", 4)["day"].tolist() == [2, 2, 3, 3]
    assert windowed(frame, None, 2)["x"].tolist() == [4, 5]
    assert len(windowed(frame, "day", None)) == 6


# ---- what a watch says -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("watch: w\nstudy: {}\nsource: {}\n", "exactly one of"),
        ("watch: w\nstudy: {}\nsource: {file: a, glob: b}\n", "exactly one of"),
        ("watch: w\nstudy: {}\nsource: {file: a}\nwindw: 3\n", "did you mean window"),
        ("watch: a.b\nstudy: {}\nsource: {file: a}\n", "watch"),
    ],
)
def test_a_watch_that_makes_no_sense_is_refused(tmp_path, text, words):
    path = tmp_path / "w.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=words):
        read_watch(path)


@pytest.mark.parametrize(
    ("study", "words"),
    [
        ({"data": {"source": "wine"}}, "names data: source"),
        ({"data": {}}, "must name data: target"),
    ],
)
def test_rows_come_from_the_watch_and_the_target_from_the_study(tmp_path, study, words):
    spec, _ = watch(tmp_path, study=study)
    with pytest.raises(SpecError, match=words):
        spec.question(tmp_path)


def test_the_command_ends_with_the_code_of_the_tick(tmp_path):
    document = watch(tmp_path)[0].model_dump(mode="json", exclude_none=True)
    (tmp_path / "w.yaml").write_text(json.dumps(document))
    world(300).to_csv(tmp_path / "rows.csv", index=False)
    words = ["tick", str(tmp_path / "w.yaml"), "--home", str(tmp_path / "home"), "--json"]
    done = CliRunner().invoke(app, [*words, "--tick", "a"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["decision"] == "dry run"
    (tmp_path / "rows.csv").unlink()
    done = CliRunner().invoke(app, [*words, "--tick", "b"])
    assert done.exit_code == 2
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "refused"


# ---- webhooks ----------------------------------------------------------------------------------


class Listener(http.server.BaseHTTPRequestHandler):
    """Answers with the codes it was given, one a call."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append(json.loads(body))
        self.send_response(self.server.codes.pop(0))
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        server.heard, server.codes = [], []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("codes", "calls", "problem"),
    [
        ([200], 1, None),
        ([500, 503, 204], 3, None),
        ([429, 200], 2, None),
        ([404], 1, "404 Not Found"),
        ([500] * 3, 3, "500 Internal Server Error"),
    ],
)
def test_a_webhook_is_tried_again_where_that_may_help(hook, codes, calls, problem):
    server, address = hook
    server.codes = list(codes)
    assert post(address, {"tick": "a"}, waits=(0, 0)) == problem
    assert server.heard == [{"tick": "a"}] * calls


def test_nobody_at_home_is_a_remark_and_no_failure(hook):
    assert "refused" in post("http://127.0.0.1:9", {}, waits=())
    assert "http" in post("file:///etc/passwd", {}, waits=())


def test_a_tick_tells_what_it_decided(hook, tmp_path):
    server, address = hook
    server.codes = [200]
    found = at(tmp_path, 300, "t1", webhook=address)
    assert found.telling is None
    (heard,) = server.heard
    assert (heard["decision"], heard["promoted"], heard["watch"]) == ("tuned", True, "demo")


# ---- warm starts -----------------------------------------------------------------------------


def test_settings_that_do_not_fit_are_left_out_and_the_others_come_first():
    from autoreg.space import Space
    from autoreg.spec import read_space

    spec = read_space("linear")
    plain = Space.build(spec, "regression")
    good = plain.design()[3].to_data()
    alien = {"family": "network", "techniques": {"dropout": {"rate": 0.1}}, "architecture": {}}
    unknown = {"family": "linear", "techniques": {"nonsense": {}}}
    odd = {"family": "linear", "techniques": {"elastic_net": {"mix": 7.0}}}
    warm = Space.build(spec, "regression", first=[good, alien, unknown, odd])
    assert [one.to_data() for one in warm.first] == [good]
    assert warm.design()[0].to_data() == good
    assert set(warm.design()) == set(plain.design())


def test_the_best_of_each_technique_set_is_taken_over(life):
    from autoreg.tracking.spool import Spool

    folder, (_, first, *_) = life
    told = [one.trial for one in Spool(folder / "home/studies" / first.study).trials().more()]
    settings = best_settings(told, 2)
    final = sorted((t for t in told if t.search == "final"), key=lambda t: t.loss)
    assert settings[0] == final[0].candidate.to_data()
    assert len(settings) == 2
    assert settings[0]["techniques"] != settings[1]["techniques"]


def test_the_example_of_the_docs_is_a_watch(tmp_path):
    text = (Path(__file__).parents[1] / "docs" / "unattended.md").read_text()
    example = text.split("```yaml\n", 1)[1].split("```", 1)[0]
    (tmp_path / "watch.yaml").write_text(example)
    spec, _ = read_watch(tmp_path / "watch.yaml")
    assert spec.watch == "bikes"
