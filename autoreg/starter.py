"""The first study of one's own: look at a table and write a commented study file for it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from autoreg.data import load
from autoreg.data.dataset import Dataset
from autoreg.data.encoding import describe
from autoreg.spec import DataSpec, json_schema

SCHEMA_FILE = "autoreg-study.schema.json"
TINY = 100
WORDS = {"null", "true", "false"}  # which YAML would not read as text

TEMPLATE = """\
# yaml-language-server: $schema={schema}
#
# {file}: {rows} rows, {columns} features ({numeric} numeric, {categorical} categorical),
# {missing} missing cells. Target {target}: {task}{classes}.

study: {study}
question: >-
  Which regularization predicts {target} best, how strong, and how well on unseen rows?

data:
  source: {source}
  target: {target_yaml}
{task_line}
{roles}
# What may be tried: `autoreg spaces` lists the shipped spaces, a file of your own works too.
space: linear_and_network

# Trials of EACH search: one search for each outer fold, and a final one on all development rows.
trials: 24
# minutes: 10                    # or stop after that long, at a complete round

# Rows set aside at the source and opened once, at the very end; none for tiny data.
held_out: {held_out}
folds:
  outer: 5                       # each fold judges a whole search that never saw it

select:
  rule: min                      # or one_se (stronger), parsimonious (simpler)
  guard: report                  # or strict: keep the incumbent unless the winner is clearly better

seed: 0
"""


def starter_study(
    data: Path,
    target: str,
    *,
    group: str | None = None,
    time: str | None = None,
    name: str | None = None,
) -> tuple[Path, str]:
    """The path and the text of a study file for a table; the table is read and checked.

    Raises DataError where the table cannot answer a question about that target.
    """
    roles = {"group": group, "time": time}
    table = load(DataSpec(source=str(data), target=target, group=group, time=time))
    facts = describe(table)
    study = name or re.sub(r"[^A-Za-z0-9_-]+", "_", data.name.split(".")[0]).strip("_") or "study"
    path = Path(f"{study}.yaml")
    text = TEMPLATE.format(
        schema=SCHEMA_FILE,
        file=data.name,
        study=study,
        source=_quoted(str(data)),
        target=target,
        target_yaml=_quoted(target),
        roles=_roles(roles),
        task_line=f"  task: {facts['task']}".ljust(33) + f"# inferred; {_other_task(table)}",
        held_out="none" if facts["rows"] < TINY else 0.2,
        missing=facts["missing_cells"],
        classes=f" of {len(facts['classes'])} classes" if facts["classes"] else "",
        **{key: facts[key] for key in ("rows", "columns", "numeric", "categorical", "task")},
    )
    return path, text


def write_schema(folder: Path) -> None:
    """Write the JSON Schema of study files, for editors, unless it is there."""
    path = folder / SCHEMA_FILE
    if not path.exists():
        path.write_text(json.dumps(json_schema("study"), indent=1), encoding="utf-8")


def _other_task(table: Dataset) -> str:
    """When the task is another one; counts are never inferred, so they are offered."""
    labels = table.classes or table.y.tolist()
    numbers = [one for one in labels if isinstance(one, int | float) and not isinstance(one, bool)]
    whole = all(one >= 0 and float(one).is_integer() for one in numbers)
    if whole and len(numbers) == len(labels) > 2:
        return "count, if it is a number of events"
    return "change it if it is wrong"


def _roles(declared: dict[str, Any]) -> str:
    """The declared roles, and the others as comments that teach."""
    words = {
        "group": "rows of one group (patient, site, ...) are never split apart",
        "time": "train on the past only",
    }
    lines = [
        f"  {role}: {_quoted(column)}"
        if (column := declared[role])
        else f"  # {role}: COLUMN".ljust(33) + f"# {meaning}"
        for role, meaning in words.items()
    ]
    groups = "  # feature_groups: _".ljust(33) + "# columns that agree before it are a group"
    return "\n".join([*lines, "  # drop: [COLUMN, ...]", groups, ""])


def _quoted(text: str) -> str:
    """A YAML scalar: plain where that is safe, quoted otherwise."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./-]*", text) and text.lower() not in WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)
