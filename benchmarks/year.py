"""A year of weekly ticks: what is tuned, promoted and skipped, and what is promoted falsely.

Hours of a bicycle rental (``bike_hour``): the first weeks are the first tick, then a week is added
with each. The same year is then lived once more with nothing to find: rows keep their hours and
everything else is dealt out anew, so that all weeks are alike. Whatever is promoted there beyond
the first model is a false promotion.

    python benchmarks/year.py --data FOLDER [--weeks 52] [--write FILE]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

from measuring import table, versions  # first: it sets the number of threads

# isort: split
import numpy as np
import pandas as pd

from autoreg.sealed import Openings
from autoreg.watch import Tick, WatchSpec, tick

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


def bikes(folder: Path, *, alike: bool) -> pd.DataFrame:
    """The hours in order; ``alike``: everything but the hour's number dealt out anew."""
    frame = pd.read_csv(folder / "bike_hour" / "bike_hour.csv.gz")
    frame["log_count"] = np.log1p(frame["cnt"])
    if alike:
        order = np.random.default_rng(0).permutation(len(frame))
        frame = frame.iloc[order].assign(instant=frame["instant"].to_numpy())
    return frame.reset_index(drop=True)


def year(frame: pd.DataFrame, weeks: int, every: int | None) -> tuple[list[Tick], list[int], float]:
    """The ticks of a year, the reuse of each opening, and the minutes it took."""
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
            ticks.append(found)
            print(f"  {name}: {found.decision}, {found.reason[:80]} | {found.gate}", flush=True)
        reused = [one["reused"] for one in Openings(home).openings()]
    return ticks, reused, (time.monotonic() - started) / 60


def rows_of(ticks: list[Tick]) -> list[tuple[str, ...]]:
    """The ticks that tuned, as rows of a table."""
    found = []
    for one in ticks:
        if one.decision != "tuned":
            continue
        held = one.verdict["held_out"]
        score = "-" if held["score"] is None else f"{held['score']:.3f}"
        moved = ", ".join(shift.column for shift in one.drift if shift.moved)
        what = "promoted" if one.promoted else "alarms" if one.alarms else "kept the champion"
        found.append(
            (one.tick, moved[:60] or one.reason, one.verdict["selection"]["words"], score, what)
        )
    return found


def summary(name: str, ticks: list[Tick], reused: list[int], minutes: float) -> tuple[str, ...]:
    """One row for a year."""
    tuned = [one for one in ticks if one.decision == "tuned"]
    counts = (
        len(ticks),
        sum(one.decision == "skipped" for one in ticks),
        len(tuned),
        sum(one.promoted for one in tuned[1:]),
        sum(bool(one.alarms) for one in tuned),
        sum(bool(k) for k in reused),
    )
    return (name, *map(str, counts), f"{minutes:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    drifting = year(bikes(asked.data, alike=False), asked.weeks, None)
    calm = year(bikes(asked.data, alike=True), asked.weeks, None)
    # The hardest year for the gate: nothing changes, and it is asked every other week.
    asked_often = year(bikes(asked.data, alike=True), asked.weeks, 1)
    head = ("year", "ticks", "skipped", "tuned", "promoted after the first", "alarms")
    head += ("openings reused", "minutes")
    text = "\n".join(
        [
            "# A year of weekly ticks",
            "",
            f"`bike_hour`, a window of {WINDOW // WEEK} weeks, one week added with each tick.",
            "",
            "Promotions in the last two rows of the first table are false ones.",
            table(
                "Years",
                head,
                [
                    summary("as it was", *drifting),
                    summary("nothing changes", *calm),
                    summary("nothing changes, tuned every other week all the same", *asked_often),
                ],
            ),
            table(
                "The year as it was: ticks that tuned",
                ("tick", "what moved", "chosen", "held-out r2", "outcome"),
                rows_of(drifting[0]),
            ),
            "",
            versions("autoreg", "optuna"),
        ]
    )
    print(text)
    if asked.write:
        asked.write.write_text(text + "\n")


if __name__ == "__main__":
    main()
