"""What programs say of a model: its name, its columns as Python literals, its numbers."""

from __future__ import annotations

import textwrap
from pprint import pformat
from typing import Any

import numpy as np

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
