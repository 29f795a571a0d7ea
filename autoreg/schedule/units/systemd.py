"""A service and its timer for systemd."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from autoreg.errors import SpecError
from autoreg.schedule.jobs import Job
from autoreg.schedule.units.base import ATTEMPTS, date_command, head, limit, program, shell

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
SERVICE = """\
# {head}
# Put both files into /etc/systemd/system (or ~/.config/systemd/user), then:
#   systemctl daemon-reload && systemctl enable --now autoreg-{name}.timer
[Unit]
Description=autoreg: {name}
Wants=network-online.target
After=network-online.target
# No more than {attempts} starts in a day, however often it says "try later".
StartLimitIntervalSec=1d
StartLimitBurst={attempts}

[Service]
Type=exec
WorkingDirectory={folder}
ExecStart=/bin/sh -c "exec {command}"
# 99: nothing to do. 75: somebody else is at work, or something is away: another try.
SuccessExitStatus=99
RestartForceExitStatus=75
RestartSec=10min
# The first SIGTERM makes a checkpoint; the same command continues.
KillMode=mixed
TimeoutStopSec=2min
RuntimeMaxSec={seconds:.0f}s
Nice=10
NoNewPrivileges=yes
PrivateTmp=yes
"""
TIMER = """\
# {head}
[Unit]
Description=autoreg: when {name} is due

[Timer]
{calendar}
AccuracySec=1min
# Whether a moment that was missed is made up for.
Persistent={persistent}

[Install]
WantedBy=timers.target
"""


def files(job: Job) -> dict[str, str]:
    """A service and a timer; systemd never runs a service twice at once."""
    command = shell(job, date_command(job), name=program())
    escaped = command.replace("\\", "\\\\").replace('"', r"\"").replace("%", "%%")
    service = SERVICE.format(
        head=head(job),
        name=job.name,
        attempts=ATTEMPTS,
        folder=job.folder.replace("%", "%%"),
        command=escaped.replace("$", "$$"),
        seconds=60 * limit(job),
    )
    timer = TIMER.format(
        head=head(job),
        name=job.name,
        calendar="\n".join(f"OnCalendar={one}" for one in calendar(job.cron, job.zone)),
        persistent="no" if job.misfire == "skip" else "yes",
    )
    return {f"autoreg-{job.name}.service": service, f"autoreg-{job.name}.timer": timer}


def calendar(cron: str, zone: str) -> list[str]:
    """A cron expression as systemd writes it.

    Raises SpecError for what only cron knows: L, W and #.

    >>> calendar("30 2 * * MON-FRI", "UTC")
    ['Mon,Tue,Wed,Thu,Fri *-*-* 2:30:00 UTC']
    """
    from cronsim import CronSim

    known = CronSim(cron, datetime.now(UTC))
    if any(not isinstance(one, int) or one < 0 for one in (*known.days, *known.weekdays)):
        raise SpecError(f"{cron!r} has L, W or #, which systemd cannot say; write days out")
    days = _several(known.days, range(1, 32))
    weekdays = sorted({one % 7 for one in known.weekdays if isinstance(one, int)})
    names = ",".join(DAYS[one] for one in weekdays) if len(weekdays) < len(DAYS) else ""
    clock = f"{_several(known.hours, range(24))}:{_several(known.minutes, range(60))}:00 {zone}"
    month = _several(known.months, range(1, 13))
    both = names != "" and days != "*"
    # Where cron is given days of the month and of the week, either of them will do.
    pairs = [("", days), (names, "*")] if both and not known.day_and else [(names, days)]
    return [f"{name} *-{month}-{day} {clock}".strip() for name, day in pairs]


def _several(values: Collection[int], whole: Sequence[int]) -> str:
    return "*" if set(values) >= set(whole) else ",".join(map(str, sorted(values)))
