"""Code for columns that autoreg makes: marks of gaps, fences, parts of dates, mean targets, text.

Each piece adds columns to a dictionary ``new``; a program holds the pieces that its model needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoreg.data.parts import DATE_FORMATS, DAYS, MISSING
from autoreg.learned import Fences, Means, Words
from autoreg.model import Model
from autoreg.programs.words import literal

PIECES = {
    "GAPS": """\
    for name, source in GAPS.items():
        new[name] = frame[source].isna().astype(float)
""",
    "FENCES": """\
    for name, (low, high) in FENCES.items():
        new[name] = pd.to_numeric(frame[name]).clip(low, high)
""",
    "DATES": """\
    for name, parts in DATES.items():
        at = moments(frame[name])
        new |= {f"{name}: {part}": PARTS[part](at.dt).where(at.notna()) for part in parts}
""",
    "TARGETS": """\
    for name, (columns, levels, missing, unseen) in TARGETS.items():
        cells = frame[name].tolist()
        rows = [missing if pd.isna(one) else levels.get(text(one), unseen) for one in cells]
        new |= dict(zip(columns, np.array(rows, dtype=float).T, strict=True))
""",
    "TEXTS": """\
    for name, k in TEXTS.items():
        along = meaning(frame[name].tolist(), W[f"rarity_{k}"], W[f"directions_{k}"])
        new |= {f"{name}~{j + 1}": values for j, values in enumerate(along.T)}
""",
}
MADE = '''

def made(frame):
    """The table with the columns that are made of others."""
    new = {{}}
{pieces}    kept = frame.drop(columns=list(new), errors="ignore")
    return pd.concat([kept, pd.DataFrame(new, index=frame.index)], axis=1)
'''
MOMENTS = '''

def moments(cells):
    """Dates, all of one form, as moments without a time zone."""
    if pd.api.types.is_datetime64_any_dtype(cells):
        return cells.dt.tz_localize(None)
    there = cells.dropna().astype(str)
    read = [pd.to_datetime(there, format=f, utc=True, errors="coerce") for f in FORMATS]
    whole = [one for one in read if one.notna().all()]
    if not whole or any(not one.equals(whole[0]) for one in whole):
        raise ValueError(f"write the dates of {cells.name!r} as YYYY-MM-DD")
    return whole[0].dt.tz_localize(None).reindex(cells.index)


def turn(share, wave):
    """Where on a circle something is."""
    return wave(2 * np.pi * share)


def hour(at):
    """The time of day, as a share of it."""
    return (at.hour + at.minute / 60) / 24


PARTS = {
    "year": lambda at: at.year,
    "season_sin": lambda at: turn(at.day_of_year / 365.25, np.sin),
    "season_cos": lambda at: turn(at.day_of_year / 365.25, np.cos),
    "weekday": lambda at: at.day_of_week.map(dict(enumerate(DAYS))),
    "hour_sin": lambda at: turn(hour(at), np.sin),
    "hour_cos": lambda at: turn(hour(at), np.cos),
}
'''
MEANING = r'''

def meaning(documents, rarity, directions):
    """Where documents (n,) lie along directions: hashed words and pairs of words, by rarity."""
    counts = np.zeros((len(documents), len(rarity)))
    for row, document in enumerate(documents):
        words = [] if pd.isna(document) else WORD.findall(text(document).lower())
        for token in (*words, *map(" ".join, zip(words, words[1:], strict=False))):
            counts[row, zlib.crc32(token.encode()) % len(rarity)] += 1.0
    values = np.log1p(counts) * rarity
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(lengths > 0, lengths, 1.0) @ directions
'''
WORD = 'WORD = re.compile(r"[^\\W_]+(?:\'[^\\W_]+)?")'


@dataclass
class Made:
    """What a program needs for made columns; empty where there are none.

    ``arrays`` lie beside the program.
    """

    imports: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    code: str = ""
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


def made_code(model: Model) -> Made:
    """The code that makes a model's columns."""
    tables: dict[str, dict[str, Any]] = {key: {} for key in PIECES}
    arrays: dict[str, NDArray[Any]] = {}
    scaler = model.parameters.preprocessor
    for position, column in enumerate(model.columns):
        learned = scaler.learned.get(position)
        if column.part == MISSING:
            tables["GAPS"][column.name] = column.source
        elif column.part:
            tables["DATES"].setdefault(column.source, []).append(column.part)
        elif isinstance(learned, Fences):
            tables["FENCES"][column.name] = (_finite(learned.low), _finite(learned.high))
        elif isinstance(learned, Means):
            made = [scaler.names[k] for k in np.flatnonzero(scaler.groups == position)]
            missing, unseen, *means = learned.means.tolist()
            levels = dict(zip(column.levels, means, strict=True))
            tables["TARGETS"][column.name] = (made, levels, missing, unseen)
        elif isinstance(learned, Words):
            k = len(tables["TEXTS"])
            tables["TEXTS"][column.name] = k
            arrays |= {f"rarity_{k}": learned.rarity, f"directions_{k}": learned.directions}
    return _written({key: table for key, table in tables.items() if table}, arrays)


def _written(tables: dict[str, dict[str, Any]], arrays: dict[str, NDArray[Any]]) -> Made:
    if not tables:
        return Made()
    pieces = "".join(PIECES[key] for key in tables)
    words = "# What columns are made of: marks of gaps, fences, dates, mean targets, text."
    constants = [words, *(literal(key, table) for key, table in tables.items())]
    made = Made([], constants, "", arrays)
    if "DATES" in tables:
        made.constants += [literal("FORMATS", DATE_FORMATS), literal("DAYS", DAYS)]
        made.code += MOMENTS
    if "TEXTS" in tables:
        made.imports += ["import re", "import zlib"]
        made.constants.append(WORD)
        made.code += MEANING
    made.code += MADE.format(pieces=pieces)
    return made


def _finite(fence: float) -> float | None:
    return fence if np.isfinite(fence) else None
