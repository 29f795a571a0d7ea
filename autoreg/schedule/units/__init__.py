"""Units of other schedulers: one file a scheduler, found by walking this folder.

Each module has ``files(job) -> {name: text}``: ready, commented files with the flags set so that
the contract of ``autoreg run`` holds there: no overlap, SIGTERM with time to checkpoint, exit code
99 is no failure, 75 is worth another try.
"""

from __future__ import annotations

import difflib
import pkgutil
from importlib import import_module

from autoreg.errors import SpecError
from autoreg.schedule.jobs import Job

__all__ = ["unit_files", "units"]


def units() -> list[str]:
    """The schedulers that there are units for.

    >>> "systemd" in units()
    True
    """
    found = (one.name for one in pkgutil.iter_modules(__path__) if one.name != "base")
    return sorted(name.replace("_", "-") for name in found)


def unit_files(job: Job, scheduler: str) -> dict[str, str]:
    """The files of a job for a scheduler, by name.

    Raises SpecError for an unknown scheduler, or where it cannot do what the job asks.

    >>> list(unit_files(Job("nightly", "0 3 * * *", ("run", "wine")), "systemd"))
    ['autoreg-nightly.service', 'autoreg-nightly.timer']
    """
    if scheduler not in units():
        near = difflib.get_close_matches(scheduler, units(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(units())}"
        raise SpecError(f"there are no units for {scheduler}; {hint}")
    module = import_module(f"autoreg.schedule.units.{scheduler.replace('-', '_')}")
    files: dict[str, str] = module.files(job)
    return files
