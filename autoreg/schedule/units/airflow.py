"""A DAG for Airflow 3."""

from __future__ import annotations

from autoreg.schedule.jobs import Job
from autoreg.schedule.units.base import ATTEMPTS, date_format, head, limit, program, shell

DAG = """\
# {head}
# Put it into Airflow's folder of DAGs. The last line on stdout is one JSON document, so it is the
# task's XCom.
from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow.timetables.trigger import CronTriggerTimetable

with DAG(
    dag_id={name!r},
    schedule=CronTriggerTimetable({cron!r}, timezone={zone!r}),
    start_date=datetime(2026, 1, 1),
    catchup={catchup},  # whether every moment that was missed is made up for
    max_active_runs=1,  # no overlap
    default_args={{
        # The same command continues after 75 (try later), SIGTERM or a lost worker.
        "retries": {attempts},
        "retry_delay": timedelta(minutes=10),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(minutes={minutes:g}),
    }},
) as dag:
    BashOperator(
        task_id="autoreg",
        # `exec`, so that Airflow's SIGTERM reaches autoreg and not a shell around it.
        bash_command={command!r},
        cwd={folder!r},
        skip_on_exit_code=99,  # nothing to do
        do_xcom_push=True,
    )
"""


def files(job: Job) -> dict[str, str]:
    """One module for Airflow's folder of DAGs; the tick is the moment that the run is for."""
    moment = "{{ (dag_run.logical_date or dag_run.run_after) | " + (
        "ds }}" if date_format(job) == "%Y-%m-%d" else "ts }}"
    )
    text = DAG.format(
        head=head(job),
        name=f"autoreg_{job.name}",
        cron=job.cron,
        zone=job.zone,
        catchup=job.misfire == "all",
        attempts=ATTEMPTS,
        minutes=limit(job),
        command=f"exec {shell(job, moment_word(moment), name=program())}",
        folder=job.folder,
    )
    return {f"autoreg_{job.name}.py": text}


def moment_word(moment: str) -> str:
    """A template as one word of a shell."""
    return f'"{moment}"'
