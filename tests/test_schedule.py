"""Jobs by the clock: dues, misfires, no overlap, restarts; units read by the real parsers."""

import ast
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from datetime import UTC, datetime, timedelta
from itertools import islice

import kubernetes_validate
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from cronsim import CronSim
from jsonschema import validators
from typer.testing import CliRunner

from autoreg.cli import app
from autoreg.errors import BusyError, SpecError, StudyError
from autoreg.schedule import Daemon, Job, Jobs, unit_files, units
from autoreg.schedule.times import after, due_between
from autoreg.schedule.units.systemd import calendar

START = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)

SYSTEMD = shutil.which("systemd-analyze")
systemd = pytest.mark.skipif(SYSTEMD is None, reason="this machine has no systemd-analyze")
HOUR = timedelta(hours=1)

FAKE = """
import json, os, sys, time
from pathlib import Path
words = sys.argv[1:]
home = Path(words[words.index("--home") + 1])
with (home / "calls").open("a") as file:
    file.write(json.dumps(words) + chr(10))
while (home / "hold").exists():
    time.sleep(0.01)
codes = home / "codes"
left = codes.read_text().split() if codes.exists() else []
code = int(left.pop(0)) if left else 0
codes.write_text(" ".join(left))
print(json.dumps({"exit_code": code, "reason": f"fake {code}"}))
sys.exit(code)
"""


@pytest.fixture
def jobs(tmp_path):
    return Jobs(tmp_path)


@pytest.fixture
def daemon(jobs, tmp_path):
    made = []
    script = tmp_path / "fake.py"
    script.write_text(FAKE)  # once: a job of the daemon before may be about to read it

    def one():
        made.append(Daemon(jobs, (sys.executable, str(script))))
        return made[-1]

    yield one
    (tmp_path / "hold").unlink(missing_ok=True)
    for daemon in made:
        for process in daemon._own.values():
            process.wait(20)


def hourly(**changes):
    return Job("hourly", "0 * * * *", ("run", "wine"), **changes)


def settle(daemon, now):
    """Step until nothing runs."""
    deadline = time.monotonic() + 30
    while daemon.step(now):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def calls(home):
    path = home / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def ticks(home):
    return [words[words.index("--tick") + 1] for words in calls(home)]


# ---- dues and misfires -------------------------------------------------------------------------


def test_a_job_runs_when_it_is_due_and_not_before(jobs, daemon, tmp_path):
    jobs.add(hourly(minutes=5), START)
    one = daemon()
    settle(one, START + 0.9 * HOUR)
    assert calls(tmp_path) == []
    settle(one, START + HOUR)
    settle(one, START + 1.5 * HOUR)
    assert calls(tmp_path) == [
        ["run", "wine", "--home", str(tmp_path), "--json", "--tick", "2026-11-28T13:00Z"]
        + ["--within", "5"]
    ]
    (run,) = jobs.runs()
    assert (run.code, run.note, run.due) == (0, "fake 0", START + HOUR)


@pytest.mark.parametrize(
    ("misfire", "late", "expected"),
    [
        ("once", 0.0, ["15:00"]),
        ("all", 0.0, ["13:00", "14:00", "15:00"]),
        ("skip", 0.1, ["15:00"]),
        ("skip", 0.9, []),
    ],
)
def test_moments_that_were_missed_are_made_up_for_as_the_job_says(
    jobs, daemon, tmp_path, misfire, late, expected
):
    jobs.add(hourly(misfire=misfire, grace=30), START)
    now = START + (3 + late) * HOUR
    one = daemon()
    for _ in range(4):
        settle(one, now)
    assert [tick[11:16] for tick in ticks(tmp_path)] == expected
    if not expected:
        assert "missed" in jobs.runs()[-1].note


def test_runs_of_a_job_never_overlap_and_other_jobs_do_not_wait(jobs, daemon, tmp_path):
    jobs.add(hourly(), START)
    jobs.add(Job("other", "30 * * * *", ("run", "iris")), START)
    (tmp_path / "hold").touch()
    one = daemon()
    for minutes in range(60, 200, 10):
        running = one.step(START + timedelta(minutes=minutes))
        assert sorted(run.job for run in running) in (["hourly"], ["hourly", "other"], ["other"])
    assert len(running) == 2
    (tmp_path / "hold").unlink()
    settle(one, START + 3.4 * HOUR)
    settle(one, START + 3.4 * HOUR)
    hourly_ticks = [tick[11:16] for tick in ticks(tmp_path) if tick[14:16] == "00"]
    assert hourly_ticks == ["13:00", "15:00"]  # the latest of those that came meanwhile


