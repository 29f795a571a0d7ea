"""A workflow for GitHub Actions."""

from __future__ import annotations

import json

from autoreg.errors import SpecError
from autoreg.schedule.jobs import Job
from autoreg.schedule.units.base import date_command, head, limit, shell

LONGEST = 350.0  # minutes; GitHub ends a job after 360
WORKFLOW = """\
# {head}
# Put it into .github/workflows. GitHub's clock is UTC, and may be late by many minutes.
name: {name}
on:
  schedule:
    - cron: {cron}
  workflow_dispatch:
concurrency:
  # No overlap: the next one waits, and nobody is cancelled.
  group: {name}
  cancel-in-progress: false
permissions:
  contents: read
jobs:
  autoreg:
    runs-on: ubuntu-latest
    timeout-minutes: {minutes:.0f}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
          cache: pip
      - run: python -m pip install autoreg
      # The home folder (ledgers, models, the ledger of openings) goes from run to run.
      - uses: actions/cache@v4
        with:
          path: mlruns
          key: {name}-${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}
          restore-keys: {name}-
      - name: autoreg
        shell: bash
        run: |
          code=0
          {command} > result.json || code=$?
          tail -n 1 result.json
          # 99: there was nothing to do.
          if [ "$code" -eq 99 ]; then exit 0; fi
          exit "$code"
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: {name}
          path: |
            result.json
            mlruns/studies
"""


def files(job: Job) -> dict[str, str]:
    """One workflow. Raises SpecError for a time zone other than UTC."""
    if job.zone != "UTC":
        raise SpecError(f"GitHub's clock is UTC; write the job's moments in UTC, not in {job.zone}")
    text = WORKFLOW.format(
        head=head(job),
        name=f"autoreg-{job.name}",
        cron=json.dumps(job.cron),
        minutes=min(limit(job), LONGEST),
        command=shell(job, date_command(job), home="mlruns"),
    )
    return {f"autoreg-{job.name}.yml": text}
