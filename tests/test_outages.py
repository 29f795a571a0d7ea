"""MLflow away, full, read-only, silent, killed: the study's result is the same, nothing is lost."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from impatient import Impatient
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tracked import (
    QUICK,
    STUDY,
    TRIALS,
    Line,
    Said,
    by_role,
    free_port,
    keys,
    projected,
    run,
    runs_of,
    same,
    uri_of,
)

import autoreg
import autoreg.tracking.tracker as side
from autoreg.errors import StudyError
from autoreg.ledger import locked
from autoreg.tracking import sqlite
from autoreg.tracking.projection import WAITS
from autoreg.tracking.spool import Spool, State
from autoreg.tracking.store import Store
from autoreg.tracking.sync import differences, sync


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The quick study without any tracking."""
    return run(tmp_path_factory.mktemp("plain"), QUICK, tracking=False)


@pytest.fixture
def hasty(monkeypatch):
    """A study that waits for an absent store no longer than needed."""
    monkeypatch.setattr(side, "GRACE", 0.0)


def eventually(look, name, patience=90):
    """What is seen when the attribute of that name is true, or after so many seconds."""
    deadline = time.monotonic() + patience
    while not getattr(seen := look(), name) and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen


def whole(home, address=None, experiment="autoreg"):
    """Everything of the tracked study is in the store, once, closed."""
    _, runs = runs_of(address or uri_of(home), experiment)
    assert len(set(keys(runs))) == len(runs)
    assert {one.info.status for one in runs} == {"FINISHED"}
    assert differences("tracked", home) == []
    return runs


# ---- stores that are away ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["closed port", "no such folder", "a folder in its place"])
def test_a_store_that_is_away_changes_nothing_but_the_remark(
    plain, tmp_path, monkeypatch, hasty, kind
):
    uris = {
        "closed port": f"http://me:secret@127.0.0.1:{free_port()}",
        "no such folder": "sqlite:////proc/nowhere/mlflow.db",
    }
    if kind in uris:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uris[kind])
    else:
        (tmp_path / "mlflow.db").mkdir()
    result = run(tmp_path, QUICK)
    assert "13 of 13 entries were not written" in result.tracking_problem
    assert "`autoreg sync tracked` writes the rest" in result.tracking_problem
    assert "secret" not in result.tracking_problem
    assert result.mlflow_run is None
    assert same(result, plain)


def test_what_was_not_written_is_written_by_sync_and_the_doctor_knows(
    tracked, spool, tmp_path, monkeypatch
):
    shutil.rmtree(spool.folder / "state.json", ignore_errors=True)
    found = differences("tracked", tmp_path)
    assert [one.what for one in found] == ["not in MLflow"]
    assert len(found[0].keys) == TRIALS + 6
    assert sync("tracked", tmp_path).run
    whole(tmp_path)
    assert sync("tracked", tmp_path).reason is None
    assert len(whole(tmp_path)) == TRIALS + 6


def test_sync_says_what_keeps_it(spool, tmp_path, monkeypatch, hasty):
    with pytest.raises(StudyError, match="no study other was run"):
        sync("other", tmp_path)
    with locked(spool.study_folder), pytest.raises(StudyError, match="in use"):
        sync("tracked", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/nowhere/mlflow.db")
    with pytest.raises(StudyError, match="30 of 30|29 of 29"):
        sync("tracked", tmp_path)
    with pytest.raises(StudyError, match="does not answer"):
        differences("tracked", tmp_path)


def test_a_read_only_database_is_made_up_for_when_it_can_be_written_again(
    tracked, spool, tmp_path, monkeypatch
):
    failed, log = [], MlflowClient.log_batch

    def readonly(self, *parts, **options):
        if len(failed) < 5 and len(parts) > 1:
            failed.append(1)
            raise MlflowException("attempt to write a readonly database")
        return log(self, *parts, **options)

    monkeypatch.setattr(MlflowClient, "log_batch", readonly)
    words = Said(after=sum(WAITS[:5]))
    assert projected(spool, words).reason is None
    assert len(failed) == 5
    assert words.waited[: len(WAITS)] == list(WAITS)  # ever less often
    whole(tmp_path)


def test_a_really_read_only_database_is_reported_and_then_synced(
    tracked, spool, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # MLflow takes such an address for a folder, too, and makes it
    database = tmp_path / "mlflow.db"
    read_only = Store(f"sqlite:///file:{database}?mode=ro&uri=true", "autoreg")
    state = projected(spool, store=read_only)
    assert "readonly" in state.reason
    assert (state.run, state.left) == (None, TRIALS + 5)
    assert projected(spool).reason is None
    whole(tmp_path)


def test_a_full_disk_is_reported_and_then_made_up_for(spool, tmp_path, monkeypatch):
    """SQLite's own limit on pages stands for the end of the disk: the same error, code 13."""
    hasten = sqlite.hasten

    def full(connection, entry):
        hasten(connection, entry)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 4}")

    monkeypatch.setattr(sqlite, "hasten", full)
    try:
        state = projected(spool)
    finally:
        event.remove(Engine, "connect", full)
    assert "disk is full" in state.reason
    assert state.written > 0
    monkeypatch.undo()
    # Spelled differently, so that MLflow opens the file anew, and without the limit.
    uri = f"sqlite:///{tmp_path}/./mlflow.db"
    store_again = Store(uri, "autoreg", (tmp_path / "artifacts").as_uri())
    assert projected(spool, store=store_again).reason is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_again.uri)
    whole(tmp_path, store_again.uri)


