"""Feature groups: which columns belong together, as the study declares it.

A group is a name and its members, column names or globs; or it is read off the names themselves:
with the separator ``_`` the columns ``gene1_a`` and ``gene1_b`` form the group ``gene1``.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from autoreg.data.dataset import Column
from autoreg.errors import DataError

GLOB = "*?["


def grouped(
    columns: Sequence[Column], wanted: Mapping[str, Sequence[str]] | str | None, place: str
) -> tuple[Column, ...]:
    """The same columns, each with its group; ``place`` is where they come from, for errors.

    Raises DataError where a member is no feature, a glob or separator finds nothing, or a column
    is in two groups.

    >>> columns = [Column(name, "numeric") for name in ("gene1_a", "gene1_b", "age")]
    >>> [column.group for column in grouped(columns, {"first": ["gene1_*"]}, "here")]
    ['first', 'first', '']
    >>> [column.group for column in grouped(columns, "_", "here")]
    ['gene1', 'gene1', '']
    """
    if wanted is None:
        return tuple(columns)
    names = [column.name for column in columns]
    if isinstance(wanted, str):
        found = _by_separator(names, wanted, place)
    else:
        found = _listed(names, wanted, place)
    return tuple(replace(column, group=found.get(column.name, "")) for column in columns)


def _by_separator(names: Sequence[str], separator: str, place: str) -> dict[str, str]:
    """The group of each column that agrees with another before the last separator."""
    stems = {name: name.rpartition(separator)[0] for name in names}
    counts = Counter(stem for stem in stems.values() if stem)
    found = {name: stem for name, stem in stems.items() if counts[stem] > 1}
    if not found:
        raise DataError(
            f"{place}: no two feature columns agree before the last {separator!r} (data: "
            f"feature_groups); choose another separator, or list the columns of each group"
        )
    return found


def _listed(
    names: Sequence[str], wanted: Mapping[str, Sequence[str]], place: str
) -> dict[str, str]:
    """The group of each column that is listed, or matched by a glob."""
    found: dict[str, str] = {}
    for group, members in wanted.items():
        for name in [name for member in members for name in _members(names, member, group, place)]:
            if found.setdefault(name, group) != group:
                raise DataError(
                    f"{place}: column {name!r} is in the feature groups {found[name]!r} and "
                    f"{group!r}; take it out of one of them"
                )
    return found


def _members(names: Sequence[str], member: str, group: str, place: str) -> list[str]:
    """The columns that a name or a glob stands for; a name comes first, whatever is in it."""
    if member in names:
        return [member]
    is_glob = any(letter in member for letter in GLOB)
    if matches := [name for name in names if is_glob and fnmatchcase(name, member)]:
        return matches
    what = "no feature column matches" if is_glob else "there is no feature column"
    literal = "".join(letter for letter in member if letter not in GLOB)
    near = difflib.get_close_matches(literal, names, n=1)
    some = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    hint = f"did you mean {near[0]!r}?" if near else f"the features are {some}"
    raise DataError(f"{place}: {what} {member!r} (data: feature_groups: {group}); {hint}")
