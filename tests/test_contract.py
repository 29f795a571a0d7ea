"""What a scheduler relies on: exit codes, the last line, signals, time, leases, idempotency."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_study import essence, run, study
from typer.testing import CliRunner

from autoreg import lease as leases
from autoreg.cli import app
from autoreg.clock import Clock, OutOfTimeError, Window
from autoreg.errors import BudgetError, BusyError, NothingToDoError
from autoreg.lease import leased
from autoreg.ledger import Ledger, locked
from autoreg.study import prepare

LINEAR = study(
    space={
        "space": "tiny",
        "families": {"linear": {"techniques": ["ridge"]}},
        "incumbent": {"family": "linear", "techniques": ["ridge"]},
        "path_points": 3,
    },
    trials=2,
)


@pytest.fixture
def question(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(LINEAR))  # JSON is YAML
    return path


def command(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def asked(question, home, *more):
    done = command("run", question, "--home", home, "--no-tracking", "--json", *more)
    return done.exit_code, json.loads(done.stdout.splitlines()[-1])


# ---- exit codes and the last line ------------------------------------------------------------


def test_every_end_has_its_code_and_one_json_line(question, tmp_path):
    home = tmp_path / "home"
    code, line = asked(question, home)
    assert (code, line["exit_code"], line["status"]) == (0, 0, "complete")
    code, line = asked(question, home, "--once")
    assert (code, line["status"]) == (99, "nothing to do")
    assert "autoreg show tiny" in line["reason"]
    code, line = asked(question, home, "--trials", "1")
    assert (code, line["status"]) == (2, "refused")
    with locked(home / "studies" / "tiny"):
        code, line = asked(question, home)
    assert (code, line["status"]) == (75, "try later")
    code, line = asked(question, Path("/proc/nowhere"))
    assert (code, line["status"]) == (75, "try later")
    code, line = asked(question, tmp_path / "other", "--within", "1e-9")
    assert (code, line["status"]) == (124, "out of time")


def test_a_defect_ends_with_code_1_and_still_with_a_line(question, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("autoreg.study.run_study", broken)
    code, line = asked(question, tmp_path)
    assert (code, line["status"], line["reason"]) == (1, "defect", "ZeroDivisionError: planted")


def test_a_strict_run_says_no_where_there_are_alarms(question, tmp_path, monkeypatch):
    monkeypatch.setattr("autoreg.cli.running.sound", lambda document: False)
    assert asked(question, tmp_path)[0] == 0
    code, line = asked(question, tmp_path, "--strict")
    assert (code, line["exit_code"], line["status"]) == (3, 3, "complete")


def test_the_same_question_on_another_occasion_is_another_one(tmp_path):
    run(tmp_path, LINEAR, tick="monday")
    with pytest.raises(NothingToDoError, match="was answered before"):
        run(tmp_path, LINEAR, tick="monday", once=True)
    assert run(tmp_path, LINEAR, tick="tuesday", once=True).key != run(tmp_path, LINEAR).key


def test_the_key_is_made_of_configuration_data_and_occasion():
    ready = prepare(LINEAR)
    keys = {ready.key(), ready.key("a"), prepare(LINEAR | {"seed": 1}).key()}
    other = LINEAR | {"data": {"source": "iris"}}
    assert len(keys | {prepare(other).key()}) == 4
    assert prepare(LINEAR).key("a") == ready.key("a")


# ---- signals -----------------------------------------------------------------------------------


def test_sigterm_once_keeps_every_finished_trial_and_says_143(tmp_path):
    document = study(training={"epochs": 30}, trials=12)
    path, home = tmp_path / "tiny.yaml", tmp_path / "home"
    path.write_text(json.dumps(document))
    arguments = ["run", str(path), "--home", str(home), "--no-tracking", "--json", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "autoreg", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ledger = home / "studies" / "tiny" / "ledger.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if ledger.exists() and ledger.read_bytes().count(b'"kind":"trial"') >= 8:
            break
        time.sleep(0.01)
    process.terminate()
    out, words = process.communicate(timeout=60)
    assert process.returncode == 143, words
    line = json.loads(out.splitlines()[-1])
    assert (line["status"], line["exit_code"]) == ("interrupted", 143)
    assert "Traceback" not in words
    kept = ledger.read_bytes().count(b'"kind":"trial"')
    assert 8 <= kept < 48
    assert not (home / "studies" / "tiny" / "lease.json").exists()
    continued, whole = run(home, document), run(tmp_path / "whole", document)
    assert essence(continued) == essence(whole)


STUBBORN = """
import sys, time
from autoreg.cli.signals import stoppable
with stoppable():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt as one:
        print("once", one.exit_code, flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_the_process_at_once(number, code):
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == f"once {code}\n"
        process.send_signal(number)
        assert process.wait(20) == code


def test_handlers_are_given_back():
    from autoreg.cli.signals import stoppable

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


# ---- time --------------------------------------------------------------------------------------


def test_a_run_that_has_no_time_for_a_first_round_leaves_no_verdict(tmp_path):
    with pytest.raises(BudgetError, match="--within"):
        run(tmp_path, within=1e-9)
    assert not (tmp_path / "openings.jsonl").exists()


def test_of_a_round_that_cannot_be_waited_for_stays_what_all_have_and_the_end_is_replayed(
    tmp_path, monkeypatch
):
    """The time is over in the middle of the second round."""
    looks = iter(range(1000))

    def look(self, common):
        if common > 4 and next(looks) > 2:  # searches are close together: little is left by then
            raise OutOfTimeError

    monkeypatch.setattr(Clock, "look", look)
    first = run(tmp_path)
    (count,) = set(first.trials.groupby("search").size())
    assert 4 < count < 8
    assert "the time of the run ended the search" in first.findings.remarks
    monkeypatch.undo()
    assert essence(run(tmp_path)) == essence(first)


def ledger(tmp_path):
    return Ledger.open(tmp_path / "l.jsonl", {"digest": "a"})


def test_a_reserve_is_kept_back_for_what_comes_behind_the_search(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("autoreg.clock.time.monotonic", lambda: now[0])
    clock = Clock(None, ledger(tmp_path), Window(1000.0, 100.0), later=lambda trials: 20 * trials)
    assert clock.reserve == 10.0  # a tenth, as long as no fit was timed
    now[0] += 10.0
    assert clock.allows_another(0, fits=10)  # one second a fit: 10 + 1.5 * 20
    assert clock.reserve == 40.0
    now[0] += 35.0
    assert not clock.allows_another(1, fits=35)  # 55 left, and another 35 for a round like this
    assert clock.ledger.of("stop") == [{"kind": "stop", "round": 1}]


def test_a_round_is_left_when_the_reserve_begins(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("autoreg.clock.time.monotonic", lambda: now[0])
    clock = Clock(None, ledger(tmp_path), Window(0.0, 100.0))
    now[0] = 89.0
    clock.look(1)
    now[0] = 91.0
    clock.look(0)  # a first trial may use the reserve up
    with pytest.raises(OutOfTimeError):
        clock.look(1)
    now[0] = 101.0
    with pytest.raises(BudgetError):
        clock.look(0)


# ---- leases ------------------------------------------------------------------------------------


def of_another_machine(folder, until):
    other = {"token": "t", "host": "elsewhere", "pid": 7, "until": until}
    (folder / "lease.json").write_text(json.dumps(other))


def test_another_machines_lease_keeps_us_away_until_it_runs_out(tmp_path):
    of_another_machine(tmp_path, time.time() + 50)
    with pytest.raises(BusyError, match=r"in use on elsewhere \(process 7\)"), leased(tmp_path):
        pass
    of_another_machine(tmp_path, time.time() - 1)
    with leased(tmp_path) as lease:
        lease.check()


def test_a_crash_on_this_machine_leaves_no_lease_to_wait_for(tmp_path):
    with leased(tmp_path) as first, leased(tmp_path) as second:
        second.check()
        with pytest.raises(BusyError, match="has taken .* over"):
            first.check()


def test_a_study_whose_lease_was_taken_over_stops_before_the_next_record(tmp_path, monkeypatch):
    def stolen(self):
        self.path.write_text(json.dumps({"token": "other", "host": "x", "pid": 1, "until": 9e9}))

    monkeypatch.setattr(leases.Lease, "take", stolen)
    with pytest.raises(BusyError, match="has taken .* over"):
        run(tmp_path, LINEAR)
    assert b'"kind":"trial"' not in (tmp_path / "studies/tiny/ledger.jsonl").read_bytes()


def test_a_lease_is_renewed_while_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "RENEWAL", 0.02)
    with leased(tmp_path) as lease:
        before = json.loads(lease.path.read_text())["until"]
        deadline = time.monotonic() + 20
        while json.loads(lease.path.read_text())["until"] == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        lease.check()