def test_nobody_waits_for_a_server_that_never_answers(plain, tmp_path, monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{address}")
        monkeypatch.setattr(side, "PATIENCE", 1.0)
        result = run(tmp_path, QUICK)
    assert f"http://{address} (the writer: no answer within 1 seconds)" in result.tracking_problem
    assert result.mlflow_run is None
    assert same(result, plain)


def test_a_server_that_goes_and_comes_back_gets_everything_by_the_same_run(
    tracked, server, tmp_path, monkeypatch, capfd
):
    """A real server; the line to it is cut in mid-study, and joined again before the end."""
    line = Line(int(server[0].rpartition(":")[2]))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", line.address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.setattr(side, "GRACE", 30.0)
    outage = Outage(line, tmp_path)
    result = autoreg.run_study(STUDY, home=tmp_path, workers=1, progress=outage)
    assert (outage.reason is None, line.cut) == (False, False)
    assert result.tracking_problem is None
    assert same(result, tracked[0])
    assert capfd.readouterr().out == ""
    assert not (tmp_path / "mlflow.db").exists()
    assert len(whole(tmp_path, line.address, "mine")) == TRIALS + 6
    client = MlflowClient(tracking_uri=server[0])
    assert "report.html" in {one.path for one in client.list_artifacts(result.mlflow_run)}
    line.close()


class Outage:
    """Progress that cuts the line after the first rounds, and joins it when that was noticed."""

    def __init__(self, line, home):
        self.line, self.spool = line, Spool(home / "studies" / "tracked")
        self.phase = self.reason = None
        self.has_cut = False

    def begin(self, phase, steps, done=0):
        self.phase = phase
        if phase == "judging":
            self.reason = self.wait("reason")
            self.line.cut = False

    def advance(self, done, note=""):
        if self.phase == "search" and done >= 4 and not self.has_cut:
            self.has_cut = True
            self.wait("run")
            self.line.hang_up()

    def end(self):
        pass

    def wait(self, what):
        return getattr(eventually(lambda: self.spool.state, what), what)


# ---- answers that are lost, refusals -----------------------------------------------------------


class Lying:
    """A client each of whose methods, once, does its work and then says that it did not."""

    lied = frozenset()

    def __init__(self, **options):
        self._client = MlflowClient(**options)

    def __getattr__(self, name):
        def call(*args, **options):
            answer = getattr(self._client, name)(*args, **options)
            if name not in Lying.lied:
                Lying.lied |= {name}
                raise ConnectionResetError(f"{name} was cut off")
            return answer

        return call


def test_an_answer_that_is_lost_does_not_make_a_run_or_a_model_twice(
    tracked, spool, tmp_path, monkeypatch
):
    monkeypatch.setattr(Lying, "lied", frozenset())
    monkeypatch.setattr("autoreg.tracking.writer.MlflowClient", Lying)
    state = projected(spool, grace=30.0)
    assert state.reason is None
    runs = whole(tmp_path)
    assert keys(runs) == keys(runs_of(tracked[2])[1])
    client = MlflowClient(tracking_uri=uri_of(tmp_path))
    (model,) = client.search_logged_models(["1"])
    (parent,) = by_role(runs, "study")
    assert parent.data.tags["autoreg.model"] == f"models:/{model.model_id}"
    assert [one.model_id for one in parent.outputs.model_outputs] == [model.model_id]
    assert {"create_run", "log_batch", "create_logged_model", "log_outputs"} <= Lying.lied


def test_what_a_store_refuses_for_good_is_named_and_does_not_hold_up_the_rest(
    spool, tmp_path, monkeypatch
):
    log = MlflowClient.log_batch

    def refuse(self, run, *parts, **options):
        if self.get_run(run).info.run_name.startswith("outer-1/003"):
            raise MlflowException("no such letters", error_code=1000)  # invalid parameter value
        return log(self, run, *parts, **options)

    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    state = projected(spool)
    assert state.reason is None
    assert state.refused == ("outer-1/3 (MlflowException: no such letters)",)
    _, runs = runs_of(uri_of(tmp_path))
    assert len(runs) == TRIALS + 6
    (open_one,) = [one for one in runs if one.info.status != "FINISHED"]
    assert open_one.info.run_name.startswith("outer-1/003")
    (found,) = differences("tracked", tmp_path)[-1:]
    assert found.keys == (open_one.data.tags["autoreg.key"],)


def test_a_trial_that_was_half_written_is_completed_later(spool, tmp_path, monkeypatch):
    def full(self, run, *_, **__):
        if "/" in self.get_run(run).info.run_name:
            raise OSError("disk full")

    monkeypatch.setattr(MlflowClient, "log_batch", full)
    state = projected(spool)
    assert "disk full" in state.reason
    assert state.left == TRIALS + 4
    assert not [one for one in runs_of(uri_of(tmp_path))[1] if one.info.status == "RUNNING"]
    monkeypatch.undo()
    assert projected(spool).reason is None
    runs = whole(tmp_path)
    assert all("val_loss" in one.data.metrics for one in by_role(runs, "trial"))


@pytest.mark.parametrize("fault", ["deleted", "doubled", "changed"])
def test_the_doctor_catches_planted_faults(spool, tmp_path, fault):
    projected(spool)
    client, runs = runs_of(uri_of(tmp_path))
    trial = next(one for one in by_role(runs, "trial") if one.info.run_name.startswith("final/002"))
    key = trial.data.tags["autoreg.key"]
    if fault == "deleted":
        client.delete_run(trial.info.run_id)
    elif fault == "doubled":
        client.create_run("1", tags=trial.data.tags)
    else:
        client.log_metric(trial.info.run_id, "val_loss", 0.0)
    words = {
        "deleted": "not in MLflow",
        "doubled": "in MLflow more than once",
        "changed": "with other numbers than in the ledger",
    }
    found = {one.what: one.keys for one in differences("tracked", tmp_path)}
    assert found[words[fault]] == (key,)


# ---- death and interruption --------------------------------------------------------------------


def test_a_writer_that_is_killed_is_started_again(plain, tmp_path):
    class Killer(Impatient):
        def begin(self, phase, steps, done=0):
            if phase == "judging":
                os.kill(writer_of(tmp_path), signal.SIGKILL)

        def advance(self, done, note=""):
            pass

    result = autoreg.run_study(QUICK, home=tmp_path, workers=1, progress=Killer(0))
    assert result.tracking_problem is None
    assert same(result, plain)
    whole(tmp_path)


def writer_of(home):
    """The process id of the writer of a home folder's study."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            words = path.read_bytes().split(b"\0")
            if b"autoreg.tracking.process" in words and str(home).encode() in b" ".join(words):
                return int(path.parent.name)
    raise AssertionError("no writer")


def test_a_study_that_is_killed_leaves_no_run_open_and_is_completed_later(tracked, tmp_path):
    code = (
        "import os, signal, sys, autoreg\n"
        f"sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
        "from impatient import Impatient\n"
        "class Deadly(Impatient):\n"
        "    def advance(self, done, note=''):\n"
        "        if done >= self.steps: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"autoreg.run_study({STUDY!r}, home={str(tmp_path)!r}, workers=1, progress=Deadly(3.9))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    state = eventually(lambda: Spool(tmp_path / "studies" / "tracked").state, "over")
    assert (state.over, state.reason) == (True, None)  # the writer has gone on and ended
    _, runs = runs_of(uri_of(tmp_path))
    assert 0 < len(by_role(runs, "trial")) < TRIALS
    assert {one.info.status for one in by_role(runs, "trial")} == {"FINISHED"}
    assert by_role(runs, "study")[0].info.status == "KILLED"
    result = run(tmp_path)
    assert result.tracking_problem is None
    assert same(result, tracked[0])
    assert len(whole(tmp_path)) == TRIALS + 6


def test_an_interrupted_study_is_closed_as_killed(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        autoreg.run_study(QUICK, home=tmp_path, workers=1, progress=Impatient(2))
    _, runs = runs_of(uri_of(tmp_path))
    assert by_role(runs, "study")[0].info.status == "KILLED"
    assert {one.info.status for one in by_role(runs, "trial")} == {"FINISHED"}


def test_two_writers_of_one_study_never_meet(spool):
    with spool.locked(), pytest.raises(StudyError, match="another process is writing"):
        spool.locked().__enter__()
    with spool.locked():
        assert spool.opening


def test_a_ledger_is_read_while_it_grows_and_a_torn_line_waits(tracked, tmp_path):
    lines = Spool(tracked[0].folder).ledger.read_bytes().splitlines(keepends=True)
    path = tmp_path / "ledger.jsonl"
    tail = Spool(tmp_path).trials()
    assert (list(tail.more()), tail.left()) == ([], 0)
    whole_lines, torn = b"".join(lines[:3]), lines[3]
    path.write_bytes(whole_lines + torn[:20])
    told = [(one.trial.search, one.trial.number) for one in tail.more()]
    assert told == [(one["search"], one["number"]) for one in map(json.loads, lines[1:3])]
    path.write_bytes(whole_lines + torn + b"".join(lines[4:]))
    assert tail.left() == TRIALS - 2
    assert len(list(tail.more())) == TRIALS - 2
    assert list(tail.more()) == []


def test_a_state_survives_the_journey_through_the_folder(tmp_path):
    state = State(run="r", written=3, left=2, reason="why", refused=("a", "b"), ready=True)
    spool = Spool(tmp_path)
    spool.tell(state)
    assert spool.state == state
