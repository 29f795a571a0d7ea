"""Study and search-space files: documents in, frozen models out; and seeds made from names.

Input is checked in two steps. This room checks the shape: unknown keys, types, bounds, each
with file and line and a "did you mean". The meaning (does the technique exist, does the range
fit) is checked in ``space.py``.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from autoreg.errors import SpecError
from autoreg.strictyaml import Where, parse

PACKAGE = Path(__file__).parent
NOUNS = {"studies": "study", "search_spaces": "search space"}
COMMANDS = {"studies": "studies", "search_spaces": "spaces"}
MAPPING, LIST = "a mapping of `key: value` lines", "a list such as [a, b]"
SHAPES = {"model_type": MAPPING, "dict_type": MAPPING, "tuple_type": LIST, "list_type": LIST}
# How pydantic names the parts of a union.
BRANCHES = {
    "str",
    "int",
    "float",
    "SpaceSpec",
    "constrained-str",
    "dict[str,tuple[str, ...]]",
    "tuple[str, ...]",
    "literal['all']",
}
AHEAD = 4  # of 24 trials a search of networks makes by default
NAMES = {"str", "constrained-str", "literal['all']"}  # of them, those that are one text


def seed_for(*names: str | int) -> int:
    """A seed in [0, 2**32) made from names, so no seed depends on the order of events.

    >>> seed_for(0, "outer", 3) == seed_for(0, "outer", 3) != seed_for(0, "outer", 4)
    True
    """
    text = json.dumps(names, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


class Frozen(BaseModel):
    """Base of all parts of a file: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


_M = TypeVar("_M", bound=Frozen)

# Strict, for `trials: true` would be read as 1 otherwise.
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Dials = dict[str, list[Whole | Number | str]]
Members = Annotated[tuple[str, ...], Field(min_length=1)]
Separator = Annotated[str, Field(min_length=1)]


class ImageSpec(Frozen):
    """The feature columns are the pixels of an image, row by row, the channels of a pixel together.

    Symmetries are changes of an image that leave its meaning as it was: only the user knows.
    """

    height: Whole = Field(ge=2, description="pixels from top to bottom")
    width: Whole = Field(ge=2, description="pixels from left to right")
    channels: Whole = Field(1, ge=1, description="numbers in each pixel")
    symmetries: tuple[Literal["shift", "rotate", "zoom", "flip", "erase"], ...] = Field(
        (), description="changes that leave the target as it was; flip is left to right"
    )

    @property
    def pixels(self) -> int:
        """How many columns an image takes."""
        return self.height * self.width * self.channels


class DataSpec(Frozen):
    """Where the rows come from, what is predicted, and which columns have a role."""

    source: str | None = Field(
        None, description="a bundled data set (breast_cancer, ...), or a CSV or Parquet file"
    )
    target: str | None = Field(None, description="the column to predict (files and tables)")
    task: Literal["regression", "count", "binary", "multiclass"] | None = Field(
        None, description="inferred from the target if left out; count never is"
    )
    group: str | None = Field(None, description="rows of one group are never split apart")
    time: str | None = Field(None, description="train on the past, judge on the future")
    weight: str | None = Field(None, description="row weights, used in fits and in scores")
    drop: tuple[str, ...] = Field((), description="columns to leave out")
    categorical: tuple[str, ...] = Field((), description="numeric columns that are categories")
    stream: bool = Field(
        False, description="sum a Parquet file of numbers up in one pass, never holding its rows"
    )
    feature_groups: dict[str, Members] | Separator | None = Field(
        None,
        description="columns that belong together: group -> column names or globs such as gene1_*; "
        "or a separator such as _, and columns that agree before the last one form a group",
    )
    image: ImageSpec | None = Field(
        None, description="all feature columns are pixels: height, width, channels, symmetries"
    )


class FoldsSpec(Frozen):
    """How the development rows are cut."""

    outer: Whole = Field(5, ge=2, description="outer folds: one whole search each")
    inner: Whole | None = Field(
        None,
        ge=2,
        description="inner folds; left out, the other outer folds serve as inner folds",
    )


class SelectSpec(Frozen):
    """How one candidate is chosen from a search."""

    rule: Literal["min", "one_se", "parsimonious"] = Field(
        "min", description="lowest loss; or stronger / simpler within one standard error of it"
    )
    guard: Literal["report", "strict", "off"] = Field(
        "report",
        description="what to do when the winner does not clearly beat the incumbent: say so, "
        "or keep the incumbent",
    )


class Training(Frozen):
    """How networks are trained; the same for all candidates of a study."""

    epochs: Whole = Field(60, ge=1, description="longest training, in passes over the rows")
    batch_size: Whole = Field(64, ge=2, description="rows in one optimizer step")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where networks are trained; auto takes a GPU where there is one"
    )
    stop_share: Number = Field(
        0.15, gt=0, lt=0.5, description="share of the training rows that early stopping watches"
    )


