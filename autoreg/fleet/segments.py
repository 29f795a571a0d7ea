"""Array jobs: each search of a study in a job of its own, with its own segment of the ledger.

On a cluster, job number i runs search i with ``--outer-fold i``; when all are over, ``merge`` joins
the segments and takes the study to its verdict. Jobs share nothing but the folder.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autoreg.errors import SpecError, StudyError
from autoreg.ledger import Ledger, locked
from autoreg.prepared import Prepared
from autoreg.progress import Progress
from autoreg.search import run_searches
from autoreg.trial import Trial

DONE = "done"  # a segment's last record: its search is over


def search_name(ready: Prepared, which: str | int) -> str:
    """The name of a search: given as that, or as its number in the array.

    Raises SpecError naming the searches that there are.
    """
    names = ready.bench.searches
    if str(which) in names:
        return str(which)
    if str(which).isdigit() and int(which) < len(names):
        return names[int(which)]
    raise SpecError(
        f"there is no search {which}: the study has {', '.join(names)}, or 0 to {len(names) - 1} "
        f"as numbers of an array"
    )


def run_segment(ready: Prepared, folder: Path, which: str | int, listener: Progress) -> int:
    """Run one search of a study, or continue it; returns how many trials it has.

    Raises SpecError for an unknown search, or a study with a budget of time, which is common to
    all searches; BusyError where another process is at it.
    """
    name = search_name(ready, which)
    if ready.spec.minutes is not None:
        raise SpecError(
            "minutes ends all searches at a common round, which jobs of their own do not have; "
            "leave it out, and limit trials"
        )
    place = folder / "segments" / name
    with locked(place):
        ledger = Ledger.open(place / "ledger.jsonl", ready.header)
        bench = replace(ready.bench, plan=ready.bench.plan.only(name))
        past = ledger.trials()
        if not ledger.of(DONE):
            bench.warm_up(listener)
        listener.begin(f"search {name}", ready.spec.trials, len(past.get(name, ())))

        def record(trial: Trial) -> None:
            ledger.append("trial", trial.to_data() | {"at": round(time.time(), 3)})

        def round_done(number: int) -> bool:
            listener.advance(number + 1)
            return True

        trials = run_searches(bench, past, record=record, round_done=round_done)
        if not ledger.of(DONE):
            ledger.append(DONE, {"search": name})
        listener.end()
        return len(trials[name])


def joined(ready: Prepared, folder: Path) -> int:
    """Join the segments into the study's ledger; returns how many trials were added.

    What is there already stays, so joining again changes nothing. Raises StudyError where a
    segment is missing, unfinished, or of another configuration.
    """
    found: dict[str, list[Trial]] = {}
    for name in ready.bench.searches:
        path = folder / "segments" / name / "ledger.jsonl"
        if not path.exists():
            raise StudyError(f"search {name} has no segment yet; run it with --outer-fold {name}")
        ledger = Ledger.open(path, ready.header)
        trials = ledger.trials().get(name, [])
        if not ledger.of(DONE):
            raise StudyError(
                f"search {name} is unfinished ({len(trials)} of {ready.spec.trials} trials); the "
                f"same job continues it: --outer-fold {name}"
            )
        found[name] = trials
    with locked(folder):
        return add(Ledger.open(folder / "ledger.jsonl", ready.header), found)


def add(ledger: Ledger, found: Mapping[str, Sequence[Trial]]) -> int:
    """Add trials to a ledger, in the order of an ordinary run; those it has stay."""
    has = {(name, one.number) for name, own in ledger.trials().items() for one in own}
    rank = {name: position for position, name in enumerate(found)}
    new = [one for own in found.values() for one in own if (one.search, one.number) not in has]
    for trial in sorted(new, key=lambda one: (one.number, rank.get(one.search, math.inf))):
        ledger.append("trial", trial.to_data() | {"at": round(time.time(), 3)})
    return len(new)