def test_a_run_that_says_try_later_is_repeated_ever_less_often(jobs, daemon, tmp_path):
    jobs.add(Job("daily", "0 0 * * *", ("run", "wine")), START)
    (tmp_path / "codes").write_text("75 143 0")
    one, now = daemon(), datetime(2026, 11, 29, tzinfo=UTC)
    settle(one, now)
    settle(one, now + timedelta(seconds=59))
    assert len(calls(tmp_path)) == 1
    settle(one, now + timedelta(seconds=61))
    settle(one, now + timedelta(seconds=120))
    assert len(calls(tmp_path)) == 2
    settle(one, now + timedelta(seconds=200))
    settle(one, now + timedelta(seconds=2000))
    assert set(ticks(tmp_path)) == {"2026-11-29T00:00Z"}
    assert [(run.attempt, run.code) for run in jobs.runs()] == [(1, 75), (2, 143), (3, 0)]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 99, 124])
def test_other_ends_are_not_repeated(jobs, daemon, tmp_path, code):
    jobs.add(Job("daily", "0 0 * * *", ("run", "wine")), START)
    (tmp_path / "codes").write_text(f"{code} 0")
    one, now = daemon(), datetime(2026, 11, 29, tzinfo=UTC)
    for hours in range(20):
        settle(one, now + hours * HOUR)
    assert [run.code for run in jobs.runs()] == [code]


def test_nobody_is_asked_for_ever(jobs, daemon, tmp_path):
    jobs.add(Job("daily", "0 0 * * *", ("run", "wine")), START)
    (tmp_path / "codes").write_text("75 " * 30)
    one, now = daemon(), datetime(2026, 11, 29, tzinfo=UTC)
    for hours in range(20):
        settle(one, now + hours * HOUR)
    assert len(calls(tmp_path)) == 6


def test_a_run_that_takes_too_long_is_told_to_stop(jobs, daemon, tmp_path):
    jobs.add(hourly(minutes=10), START)
    (tmp_path / "hold").touch()
    one, now = daemon(), START + HOUR
    one.step(now)
    one.step(now + timedelta(minutes=14))
    assert one._own[1].poll() is None
    settle(one, now + timedelta(minutes=16))
    assert jobs.runs()[0].code == -signal.SIGTERM


# ---- restarts ----------------------------------------------------------------------------------


def test_a_daemon_that_dies_loses_and_repeats_nothing(jobs, daemon, tmp_path):
    jobs.add(hourly(), START)
    (tmp_path / "hold").touch()
    daemon().step(START + HOUR)
    second = daemon()  # the first one is gone, its job runs on
    assert [run.job for run in second.step(START + 1.1 * HOUR)] == ["hourly"]
    (tmp_path / "codes").write_text("3")
    (tmp_path / "hold").unlink()
    deadline = time.monotonic() + 20
    while second.step(START + 1.2 * HOUR):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (run,) = jobs.runs()
    assert (run.code, run.note) == (3, "fake 3")
    settle(second, START + 2 * HOUR)
    assert [tick[11:16] for tick in ticks(tmp_path)] == ["13:00", "14:00"]


def test_a_run_that_was_written_down_and_never_started_is_started(jobs, daemon, tmp_path):
    jobs.add(hourly(), START)
    jobs.begin("hourly", START + HOUR, 1, START + HOUR)
    settle(daemon(), START + 1.2 * HOUR)
    assert ticks(tmp_path) == ["2026-11-28T13:00Z"]
    assert len(jobs.runs()) == 1


def test_a_process_of_the_same_number_is_not_taken_for_the_run(jobs, daemon, tmp_path):
    jobs.add(hourly(), START)
    number = jobs.begin("hourly", START + HOUR, 1, START + HOUR)
    jobs.update(number, pid=os.getpid(), born="0")
    daemon().step(START + 1.01 * HOUR)
    assert jobs.runs()[0].code == -signal.SIGKILL


