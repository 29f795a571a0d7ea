"""What finished studies teach the next one: their best settings, never their scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autoreg.folds import FINAL
from autoreg.trial import Trial


def best_settings(trials: Iterable[Trial], count: int) -> list[dict[str, Any]]:
    """The best settings of a study as plain data: of each technique set its best, best sets first.

    Path strengths stay open: the next study walks the path itself. Of a study without a final
    search all searches count.
    """
    known = [one for one in trials if not one.failure]
    own = [one for one in known if one.search == FINAL] or known
    best: dict[tuple[str, str], Trial] = {}
    for one in sorted(own, key=lambda trial: trial.loss):
        best.setdefault(one.candidate.technique_set, one)
    return _plain(list(best.values())[:count])


def _plain(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    return [one.candidate.to_data() for one in trials]
