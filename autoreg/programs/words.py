"""What programs say of a model: its name, its columns as Python literals, its numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoreg import __version__
from autoreg.candidate import Candidate
from autoreg.data.dataset import Floats
from autoreg.errors import AutoregError
from autoreg.model import Model
from autoreg.preprocess import FIRST_LEVEL, MISSING, NOWHERE, UNSEEN

WIDTH = 96
# Part of every program: what a level is called.
TEXT = '''
def text(cell):
    """A level as text: 1 and 1.0 are the same."""
    whole = isinstance(cell, float) and cell.is_integer()
    return str(int(cell)) if whole else str(cell)
'''


def chosen(model: Model) -> Candidate | None:
    """The candidate that the model is a fit of; None where nobody knows it any more."""
    document = model.about.get("candidate")
    try:
        return Candidate.from_data(document) if document else None
    except AutoregError:  # a technique of a package that is not installed here
        return None


def title(model: Model) -> str:
    """What the model is, in a line."""
    one = chosen(model)
    what = one.describe() if one else f"a {model.parameters.family} model"
    study = model.about.get("study")
    return f"{f'{study}: ' if study else ''}{what}; {model.task} of {model.target}"


def written_by() -> str:
    """Who wrote a program."""
    return f"Written by autoreg {__version__}, which it does not need."


def columns(model: Model) -> tuple[dict[str, int], dict[str, Any]]:
    """Columns of numbers with their input; categorical ones with those of levels, gap, unseen.

    An input of None stands for a cell that sets no indicator. What a column becomes by learning is
    as many columns of numbers.
    """
    scaler = model.parameters.preprocessor
    numeric: dict[str, int] = {}
    levels: dict[str, Any] = {}
    for position, column in enumerate(model.columns):
        if position not in scaler.lookups:
            places = np.flatnonzero(scaler.groups == position).tolist()
            numeric |= {scaler.names[place]: place for place in places}
            continue
        slots = [None if one == NOWHERE else int(one) for one in scaler.lookups[position]]
        known = dict(zip(column.levels, slots[FIRST_LEVEL:], strict=True))
        levels[column.name] = (known, slots[MISSING], slots[UNSEEN])
    return numeric, levels


def literal(name: str, value: Any) -> str:
    """A constant as a line of Python, or as several.

    >>> print(literal("CLASSES", ["no", "yes"]))
    CLASSES = ['no', 'yes']
    """
    text = pformat(value, width=WIDTH - len(name), compact=True, sort_dicts=False)
    return f"{name} = {textwrap.indent(text, ' ' * (len(name) + 3)).lstrip()}"


def array(name: str, values: Floats) -> str:
    """An array as a line of Python, with every digit."""
    text = pformat(values.tolist(), width=WIDTH - len(name) - 12, compact=True)
    return f"{name} = np.array({textwrap.indent(text, ' ' * (len(name) + 12)).lstrip()})"


def beside(name: str) -> list[str]:
    """Lines that read the arrays beside the program of that name."""
    return [
        f'W = np.load(Path(__file__).with_name("{name}.npz"), allow_pickle=False)',
        "W = {key: W[key].astype(float) for key in W.files}",
    ]


def names_of(model: Model, role: str) -> NDArray[np.str_]:
    """The names of the users or items that a factorization knows, in the order of its numbers."""
    info = model.parameters.info
    levels = model.columns[info[role]].levels
    return np.array([levels[k] for k in info[f"{role}s"]], dtype=np.str_)


def numbers(model: Model, made: Mapping[str, NDArray[Any]], path: Path) -> Path | None:
    """Write the numbers of a model beside its program; linear programs hold their own.

    ``made`` are arrays that columns are made by.
    """
    known = model.parameters
    if known.family == "linear" and not made:
        return None
    if known.family == "factorization":
        arrays = {
            **known.arrays,
            **{f"{role}s": names_of(model, role) for role in ("user", "item")},
        }
    elif known.family == "linear":
        arrays = dict(made)
    else:
        scaler = known.preprocessor
        arrays = {**known.arrays, **made, "mean": scaler.mean, "scale": scaler.scale}
    np.savez(path, allow_pickle=False, **arrays)
    return path
