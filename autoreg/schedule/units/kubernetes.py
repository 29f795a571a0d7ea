"""A CronJob for Kubernetes."""

from __future__ import annotations

import json
import re
from textwrap import indent

from autoreg.schedule.jobs import Job
from autoreg.schedule.units.base import ATTEMPTS, date_command, head, limit, shell, waited_for

MANIFEST = """\
# {head}
# Set the image (one in which autoreg is installed) and the claim, then: kubectl apply -f FILE
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
spec:
  schedule: {cron}
  timeZone: {zone}
  # No overlap: a moment that comes while a run is at work is skipped.
  concurrencyPolicy: Forbid
  # How late a moment that was missed is still made up for.
  startingDeadlineSeconds: {late:.0f}
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: {attempts}
      activeDeadlineSeconds: {seconds:.0f}
      # Another try helps after 75, SIGTERM or a lost node; not after the others.
      podFailurePolicy:
        rules:
          - action: Ignore
            onPodConditions:
              - type: DisruptionTarget
                status: "True"
          - action: FailJob
            onExitCodes:
              containerName: autoreg
              operator: In
              values: [1, 2, 3, 124]
      template:
        spec:
          restartPolicy: Never
          # Between SIGTERM (a checkpoint is made) and SIGKILL.
          terminationGracePeriodSeconds: 120
          containers:
            - name: autoreg
              image: registry.example.org/autoreg:CHANGE-ME
              workingDir: /data
              command: ["/bin/sh", "-c"]
              args:
                - |
{command}
              volumeMounts:
                - name: data
                  mountPath: /data
          volumes:
            - name: data
              persistentVolumeClaim:
                claimName: autoreg-data
"""


def files(job: Job) -> dict[str, str]:
    """One manifest; the study and the home folder are on a volume that outlives the pods."""
    command = shell(job, date_command(job), home="/data/home")
    manifest = MANIFEST.format(
        head=head(job),
        name="autoreg-" + re.sub(r"[^a-z0-9]+", "-", job.name.lower()).strip("-")[:40],
        cron=json.dumps(job.cron),
        zone=json.dumps(job.zone),
        late=60 * job.grace if job.misfire == "skip" else 24 * 3600,
        attempts=ATTEMPTS,
        seconds=60 * limit(job),
        # For Kubernetes every code but 0 is a failure.
        command=indent(waited_for(command).rstrip(), " " * 18),
    )
    return {f"autoreg-{job.name}.yaml": manifest}