class LinearSpec(Frozen):
    """How linear models are fitted, and what the user knows of their coefficients."""

    loss: Literal["squared", "huber"] = Field(
        "squared", description="of regression: huber bounds the pull of outliers in the target"
    )
    non_negative: tuple[str, ...] | Literal["all"] = Field(
        (), description="numeric columns whose coefficients must not be negative; or all of them"
    )
    unpenalized: tuple[str, ...] = Field((), description="columns that no penalty touches")
    at_most: Whole | None = Field(None, ge=1, description="the most columns that may be used")

    @property
    def is_free(self) -> bool:
        """Whether there is no constraint at all."""
        return not (self.non_negative or self.unpenalized or self.at_most)


class FamilySpec(Frozen):
    """One model family of a space: its techniques, with narrowed ranges, and its share."""

    techniques: dict[str, Dials] = Field(
        description="technique -> dial -> [low, high] or a list of options; {} for the defaults"
    )
    share: Number = Field(0.0, ge=0, le=1, description="least share of the trials of a search")
    architecture: dict[str, list[Whole | Number | str]] = Field(
        default_factory=dict,
        description="network family: width, depth, learning_rate; schedule and embedding are "
        "searched only where they are named here",
    )

    @field_validator(
        "techniques", mode="before", json_schema_input_type=list[str] | dict[str, Dials | None]
    )
    @classmethod
    def _fill(cls, value: Any) -> Any:
        """Accept a list of names, and ``ridge:`` with nothing behind it."""
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            value = dict.fromkeys(value)
        if isinstance(value, dict):
            return {name: {} if dials is None else dials for name, dials in value.items()}
        return value


class IncumbentSpec(Frozen):
    """The default recipe that a winner has to beat."""

    family: str
    techniques: tuple[str, ...] = ()


class SpaceSpec(Frozen):
    """A search space: which techniques, over which ranges, in which families."""

    space: str = Field(description="the name of the space")
    about: str = Field("", description="what it is for, in words")
    families: dict[Literal["linear", "network"], FamilySpec] = Field(min_length=1)
    incumbent: IncumbentSpec
    path_points: Whole = Field(25, ge=3, le=100, description="strengths on a linear path")


