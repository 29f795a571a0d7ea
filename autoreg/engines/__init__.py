"""Engines: the fastest that accepts all candidates of a study fits them."""

from __future__ import annotations

from collections.abc import Iterable

from autoreg.data.dataset import Task
from autoreg.engines.base import Engine
from autoreg.engines.loop import LoopEngine
from autoreg.errors import SpaceError
from autoreg.space import Candidate

__all__ = ["engine_for", "engines", "refusals"]


def engines() -> list[Engine]:
    """All engines, the fastest first."""
    return [LoopEngine()]


def engine_for(candidates: Iterable[Candidate], task: Task) -> Engine:
    """The first engine that accepts all candidates; asked before the first trial.

    Raises SpaceError with each engine's reason where there is none.

    >>> from autoreg.space import candidate
    >>> engine_for([candidate("linear", [], {})], "binary").name
    'loop'
    """
    wanted = list(candidates)
    reasons = {engine: _refusal(engine, wanted, task) for engine in engines()}
    for engine, reason in reasons.items():
        if reason is None:
            return engine
    told = "; ".join(f"{engine.name}: {reason}" for engine, reason in reasons.items())
    raise SpaceError(f"no engine fits all candidates of this search space ({told})")


def refusals(candidates: Iterable[Candidate], task: Task) -> str | None:
    """Why no engine accepts all candidates, in words; None where one does."""
    try:
        engine_for(candidates, task)
    except SpaceError as error:
        return str(error)
    return None


def _refusal(engine: Engine, candidates: Iterable[Candidate], task: Task) -> str | None:
    reasons = (engine.refuses(one, task) for one in candidates)
    return next((reason for reason in reasons if reason), None)
