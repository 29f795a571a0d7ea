"""What a study knows of its linear models, checked against the table before anything is fitted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from autoreg.data.dataset import Dataset
from autoreg.errors import DataError, SpecError
from autoreg.spec import LinearSpec, SpaceSpec


def check_linear(linear: LinearSpec, space: SpaceSpec, table: Dataset) -> None:
    """Whether the loss and the constraints of linear models can be meant for this table.

    Raises SpecError where they contradict each other, the task or the space, DataError where they
    name a column that is not there or cannot obey.

    >>> from autoreg.data import load
    >>> from autoreg.spec import DataSpec, read_space
    >>> wine, space = load(DataSpec(source="wine")), read_space("linear")
    >>> check_linear(LinearSpec(at_most=3, unpenalized=("alcohol",)), space, wine)
    """
    if linear.is_free and linear.loss == "squared":
        return
    if "linear" not in space.families:
        raise SpecError(
            f"linear: search space {space.space} has no linear family, so nothing would obey; add "
            f"the family to the space, or leave `linear` out of the study"
        )
    if linear.loss == "huber" and table.task != "regression":
        raise SpecError(
            f"linear: loss: huber is for regression, and the task is {table.task}; leave it out"
        )
    _check_names(table, linear.unpenalized, "unpenalized")
    _check_non_negative(linear, table)
    _check_at_most(linear, table)


def _check_names(table: Dataset, wanted: Iterable[str], key: str) -> None:
    names = [column.name for column in table.columns]
    for name in wanted:
        if name in names:
            continue
        near = difflib.get_close_matches(name, names, n=1)
        some = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        hint = f"did you mean {near[0]!r}?" if near else f"the features are {some}"
        what = f"there is no feature column {name!r} (linear: {key})"
        raise DataError(f"{table.name}: {what}; {hint}")


def _check_non_negative(linear: LinearSpec, table: Dataset) -> None:
    numeric = [column.name for column in table.columns if not column.is_categorical]
    if linear.non_negative == "all":
        if not numeric:
            raise DataError(
                f"{table.name}: no column is numeric, so linear: non_negative: all holds for none; "
                f"leave it out"
            )
        return
    _check_names(table, linear.non_negative, "non_negative")
    if other := [name for name in linear.non_negative if name not in numeric]:
        raise DataError(
            f"{table.name}: column {other[0]!r} is categorical, and the effect of a level has a "
            f"sign only beside other levels; take it out of linear: non_negative"
        )


def _check_at_most(linear: LinearSpec, table: Dataset) -> None:
    if linear.at_most is None:
        return
    if linear.at_most > len(table.columns):
        raise DataError(
            f"{table.name}: linear: at_most is {linear.at_most}, and the table has "
            f"{len(table.columns)} feature column(s); ask for fewer, or leave it out"
        )
    if (kept := len(set(linear.unpenalized))) > linear.at_most:
        raise SpecError(
            f"linear: {kept} columns are unpenalized, and at_most is {linear.at_most}; unpenalized "
            f"columns are always used, so raise at_most or take some out"
        )
