"""Documents against their models: each mistake in words, with file, line and the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from autoreg.errors import SpecError
from autoreg.strictyaml import Where

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
NAMES = {"str", "constrained-str", "literal['all']"}  # of them, those that are one text


class Frozen(BaseModel):
    """Base of all parts of a file: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


_M = TypeVar("_M", bound=Frozen)


def build(model: type[_M], document: Any, lines: dict[Where, int], path: Path | None) -> _M:
    """A checked part of a file; raises SpecError with one line for each mistake."""
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
    if item["type"] == "value_error":
        return f"{place}{name}: {item['ctx']['error']}"
    return f"{place}{name}: {item['msg'][0].lower()}{item['msg'][1:]}, not {item['input']!r}"


def _keys_at(model: type[BaseModel], where: Where) -> list[str]:
    """The known keys of the part of a file that a place names."""
    for part in where:
        field = model.model_fields.get(str(part))
        # The key of a mapping, such as the name of a family, stays in the same part.
        inner = next(_models(field.annotation), model) if field else model
        model = inner
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        yield from _models(one)
