"""A factorization that won as numpy code; its numbers, and the names of users and items, lie beside
the program."""

from __future__ import annotations

from autoreg.model import Model
from autoreg.programs.words import TEXT, literal, title, written_by

PROGRAM = '''"""{title}.

    python {name}.py new.csv                # predictions, as CSV

{written_by} Needs numpy and pandas.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

{user}
{item}
W = dict(np.load(Path(__file__).with_name("{name}.npz"), allow_pickle=False))
USERS = {{one: k for k, one in enumerate(W["users"].tolist())}}
ITEMS = {{one: k for k, one in enumerate(W["items"].tolist())}}

{text}

def places(cells, known):
    """Where each cell is known; -1 for gaps and for names that training did not have."""
    named = [None if pd.isna(cell) else text(cell) for cell in cells.tolist()]
    return np.array([known.get(one, -1) for one in named], dtype=int)


def numbers(name):
    """An array with a row of zeros behind it, which is what -1 finds."""
    return np.append(W[name], 0 * W[name][:1], axis=0)


def predict(frame):
    """The rating of each row: the mean, the two levels, and what tastes add."""
    user, item = places(frame[USER], USERS), places(frame[ITEM], ITEMS)
    levels = W["mean"] + numbers("user_bias")[user] + numbers("item_bias")[item]
    tastes = (numbers("user_factors")[user] * numbers("item_factors")[item]).sum(axis=1)
    return pd.DataFrame({{"prediction": levels + tastes}})


if __name__ == "__main__":
    new = pd.read_csv(sys.argv[1], dtype={{USER: str, ITEM: str}})
    predict(new).to_csv(sys.stdout, index=False)
'''


def rating_code(model: Model, name: str) -> str:
    """The program's source; ``name`` is that of its file."""
    user, item = (model.columns[model.parameters.info[role]].name for role in ("user", "item"))
    return PROGRAM.format(
        title=title(model),
        name=name,
        written_by=written_by(),
        user=literal("USER", user),
        item=literal("ITEM", item),
        text=TEXT.strip("\n") + "\n",
    )
