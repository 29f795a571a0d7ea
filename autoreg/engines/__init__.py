"""Engines: for each family of a study the fastest that accepts all its candidates fits them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from autoreg.candidate import Candidate
from autoreg.data.dataset import Dataset, Rows, Task
from autoreg.engines.base import After, Engine, Job, Outcome, counting_from
from autoreg.engines.loop import LoopEngine, problem
from autoreg.engines.pack import PackEngine
from autoreg.engines.path import PathEngine
from autoreg.errors import SpaceError
from autoreg.own_spec import OwnSpec
from autoreg.spec import LinearSpec

__all__ = ["check_families", "engine_for", "engines", "refusals"]


def engines(own: Mapping[str, OwnSpec] | None = None) -> list[Engine]:
    """All engines, the fastest first; the last one knows families of the user's own."""
    return [PathEngine(), PackEngine(), LoopEngine(own)]


def engine_for(
    candidates: Iterable[Candidate], task: Task, own: Mapping[str, OwnSpec] | None = None
) -> Engine:
    """The engine of a study; asked before the first trial.

    Raises SpaceError with each engine's reason where no engine accepts a family's candidates.

    >>> from autoreg.candidate import candidate
    >>> engine_for([candidate("linear", [], {})], "binary").name
    'path'
    """
    families: dict[str, list[Candidate]] = {}
    for one in candidates:
        families.setdefault(one.family, []).append(one)
    known = engines(own)
    chosen = {family: _first(known, wanted, task) for family, wanted in families.items()}
    different = list({id(engine): engine for engine in chosen.values()}.values())
    return different[0] if len(different) == 1 else Crew(chosen)


def refusals(candidates: Iterable[Candidate], task: Task) -> str | None:
    """Why some family's candidates find no engine, in words; None where all do."""
    try:
        engine_for(candidates, task)
    except SpaceError as error:
        return str(error)
    return None


def check_families(own: Mapping[str, OwnSpec], table: Dataset) -> None:
    """Raise SpaceError, naming the family and the remedy, for one that cannot serve this table."""
    for name, spec in own.items():
        if reason := problem(spec, table):
            raise SpaceError(f"{name}: {reason}")


class Crew(Engine):
    """Several engines as one: each family's jobs go to the engine chosen for it."""

    def __init__(self, members: Mapping[str, Engine]) -> None:
        self._members = members
        self.name = "+".join(sorted({engine.name for engine in members.values()}))

    def refuses(self, candidate: Candidate, task: Task) -> str | None:
        """What the family's engine says."""
        if candidate.family not in self._members:
            return f"no engine was chosen for {candidate.family} models"
        return self._members[candidate.family].refuses(candidate, task)

    def warm_up(self, candidates: Sequence[Candidate], task: Task, linear: LinearSpec) -> None:
        """Let each engine load what its families need."""
        for family, engine in self._members.items():
            engine.warm_up([one for one in candidates if one.family == family], task, linear)

    def run(
        self,
        jobs: Sequence[Job],
        table: Dataset,
        *,
        cells: Rows | None = None,
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Outcome]:
        """Hand each engine its jobs, one engine after the other."""
        outcomes: dict[int, Outcome] = {}
        for engine in dict.fromkeys(self._members.values()):
            mine = [
                k for k, job in enumerate(jobs) if self._members[job.candidate.family] is engine
            ]
            before = len(outcomes)
            found = engine.run(
                [jobs[k] for k in mine],
                table,
                cells=cells,
                workers=workers,
                on_done=None if on_done is None else counting_from(before, on_done),
            )
            outcomes |= dict(zip(mine, found, strict=True))
        return [outcomes[k] for k in range(len(jobs))]

    def stream(
        self,
        jobs: Iterable[Job],
        table: Dataset,
        after: After,
        *,
        cells: Rows | None = None,
        workers: int = 1,
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        """Keep the steady engine busy: what follows for the others is done in between, at once."""
        steady = next((one for one in self._members.values() if one.is_steady), None)
        if steady is None:
            super().stream(jobs, table, after, cells=cells, workers=workers, on_done=on_done)
            return
        counts: Counter[str] = Counter()

        def told(part: str, done: int) -> None:
            counts[part] = done
            if on_done:
                on_done(counts.total())

        def left_by_the_others(asked: Iterable[Job], threads: int) -> list[Job]:
            """The steady engine's jobs, when the others' are done and all that follow from them."""
            left, new = [], list(asked)
            while theirs := [job for job in new if self._members[job.candidate.family] != steady]:
                left += [job for job in new if self._members[job.candidate.family] == steady]
                heard = counting_from(counts["others"], partial(told, "others"))
                found = self.run(theirs, table, cells=cells, workers=threads, on_done=heard)
                new = [one for pair in zip(theirs, found, strict=True) for one in after(*pair)]
            return left + new

        # In between, the steady engine's workers have all other cores.
        steady.stream(
            left_by_the_others(jobs, workers),
            table,
            lambda job, outcome: left_by_the_others(after(job, outcome), 1),
            cells=cells,
            workers=workers,
            on_done=partial(told, "steady"),
        )


def _first(known: Sequence[Engine], wanted: Sequence[Candidate], task: Task) -> Engine:
    reasons = {engine: _refusal(engine, wanted, task) for engine in known}
    for engine, reason in reasons.items():
        if reason is None:
            return engine
    told = "; ".join(f"{engine.name}: {reason}" for engine, reason in reasons.items())
    raise SpaceError(f"no engine fits all candidates of this search space ({told})")


def _refusal(engine: Engine, candidates: Iterable[Candidate], task: Task) -> str | None:
    reasons = (engine.refuses(one, task) for one in candidates)
    return next((reason for reason in reasons if reason), None)
