"""A batch script for SLURM, and a line of scrontab that submits it."""

from __future__ import annotations

import shlex

from autoreg.schedule.jobs import Job
from autoreg.schedule.units.base import date_command, head, limit, program, shell, waited_for

SCRIPT = """\
#!/bin/bash
# {head}
#SBATCH --job-name=autoreg-{name}
#SBATCH --time={minutes:.0f}
# SIGTERM five minutes before the end, to this script: autoreg makes a checkpoint.
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=autoreg-{name}.log
# No overlap: one job of this name at a time.
#SBATCH --dependency=singleton
#SBATCH --cpus-per-task=4
cd {folder} || exit 2
{waited}"""
SCRONTAB = """\
# {head}
# Append it to what `scrontab -l` shows.
{cron} sbatch {script}
"""


def files(job: Job) -> dict[str, str]:
    """A batch script and a scrontab entry; the cluster's own time zone holds."""
    script = f"autoreg-{job.name}.sbatch"
    command = shell(job, date_command(job), name=program())
    text = SCRIPT.format(
        head=head(job),
        name=job.name,
        minutes=limit(job),
        folder=shlex.quote(job.folder),
        waited=waited_for(command, 'scontrol requeue "$SLURM_JOB_ID"'),
    )
    place = shlex.quote(f"{job.folder.rstrip('/')}/{script}")
    entry = SCRONTAB.format(head=head(job), cron=job.cron, script=place)
    return {script: text, f"autoreg-{job.name}.scrontab": entry}
