"""A year of weekly ticks: what is tuned, promoted and skipped, and what is promoted falsely.

Hours of a bicycle rental (``bike_hour``): the first weeks are the first tick, then a week is added
with each. The same year is then lived once more with nothing to find: rows keep their hours and
everything else is dealt out anew, so that all weeks are alike. Whatever is promoted there beyond
the first model is a false promotion.

    python benchmarks/year.py --data FOLDER [--weeks 52] [--nulls 2] [--write FILE]
    python benchmarks/year.py --data FOLDER --resume FILE   # years in FILE are not lived again
    python benchmarks/year.py --data FOLDER --only often-0  # one of drifting, calm, often-K

Each comparison is judged twice: by the gate, whose error of 5 % is that of a champion's whole
reign, and by a bound of 95 % alone, as if nobody had been compared before. What the gate would do
in many more years is simulated (`gate_alone`): two equally good models, and better challengers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from pathlib import Path

from measuring import table, versions  # first: it sets the number of threads

# isort: split
import numpy as np
import pandas as pd
from scipy import stats

from autoreg.sealed import Openings
from autoreg.tracking.gate import ENOUGH, ERROR, FEWEST, evidence_of, share_of
from autoreg.watch import WatchSpec, tick

WEEK = 7 * 24
FIRST = 26 * WEEK  # the rows of the first tick
WINDOW = 26 * WEEK
STUDY = {
    "question": "How many bicycles will be rented in the next hours?",
    "data": {
        "target": "log_count",
        "time": "instant",
        "task": "regression",
        "categorical": ["season", "hr", "weekday", "weathersit", "mnth"],
        "drop": ["dteday", "cnt", "yr"],
    },
    "space": {
        "space": "year",
        "families": {"linear": {"techniques": ["ridge", "lasso", "elastic_net"]}},
        "incumbent": {"family": "linear", "techniques": ["ridge"]},
        "path_points": 20,
    },
    "trials": 6,
    "folds": {"outer": 3},
    # Known and harmless here: neighbouring hours are alike, which is why time is declared, and
    # hours of the same weather are the same but for their number.
    "ignore": ["ordered_rows", "duplicate_rows"],
}


def bikes(folder: Path, dealt: int | None) -> pd.DataFrame:
    """The hours in order; ``dealt``: all but the hour's number dealt out anew by that seed."""
    frame = pd.read_csv(folder / "bike_hour" / "bike_hour.csv.gz")
    frame["log_count"] = np.log1p(frame["cnt"])
    if dealt is not None:
        order = np.random.default_rng(dealt).permutation(len(frame))
        frame = frame.iloc[order].assign(instant=frame["instant"].to_numpy())
    return frame.reset_index(drop=True)


