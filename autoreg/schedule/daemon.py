"""The daemon of one machine: starts jobs when they are due, one run of a job at a time.

Jobs are processes in sessions of their own: they outlive a daemon that is killed, and the next one
finds them by process id and time of birth. What is due is computed from what the database says was
taken care of, never from how long the daemon has been up, so a restart loses and repeats nothing:
a run that was about to start is started, and its tick makes autoreg answer 99 if it ran after all.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from autoreg.disk import exclusive, guarded, made
from autoreg.schedule.jobs import Job, Jobs, Run
from autoreg.schedule.times import due_between

PROGRAM = (sys.executable, "-m", "autoreg")
AGAIN = frozenset({75, 130, 143, -signal.SIGKILL, -signal.SIGTERM})  # the same command continues
ATTEMPTS = 6
FIRST_PAUSE = timedelta(minutes=1)  # doubled from attempt to attempt
OVERTIME = timedelta(minutes=5)  # beyond its minutes, before a run is told to stop
LAST_WORD = timedelta(minutes=1)  # between being told to stop and being stopped
LOST = -1  # the exit code of a run of which nothing is known


class Daemon:
    """Runs the jobs of a home folder."""

    def __init__(self, jobs: Jobs, program: Sequence[str] = PROGRAM) -> None:
        self.jobs, self.program = jobs, tuple(program)
        self._own: dict[int, subprocess.Popen[bytes]] = {}
        self._told: dict[int, datetime] = {}

    def step(self, now: datetime) -> list[Run]:
        """Look at everything once: take note of ends, start what is due. Returns what runs."""
        for run in self._active():
            self._look(run, now)
        busy = {run.job for run in self._active()}
        for job in self.jobs.all():
            if job.name not in busy:
                self._start_due(job, now)
        return self._active()

    def run(self, *, until_idle: bool = False, pause: float = 1.0) -> None:
        """Run until interrupted; or until nothing runs any more and nothing is due.

        Raises BusyError where another daemon works in this home folder. An interrupt is passed on
        to the jobs, which stop in order; the next daemon continues them.
        """
        with self._alone():
            try:
                while self.step(datetime.now(UTC)) or not until_idle:
                    time.sleep(pause)
            except KeyboardInterrupt:
                self._stop_all()
                raise

    # ---- inside -------------------------------------------------------------------------------

    def _active(self) -> list[Run]:
        return [run for run in self.jobs.runs() if run.ended is None]

    def _start_due(self, job: Job, now: datetime) -> None:
        dues = due_between(job.cron, job.zone, self.jobs.handled(job.name), now)
        if not dues:
            self._try_again(job, now)
            return
        due = dues[0] if job.misfire == "all" else dues[-1]
        late = now - due
        if job.misfire == "skip" and late > timedelta(minutes=job.grace):
            self.jobs.drop(job.name, due, now, f"missed: {late} late")
            return
        self._start(job, due, 1, now)

    def _try_again(self, job: Job, now: datetime) -> None:
        """Repeat the last run where the same command continues, ever less often."""
        last = next(iter(self.jobs.runs(job.name, last=1)), None)
        if last is None or last.ended is None or last.attempt >= ATTEMPTS:
            return
        pause = FIRST_PAUSE * 2 ** max(0, last.attempt - 1)
        if last.code in AGAIN and now >= last.ended + pause:
            self._start(job, last.due, last.attempt + 1, now)

    def _start(self, job: Job, due: datetime, attempt: int, now: datetime) -> None:
        number = self.jobs.begin(job.name, due, attempt, now)
        self._launch(job, number, due)

    def _launch(self, job: Job, number: int, due: datetime) -> None:
        out, words = self.outputs(job.name, number)
        made(out.parent)
        tick = due.isoformat(timespec="minutes").replace("+00:00", "Z")
        command = [*self.program, *job.arguments(tick)]
        with guarded(out), out.open("wb") as stdout, words.open("wb") as stderr:
            process = subprocess.Popen(
                command,
                cwd=job.folder if Path(job.folder).is_dir() else None,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self._own[number] = process
        self.jobs.update(number, pid=process.pid, born=_born(process.pid))

    def outputs(self, name: str, number: int) -> tuple[Path, Path]:
        """Where a run's standard output and its words for people are."""
        folder = self.jobs.home / "schedule" / name
        return folder / f"{number}.out", folder / f"{number}.err"

    def _look(self, run: Run, now: datetime) -> None:
        """Take note of a run's end; restart one that never began; stop one that takes too long."""
        if run.pid is None:  # the daemon died between writing it down and starting it
            job = next((one for one in self.jobs.all() if one.name == run.job), None)
            if job is None:
                self.jobs.update(run.number, ended=now, code=LOST, note="its job was removed")
            else:
                self._launch(job, run.number, run.due)
            return
        code = self._code(run)
        if code is None:
            self._limit(run, now)
            return
        note = _reason(self.outputs(run.job, run.number)[0])
        self.jobs.update(run.number, ended=now, code=code, note=note)

    def _code(self, run: Run) -> int | None:
        """The exit code of a run; None while it runs."""
        if process := self._own.get(run.number):
            return process.poll()
        assert run.pid is not None
        if _born(run.pid) == run.born and run.born is not None:
            return None
        # A run of an earlier daemon: what it said last tells how it ended.
        line = _last_line(self.outputs(run.job, run.number)[0])
        code = line.get("exit_code")
        return code if isinstance(code, int) else -signal.SIGKILL

    def _limit(self, run: Run, now: datetime) -> None:
        job = next((one for one in self.jobs.all() if one.name == run.job), None)
        if job is None or job.minutes is None or run.pid is None:
            return
        if now < run.started + timedelta(minutes=job.minutes) + OVERTIME:
            return
        told = self._told.setdefault(run.number, now)
        os.killpg(run.pid, signal.SIGTERM if now < told + LAST_WORD else signal.SIGKILL)

    def _stop_all(self) -> None:
        for process in self._own.values():
            if process.poll() is None:
                process.terminate()
        for process in self._own.values():
            process.wait()
        for run in self._active():
            if run.number in self._own:
                self._look(run, datetime.now(UTC))

    def _alone(self) -> AbstractContextManager[None]:
        busy = f"another `autoreg schedule run` works in {self.jobs.home}; one is enough"
        return exclusive(self.jobs.home / "schedule.lock", busy)


def _born(pid: int) -> str | None:
    """When a process began, so that another one of the same number is told apart; None: gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # what else fails tells nothing of the process
        return None
    return None if fields[0] == "Z" else fields[19]


def _last_line(path: Path) -> dict[str, object]:
    try:
        line = path.read_text(encoding="utf-8").splitlines()[-1]
        found = json.loads(line)
    except (FileNotFoundError, IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _reason(path: Path) -> str | None:
    line = _last_line(path)
    words = line.get("reason") or line.get("status")
    return str(words)[:500] if words else None
