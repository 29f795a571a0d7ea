"""The part of a study that is about families of the user's own, and what can be wrong with it."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from autoreg.data_spec import Dials, Number
from autoreg.dials import Choice, Dial, Range, Value
from autoreg.errors import SpecError
from autoreg.mistakes import Frozen
from autoreg.own import (
    Between,
    as_family,
    built,
    called,
    imported,
    is_estimator,
    missing,
    nearest,
    unknown_dials,
)
from autoreg.strictyaml import Where

TECHNIQUES = ("early_stopping", "weight_decay")
# Dials of training, whatever the module.
RATE, SCHEDULE, LENGTH = "learning_rate", "schedule", "training_length"
MODULE = ("torch.nn.modules.module", "Module")
NOTHING = inspect.Parameter.empty


def _number(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or (is_number and math.isfinite(value)):
        return value
    raise ValueError(f"must be a number, not {value!r}")


def _option(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"an option must be a number, a word, true, false or null, not {value!r}")


Bound = Annotated[float | int | None, BeforeValidator(_number)]
Option = Annotated[Any, BeforeValidator(_option)]


class DialSpec(Frozen):
    """A dial of an own family: from low to high, or one of some options."""

    low: Bound = Field(None, description="the lowest value")
    high: Bound = Field(None, description="the highest; whole numbers where both bounds are whole")
    log: bool = Field(False, strict=True, description="counted on a logarithmic scale")
    default: Option = Field(None, description="what the first trial has")
    options: tuple[Option, ...] = Field((), description="instead of bounds: what may be chosen")

    @model_validator(mode="after")
    def _sane(self) -> Self:
        low, high = self.low, self.high
        if self.options:
            if low is not None or high is not None or self.log:
                raise ValueError("give either options or bounds")
            if self.default is not None and self.default not in self.options:
                raise ValueError(f"the default {self.default!r} is none of {list(self.options)}")
            if len(set(map(repr, self.options))) < len(self.options):
                raise ValueError(f"an option is given twice in {list(self.options)}")
            return self
        if low is None or high is None:
            raise ValueError("write a dial as {low: 1, high: 10}, or as a list of options")
        if low >= high or (self.log and low <= 0):
            above = " above 0" if self.log else ""
            raise ValueError(f"the bounds{above} must rise, not go from {low} to {high}")
        if self.default is not None and not self._range("", self.default).contains(self.default):
            raise ValueError(f"the default {self.default!r} is not between {low} and {high}")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def dial(self, name: str, own: Any = NOTHING) -> Dial:
        """The dial; ``own`` is what the family has anyway, the default where it is in reach."""
        if self.options:
            known = list(map(repr, self.options))  # 1 and True are two options
            wanted: Any = own if repr(own) in known else self.options[0]
            return Choice(name, self.options, wanted if self.default is None else self.default)
        if self.default is not None:
            return self._range(name, self.default)
        number = isinstance(own, int | float) and not isinstance(own, bool)
        dial = self._range(name, self.low)
        return self._range(name, own if number and dial.contains(own) else dial.at(0.5))

    def _range(self, name: str, default: Any) -> Range:
        kind = int if self.is_whole else float
        low, high = (kind(bound) for bound in (self.low, self.high) if bound is not None)
        return Range(name, low, high, kind(default), self.log, self.is_whole)


class OwnSpec(Frozen):
    """Base of both kinds of own families: what makes their models, and its dials."""

    path: str = Field(
        pattern=r"^\w+(\.(\w+|<locals>))+$", description="class of an installed package"
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="its parameters; {path: ..., params: ...} in them makes another estimator, "
        "{tuple: [1, 2]} a tuple",
    )
    dials: dict[str, DialSpec] = Field(
        default_factory=dict, description="parameter -> {low, high, log, default}, or options"
    )
    share: Number = Field(0.0, ge=0, le=1, description="least share of the trials of a search")
    # What was handed over in Python; a study that was read from a file has none.
    _given: Any = PrivateAttr(None)

    @model_validator(mode="wrap")
    @classmethod
    def _from_family(cls, value: Any, handler: Any) -> Any:
        family = as_family(value)
        if family is None:
            return handler(value)
        try:
            spec = handler(family.document)
        except SpecError as error:
            raise ValueError(str(error)) from None
        spec._given = family.maker
        return spec

    @field_validator("dials", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """Accept a list of options, and what Python says with ``Between``."""
        if not isinstance(value, Mapping):
            return value
        return {name: _dial_document(one) for name, one in value.items()}

    @property
    def named(self) -> str:
        """The name of what makes the models."""
        return self.path.rpartition(".")[2]

    @abstractmethod
    def mistakes(self) -> Iterator[tuple[Where, str]]:
        """What is wrong, each with its place in the family's part of a file."""

    @property
    @abstractmethod
    def box(self) -> tuple[Dial, ...]:
        """The dials that a search turns, by name."""


