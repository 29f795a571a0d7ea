"""The catalogue: one file of this folder is one technique, found by walking the folder.

Third parties add techniques through the entry-point group ``autoreg.techniques``: the name of
the entry point is ignored, its value is a module that holds one :class:`Technique`.
"""

from __future__ import annotations

import difflib
import pkgutil
from functools import cache
from importlib import import_module, metadata

from autoreg.errors import SpaceError
from autoreg.techniques.base import Technique

__all__ = ["Technique", "catalogue", "technique"]


@cache
def catalogue() -> dict[str, type[Technique]]:
    """All techniques by key, in alphabetical order.

    >>> "ridge" in catalogue()
    True
    """
    modules = [f"{__name__}.{info.name}" for info in pkgutil.iter_modules(__path__)]
    modules += [point.value for point in metadata.entry_points(group="autoreg.techniques")]
    found = [_technique_of(module) for module in modules if module != f"{__name__}.base"]
    return {kind.key: kind for kind in sorted(found, key=lambda kind: kind.key)}


def technique(key: str) -> type[Technique]:
    """The technique of that key.

    Raises SpaceError, with the nearest known name, where there is none.

    >>> technique("lasso").rank
    2
    """
    known = catalogue()
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise SpaceError(f"unknown technique {key!r}; {hint}")
    return known[key]


def _technique_of(module: str) -> type[Technique]:
    members = vars(import_module(module)).values()
    kinds = [
        member
        for member in members
        if isinstance(member, type)
        and issubclass(member, Technique)
        and member.__module__ == module
    ]
    if len(kinds) != 1:
        raise TypeError(f"{module} must define exactly one technique, found {len(kinds)}")
    return kinds[0]
