"""``autoreg schedule``: jobs by the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from autoreg.cli.shell import HomeOption, app, err, table
from autoreg.cli.signals import Stopped, stoppable
from autoreg.errors import AutoregError

schedule = typer.Typer(
    help="Run studies by the clock, here or as units of another scheduler.", no_args_is_help=True
)
app.add_typer(schedule, name="schedule")

Name = Annotated[str, typer.Argument(help="Name of the job.")]
MISFIRES = ("once", "skip", "all")


@schedule.command()
def add(
    name: Name,
    cron: Annotated[str, typer.Argument(help="When: '0 3 * * 1' is Mondays at three.")],
    command: Annotated[
        list[str], typer.Argument(help="After --: a command of autoreg, `run houses.yaml`.")
    ],
    zone: Annotated[str, typer.Option(help="Time zone of the clock.")] = "UTC",
    misfire: Annotated[
        str, typer.Option(help="Moments that were missed: once (the latest), skip, or all.")
    ] = "once",
    grace: Annotated[float, typer.Option(help="With skip: so many minutes late is in time.")] = 30,
    minutes: Annotated[float | None, typer.Option(help="What one run may take.")] = None,
    home: HomeOption = None,
) -> None:
    """Add a job: `autoreg schedule add nightly '0 3 * * *' -- run houses.yaml`."""
    from autoreg.schedule import Job, Jobs

    if misfire not in MISFIRES:
        raise AutoregError(f"--misfire is {misfire!r}; it may be {', '.join(MISFIRES)}")
    how = cast(Any, misfire)
    place = str(Path.cwd())
    job = Job(name, cron, tuple(command), zone, how, grace, minutes, place)
    Jobs(home).add(job)
    typer.echo(name)
    err.print("added; [bold]autoreg schedule run[/] runs what is due")


@schedule.command("list")
def show(home: HomeOption = None) -> None:
    """List the jobs, when each is due, and how its last run ended."""
    from datetime import UTC, datetime

    from autoreg.schedule import Jobs
    from autoreg.schedule.times import after

    jobs = Jobs(home)
    rows = []
    for job in jobs.all():
        due = next(after(job.cron, job.zone, datetime.now(UTC)))
        last = next(iter(jobs.runs(job.name, last=1)), None)
        words = "never ran" if last is None else f"{last.due:%Y-%m-%d %H:%M} {_ended(last)}"
        rows.append((job.name, job.cron, f"{due:%Y-%m-%d %H:%M} UTC", words, " ".join(job.command)))
    table(("job", "cron", "next", "last", "command"), rows)


@schedule.command()
def remove(name: Name, home: HomeOption = None) -> None:
    """Remove a job; its logs and studies stay."""
    from autoreg.schedule import Jobs

    Jobs(home).remove(name)
    err.print(f"removed {name}")


@schedule.command()
def run(
    once: Annotated[bool, typer.Option("--once", help="What is due now, and then end.")] = False,
    home: HomeOption = None,
) -> None:
    """Run the jobs when they are due, until interrupted (a daemon for one machine)."""
    from autoreg.schedule import Daemon, Jobs

    jobs = Jobs(home)
    err.print(f"{len(jobs.all())} job(s) of {jobs.home}; Ctrl-C or SIGTERM ends it in order")
    try:
        with stoppable():
            Daemon(jobs).run(until_idle=once)
    except Stopped as error:
        raise typer.Exit(error.exit_code) from None


@schedule.command()
def export(
    name: Name,
    scheduler: Annotated[
        str,
        typer.Option("--for", help="cron, systemd, kubernetes, airflow, github-actions, slurm"),
    ],
    into: Annotated[
        Path | None, typer.Option(help="Folder for the files; else they are printed.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write a job as units of another scheduler, ready and commented."""
    from autoreg.schedule import Jobs, unit_files

    for file, text in unit_files(Jobs(home).get(name), scheduler).items():
        if into is None:
            typer.echo(text)
            continue
        into.mkdir(parents=True, exist_ok=True)
        (into / file).write_text(text, encoding="utf-8")
        typer.echo(into / file)


def _ended(last: Any) -> str:
    if last.ended is None:
        return "runs"
    return f"({last.note})" if last.code is None else f"code {last.code}"
