"""What units of all schedulers share: the command as a shell reads it, and its tick."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

from autoreg.schedule.jobs import Job
from autoreg.schedule.times import after

DAY = timedelta(days=1)
TICK = "@TICK@"
HEAD = "Written by `autoreg schedule export`; the job is {name!r}, due at {cron!r} ({zone})."
ATTEMPTS = 6
LONGEST = 24 * 60.0  # minutes, where a job names no limit
OVERTIME = 5.0  # minutes beyond the job's own limit, before a scheduler steps in


def head(job: Job) -> str:
    """The first comment of each file."""
    return HEAD.format(name=job.name, cron=job.cron, zone=job.zone)


def program() -> str:
    """The command that is autoreg in this environment."""
    beside = Path(sys.executable).with_name("autoreg")
    return str(beside) if beside.exists() else f"{sys.executable} -m autoreg"


def shell(job: Job, tick: str, *, name: str = "autoreg", home: str | None = None) -> str:
    """The command line for a POSIX shell; ``tick`` is put in as it is.

    >>> shell(Job("n", "0 3 * * *", ("run", "my study.yaml")), '"$(date)"')
    'autoreg run \\'my study.yaml\\' --json --tick "$(date)"'
    """
    own = job if home is None else Job(**{**vars(job), "home": home})
    words = shlex.join(own.arguments(TICK))
    return f"{name} {words.replace(TICK, tick)}"


def date_format(job: Job) -> str:
    """How a shell's ``date`` names the tick: by day, or by minute where days are not enough."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    dues = list(islice(after(job.cron, job.zone, start), 50))
    daily = all(later - one >= DAY - timedelta(hours=1) for one, later in pairwise(dues))
    return "%Y-%m-%d" if daily else "%Y-%m-%dT%H:%MZ"


def date_command(job: Job) -> str:
    """A shell's word for the tick."""
    return f'"$(date -u +{date_format(job)})"'


def limit(job: Job) -> float:
    """After how many minutes a scheduler may step in."""
    return (job.minutes + OVERTIME) if job.minutes else LONGEST


def waited_for(command: str, again: str = "") -> str:
    """Lines of a POSIX shell that run a command and hand SIGTERM on to it.

    A shell hears a signal only while it waits, so the command runs in the background. 99 (nothing
    to do) becomes 0; ``again`` is what to do where the same command would continue.
    """
    more = f"  75 | 130 | 143) {again} ;; # the same command continues\n" if again else ""
    return f"""\
{command} &
child=$!
trap 'kill -TERM "$child"' TERM
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
case "$code" in
  99) exit 0 ;; # nothing to do
{more}esac
exit "$code"
"""
