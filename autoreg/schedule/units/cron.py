"""A crontab entry; overlap is prevented by autoreg's own lock (exit code 75)."""

from __future__ import annotations

import shlex

from autoreg.schedule.jobs import Job
from autoreg.schedule.units.base import date_command, head, program, shell


def files(job: Job) -> dict[str, str]:
    """One file for ``crontab``."""
    # In a crontab a percent sign ends the command unless it is escaped.
    command = shell(job, date_command(job), name=program()).replace("%", r"\%")
    log = f"{job.home or '.'}/schedule-{job.name}.log"
    place = shlex.quote(job.folder)
    zone = [] if job.zone == "UTC" else ["# Only cronie knows this line; Debian's cron ignores it."]
    lines = [
        f"# {head(job)}",
        "# Append it to what `crontab -l` shows, and hand the whole to `crontab -`.",
        "# cron starts nothing later that it missed; `autoreg schedule run` and systemd do.",
        *zone,
        f"CRON_TZ={job.zone}",
        "SHELL=/bin/sh",
        "# 99 (nothing to do) is no failure, so cron sends no mail about it.",
        f"{job.cron} cd {place} && {{ {command} >> {shlex.quote(log)} 2>&1 || [ $? -eq 99 ]; }}",
    ]
    return {f"autoreg-{job.name}.crontab": "\n".join(lines) + "\n"}
