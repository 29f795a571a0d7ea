"""Several studies side by side, and paired over outer folds where they have the same ones.

What is read is ``report.json`` in each study's folder: nothing is fitted again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoreg.errors import StudyError
from autoreg.home import study_folder
from autoreg.state import finished
from autoreg.statistics import Interval, nadeau_bengio

FILE_NAME = "report.json"
SAME = {"data": "other rows", "splits": "other outer folds"}


@dataclass(frozen=True)
class Compared:
    """One study beside the first of a list.

    ``gain`` is loss(first) - loss(this one), paired over the outer folds: positive means that this
    one is better. None for the first one, and where nothing can be paired; ``why`` says so.
    """

    study: str
    chosen: str
    metric: str
    nested: Interval
    nested_loss: Interval
    held_out: float | None
    trials: int
    seconds: float
    gain: Interval | None
    why: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The study as a row of a table."""
        score, loss = self.nested, self.nested_loss
        return (
            self.study,
            self.chosen,
            f"{self.metric} {score.value:.4g} [{score.low:.4g}, {score.high:.4g}]",
            f"{loss.value:.4g}",
            "" if self.held_out is None else f"{self.held_out:.4g}",
            f"{self.trials}",
            f"{self.seconds:.0f} s",
            self.why,
        )

    def to_data(self) -> dict[str, Any]:
        """The comparison as plain data."""
        parts = {"nested": self.nested, "nested_loss": self.nested_loss, "gain": self.gain}
        shown = {name: one.to_data() if one else None for name, one in parts.items()}
        return {**vars(self), **shown}


def compare(studies: Sequence[str], home: str | Path | None = None) -> list[Compared]:
    """Studies of a home folder side by side, each beside the first.

    Raises StudyError where one was never finished here. The comparison is descriptive: whoever
    picks the best of many studies by it searches, too, and should judge the pick on new rows.
    """
    documents = [_read(study, home) for study in studies]
    return [_compared(one, documents[0]) for one in documents]


def _read(study: str, home: str | Path | None) -> dict[str, Any]:
    finished(home, study)  # names the nearest study, or the way to finish this one
    path = study_folder(home, study) / FILE_NAME
    if not path.exists():
        raise StudyError(
            f"{study} has no {FILE_NAME}; `autoreg run {study}` writes it, without a fit"
        )
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _compared(one: Mapping[str, Any], first: Mapping[str, Any]) -> Compared:
    verdict, held_out = one["verdict"], one["verdict"]["held_out"]
    gain, why = _against(one, first)
    return Compared(
        one["study"],
        one["chosen"],
        verdict["metric"],
        _interval(verdict["nested"]),
        _interval(verdict["nested_loss"]),
        held_out["score"] if held_out else None,
        len(one["trials"]),
        one["provenance"]["seconds"],
        gain,
        why,
    )


def _against(one: Mapping[str, Any], first: Mapping[str, Any]) -> tuple[Interval | None, str]:
    """The paired difference to the first study, and what it says."""
    if one is first:
        return None, "the first one"
    if reasons := list(_apart(one, first)):
        return None, f"not paired: {', '.join(reasons)}"
    theirs, own = ({f["fold"]: f for f in each["verdict"]["folds"]} for each in (first, one))
    differences = np.array([theirs[name]["loss"] - fold["loss"] for name, fold in own.items()])
    rows = np.array([fold["rows"] for fold in own.values()], dtype=float)
    share = float(np.mean(rows / (one["splits"]["development_rows"] - rows)))
    gain = nadeau_bengio(differences, share, weights=rows)
    side = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no clear difference"
    return gain, f"{side}: loss {-gain.value:+.4g} [{-gain.high:+.4g}, {-gain.low:+.4g}]"


def _apart(one: Mapping[str, Any], first: Mapping[str, Any]) -> Iterator[str]:
    """Why losses of two studies are not of the same rows, or not of the same kind."""
    for part, words in SAME.items():
        if one[part]["digest"] != first[part]["digest"]:
            yield words
    if one["data"]["task"] != first["data"]["task"]:
        yield "another task"


def _interval(data: Mapping[str, Any]) -> Interval:
    """An interval as it was written; an end that is none is unbounded."""
    low, high = data["low"], data["high"]
    return Interval(
        data["value"],
        -math.inf if low is None else low,
        math.inf if high is None else high,
        data["level"],
    )
