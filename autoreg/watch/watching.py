"""What a watch file says: where rows come from, when to tune, what to do with the result."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from autoreg.errors import SpecError
from autoreg.mistakes import Frozen, build
from autoreg.spec import StudySpec, read_study, study_from
from autoreg.strictyaml import parse


class SqlSpec(Frozen):
    """Rows from a database, through SQLAlchemy."""

    url: str = Field(description="SQLAlchemy's address; ${NAME} is taken from the environment")
    query: str = Field(description="one SELECT")


class ParquetSpec(Frozen):
    """Rows from a folder of Parquet files, some of its partitions only."""

    folder: str
    filters: tuple[tuple[str, Literal["=", "!=", "<", "<=", ">", ">="], str | float], ...] = Field(
        (), description="[column, operator, value], all of which must hold"
    )


class SourceSpec(Frozen):
    """Where the rows of a tick come from: exactly one of these."""

    file: str | None = Field(None, description="a CSV or Parquet file")
    glob: str | None = Field(None, description="several of them: data/*.csv")
    sql: SqlSpec | None = None
    parquet: ParquetSpec | None = None

    @model_validator(mode="after")
    def _one(self) -> SourceSpec:
        given = [name for name in ("file", "glob", "sql", "parquet") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("name exactly one of file, glob, sql, parquet")
        return self

    @property
    def place(self) -> str:
        """Where the rows come from, in words."""
        return self.file or self.glob or (self.parquet.folder if self.parquet else "source: sql")


class DriftSpec(Frozen):
    """When columns or the target count as moved: the index AND the test must say so."""

    psi: float = Field(0.2, gt=0, description="population stability index; 0.2 is the usual sign")
    level: float = Field(0.01, gt=0, lt=1, description="level of the test, over all columns")


class PromoteSpec(Frozen):
    """When the challenger replaces the champion."""

    margin: float = Field(0.0, description="by how much the loss must fall, at the least")
    corrected: bool = Field(
        True, description="5% error in a champion's whole reign; false: in each asking"
    )


class WatchSpec(Frozen):
    """A watch: a question that is asked again and again, of rows that keep coming."""

    watch: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="name of watch and model"
    )
    study: str | dict[str, Any] = Field(description="a study file, or a study in place; no source")
    source: SourceSpec
    window: int | None = Field(None, gt=1, description="the latest so many rows; all by default")
    fresh: int = Field(20, ge=1, description="skip with fewer new rows than that")
    judge: float = Field(
        0.5, gt=0, le=1, description="of the new rows, the latest share that is held out to judge"
    )
    every: int | None = Field(None, ge=1, description="tune after so many skips, drift or not")
    drift: DriftSpec = Field(default_factory=DriftSpec)
    warm: int = Field(5, ge=0, description="best settings of the last study that are tried first")
    promote: PromoteSpec = Field(default_factory=PromoteSpec)
    webhook: str | None = Field(None, description="address that hears of each tick; ${NAME} works")
    keep: int = Field(8, ge=2, description="snapshots of rows that are kept")

    def question(self, beside: Path) -> StudySpec:
        """The study. Raises SpecError where it names a source: rows come from the watch."""
        if isinstance(self.study, dict):
            spec = study_from({"study": self.watch, **self.study})
        else:
            near = beside / self.study
            spec = read_study(near if near.exists() else self.study)
        if spec.data.source is not None:
            raise SpecError(
                f"watch {self.watch}: its study names data: source {spec.data.source}; rows come "
                f"from the watch's own source, so leave it out"
            )
        if spec.data.target is None:
            raise SpecError(f"watch {self.watch}: its study must name data: target")
        return spec


def read_watch(path: str | Path) -> tuple[WatchSpec, Path]:
    """A watch from a file, and the folder that its paths are relative to.

    Raises SpecError naming file, line and remedy.
    """
    place = Path(path)
    if not place.is_file():
        raise SpecError(f"{path}: there is no such file; a watch is a YAML file of your own")
    return build(WatchSpec, *parse(place), place), place.resolve().parent


def from_environment(text: str) -> str:
    """Put variables of the environment into ``${NAME}``, so that files hold no secrets.

    Raises SpecError for one that is not set.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise SpecError(f"${{{found[1]}}} is not set in the environment; export it")
        return os.environ[found[1]]

    return re.sub(r"\$\{(\w+)\}", value, text)
