"""Data in: a bundled set, a file, a frame or arrays become one ``Dataset``.

Everything that can be wrong with a table is found here, before anything is fitted, and said
with file, column and row. Nothing is learned from the values except the schema: which columns
exist, their levels, the task and the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autoreg.data import bundled, files
from autoreg.data.border import as_frame
from autoreg.data.dataset import Column, Dataset, Floats, Rows
from autoreg.data.dates import moments
from autoreg.data.encoding import describe, encode, features
from autoreg.data.groups import grouped
from autoreg.data.table import Table, marks, numbers, refuse_missing
from autoreg.data.target import read_target
from autoreg.errors import DataError
from autoreg.spec import DataSpec, ImageSpec, OrderSpec, is_file_name

__all__ = ["Column", "Dataset", "describe", "encode", "load"]

IN_MEMORY = "in memory"
ROLES = ("group", "time", "weight", "fold")  # of columns that are no features
RATED = ("user", "item")  # of features that mean something together


def load(spec: DataSpec, data: Any = None, *, name: str = "data") -> Dataset:
    """Read the rows that a study is about and give columns their roles.

    ``data`` is a table (pandas, polars, Arrow, ...) that holds ``spec.target``, or a pair (X, y)
    of tables, arrays or sparse matrices; left out, ``spec.source`` names a bundled set or a file.
    Roles (group, time, weight) are taken out of the features. The task is inferred where
    ``spec.task`` is None. Raises DataError naming the place and the remedy.

    >>> data = load(DataSpec(source="iris"))
    >>> data.X.shape, data.task, data.classes
    ((150, 4), 'multiclass', ('setosa', 'versicolor', 'virginica'))
    """
    table, target = _source(spec, data, name)
    roles = {role: column for role in ROLES if (column := _role(spec, role))}
    _check_columns(table, spec, target, roles)
    y, task, classes = read_target(table, target, spec.task)
    taken = {target, *roles.values(), *spec.drop}
    names = [one for one in table.names if one not in taken]
    if not names:
        raise DataError(f"{table.place}: no feature column is left beside target and roles")
    columns, X = features(table, names, spec)
    _check_pixels(spec.image, columns, table.place)
    return Dataset(
        name=Path(table.place).name.split(".")[0] if data is None else name,
        columns=grouped(columns, spec.feature_groups, table.place),
        X=X,
        y=y,
        task=task,
        target=target,
        classes=classes,
        group=_groups(table, roles["group"]) if "group" in roles else None,
        time=moments(table, roles["time"]) if "time" in roles else None,
        weight=_weights(table, roles["weight"]) if "weight" in roles else None,
        source=table.place if data is None else IN_MEMORY,
        roles={**roles, **{role: one for role in RATED if (one := getattr(spec, role))}},
        image=spec.image,
        fold=_groups(table, roles["fold"], "the fold") if "fold" in roles else None,
        order=spec.order,
        marks=marks(table),
    )


# ---- where the table comes from ----------------------------------------------------------------


def _source(spec: DataSpec, data: Any, name: str) -> tuple[Table, str]:
    if data is not None and spec.source is not None:
        raise DataError(
            f"the study names data: source {spec.source} and a table was handed over; leave out "
            f"one of them"
        )
    if (frame := as_frame(data)) is not None:
        return _with_target(Table.build(frame, name), spec.target)
    if isinstance(data, tuple | list) and len(data) == 2:
        return _from_pair(data[0], data[1], spec.target, name)
    if data is not None:
        raise DataError(
            f"{name}: expected a table (pandas, polars, Arrow, ...) or a pair (X, y), not "
            f"{type(data).__name__}"
        )
    if spec.source is None:
        raise DataError("there is no data: name data: source in the study, or hand over a table")
    if is_file_name(spec.source):
        as_written = (*spec.categorical, *spec.mean_target, *spec.text)
        names = {*as_written, *filter(None, [spec.group, spec.user, spec.item])}
        return _with_target(files.read(spec.source, text=names), spec.target)
    table, usual_target = bundled.read(spec.source)
    return table, spec.target or usual_target


def _with_target(table: Table, target: str | None) -> tuple[Table, str]:
    if target is None:
        raise DataError(f"{table.place}: which column is to be predicted? set data: target")
    return table, target


def _from_pair(X: Any, y: Any, target: str | None, name: str) -> tuple[Table, str]:
    frame, labels = _frame(X, name), _series(y, name)
    if len(frame) != len(labels):
        raise DataError(f"{name}: X has {len(frame)} rows and y has {len(labels)}; they must agree")
    target = target or str(labels.name if labels.name is not None else "target")
    if target in {str(one) for one in frame.columns}:
        raise DataError(f"{name}: X holds a column {target!r}, the name of y; remove or rename it")
    whole = pd.concat([frame.reset_index(drop=True), labels.reset_index(drop=True)], axis=1)
    whole.columns = pd.Index([*frame.columns, target])
    return Table.build(whole, name), target


def _frame(X: Any, name: str) -> pd.DataFrame:
    if (frame := as_frame(X)) is not None:
        return frame
    array = np.asarray(X.toarray() if hasattr(X, "toarray") else X)
    if array.ndim != 2:
        raise DataError(
            f"{name}: X must be a table of rows and columns, not {array.ndim}-dimensional"
        )
    return pd.DataFrame(array, columns=[f"x{position}" for position in range(array.shape[1])])


def _series(y: Any, name: str) -> pd.Series[Any]:
    if isinstance(y, pd.Series):
        return y
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"{name}: y must be one column, not of shape {array.shape}")
    return pd.Series(array)


# ---- roles -------------------------------------------------------------------------------------


def _role(spec: DataSpec, role: str) -> str | None:
    return getattr(spec, role)  # type: ignore[no-any-return] # each role is a field


def _check_columns(table: Table, spec: DataSpec, target: str, roles: dict[str, str]) -> None:
    """Every name that the study gives must exist, and have one job only."""
    if spec.order != OrderSpec() and spec.time is None:
        raise DataError("data: order is about rows in the order of time; declare data: time, too")
    if spec.order.embargo and spec.order.window != "both_sides":
        raise DataError(
            f"data: order: embargo is for rows after those that judge, and window "
            f"{spec.order.window} never trains on them; leave it out, or use gap"
        )
    if (spec.user is None) != (spec.item is None):
        raise DataError("data: user and data: item belong together: who rates, and what; name both")
    asked = [("target", target), *roles.items(), *(("drop", one) for one in spec.drop)]
    kinds = {kind: getattr(spec, kind) for kind in ("categorical", "mean_target", "text", "dates")}
    kinds |= {role: (one,) for role in RATED if (one := getattr(spec, role))}
    treated = [(kind, one) for kind, names in kinds.items() for one in names]
    for role, column in [*asked, *treated]:
        table.require(column, f"data: {role}")
    first: dict[str, str] = {}
    for role, column in asked:
        # Leave one group out: the groups are the folds.
        if first.setdefault(column, role) != role and {first[column], role} != {"group", "fold"}:
            raise DataError(
                f"{table.place}: column {column!r} is both {first[column]} and {role}; choose one"
            )
    for kind, column in treated:
        known = first.setdefault(column, kind)
        if any({known, kind} <= {"categorical", "mean_target", role} for role in RATED):
            continue
        if known != kind:
            what = f"cannot be {kind}" if known in kinds else "no feature"
            raise DataError(
                f"{table.place}: column {column!r} is {known} and so {what}; take it out of data: "
                f"{kind}"
            )


def _check_pixels(image: ImageSpec | None, columns: Sequence[Column], place: str) -> None:
    """Raise where an image is declared and the feature columns are not its pixels."""
    if image is None:
        return
    if named := [column.name for column in columns if column.is_categorical]:
        raise DataError(
            f"{place}: column {named[0]!r} is a category and no pixel (data: image); drop it, or "
            f"leave image out"
        )
    if len(columns) != image.pixels:
        raise DataError(
            f"{place}: {len(columns)} feature columns are not the {image.height} x {image.width} x "
            f"{image.channels} = {image.pixels} pixels of data: image; correct its size, or drop "
            f"the columns that are no pixels"
        )


def _groups(table: Table, name: str, what: str = "the group") -> Rows:
    refuse_missing(table, name, what)
    codes, _ = pd.factorize(table.frame[name])
    return np.asarray(codes, dtype=np.int64)


def _weights(table: Table, name: str) -> Floats:
    weights = numbers(table, name)
    bad = ~(weights > 0)
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"{table.cell(name, first)}: the weight {weights[first]:g} is not above 0; correct "
            f"it or remove the row"
        )
    return weights
