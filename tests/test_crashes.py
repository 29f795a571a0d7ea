"""kill -9 at any moment, full disks, folders that cannot be written, SIGTERM: nothing is lost."""

import errno
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from crashing import KILLED
from test_study import SPACE, essence, run, study

from autoreg import disk
from autoreg.disk import append_line, cut_torn_line, transaction, write_whole
from autoreg.errors import BusyError, DiskError
from autoreg.ledger import locked

STUDY = study(trials=6)
TRIALS = 4 * 6
NETWORKS = SPACE | {
    "families": {
        "network": SPACE["families"]["network"] | {"techniques": ["early_stopping", "l1"]}
    },
    "incumbent": {"family": "network"},
}
NOT_LEDGER = ("study.json", "openings.key", "opening.json", "arrays.npz", "model.json", "rows.npz",
              "report.html", "report.md", "report.json", "info_sheet.md", "closing.json",
              "result.json")  # fmt: skip


class Crasher:
    """The process that runs studies in forks and kills them."""

    def __init__(self):
        command = [sys.executable, str(Path(__file__).with_name("crashing.py"))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, home, **order):
        self.process.stdin.write(json.dumps({"study": STUDY, "home": str(home)} | order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def crash():
    crasher = Crasher()
    with crasher.process:
        yield crasher


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study, never interrupted."""
    home = tmp_path_factory.mktemp("whole")
    return run(home, STUDY), home


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def facts(home):
    """All that was recorded, without clocks and random names, the trials by their numbers.

    Each search's trials are recorded in that order; those of two searches as they end.
    """
    records = lines(home / "studies" / "tiny" / "ledger.jsonl")
    clocks = {"at", "seconds", "id"}
    found = [{k: v for k, v in one.items() if k not in clocks} for one in records]
    own = [one for one in found if one["kind"] == "trial"]
    for name in {one["search"] for one in own}:
        numbers = [one["number"] for one in own if one["search"] == name]
        assert numbers == list(range(len(numbers)))
    in_order = iter(sorted(own, key=lambda one: (one["number"], one["search"])))
    return [next(in_order) if one["kind"] == "trial" else one for one in found]


def seconds_left_out(records):
    return [
        one | {"judgement": {k: v for k, v in one["judgement"].items() if k != "seconds"}}
        if one["kind"] == "judgement"
        else one
        for one in records
    ]


def check_equal_to_the_uninterrupted(home, whole):
    result, place = whole
    assert essence(run(home, STUDY)) == essence(result)
    assert seconds_left_out(facts(home)) == seconds_left_out(facts(place))
    trials = [(one["search"], one["number"]) for one in facts(home) if one["kind"] == "trial"]
    assert len(trials) == len(set(trials)) == TRIALS
    openings = [one for one in lines(home / "openings.jsonl") if "rows" in one]
    assert len(openings) == 1
    assert openings[0]["reused"] == 0
    for name in ("arrays.npz", "model.json"):
        mine, theirs = (h / "studies" / "tiny" / "model" / name for h in (home, place))
        assert mine.read_bytes() == theirs.read_bytes()
    assert not list((home / "studies" / "tiny").glob("*.new"))


# ---- kill -9 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_a_study_killed_at_random_writes_again_and_again_ends_the_same(
    crash, whole, tmp_path, seed
):
    draws, kills = random.Random(seed), 0
    while crash(tmp_path, point=draws.randint(4, 50))["status"] == KILLED:
        kills += 1
        assert kills < 100
    assert kills >= 5
    check_equal_to_the_uninterrupted(tmp_path, whole)


def test_a_study_killed_at_random_times_again_and_again_ends_the_same(crash, whole, tmp_path):
    draws = random.Random(3)
    killed = [crash(tmp_path, seconds=draws.uniform(0.05, 1.2))["status"] for _ in range(10)]
    assert set(killed) == {KILLED}
    check_equal_to_the_uninterrupted(tmp_path, whole)


def test_a_study_killed_in_the_middle_of_each_file_ends_the_same(crash, whole, tmp_path):
    """Torn ledger, torn key, torn opening, torn model: one kill in each of them."""
    steps = ["tear lease.json", "tear ledger.jsonl", *(f"tear {name}" for name in NOT_LEDGER)]
    steps[4:4] = ["write openings.jsonl", "tear openings.jsonl", "appended openings.jsonl"]
    kills = [crash(tmp_path, step=step)["status"] for step in steps]
    assert kills == [KILLED] * len(steps)
    assert crash(tmp_path, step="rename result.json")["status"] == KILLED
    check_equal_to_the_uninterrupted(tmp_path, whole)


def test_every_file_that_a_study_writes_is_killed_in_here(crash, whole, tmp_path):
    """The list above is that of a real study: a new file must join it."""
    steps = crash(tmp_path)["steps"]
    torn = {step.removeprefix("tear ") for step in steps if step.startswith("tear ")}
    assert torn == {"lease.json", "ledger.jsonl", "openings.jsonl", *NOT_LEDGER}


@pytest.mark.parametrize("prune", [{}, {"epochs": "halving", "folds": "forgiving"}])
def test_networks_that_are_killed_while_searches_are_at_other_trials_end_the_same(
    crash, tmp_path, prune
):
    asked = study(space=NETWORKS, trials=10, training={"epochs": 12}, prune=prune)
    expected = essence(run(tmp_path / "whole", asked))
    seen = []
    for nth in (9, 12, 7):
        order = {"study": asked, "step": "appended ledger.jsonl", "nth": nth}
        assert crash(tmp_path / "killed", **order)["status"] == KILLED
        seen.append(Counter(one["search"] for one in facts(tmp_path / "killed")[1:]))
    assert any(len(set(counts.values())) > 1 for counts in seen)
    assert essence(run(tmp_path / "killed", asked)) == expected


# ---- a full disk -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "nth", "number"),
    [
        ("write study.json", 1, errno.EROFS),
        ("write ledger.jsonl", 1, errno.ENOSPC),
        ("tear ledger.jsonl", 17, errno.ENOSPC),
        ("tear openings.jsonl", 2, errno.EDQUOT),
        ("tear arrays.npz", 1, errno.ENOSPC),
        ("rename result.json", 1, errno.EACCES),
    ],
)
def test_a_disk_that_fails_stops_the_study_cleanly_and_it_goes_on(
    crash, whole, tmp_path, step, nth, number
):
    told = crash(tmp_path, step=step, nth=nth, errno=number)
    assert (told["status"], told["error"], told["code"]) == (0, "DiskError", 75)
    assert os.strerror(number) in told["words"]
    assert "the same command continues" in told["words"]
    check_equal_to_the_uninterrupted(tmp_path, whole)


def test_a_folder_that_really_cannot_be_written_is_named():
    with pytest.raises(DiskError, match=r"/proc/studies.*--home names another folder"):
        run(Path("/proc"), STUDY)


def test_the_end_of_a_real_disk_is_noticed(tmp_path):
    """The system's own limit on the size of files: a write comes back short, the next one fails."""
    code = (
        "import resource, signal, sys, pathlib\n"
        "from autoreg.disk import append_line\n"
        "from autoreg.errors import DiskError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "append_line(path, 'x' * 30)\n"
        "try:\n    append_line(path, 'y' * 30)\n"
        "except DiskError as error:\n    sys.exit(error.exit_code)\n"
    )
    path = tmp_path / "ledger"
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == 75
    assert path.read_text().startswith("x" * 30 + "\ny")
    append_line(path, "z")
    assert path.read_text() == "x" * 30 + "\nz\n"


def fill(path):
    with transaction(path) as connection:
        connection.execute("PRAGMA max_page_count=2")
        connection.execute("CREATE TABLE one (text)")
        connection.execute("INSERT INTO one VALUES (?)", ("x" * 100_000,))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("folder", "cannot be written .*--home names another folder"),
        ("garbage", "cannot be read .*set the file aside"),
        ("full", "cannot be written .*full.*the same command continues"),
    ],
)
def test_a_database_that_fails_is_named_with_its_remedy(tmp_path, fault, words):
    path = tmp_path / "own.db"
    if fault == "folder":
        path.mkdir()
    elif fault == "garbage":
        path.write_bytes(b"this is no database" * 100)
    with pytest.raises(DiskError, match=f"(?s)own.db {words}"):
        fill(path)
    if fault == "full":  # nothing of it was kept
        with transaction(path) as connection:
            assert connection.execute("SELECT * FROM sqlite_master").fetchall() == []


# ---- the room of writing -----------------------------------------------------------------------


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = write_whole(tmp_path / "a", "old")
    seen = []
    monkeypatch.setattr(disk, "at", lambda step: seen.append(path.read_text()))
    write_whole(path, "new one")
    assert seen == ["old", "old", "old", "new one"]


def test_a_key_is_for_its_owner_only(tmp_path):
    assert write_whole(tmp_path / "k", "secret", private=True).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("length", [0, 1, 70_000, 200_000])
def test_a_torn_line_of_any_length_is_cut_off(tmp_path, length):
    path = tmp_path / "l"
    path.write_bytes(b"whole\n" + b"t" * length)
    cut_torn_line(path)
    assert path.read_bytes() == b"whole\n"
    path.write_bytes(b"t" * length)
    cut_torn_line(path)
    assert path.read_bytes() == b""


def test_a_folder_in_use_says_try_later(tmp_path):
    with locked(tmp_path), pytest.raises(BusyError) as busy, locked(tmp_path):
        pass
    assert busy.value.exit_code == 75