def test_what_cannot_be_read_is_not_taken_for_the_end_of_a_run(jobs, daemon, tmp_path, monkeypatch):
    """As with too many files open: the daemon ends with an error, and the next one goes on."""
    jobs.add(hourly(), START)
    (tmp_path / "hold").touch()
    daemon().step(START + HOUR)
    second = daemon()

    def refused(*_, **__):
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as broken:
        broken.setattr("pathlib.Path.read_text", refused)
        with pytest.raises(OSError, match="too many"):
            second.step(START + 1.1 * HOUR)
    assert [run.ended for run in jobs.runs()] == [None]
    assert [run.job for run in second.step(START + 1.2 * HOUR)] == ["hourly"]


def test_one_daemon_is_enough(jobs, daemon):
    one, two = daemon(), daemon()
    with one._alone(), pytest.raises(BusyError, match="one is enough"):
        two.run(until_idle=True)


def test_the_real_daemon_runs_a_real_study_and_stops_in_order(tmp_path):
    question = tmp_path / "tiny.yaml"
    question.write_text(json.dumps({"study": "tiny", "data": {"source": "wine"}, "space": "linear",
                                    "trials": 2, "folds": {"outer": 3}}))  # fmt: skip
    jobs = Jobs(tmp_path)
    minute = Job(
        "each-minute", "* * * * *", ("run", str(question), "--no-tracking"), misfire="once"
    )
    jobs.add(minute, datetime.now(UTC) - timedelta(minutes=3))
    words = [sys.executable, "-m", "autoreg", "schedule", "run", "--home", str(tmp_path)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 240
    while not any(run.ended for run in jobs.runs()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    first = jobs.runs()[0]
    assert (first.code, first.note) == (0, "complete")
    assert all(run.ended for run in jobs.runs())


# ---- adding, listing, removing -----------------------------------------------------------------


def test_jobs_are_added_listed_and_removed_by_command(tmp_path):
    def command(*words):
        return CliRunner().invoke(app, ["schedule", *words, "--home", str(tmp_path)])

    assert command("list").stdout == ""
    words = ("add", "nightly", "0 3 * * *", "--zone", "Europe/Berlin", "--minutes", "50")
    done = CliRunner().invoke(
        app, ["schedule", *words, "--home", str(tmp_path), "--", "run", "wine", "--trials", "2"]
    )
    assert done.exit_code == 0, done.stderr
    assert Jobs(tmp_path).get("nightly").command == ("run", "wine", "--trials", "2")
    listed = command("list").stdout
    assert "nightly\t0 3 * * *" in listed
    assert "never ran\trun wine --trials 2" in listed
    assert command("remove", "nightly").exit_code == 0
    with pytest.raises(StudyError, match="no job nightly"):
        Jobs(tmp_path).get("nightly")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cron": "61 * * * *"}, "no cron expression"),
        ({"cron": "0 3 * *"}, "five fields"),
        ({"cron": "0 0 31 2 *"}, "no cron expression"),
        ({"zone": "Berlin"}, "no time zone"),
        ({"name": "a b"}, "no name"),
        ({"command": ()}, "needs a command"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused(jobs, changes, words):
    with pytest.raises(SpecError, match=words):
        jobs.add(Job(**({"name": "n", "cron": "0 3 * * *", "command": ("run", "w")} | changes)))


def test_a_name_is_taken_once(jobs):
    jobs.add(hourly())
    with pytest.raises(StudyError, match="schedule remove hourly"):
        jobs.add(hourly())


def test_daylight_saving_neither_skips_nor_repeats_a_daily_job():
    zone, day = "Europe/Berlin", timedelta(days=1)
    spring = datetime(2026, 3, 27, tzinfo=UTC)
    assert len(due_between("30 2 * * *", zone, spring, spring + 4 * day)) == 4
    autumn = datetime(2026, 10, 23, tzinfo=UTC)
    assert len(due_between("30 2 * * *", zone, autumn, autumn + 4 * day)) == 4


# ---- units -------------------------------------------------------------------------------------

JOBS = [
    Job("nightly", "0 3 * * *", ("run", "my houses.yaml"), folder="/srv/a b", minutes=50,
        home="/srv/ho'me"),
    Job("weekly", "15 4 * * MON", ("run", "wine"), misfire="skip", grace=10, folder="/srv"),
    Job("often", "*/20 8-18 * * 1-5", ("tick", "watch.yaml"), misfire="all", folder="/srv"),
    Job("Both_days", "5 0 1,15 * SUN", ("verify", "wine"), folder="/srv"),
]  # fmt: skip
EACH = pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)


def test_every_scheduler_of_the_issue_has_units():
    assert units() == ["airflow", "cron", "github-actions", "kubernetes", "slurm", "systemd"]
    with pytest.raises(SpecError, match="did you mean systemd"):
        unit_files(JOBS[0], "systemdd")


@EACH
@pytest.mark.parametrize("scheduler", units())
def test_units_explain_themselves_and_end_with_a_line(job, scheduler):
    for text in unit_files(job, scheduler).values():
        assert "# Written by `autoreg schedule export`" in text
        assert text.endswith("\n")
        assert "{" + "name" not in text


def shellcheck(text, *flags):
    program = os.path.join(os.path.dirname(sys.executable), "shellcheck")
    done = subprocess.run(
        [program, *flags, "-"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@EACH
def test_a_crontab_is_read_by_a_parser_of_cron_and_its_command_by_a_shell(job):
    (text,) = unit_files(job, "cron").values()
    line = text.splitlines()[-1]
    fields, command = line.split(maxsplit=5)[:5], line.split(maxsplit=5)[5]
    assert " ".join(fields) == job.cron
    assert next(CronSim(" ".join(fields), START))
    assert "%" not in command.replace(r"\%", "")
    shellcheck(command.replace(r"\%", "%"), "-s", "sh")


@systemd
@EACH
def test_systemd_reads_its_units(job, tmp_path):
    files = unit_files(job, "systemd")
    for name, text in files.items():
        # So that the verifier finds the folder and the program on this machine.
        (tmp_path / name).write_text(text.replace("/srv/a b", "/tmp").replace("/srv", "/tmp"))
    paths = [str(tmp_path / name) for name in files]
    done = subprocess.run(
        [SYSTEMD, "verify", "--man=no", "--recursive-errors=no", *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    own = [line for line in done.stderr.splitlines() if "autoreg-" in line]
    assert own == []


@EACH
def test_what_systemd_would_start_is_what_the_job_says(job):
    (text,) = [one for name, one in unit_files(job, "systemd").items() if name.endswith("service")]
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    inner = line.removeprefix('ExecStart=/bin/sh -c "').removesuffix('"')
    command = inner.replace("%%", "%").replace("$$", "$").replace(r"\"", '"').replace(r"\\", "\\")
    shellcheck(command, "-s", "sh", "-e", "SC2093")
    shown = command.replace("exec " + os.path.dirname(sys.executable) + "/autoreg", "printf '%s|'")
    words = subprocess.run(["sh", "-c", shown], capture_output=True, text=True, check=True).stdout
    today = datetime.now(UTC)
    expected = job.arguments("TICK")
    found = words.split("|")[:-1]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == other or (other == "TICK" and one.startswith(f"{today:%Y-%m-%d}"))


@systemd
@pytest.mark.parametrize("cron", [job.cron for job in JOBS] + ["0 0 29 2 *", "30 6 * 1-3,12 SAT"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_systemd_and_cron_agree_on_every_moment(cron, zone):
    # Not across the change of clocks, where they differ on purpose.
    start = datetime(2027, 1, 3, 12, 7, tzinfo=UTC)
    found = set()
    for line in calendar(cron, zone):
        done = subprocess.run(
            [SYSTEMD, "calendar", line, "--iterations=40",
             f"--base-time={start:%Y-%m-%d %H:%M:%S} UTC"],
            capture_output=True, text=True, check=True, env=os.environ | {"TZ": "UTC"},
        )  # fmt: skip
        for one in done.stdout.splitlines():
            name, _, words = one.strip().partition(": ")
            if name in {"Next elapse", "(in UTC)"} or name.startswith("Iter."):
                moment = datetime.strptime(words.split(" ", 1)[1], "%Y-%m-%d %H:%M:%S UTC")
                found.add(moment.replace(tzinfo=UTC))
    ours = list(islice(after(cron, zone, start), 12))
    assert sorted(found)[:12] == ours


def test_systemd_cannot_say_everything_and_that_is_said():
    with pytest.raises(SpecError, match="L, W or #"):
        unit_files(Job("n", "0 3 L * *", ("run", "w")), "systemd")


@EACH
def test_kubernetes_accepts_its_manifest(job, tmp_path):
    (text,) = unit_files(job, "kubernetes").values()
    document = yaml.safe_load(text)
    kubernetes_validate.validate(document, "1.34", strict=True)
    spec = document["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == (job.cron, "Forbid")
    (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    shellcheck(container["args"][0], "-s", "sh")
    document["spec"]["schedul"] = "0 0 * * *"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, "1.34", strict=True)


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (99, 0), (75, 75), (3, 3)])
def test_in_a_pod_99_is_no_failure(tmp_path, code, expected):
    assert in_pod(tmp_path, f"exit {code}").wait(20) == expected


def test_in_a_pod_sigterm_reaches_autoreg(tmp_path):
    process = in_pod(tmp_path, "trap 'exit 143' TERM; touch ready; while :; do sleep 0.05; done")
    deadline = time.monotonic() + 20
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    assert process.wait(20) == 143


def in_pod(tmp_path, behaviour):
    """The container's own script, with a stand-in for autoreg."""
    (text,) = unit_files(JOBS[1], "kubernetes").values()
    spec = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (tmp_path / "autoreg").write_text(f"#!/bin/sh\n{behaviour}\n")
    (tmp_path / "autoreg").chmod(0o755)
    return subprocess.Popen(
        ["/bin/sh", "-c", spec["containers"][0]["args"][0]],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )


@EACH
def test_github_accepts_its_workflow(job):
    (text,) = unit_files(job, "github-actions").values()
    document = yaml.safe_load(text.replace("\non:", '\n"on":'))
    schema = get_builtin_schema("vendor.github-workflows")
    kind = validators.validator_for(schema)
    assert [error.message for error in kind(schema).iter_errors(document)] == []
    document["jobs"]["autoreg"]["timeout-minuts"] = 3
    assert not kind(schema).is_valid(document)
    run = next(one for one in document["jobs"]["autoreg"]["steps"] if one.get("name") == "autoreg")
    shellcheck(run["run"], "-s", "bash")


def test_github_has_no_time_zones():
    with pytest.raises(SpecError, match="UTC"):
        unit_files(Job("n", "0 3 * * *", ("run", "w"), zone="Europe/Berlin"), "github-actions")


@EACH
def test_slurm_gets_a_script_that_a_shell_reads(job):
    files = unit_files(job, "slurm")
    script = files[f"autoreg-{job.name}.sbatch"]
    assert script.startswith("#!/bin/bash\n")
    options = [line.split()[1] for line in script.splitlines() if line.startswith("#SBATCH ")]
    assert {"--signal=B:TERM@300", "--requeue", "--dependency=singleton"} <= set(options)
    shellcheck(script, "-s", "bash")
    entry = files[f"autoreg-{job.name}.scrontab"].splitlines()[-1]
    assert next(CronSim(" ".join(entry.split()[:5]), START))


@EACH
def test_airflow_gets_a_module_that_asks_for_what_it_has(job, monkeypatch):
    """Airflow is too large to install for this; its classes are stood in for by their arguments."""
    (text,) = unit_files(job, "airflow").values()
    ast.parse(text)
    asked = {}

    def stand_in(name):
        class StandIn:
            def __init__(self, *arguments, **options):
                asked[name] = (arguments, options)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

        return StandIn

    for module, name in [
        ("airflow.providers.standard.operators.bash", "BashOperator"),
        ("airflow.sdk", "DAG"),
        ("airflow.timetables.trigger", "CronTriggerTimetable"),
    ]:
        parts = module.split(".")
        for k in range(1, len(parts) + 1):
            name_of = ".".join(parts[:k])
            if name_of not in sys.modules:
                monkeypatch.setitem(sys.modules, name_of, types.ModuleType(name_of))
        setattr(sys.modules[module], name, stand_in(name))
    exec(compile(text, "dag.py", "exec"), {})
    assert asked["CronTriggerTimetable"] == ((job.cron,), {"timezone": job.zone})
    assert asked["DAG"][1]["max_active_runs"] == 1
    assert asked["DAG"][1]["catchup"] == (job.misfire == "all")
    assert asked["BashOperator"][1]["skip_on_exit_code"] == 99