class StudySpec(Frozen):
    """A study: a question about one data set and how it is to be answered."""

    study: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="name of the study")
    question: str = Field("", description="what the study is to find out, in words")
    data: DataSpec = Field(default_factory=DataSpec)
    space: str | SpaceSpec = Field(
        "linear_and_network", description="a shipped space, a YAML file, or a space in place"
    )
    trials: Whole = Field(24, ge=1, description="trials of each search: one per outer fold + 1")
    ahead: Whole | None = Field(
        None,
        ge=1,
        description="settings of a search that are tried at once: a setting learns from those that "
        "many before it; left out, 4 where networks are searched, to stack more of them, else 1",
    )
    minutes: Number | None = Field(None, gt=0, description="stop searching after that long")
    held_out: Annotated[Number, Field(gt=0, lt=0.9)] | None = Field(
        0.2, description="share of rows opened once, at the end; none for tiny data"
    )
    folds: FoldsSpec = Field(default_factory=FoldsSpec)
    select: SelectSpec = Field(default_factory=SelectSpec)
    training: Training = Field(default_factory=Training)
    linear: LinearSpec = Field(default_factory=LinearSpec)
    sampler: Literal["tpe", "gp", "random"] = Field("tpe", description="Optuna's sampler")
    metrics: tuple[str, ...] = Field((), description="the first is shown in the verdict")
    seed: Whole = Field(0, ge=0, description="same seed, same result")

    @field_validator(
        "held_out",
        mode="before",
        json_schema_input_type=Annotated[float, Field(gt=0, lt=0.9)] | Literal["none"] | None,
    )
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value == "none" else value

    @property
    def asks_ahead(self) -> int:
        """How many settings of a search are tried at once."""
        assert isinstance(self.space, SpaceSpec)
        return self.ahead or (AHEAD if "network" in self.space.families else 1)

    @property
    def digest(self) -> str:
        """A hash of the whole configuration: 16 hexadecimal digits."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# ---- reading ---------------------------------------------------------------------------------


def read_study(name_or_path: str | Path) -> StudySpec:
    """A study by shipped name or from a file; a space that it names is read in place.

    Raises SpecError naming file, line and remedy.

    >>> read_study("breast_cancer").data.source
    'breast_cancer'
    """
    path = _find(name_or_path, "studies")
    spec = _build(StudySpec, *parse(path), path)
    return resolved(spec, path.parent)


def read_space(name_or_path: str | Path, beside: Path | None = None) -> SpaceSpec:
    """A search space by shipped name or from a file (looked up beside the study, too)."""
    path = _find(name_or_path, "search_spaces", beside)
    return _build(SpaceSpec, *parse(path), path)


def study_from(document: dict[str, Any]) -> StudySpec:
    """A study from a dictionary, checked as strictly as a file."""
    return resolved(_build(StudySpec, document, {}, None), None)


def resolved(spec: StudySpec, beside: Path | None) -> StudySpec:
    """The same study with its space in place and its file path made absolute."""
    changes: dict[str, Any] = {}
    if isinstance(spec.space, str):
        changes["space"] = read_space(spec.space, beside)
    source = spec.data.source
    if source and beside and is_file_name(source) and not Path(source).is_absolute():
        changes["data"] = spec.data.model_copy(
            update={"source": str(_beside_or_here(source, beside))}
        )
    return spec.model_copy(update=changes)


def is_file_name(source: str) -> bool:
    """Whether a data source is a file and not the name of a bundled set."""
    return "/" in source or "\\" in source or Path(source).suffix != ""


def shipped(kind: Literal["studies", "search_spaces"]) -> dict[str, Path]:
    """The YAML files that come with autoreg, by name.

    >>> "quick" in shipped("search_spaces")
    True
    """
    inside, beside = PACKAGE / kind, PACKAGE.parent / kind
    folder = inside if inside.is_dir() else beside
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def json_schema(kind: Literal["study", "space"]) -> dict[str, Any]:
    """The JSON Schema of a study or space file, for editors and validators."""
    model = StudySpec if kind == "study" else SpaceSpec
    schema = model.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _beside_or_here(source: str, beside: Path) -> Path:
    """Paths in a file are relative to the file; the working folder is tried second."""
    near = beside / source
    return (near if near.exists() or not Path(source).exists() else Path(source)).resolve()


def _find(
    name_or_path: str | Path,
    kind: Literal["studies", "search_spaces"],
    beside: Path | None = None,
) -> Path:
    text = str(name_or_path)
    candidates = [Path(text)] if beside is None else [beside / text, Path(text)]
    if Path(text).suffix in {".yaml", ".yml"}:
        for path in candidates:
            if path.is_file():
                return path
        raise SpecError(f"{text}: there is no such file; `autoreg {COMMANDS[kind]}` lists names")
    known = shipped(kind)
    if text in known:
        return known[text]
    near = difflib.get_close_matches(text, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    raise SpecError(
        f"{text}: there is no shipped {NOUNS[kind]} of that name; {hint} "
        f"(a file of your own ends in .yaml)"
    )


# ---- mistakes in words ------------------------------------------------------------------------


def _build(model: type[_M], document: Any, lines: dict[Where, int], path: Path | None) -> _M:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        items = [item for item in error.errors() if not _about_a_name(item)]
        messages = [_explain(item, lines, path, model) for item in items]
        raise SpecError("\n".join(dict.fromkeys(messages))) from None


def _about_a_name(item: Any) -> bool:
    """Whether it says only that a part given in place, such as a space, is no name."""
    branch = item["loc"][-1] in NAMES and item["type"] in {"string_type", "literal_error"}
    return branch and isinstance(item["input"], dict | list | tuple)


def _explain(item: Any, lines: dict[Where, int], path: Path | None, model: type[Frozen]) -> str:
    where: Where = tuple(part for part in item["loc"] if part not in BRANCHES)
    line = next((lines[where[:k]] for k in range(len(where), 0, -1) if where[:k] in lines), None)
    place = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
    name = ".".join(str(part) for part in where) or "the document"
    if item["type"] == "extra_forbidden":
        known = _keys_at(model, where[:-1])
        near = difflib.get_close_matches(str(where[-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        return f"{place}unknown key {name!r}; {hint}"
    if item["type"] == "missing":
        return f"{place}{name} is missing"
    if item["type"] in SHAPES:
        return f"{place}{name}: write {SHAPES[item['type']]}, not {item['input']!r}"
    return f"{place}{name}: {item['msg'][0].lower()}{item['msg'][1:]}, not {item['input']!r}"


def _keys_at(model: type[Frozen], where: Where) -> list[str]:
    """The known keys of the part of a file that a place names."""
    if model is StudySpec and where == ("linear",):  # elsewhere a family of a space
        return list(LinearSpec.model_fields)
    parts: dict[str | int, type[Frozen]] = {
        "data": DataSpec,
        "image": ImageSpec,
        "folds": FoldsSpec,
        "select": SelectSpec,
        "training": Training,
        "space": SpaceSpec,
        "incumbent": IncumbentSpec,
        "linear": FamilySpec,
        "network": FamilySpec,
    }
    found = next((parts[part] for part in reversed(where) if part in parts), model)
    return list(found.model_fields)
