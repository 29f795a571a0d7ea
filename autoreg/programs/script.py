"""A short program that is the winner: scikit-learn, torch for networks, numpy for ratings."""

from __future__ import annotations

import re

from autoreg.model import Model
from autoreg.programs.linear_code import linear_code
from autoreg.programs.made_code import made_code
from autoreg.programs.network_code import network_code
from autoreg.programs.numbers import beside
from autoreg.programs.rating_code import rating_code
from autoreg.programs.words import TEXT, columns, literal, title, written_by

RAW = "    raw = np.zeros"
INPUTS = '''

def inputs(frame):
    """Standardized inputs (n, q) of a table: gaps become means, categories indicators."""
    raw = np.zeros((len(frame), len(MEAN)))
    for name, place in NUMBERS.items():
        raw[:, place] = pd.to_numeric(frame[name])
    for name, (levels, missing, unseen) in CATEGORIES.items():
        for row, cell in enumerate(frame[name].tolist()):
            place = missing if pd.isna(cell) else levels.get(text(cell), unseen)
            if place is not None:
                raw[row, place] = 1.0
    unknown = np.isnan(raw) | (SCALE == 0)
    return np.where(unknown, 0.0, (raw - MEAN) / np.where(SCALE > 0, SCALE, 1.0))
'''

MAIN = """
if __name__ == "__main__":
    predict(pd.read_csv(sys.argv[1])).to_csv(sys.stdout, index=False)
"""


def script(model: Model, name: str) -> str:
    """The program's source; ``name`` is that of its file.

    >>> from autoreg.tracking.serving import made_up
    >>> "sklearn" in script(made_up(), "line")
    True
    """
    if model.parameters.family == "factorization":
        return rating_code(model, name)
    linear, made = model.parameters.family == "linear", made_code(model)
    head, body, refits = linear_code(model) if linear else (*network_code(model, name), False)
    numeric, levels = columns(model)
    usage = [f"    python {name}.py new.csv                # predictions, as CSV"]
    if refits:
        usage.append(f"    python {name}.py new.csv train.csv      # learned anew beforehand")
    if linear and made.arrays:
        head, made.constants = ["from pathlib import Path", *head], [*beside(name), *made.constants]
    package = "scikit-learn" if linear else "torch"
    parts = [
        f'"""{title(model)}.',
        "",
        *usage,
        "",
        f"{written_by()} Needs numpy, pandas and {package}.",
        '"""',
        "",
        *_imports(head, made.imports),
        "",
        "# The input that a column of numbers becomes.",
        literal("NUMBERS", numeric),
        "# For each category the inputs that are set by levels, by a gap, by a new level.",
        literal("CATEGORIES", levels),
        *([literal("CLASSES", list(model.classes))] if model.classes else []),
        body.constants,
        *made.constants,
        "",
        TEXT,
        made.code,
        INPUTS if not made.code else INPUTS.replace(RAW, f"    frame = made(frame)\n{RAW}"),
        body.code,
        body.main or MAIN,
    ]
    return _tidy("\n".join(parts))


def _imports(head: list[str], more: list[str]) -> list[str]:
    """The lines of the head, with more of the standard library's modules in their order."""
    blank = head.index("")
    own = sorted([*head[:blank], *more], key=lambda line: (line.startswith("from"), line))
    return [*own, *head[blank:]]


def _tidy(source: str) -> str:
    """No more than two empty lines on end."""
    return re.sub(r"\n{3,}", "\n\n\n", source)
