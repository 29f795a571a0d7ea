"""The studies of a home folder as they lie on disk: finished, or waiting to be continued."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoreg.disk import write_whole
from autoreg.errors import NothingToDoError, StudyError
from autoreg.home import home_folder, study_folder
from autoreg.spec import StudySpec, study_from

QUESTION = "study.json"


@dataclass(frozen=True)
class State:
    """One study on disk, in words."""

    study: str
    status: str
    selection: str = ""
    score: str = ""


def states(home: str | Path | None = None) -> Iterator[State]:
    """Every study of the home folder, by name."""
    for ledger in sorted((home_folder(home) / "studies").glob("*/ledger.jsonl")):
        document = _result(ledger.parent)
        if document is None:
            trials = ledger.read_text(encoding="utf-8").count('{"kind":"trial"')
            yield State(ledger.parent.name, f"unfinished, {trials} trials")
            continue
        nested = document["nested"]
        score = (
            f"{nested['metric']} {nested['score']:.3f} [{nested['low']:.3f}, {nested['high']:.3f}]"
        )
        yield State(ledger.parent.name, "complete", document["selection"]["words"], score)


def finished(home: str | Path | None, study: str) -> dict[str, Any]:
    """The result document of a finished study.

    Raises StudyError where there is none, naming the nearest or the way to finish it.
    """
    known = {state.study: state for state in states(home)}
    if study not in known:
        near = difflib.get_close_matches(study, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"`autoreg run {study}` makes it"
        raise StudyError(f"no study {study} was run in {home_folder(home)}; {hint}")
    document = _result(home_folder(home) / "studies" / study)
    if document is None:
        raise StudyError(f"{study} is {known[study].status}; run it again to continue it")
    return document


def refuse_again(folder: Path, key: str) -> None:
    """Raise NothingToDoError where the question of that key was answered in this folder."""
    document = _result(folder)
    if document and document.get("key") == key:
        raise NothingToDoError(
            f"{folder.name} was answered before: same configuration, same data, same occasion; "
            f"`autoreg show {folder.name}` shows the answer"
        )


def record_question(folder: Path, spec: StudySpec) -> None:
    """Keep a study's whole configuration beside its ledger, so that it is known by its name."""
    path = folder / QUESTION
    text = json.dumps(spec.model_dump(mode="json"), indent=2)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_whole(path, text)


def recorded_question(home: str | Path | None, study: str) -> StudySpec | None:
    """The configuration of a study that was run in a home folder; None where there is none."""
    path = study_folder(home, study) / QUESTION
    if not path.exists():
        return None
    return study_from(json.loads(path.read_text(encoding="utf-8")))


def refuse_without_model(folder: Path) -> None:
    """Raise StudyError where a finished study in this folder has stored no model."""
    document = _result(folder)
    if document and document.get("model") is None:
        raise StudyError(
            f"{folder.name} has no stored model: it asked for none (select: final: skip), or its "
            f"winner, {document['selection']['words']}, is of a family of your own, which is code "
            f"and no data; predict in Python, with the result of `run_study`"
        )


def _result(folder: Path) -> dict[str, Any] | None:
    path = folder / "result.json"
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