def year(frame: pd.DataFrame, weeks: int, every: int | None) -> dict:
    """The ticks of a year, the comparisons of the gate, the reuse of openings, the minutes."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        home, source = Path(place) / "home", Path(place) / "rows.parquet"
        spec = WatchSpec.model_validate(
            {
                "watch": "bikes",
                "study": STUDY,
                "source": {"file": "rows.parquet"},
                "window": WINDOW,
                "every": every,
            }
        )
        ticks = []
        for week in range(weeks + 1):
            frame.head(FIRST + week * WEEK).to_parquet(source, index=False)
            name = f"week-{week:02d}"
            found = tick((spec, Path(place)), name, home=home, dry=False, progress=False)
            ticks.append(found.to_data())
            print(f"  {name}: {found.decision}, {found.reason[:80]} | {found.gate}", flush=True)
        reused = [one["reused"] for one in Openings(home).openings()]
        lines = home / "promotions.jsonl"
        told = lines.read_text().splitlines() if lines.exists() else []
    asked = [json.loads(line)["comparison"] for line in told]
    minutes = (time.monotonic() - started) / 60
    return {"ticks": ticks, "asked": asked, "reused": reused, "minutes": minutes}


def gate_alone(years: int, askings: int, gain: float = 0.0) -> dict[str, tuple[float, float]]:
    """A challenger each week, better by a ``gain`` in standard errors: promotions a year, and years
    with any.

    ``alone``: by 95 % each time; ``corrected``: by the gate, a promotion beginning a new reign,
    whose challengers are as much better again.
    """
    draws, falls = np.random.default_rng(0), {"alone": [], "corrected": []}
    for _ in range(years):
        p = stats.t.sf(
            stats.nct.rvs(FEWEST - 1, gain, size=askings, random_state=draws), FEWEST - 1
        )
        count, asking, evidence = 0, 1, 1.0
        for one in p:
            evidence *= evidence_of(one)
            fell = one <= ERROR and (one <= share_of(asking) or evidence >= ENOUGH)
            asking, evidence = (1, 1.0) if fell else (asking + 1, evidence)
            count += fell
        falls["alone"].append((p <= ERROR).sum())
        falls["corrected"].append(count)
    return {name: (float(np.mean(n)), float(np.mean(np.array(n) > 0))) for name, n in falls.items()}


def rows_of(ticks: list[dict]) -> list[tuple[str, ...]]:
    """The ticks that tuned, as rows of a table."""
    found = []
    for one in ticks:
        if one["decision"] != "tuned":
            continue
        score = one["verdict"]["held_out"]["score"]
        moved = ", ".join(shift["column"] for shift in one["drift"] if shift["moved"])
        what = "alarms" if one["alarms"] else "kept the champion"
        found.append(
            (
                one["tick"],
                moved[:60] or one["reason"],
                one["verdict"]["selection"]["words"],
                "-" if score is None else f"{score:.3f}",
                "promoted" if one["promoted"] else what,
            )
        )
    return found


def summary(name: str, lived: dict) -> tuple[str, ...]:
    """One row for a year."""
    tuned = [one for one in lived["ticks"] if one["decision"] == "tuned"]
    counts = (
        len(lived["ticks"]),
        sum(one["decision"] == "skipped" for one in lived["ticks"]),
        len(tuned),
        len(lived["asked"]),
        sum(one["passed"] for one in lived["asked"]),
        sum(one["gain"]["low"] > one["margin"] for one in lived["asked"]),
        sum(bool(one["alarms"]) for one in tuned),
        sum(bool(k) for k in lived["reused"]),
    )
    return (name, *map(str, counts), f"{lived['minutes']:.0f}")


def lived(asked: argparse.Namespace) -> dict[str, dict]:
    """All years, by name; those that the file knows are read, and the others written there."""
    kinds = {"drifting": (None, None), "calm": (0, None)}
    # The hardest for the gate: nothing changes, and it is asked every other week.
    kinds |= {f"often-{seed}": (seed, 1) for seed in range(asked.nulls)}
    known = {}
    if asked.resume and asked.resume.exists():
        known = dict(map(json.loads, asked.resume.read_text().splitlines()))
    for name, (dealt, every) in kinds.items():
        if name in known or (asked.only and name not in asked.only):
            continue
        print(name, flush=True)
        known[name] = year(bikes(asked.data, dealt), asked.weeks, every)
        if asked.resume:
            with asked.resume.open("a") as file:
                file.write(json.dumps([name, known[name]]) + "\n")
    return {name: known[name] for name in kinds if name in known}


WORDS = {"drifting": "as it was", "calm": "nothing changes"}
OFTEN = "nothing changes, tuned every other week all the same"


def report(years: dict[str, dict], simulated: int, weeks: int) -> str:
    """All tables."""
    head = ("year", "ticks", "skipped", "tuned", "asked", "promoted", "at 95 % alone", "alarms")
    head += ("openings reused", "minutes")
    rows = [summary(WORDS.get(name, OFTEN), one) for name, one in years.items()]
    falls = [
        (f"{gain:g}", name, f"{mean:.2f}", f"{share:.1%}")
        for gain in (0, 0.5, 1, 2)
        for name, (mean, share) in gate_alone(simulated, weeks, gain).items()
    ]
    parts = [
        "# A year of weekly ticks",
        "",
        f"`bike_hour`, a window of {WINDOW // WEEK} weeks, one week added with each tick. Asked:",
        "how often champion and challenger were compared; promoted: by the gate, after the first",
        "model; at 95 % alone: how many of the same comparisons pass a bound of 95 % that does not",
        "count how often the champion was asked. Where nothing changes all promotions are false.",
        table("Years", head, rows),
        table(
            f"The gate alone: a challenger each week, {weeks} askings, {simulated} simulated years",
            ("gain in standard errors", "gate", "promotions a year", "years with one or more"),
            falls,
        ),
    ]
    if "drifting" in years:
        rows = rows_of(years["drifting"]["ticks"])
        names = ("tick", "what moved", "chosen", "held-out r2", "outcome")
        parts.append(table("The year as it was: ticks that tuned", names, rows))
    return "\n".join([*parts, "", versions("autoreg", "optuna")])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--nulls", type=int, default=2, help="years of many askings in vain")
    parser.add_argument("--simulated", type=int, default=1000, help="years of the gate alone")
    parser.add_argument("--only", nargs="+", help="years to live")
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    text = report(lived(asked), asked.simulated, asked.weeks)
    print(text)
    if asked.write:
        asked.write.write_text(text + "\n")


if __name__ == "__main__":
    main()
