"""A schema in words: what each column is taken for, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autoreg.data.dataset import Column

TREATED = {"": "", "fences": ", outliers pulled in", "target": ", as mean target across folds"}


def schema_lines(columns: Sequence[Column]) -> Iterator[str]:
    """One line for each column of the table.

    >>> city = Column("city", "categorical", ("Bonn", "Rome"))
    >>> list(schema_lines([Column("age", "numeric"), city]))
    ['age: numbers', 'city: 2 categories (Bonn, Rome)']
    """
    parts: dict[str, list[str]] = {}
    for column in columns:
        if column.part:
            parts.setdefault(column.source, []).append(column.part)
    told: set[str] = set()
    for column in columns:
        if column.part and column.part != "missing":
            if column.source not in told:
                told.add(column.source)
                yield f"{column.source}: dates, as {', '.join(parts[column.source])}"
        elif not column.part:
            gaps = ", gaps marked" if "missing" in parts.get(column.name, ()) else ""
            yield f"{column.name}: {_what(column)}{TREATED[column.treated]}{gaps}"


def _what(column: Column) -> str:
    if column.kind == "numeric":
        return "numbers"
    if column.kind == "text":
        return "text, as directions of meaning"
    if set(column.levels) <= {"False", "True"}:
        return "yes or no"
    some = ", ".join(column.levels[:4]) + (", ..." if len(column.levels) > 4 else "")
    return f"{len(column.levels)} categories ({some})"
