"""The data sets that come with scikit-learn, and generated ones, by name; nothing is downloaded.

Why ``diabetes`` is taken unscaled: scikit-learn offers it standardized over all rows, held-out
ones included; here everything that learns from data learns from training rows only.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import pandas as pd

from autoreg.data import generated
from autoreg.data.table import Table
from autoreg.errors import DataError


def _labelled(name: str, target: str) -> tuple[pd.DataFrame, str]:
    bunch = _bunch(name)
    return bunch.data.assign(**{target: bunch.target_names[bunch.target]}), target


def _diabetes() -> tuple[pd.DataFrame, str]:
    bunch = _bunch("diabetes", scaled=False)
    return bunch.data.assign(progression=bunch.target), "progression"


def _bunch(name: str, **options: bool) -> Any:
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(as_frame=True, **options)


SETS: dict[str, Callable[[], tuple[pd.DataFrame, str]]] = {
    "breast_cancer": lambda: _labelled("breast_cancer", "diagnosis"),
    "diabetes": _diabetes,
    "digits": lambda: _labelled("digits", "digit"),
    "iris": lambda: _labelled("iris", "species"),
    "wine": lambda: _labelled("wine", "cultivar"),
    "demand": generated.demand,
    "genes": generated.genes,
    "patients": generated.patients,
    "ratings": generated.ratings,
    "returns": generated.returns,
    "reviews": generated.reviews,
}


def read(name: str) -> tuple[Table, str]:
    """A bundled data set and the name of its usual target.

    Raises DataError for an unknown name, with the nearest known one.

    >>> table, target = read("iris")
    >>> table.frame.shape, target
    ((150, 5), 'species')
    """
    if name not in SETS:
        near = difflib.get_close_matches(name, SETS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(SETS)}"
        raise DataError(
            f"data source {name!r}: there is no bundled data set of that name; {hint} "
            f"(a file needs its ending, such as {name}.csv)"
        )
    frame, target = SETS[name]()
    return Table.build(frame, name), target