class EstimatorSpec(OwnSpec):
    """A family of models that an estimator of scikit-learn's kind makes."""

    def fresh(self) -> Any:
        """An estimator that was never fitted; SpecError where it cannot be made."""
        from sklearn.base import clone

        if self._given is not None:
            return self._given() if isinstance(self._given, type) else clone(self._given)
        kind = imported(self.path)
        if not is_estimator(kind):
            raise SpecError(f"{self.path} is no estimator: it lacks {missing(kind)}")
        return called(kind, built(self.params), self.path)

    def mistakes(self) -> Iterator[tuple[Where, str]]:
        """A class that cannot be had, and dials that it has not."""
        try:
            known = self.fresh().get_params(deep=True)
        except (SpecError, TypeError, RuntimeError) as error:  # of clone, too
            yield ("path",), str(error)
            return
        for name in self.dials:
            if name not in known:
                hint = nearest(name, list(known)) or f"; it has {', '.join(sorted(known))}"
                yield ("dials", name), f"{self.named} has no parameter {name!r}{hint}"

    @property
    def box(self) -> tuple[Dial, ...]:
        """The dials by name; the estimator's own parameters are their defaults."""
        own = self.fresh().get_params(deep=True)
        return tuple(one.dial(name, own[name]) for name, one in sorted(self.dials.items()))


def _default_techniques() -> dict[str, Dials]:
    return {name: {} for name in TECHNIQUES}


class ModuleSpec(OwnSpec):
    """The family of the user's own network: modules of torch, trained as autoreg's networks are."""

    techniques: dict[str, Dials] = Field(
        default_factory=_default_techniques,
        description="technique -> dial -> [low, high]; early stopping and weight decay by default",
    )

    @field_validator(
        "techniques", mode="before", json_schema_input_type=list[str] | dict[str, Dials | None]
    )
    @classmethod
    def _fill(cls, value: Any) -> Any:
        """Accept a list of names, and a name with nothing behind it."""
        if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
            value = dict.fromkeys(value)
        if isinstance(value, dict):
            return {name: {} if dials is None else dials for name, dials in value.items()}
        return value

    @property
    def factory(self) -> Any:
        """What makes modules: called with inputs, outputs, and the dials by name."""
        if self._given is not None:
            return self._given
        kind = imported(self.path)
        if MODULE not in {(base.__module__, base.__name__) for base in kind.__mro__}:
            raise SpecError(f"{self.path} is no torch.nn.Module")
        return partial(kind, **built(self.params)) if self.params else kind

    def mistakes(self) -> Iterator[tuple[Where, str]]:
        """A class that cannot be had, and dials that it does not take."""
        try:
            factory = self.factory
        except SpecError as error:
            yield ("path",), str(error)
            return
        dials = [name for name in self.dials if name not in (RATE, SCHEDULE, LENGTH)]
        for name in unknown_dials(factory, self.params, dials):
            taken = list(inspect.signature(factory).parameters)[2:]
            hint = nearest(name, taken) or f"; it takes {', '.join(taken) or 'none'}"
            yield ("dials", name), f"{self.named} takes no argument {name!r}{hint}"

    @property
    def box(self) -> tuple[Dial, ...]:
        """The dials by name; those of the factory's own defaults begin with them."""
        known = inspect.signature(self.factory).parameters
        own = {name: one.default for name, one in known.items()}
        return tuple(
            one.dial(name, own.get(name, NOTHING)) for name, one in sorted(self.dials.items())
        )


def _dial_document(one: Any) -> Any:
    if isinstance(one, Between):
        return vars(one)
    return {"options": list(one)} if isinstance(one, list | tuple) else one


def settings(architecture: tuple[tuple[str, Value], ...]) -> dict[str, Value]:
    """The dials of a candidate that a module's maker is told: all but those of its training."""
    return {name: value for name, value in architecture if name not in (RATE, SCHEDULE, LENGTH)}
