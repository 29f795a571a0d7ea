"""Does knowledge help? Trials needed to reach 99 % of the best score, cold and warm.

On every data set a search of its development rows runs cold: the fixed design first, then the
sampler. Each set is then left out in turn: the knowledge base is made of all the others, the search
tries what worked on the most similar of them first, and both searches are compared. The score of n
trials is how far their best inner loss lies below the featureless one; the best score is that of
all trials of both searches. "Trials" is the first trial at which 99 % of it are reached.

    python benchmarks/warm_start.py --data FOLDER [--space linear_and_network] [--trials 24]
    python benchmarks/warm_start.py --data FOLDER --resume FILE     # sets in FILE are not repeated
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

from measuring import table, versions  # first: it sets the number of threads

# isort: split
import numpy as np

from autoreg.errors import AutoregError
from autoreg.folds import FINAL
from autoreg.knowledge import Knowledge, Lesson, best_settings, meta_features
from autoreg.prepared import Prepared, prepare
from autoreg.search import run_searches
from autoreg.trial import Trial

SHARE = 0.99
MOST_ROWS, MOST_COLUMNS = 4_000, 300  # larger sets are cut, so that all of them take an evening
SETTINGS = 6  # tried first


def sets(folder: Path) -> dict[str, dict[str, str]]:
    """The data sets of an index whose file is one CSV file, by name."""
    with (folder / "INDEX.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {
        row["name"]: row
        for row in rows
        if ".csv" in row["file"] and (folder / row["file"]).is_file()
    }


def question(folder: Path, row: dict[str, str], space: str, trials: int, first: list) -> Prepared:
    """A study of one set, ready to start; it never gets beyond its final search."""
    import pandas as pd

    frame = pd.read_csv(folder / row["file"])
    frame = frame.dropna(subset=[row["target"]]).head(100_000)
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=0)
    dates = [one for one in frame if frame[one].dtype.kind == "M"]
    frame = frame.drop(columns=dates)
    others = [one for one in frame if one != row["target"]][:MOST_COLUMNS]
    document = {
        "study": row["name"],
        "data": {"target": row["target"]},
        "space": space,
        "trials": trials,
        "first": first,
        "ignore": [],
    }
    return prepare(document, frame[[*others, row["target"]]], workers=2)


def searched(ready: Prepared) -> list[Trial]:
    """The trials of the final search alone."""
    bench = replace(ready.bench, plan=ready.bench.plan.only(FINAL))
    found = run_searches(bench, {}, record=lambda one: None, round_done=lambda number: True)
    return found[FINAL]


def curve(trials: list[Trial]) -> list[float]:
    """The best score after each trial: how far the loss lies below the featureless one."""
    losses = [one.baseline if one.failure else one.loss for one in trials]
    return [
        float(x)
        for x in np.asarray([one.baseline for one in trials]) - np.minimum.accumulate(losses)
    ]


def reached(scores: list[float], best: float) -> int:
    """The first trial with that share of the best score; one more than there are where none has."""
    return next((k for k, one in enumerate(scores, 1) if one >= SHARE * best), len(scores) + 1)


def cold(folder: Path, row: dict[str, str], space: str, trials: int) -> dict | None:
    """One set without knowledge: its lesson and its curve; None where it is none for this."""
    try:
        ready = question(folder, row, space, trials, [])
        found = searched(ready)
    except AutoregError as error:
        print(f"  {row['name']}: left out ({str(error)[:90]})", flush=True)
        return None
    rows = ready.bench.table
    return {
        "name": row["name"],
        "task": rows.task,
        "digest": rows.digest,
        "features": meta_features(rows),
        "settings": best_settings(found, 10),
        "cold": curve(found),
    }


def warm(
    folder: Path, row: dict[str, str], space: str, trials: int, known: list[dict]
) -> list[float]:
    """The curve of a set with what all the others teach."""
    mine = next(one for one in known if one["name"] == row["name"])
    with tempfile.TemporaryDirectory() as place:
        base = Knowledge(Path(place))
        for one in known:
            lesson = (one["name"], one["name"], one["digest"], one["task"])
            base.learn(Lesson(*lesson, one["features"], tuple(one["settings"])))
        first = base.settings_for(mine["task"], mine["features"], SETTINGS, without=mine["digest"])
    return curve(searched(question(folder, row, space, trials, first)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--space", default="linear")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = {
        name: row for name, row in sets(asked.data).items() if not asked.only or name in asked.only
    }
    done: dict[str, dict] = {}
    if asked.resume and asked.resume.exists():
        done = {one["name"]: one for one in map(json.loads, asked.resume.read_text().splitlines())}
    for name, row in rows.items():
        if name not in done and (found := cold(asked.data, row, asked.space, asked.trials)):
            done[name] = found
            print(f"  cold {name}", flush=True)
            if asked.resume:
                with asked.resume.open("a") as file:
                    file.write(json.dumps(found) + "\n")
    known = list(done.values())
    lines, ratios = [], []
    for name, one in done.items():
        scores = warm(asked.data, rows[name], asked.space, asked.trials, known)
        best = max(one["cold"][-1], scores[-1])
        if best <= 0:
            continue
        a, b = reached(one["cold"], best), reached(scores, best)
        ratios.append(a / b)
        lines.append((name, one["task"], str(a), str(b), f"{a / b:.2f}"))
        print(f"  {name}: cold {a}, warm {b}", flush=True)
    mean = float(np.exp(np.mean(np.log(ratios)))) if ratios else float("nan")
    total = [sum(int(line[k]) for line in lines) for k in (2, 3)]
    text = "\n".join(
        [
            f"# Warm starts in the space `{asked.space}`",
            "",
            f"Trials until {SHARE:.0%} of the best score of both searches, of {asked.trials} at "
            "most; each set is left out of what it learns from.",
            "",
            f"Geometric mean of the ratios over {len(lines)} sets: **{mean:.2f}**; trials of all "
            f"sets together: {total[0]} cold, {total[1]} warm.",
            table("Set by set", ("set", "task", "cold", "warm", "ratio"), lines),
            "",
            versions("autoreg", "optuna"),
        ]
    )
    print(text)
    if asked.write:
        asked.write.write_text(text + "\n")


if __name__ == "__main__":
    main()
