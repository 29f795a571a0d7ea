"""Tables as sources give them: numbers, yes or no, categories, dates, text, and gaps in them."""

import numpy as np
import pandas as pd
import sqlalchemy

COMMON = ["the", "order", "came", "late", "again", "and", "nobody", "answered", "my", "mail"]
FOREIGN = ["quantum", "zebra", "voltage", "marble", "harpoon", "lantern", "cactus", "violin"]
DATA = {
    "target": "y",
    "time": "day",
    "categorical": ["code"],
    "text": ["note"],
    "dates": ["signed", "seen"],
    "gaps": "mark",
}
MOVES = ("amount", "gaps", "paid", "city", "code", "signed", "length", "words", "target")


def mixed(first=0, rows=300, move=None, seed=0):
    """Rows of so many days from the ``first`` on; ``move`` says what is another from then on."""
    draws = np.random.default_rng([seed, first])
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(first, first + rows), "D")
    amount = draws.normal(size=rows) + (3 if move == "amount" else 0)
    paid = draws.random(rows) < (0.95 if move == "paid" else 0.4)
    cities = ["Bonn", "Oslo", "Rome"] if move != "city" else ["Lima", "Lima", "Rome"]
    codes = ["01", "02", "A3"] if move != "code" else ["01", "01", "B4"]
    words = FOREIGN if move == "words" else COMMON
    longest = 40 if move == "length" else 12
    frame = pd.DataFrame(
        {
            "day": days.strftime("%Y-%m-%d"),
            "amount": amount,
            "items": draws.integers(1, 50, rows),
            "paid": paid,
            "member": pd.Series(draws.random(rows) < 0.5, dtype=object),
            "city": draws.choice(cities, rows),
            "code": draws.choice(codes, rows),
            "signed": (days - pd.to_timedelta(draws.integers(1, 400, rows), "D")).strftime(
                "%Y-%m-%d"
            ),
            "seen": (days + pd.to_timedelta(draws.integers(0, 86_400, rows), "s")).strftime(
                "%Y-%m-%d %H:%M:%S"
            ),
            "note": [" ".join(draws.choice(words, n)) for n in draws.integers(4, longest, rows)],
        }
    )
    if move == "signed":  # a default that somebody has put in
        frame.loc[draws.random(rows) < 0.4, "signed"] = "1970-01-01"
    slope = -1.0 if move == "target" else 1.0
    frame["y"] = slope * amount + 0.5 * paid + 0.3 * draws.normal(size=rows)
    frame["y"] += 4 if move == "target" else 0
    often = {"amount": 0.5 if move == "gaps" else 0.05, "member": 0.1, "city": 0.1}
    for name, share in (often | {"note": 0.05, "signed": 0.05}).items():
        frame.loc[draws.random(rows) < share, name] = None
    return frame


def as_csv(frame, folder):
    frame.to_csv(folder / "rows.csv", index=False)
    return {"file": "rows.csv"}


def as_parquet(frame, folder):
    frame.to_parquet(folder / "rows.parquet", index=False)
    return {"file": "rows.parquet"}


def as_glob(frame, folder):
    """Files of a hundred rows each."""
    (folder / "many").mkdir(exist_ok=True)
    for start in range(0, len(frame), 100):
        part = frame.iloc[start : start + 100]
        part.to_csv(folder / "many" / f"{start:04d}.csv", index=False)
    return {"glob": "many/*.csv"}


def as_sql(frame, folder):
    url = f"sqlite:///{folder / 'rows.db'}"
    engine = sqlalchemy.create_engine(url)
    frame.to_sql("rows", engine, index=False, if_exists="replace")
    engine.dispose()
    return {"sql": {"url": url, "query": "SELECT * FROM rows ORDER BY day"}}


def as_partitions(frame, folder):
    """Folders of a month each, and dates as dates."""
    typed = frame.assign(
        signed=pd.to_datetime(frame["signed"]),
        seen=pd.to_datetime(frame["seen"]).dt.tz_localize("UTC"),
        member=frame["member"].astype("boolean"),
        city=frame["city"].astype("category"),
    )
    typed["month"] = frame["day"].str[:7]
    typed.to_parquet(
        folder / "parts",
        partition_cols=["month"],
        index=False,
        existing_data_behavior="delete_matching",
    )
    return {"parquet": {"folder": "parts"}}


SOURCES = {
    "csv": as_csv,
    "parquet": as_parquet,
    "glob": as_glob,
    "sql": as_sql,
    "partitions": as_partitions,
}
