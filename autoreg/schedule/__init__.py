"""Jobs by the clock: on one machine by a small daemon of our own, or as units of other schedulers.

Each job is the command line of autoreg, run as a process of its own, so a job is what a person
could type, and a crash of one never takes the others along.
"""

from autoreg.schedule.daemon import Daemon
from autoreg.schedule.jobs import Job, Jobs, Run
from autoreg.schedule.units import unit_files, units

__all__ = ["Daemon", "Job", "Jobs", "Run", "unit_files", "units"]
