"""Helpers: processes that train networks for this one, and change nothing but the time."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from test_network import bits, chosen, job, on_rows, table
from test_pruning import BOTH, essences
from test_refill import searched

from autoreg.engines import pack
from autoreg.engines.base import Job
from autoreg.engines.pack import PackEngine, helper, team
from autoreg.engines.pack.helper import Helper, dismiss, idle, release
from autoreg.engines.pack.process import Desk

PATIENCE = 60  # seconds


def until(what):
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def is_running(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def trained():
    """A helper that is ready; whoever takes it leaves it so, or another one is made."""
    dismiss()
    yield
    dismiss()


@pytest.fixture
def ready(trained, monkeypatch):
    """A helper that is at hand from the first job on, and what it is asked for, and told."""
    one = idle() or Helper()
    until(lambda: one.hear() == [] and one.is_ready)
    release(one)
    monkeypatch.setattr(team, "LEAST", 1)
    asked, told = [], []
    line_up, hear = Helper.line_up, Helper.hear

    def lining_up(self, jobs):
        known = list(jobs)
        asked.extend(known)
        line_up(self, known)

    def hearing(self):
        found = hear(self)
        told.extend(job for job, _ in found)
        return found

    monkeypatch.setattr(Helper, "line_up", lining_up)
    monkeypatch.setattr(Helper, "hear", hearing)
    return one, asked, told


def jobs_of(count, **changes):
    return [
        job(chosen("dropout", rate=0.05 + r / 99), epochs=3, **changes) for r in range(1, count + 1)
    ]


def run(jobs, data, workers=2, **options):
    return [bits(one) for one in PackEngine().run(jobs, data, workers=workers, **options)]


# ---- the same, whoever trains ------------------------------------------------------------------


def test_a_helper_takes_half_and_every_fit_is_the_same(ready):
    _, asked, told = ready
    data, jobs, done = table(), jobs_of(8), []
    found = run(jobs, data, on_done=done.append)
    assert found == run(jobs, data, workers=1)
    assert done == list(range(1, 9))
    assert len(asked) == 4
    assert set(told) == set(asked)


def test_searches_with_a_helper_find_the_same(ready):
    """Also where fits are pruned, which race against each other."""
    _, asked, told = ready
    alone = searched(BOTH)
    assert not asked
    assert essences(searched(BOTH, workers=2)) == essences(alone)
    assert len(told) > 50


def test_wide_jobs_are_worth_more(ready):
    """One wide network here, and all the narrow ones elsewhere, or the other way round."""
    _, asked, _ = ready
    shapes = [{"width": width, "depth": 2, "learning_rate": 0.01} for width in (256, 8, 9, 10)]
    jobs = [job(chosen("dropout", rate=0.1), epochs=1, shape=one) for one in shapes]
    PackEngine().run(jobs, table(), workers=2)
    assert len(asked) == 3
    assert {dict(one.candidate.architecture)["width"] for one in asked} == {8, 9, 10}


def test_models_that_may_be_the_same_are_trained_by_one_process(ready):
    """All fits of a setting, as long as it is searched for; refits are dealt out one by one."""
    _, asked, _ = ready
    data, one = table(), job(chosen("dropout", rate=0.2), epochs=2)
    others = [replace(one, seed=seed) for seed in range(1, 4)]
    PackEngine().run([one, *others], data, workers=2)
    assert len(asked) in (0, 4)
    before = len(asked)
    PackEngine().run([replace(other, steps=5) for other in others], data, workers=2)
    assert before < len(asked) < before + 15  # of three times five networks


def test_much_goes_to_and_fro_at_once(ready):
    """More than a pipe holds, both ways: nobody waits for somebody who waits."""
    _, asked, _ = ready
    data = table(n=4_000)
    rows = np.tile(np.arange(data.n), 4)
    jobs = [on_rows(one, one.training.rows, rows) for one in jobs_of(40)]
    assert run(jobs, data) == run(jobs, data, workers=1)
    assert len(asked) == 20


def test_a_helper_that_comes_late_takes_over_what_has_not_begun(ready, monkeypatch):
    one, asked, told = ready
    data, jobs = table(), jobs_of(9)
    expected = run(jobs, data, workers=1)
    monkeypatch.setattr(pack, "PLACES", 1)
    one.is_ready = False

    def comes(done):
        one.is_ready = one.is_ready or done == 1

    assert run(jobs, data, on_done=comes) == expected
    assert 3 <= len(asked) <= 6
    assert set(told) == set(asked)


def test_what_has_begun_here_stays_here(ready):
    one, asked, _ = ready
    one.is_ready = False

    def comes(done):
        one.is_ready = True

    run(jobs_of(9), table(), on_done=comes)
    assert not asked


def test_all_read_the_same_copy_of_the_table(tmp_path):
    place = str(tmp_path / "table")
    joblib.dump(table(n=5_000), place)
    desk = Desk()
    desk.take(place)
    assert isinstance(desk._scheduler._table.X, np.memmap)
    assert isinstance(desk._scheduler._table.y, np.memmap)


def test_short_work_hires_nobody(monkeypatch):
    dismiss()
    monkeypatch.setattr(team, "LEAST", 1)
    run(jobs_of(4), table())
    assert idle() is None


def test_long_work_hires_and_the_next_call_finds_helpers_ready(monkeypatch):
    dismiss()
    monkeypatch.setattr(team, "LEAST", 1)
    monkeypatch.setattr(team, "LONG", 0.0)
    run(jobs_of(4), table(), workers=3)
    hired = [idle(), idle()]
    assert None not in hired
    assert idle() is None
    for one in hired:
        release(one)
    dismiss()
    assert not any(is_running(one._process.pid) for one in hired)


# ---- what may go wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before", "while it trains"])
def test_the_work_of_a_helper_that_dies_is_done_here(ready, moment, monkeypatch):
    one, asked, _ = ready
    data, jobs = table(), jobs_of(12)
    expected = run(jobs, data, workers=1)
    if moment == "before":
        os.kill(one._process.pid, signal.SIGKILL)
        one._process.wait()
    else:
        os.kill(one._process.pid, signal.SIGSTOP)  # it keeps what it is asked for

    def killed(done):
        if done == 3 and moment != "before":
            os.kill(one._process.pid, signal.SIGKILL)

    assert run(jobs, data, on_done=killed) == expected
    assert len(asked) == 6
    assert idle() is None, "nobody asks it again"


class Foreign(Job):
    """A job of a module that helpers do not have."""


@pytest.mark.parametrize("what", ["table", "jobs"])
def test_what_a_helper_cannot_read_is_done_here(ready, what, monkeypatch):
    """It dies of it, with its reasons on stderr."""
    _, asked, _ = ready
    data, jobs = table(), jobs_of(4, kind=Foreign if what == "jobs" else Job)
    expected = run(jobs, data, workers=1)
    if what == "table":
        monkeypatch.setattr(joblib, "dump", lambda table, file: Path(file).write_text("planted"))
    assert run(jobs, data) == expected
    assert asked
    assert idle() is None


def test_without_room_for_a_copy_of_the_table_the_work_is_done_here(ready, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(joblib, "dump", full)
    data, jobs = table(), jobs_of(4)
    assert run(jobs, data) == run(jobs, data, workers=1)
    assert not ready[1]


def test_an_interrupt_ends_helpers_that_have_work(ready):
    one, asked, _ = ready

    def interrupted(done):
        raise KeyboardInterrupt

    os.kill(one._process.pid, signal.SIGSTOP)
    with pytest.raises(KeyboardInterrupt):
        run(jobs_of(8), table(), on_done=interrupted)
    assert asked
    assert not is_running(one._process.pid)
    assert idle() is None


def test_helpers_end_with_a_process_that_is_killed():
    script = """
    import time
    from autoreg.engines.pack.helper import Helper
    one = Helper()
    while not one.is_ready:
        one.hear()
        time.sleep(0.05)
    print(one._process.pid, flush=True)
    time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        assert is_running(pid)
        process.kill()
    until(lambda: not is_running(pid))


def test_a_helper_that_lost_its_order_would_be_seen(ready, monkeypatch):
    """The planted fault: outcomes go to other jobs."""
    hear = Helper.hear

    def mixed(self):
        found = hear(self)
        return list(zip([j for j, _ in found][::-1], [o for _, o in found], strict=True))

    monkeypatch.setattr(helper.Helper, "hear", mixed)
    data, jobs = table(), jobs_of(8)
    assert run(jobs, data) != run(jobs, data, workers=1)
