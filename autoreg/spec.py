"""Study and search-space files: documents in, frozen models out; and seeds made from names.

Input is checked in two steps. This room checks the shape: unknown keys, types, bounds, each
with file and line and a "did you mean". The meaning (does the technique exist, does the range
fit) is checked in ``space.py``.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from autoreg.data_spec import DataSpec as DataSpec
from autoreg.data_spec import Dials, Number, Whole
from autoreg.data_spec import ImageSpec as ImageSpec
from autoreg.data_spec import OrderSpec as OrderSpec
from autoreg.deciding import PruneSpec, SelectSpec, SheetSpec
from autoreg.errors import SpecError
from autoreg.mistakes import Frozen, build
from autoreg.own_spec import EstimatorSpec, ModuleSpec, OwnSpec
from autoreg.strictyaml import Where, parse

PACKAGE = Path(__file__).parent
NOUNS = {"studies": "study", "search_spaces": "search space"}
COMMANDS = {"studies": "studies", "search_spaces": "spaces"}
EPOCHS, MOST_EPOCHS = 60, 160
STEPS = 1_200  # that a training should be able to take, where it is not too many epochs
AHEAD = 4  # of 24 trials a search of networks makes by default
MODULE = "module"  # the family of a user's own network
FamilyName = Literal["linear", "factorization", "network"]
FAMILY_NAMES: tuple[str, ...] = get_args(FamilyName)  # all others are of the user's own


def seed_for(*names: str | int) -> int:
    """A seed in [0, 2**32) made from names, so no seed depends on the order of events.

    >>> seed_for(0, "outer", 3) == seed_for(0, "outer", 3) != seed_for(0, "outer", 4)
    True
    """
    text = json.dumps(names, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


class FoldsSpec(Frozen):
    """How the development rows are cut."""

    outer: Whole = Field(5, ge=2, description="outer folds: one whole search each")
    inner: Whole | None = Field(
        None,
        ge=2,
        description="inner folds; left out, the other outer folds serve as inner folds",
    )
    outer_repeats: Whole = Field(
        1, ge=1, description="how often the rows are cut into outer folds; each cut is searched"
    )
    repeats: Whole | None = Field(
        None,
        ge=1,
        description="how often a search cuts its rows into inner folds; left out, once, or up to "
        "4 times where rows are fewer than 1,000 and all models linear",
    )


class Training(Frozen):
    """How networks are trained; the same for all candidates of a study."""

    epochs: Whole | None = Field(
        None,
        ge=1,
        description="longest training, in passes over the rows; left out, 60, for few rows to 160",
    )
    batch_size: Whole = Field(64, ge=2, description="rows in one optimizer step")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where networks are trained; auto takes a GPU where there is one"
    )
    members: Whole = Field(
        5, ge=1, description="networks that each refit averages, trained from other random numbers"
    )
    stop_share: Number = Field(
        0.15, gt=0, lt=0.5, description="share of the training rows that early stopping watches"
    )

    @property
    def longest(self) -> int:
        """The longest training in passes over the rows."""
        return self.epochs or EPOCHS

    def lasting(self, length: float) -> int:
        """The passes over the rows in a training of so many times the longest one, at least one.

        >>> Training(epochs=10).lasting(0.25), Training(epochs=10).lasting(4.0)
        (2, 40)
        """
        return max(1, round(self.longest * length))

    def on(self, rows: int) -> Training:
        """The same with a number of epochs, for a table of so many rows.

        >>> Training().on(200).longest, Training().on(5_000).longest, Training(epochs=7).longest
        (160, 60, 7)
        """
        least = STEPS * self.batch_size // max(1, rows)
        epochs = self.epochs or min(MOST_EPOCHS, max(EPOCHS, least))
        return self.model_copy(update={"epochs": epochs})


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
        description="network family: width, depth, learning_rate; schedule, embedding, "
        "categories and convolution are searched only where they are named here; factorization: "
        "factors",
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
    families: dict[FamilyName, FamilySpec] = Field(min_length=1)
    incumbent: IncumbentSpec
    path_points: Whole = Field(25, ge=3, le=100, description="strengths on a linear path")


OwnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class StudySpec(Frozen):
    """A study: a question about one data set and how it is to be answered."""

    study: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="name of the study")
    question: str = Field("", description="what the study is to find out, in words")
    data: DataSpec = Field(default_factory=DataSpec)
    space: str | SpaceSpec = Field(
        "linear_and_network", description="a shipped space, a YAML file, or a space in place"
    )
    estimators: dict[OwnName, EstimatorSpec] = Field(
        default_factory=dict, description="own estimators that join the search: name -> family"
    )
    network: ModuleSpec | None = Field(
        None, description="an own network that joins the search, as the family module"
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
    prune: PruneSpec = Field(default_factory=PruneSpec)
    linear: LinearSpec = Field(default_factory=LinearSpec)
    interval: Literal["nadeau_bengio", "bates"] = Field(
        "nadeau_bengio",
        description="bates: beside it, an interval of measured width, for a search more for each "
        "pair of outer folds",
    )
    permutations: Whole = Field(
        0, ge=0, description="repeat the whole study on so many permuted targets: a p-value"
    )
    attribution: bool = Field(
        True, description="where a network or a factorization wins: what each ingredient is worth"
    )
    first: tuple[dict[str, Any], ...] = Field((), description="settings that are tried first")
    sampler: Literal["auto", "tpe", "gp", "random"] = Field(
        "auto",
        description="Optuna's sampler; auto: gp for networks in searches of up to 100 trials, "
        "otherwise tpe",
    )
    metrics: tuple[str, ...] = Field((), description="the first is shown in the verdict")
    sheet: SheetSpec = Field(default_factory=SheetSpec)
    ignore: tuple[str, ...] = Field((), description="codes of alarms that are known to be harmless")
    seed: Whole = Field(0, ge=0, description="same seed, same result")

    @field_validator(
        "held_out",
        mode="before",
        json_schema_input_type=Annotated[float, Field(ge=0, lt=0.9)] | Literal["none"] | None,
    )
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value in ("none", 0) else value

    @field_validator("estimators")
    @classmethod
    def _have_names(cls, value: dict[str, EstimatorSpec]) -> dict[str, EstimatorSpec]:
        if taken := [name for name in value if name in (*FAMILY_NAMES, MODULE)]:
            raise ValueError(f"{taken[0]} is the name of another family; choose one of your own")
        return value

    @field_validator("prune")
    @classmethod
    def _by_what_is_chosen_by(cls, value: PruneSpec, known: ValidationInfo) -> PruneSpec:
        select = known.data.get("select")
        if value.is_on and select is not None and select.metric is not None:
            raise ValueError(
                f"prune compares losses, and select.metric chooses by {select.metric}: what is "
                f"pruned might have been chosen; leave one of them out"
            )
        return value

    @property
    def own(self) -> dict[str, OwnSpec]:
        """The families of the user's own, by name."""
        network = {} if self.network is None else {MODULE: self.network}
        return {**self.estimators, **network}

    @property
    def is_linear(self) -> bool:
        """Whether all models are linear, so that one more fold costs little."""
        assert isinstance(self.space, SpaceSpec)
        return set(self.space.families) == {"linear"} and not self.own

    @property
    def asks_ahead(self) -> int:
        """How many settings of a search are tried at once."""
        assert isinstance(self.space, SpaceSpec)
        return self.ahead or (AHEAD if "network" in self.space.families else 1)

    @property
    def digest(self) -> str:
        """A hash of all that the result depends on: 16 hexadecimal digits."""
        later = {"first", "estimators", "network"}  # left out, where they say nothing
        silent = {one for one in later if not getattr(self, one)}
        asides = {"ignore", "sheet", "attribution"} | silent
        text = json.dumps(self.model_dump(mode="json", exclude=asides), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# ---- reading ---------------------------------------------------------------------------------


def read_study(name_or_path: str | Path) -> StudySpec:
    """A study by shipped name or from a file; a space that it names is read in place.

    Raises SpecError naming file, line and remedy.

    >>> read_study("breast_cancer").data.source
    'breast_cancer'
    """
    path = _find(name_or_path, "studies")
    document, lines = parse(path)
    spec = build(StudySpec, document, lines, path)
    check_own(spec, lines, path)
    return resolved(spec, path.parent)


def read_space(name_or_path: str | Path, beside: Path | None = None) -> SpaceSpec:
    """A search space by shipped name or from a file (looked up beside the study, too)."""
    path = _find(name_or_path, "search_spaces", beside)
    return build(SpaceSpec, *parse(path), path)


def study_from(document: dict[str, Any]) -> StudySpec:
    """A study from a dictionary, checked as strictly as a file."""
    return resolved(build(StudySpec, document, {}, None), None)


def check_own(
    spec: StudySpec, lines: Mapping[Where, int] | None = None, path: Path | None = None
) -> None:
    """Look whether own families can be made, and have the dials that are named.

    Raises SpecError with one line for each mistake, with file and line where there is a file.
    """
    found = []
    for name, family in spec.own.items():
        where: Where = ("network",) if name == MODULE else ("estimators", name)
        for place, words in family.mistakes():
            line = (lines or {}).get((*where, *place))
            at = f"{path}:{line}: " if line else f"{path}: " if path else ""
            found.append(f"{at}{'.'.join(map(str, (*where, *place)))}: {words}")
    if found:
        raise SpecError("\n".join(found))


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
