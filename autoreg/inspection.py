"""Looking at a table without a study: what ``autoreg check`` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoreg.checks import Answers, look_at_table
from autoreg.data import load
from autoreg.errors import SpecError
from autoreg.spec import DataSpec, StudySpec, read_study, shipped


def inspected(
    name: str, roles: Mapping[str, Any] | None = None, ignore: tuple[str, ...] = ()
) -> Answers:
    """What the checks say about a file, a bundled data set, or the table of a study.

    ``roles`` are those of ``data:`` in a study, for files and bundled sets.
    Raises SpecError or DataError, naming the place and the remedy.

    >>> inspected("iris").alarms
    ()
    """
    spec = _spec(name, {key: value for key, value in (roles or {}).items() if value})
    spec = spec.model_copy(update={"ignore": (*spec.ignore, *ignore)})
    return look_at_table(load(spec.data), spec)


def _spec(name: str, roles: Mapping[str, Any]) -> StudySpec:
    is_study = Path(name).suffix in {".yaml", ".yml"}
    if is_study or (name in shipped("studies") and not roles):
        if roles:
            raise SpecError(f"{name} is a study and names the roles itself; leave the options out")
        return read_study(name)
    return StudySpec(study="check", data=DataSpec(source=name, **roles))
