"""Tables drawn from a seed, one for each kind of question that the shipped studies ask.

Each has a truth that its study can be measured against: which columns tell, how much, and what a
careless analysis would see instead. Nothing is downloaded.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.random import Generator

from autoreg.data.dataset import Floats

SEED = 20_260_101
GLAD = ("great", "lovely", "quick", "solid", "bright", "happy", "perfect", "clean")
SORRY = ("broken", "late", "dull", "noisy", "weak", "sad", "dirty", "slow")
PLAIN = (
    "the", "a", "box", "came", "and", "it", "was", "for", "my", "desk", "lamp", "shop", "with",
    "price", "order", "paper", "colour", "today", "again", "of",
)  # fmt: skip


def _draws(name: str) -> Generator:
    return np.random.default_rng([SEED, *name.encode()])


def reviews(n: int = 600) -> tuple[pd.DataFrame, str]:
    """Short reviews, their shop and day; words of praise or blame, sometimes negated, tell.

    >>> frame, target = reviews(50)
    >>> frame.shape, target
    ((50, 4), 'verdict')
    """
    draws = _draws("reviews")
    good = draws.random(n) < 0.55
    negated = draws.random(n) < 0.25
    texts = []
    for happy, turned in zip(good, negated, strict=True):
        words = list(draws.choice(PLAIN, int(draws.integers(4, 9))))
        for _ in range(int(draws.integers(2, 5))):
            mood = draws.choice(GLAD if happy != turned else SORRY)
            place = int(draws.integers(len(words)))
            words[place:place] = ["not", str(mood)] if turned else [str(mood)]
        texts.append(" ".join(map(str, words)))
    days = pd.Timestamp("2025-01-01") + pd.to_timedelta(draws.integers(365, size=n), unit="D")
    wrong = draws.random(n) < 0.05
    frame = pd.DataFrame(
        {
            "text": texts,
            "shop": [f"shop {k:02}" for k in draws.integers(60, size=n)],
            "day": days.strftime("%Y-%m-%d"),
            "verdict": np.where(good != wrong, "good", "bad"),
        }
    )
    return frame, "verdict"


def demand(n: int = 2_200) -> tuple[pd.DataFrame, str]:
    """Six years of daily demand: weekday, season, weather, and what was known a week before.

    Lags are older than the gap of the study, so that a forecast a week ahead can use them.
    """
    draws = _draws("demand")
    day = pd.date_range("2020-01-01", periods=n, freq="D")
    weekday = np.array([0.0, 0.1, 0.15, 0.2, 0.6, 1.0, 0.7])[day.day_of_week]
    season = np.sin(2 * np.pi * (day.day_of_year - 100) / 365.25)
    level = np.zeros(n)
    for t in range(1, n):
        level[t] = 0.9 * level[t - 1] + 0.2 * draws.normal()
    weather = draws.normal(size=n)
    sold = 50 + 12 * weekday + 6 * season + 6 * level + 2 * weather + 2 * draws.normal(size=n)
    frame = pd.DataFrame({"day": day.strftime("%Y-%m-%d"), "weather": weather})
    frame["weekday"] = day.day_name().str[:3]
    frame["season_sin"] = np.sin(2 * np.pi * day.day_of_year / 365.25)
    frame["season_cos"] = np.cos(2 * np.pi * day.day_of_year / 365.25)
    for lag in (7, 8, 14, 21, 28):
        frame[f"sold_{lag}_days_ago"] = pd.Series(sold).shift(lag)
    return frame.assign(sold=sold).iloc[28:].reset_index(drop=True), "sold"


def patients(n: int = 200) -> tuple[pd.DataFrame, str]:
    """Several visits of each patient; what is peculiar to a patient would tell the others.

    Cut row by row, a model that knows patients by their habits looks far better than it is.
    """
    draws = _draws("patients")
    visits = draws.integers(2, 7, size=n)
    patient = np.repeat(np.arange(n), visits)
    own = draws.normal(size=(n, 6))[patient]
    peculiar = draws.normal(size=n)[patient]
    age = draws.integers(30, 80, size=n)[patient]
    lab = draws.normal(size=len(patient))
    score = 1.3 * lab + 0.05 * (age - 55) + 1.2 * peculiar
    chance = 1 / (1 + np.exp(-score))
    frame = pd.DataFrame(own + 0.05 * draws.normal(size=own.shape)).add_prefix("habit_")
    frame = frame.assign(patient=patient, age=age, lab=lab)
    back = np.where(draws.random(len(patient)) < chance, "yes", "no")
    return frame.assign(readmitted=back), "readmitted"


def returns(n: int = 1_500) -> tuple[pd.DataFrame, str]:
    """Daily signals and whether the price is higher ten days later: overlapping targets.

    A little can be known. Neighbouring rows share most of their target, so rows next to those
    that judge must be purged.
    """
    draws = _draws("returns")
    signals = draws.normal(size=(n + 10, 8))
    for t in range(1, n + 10):
        signals[t] = 0.8 * signals[t - 1] + 0.6 * draws.normal(size=8)
    daily = 0.35 * signals[:, 0] - 0.25 * signals[:, 1] + draws.normal(size=n + 10)
    later = np.array([daily[t + 1 : t + 10].sum() for t in range(n)])
    frame = pd.DataFrame(signals[:n]).add_prefix("signal_")
    frame.insert(0, "day", pd.bdate_range("2020-01-01", periods=n).strftime("%Y-%m-%d"))
    return frame.assign(direction=np.where(later > 0, "up", "down")), "direction"


def genes(n: int = 110, pathways: int = 80, size: int = 8) -> tuple[pd.DataFrame, str]:
    """Expression of 640 genes in 80 pathways, 110 samples; four whole pathways matter."""
    draws = _draws("genes")
    shared = draws.normal(size=(n, pathways))
    values = 0.6 * np.repeat(shared, size, axis=1) + 0.8 * draws.normal(size=(n, pathways * size))
    effects: Floats = np.zeros(pathways * size)
    for one in (3, 17, 42, 66):
        effects[one * size : (one + 1) * size] = draws.normal(0.35, 0.15, size=size)
    response = values @ effects + 1.0 * draws.normal(size=n)
    names = [f"pathway{p:02}_{g}" for p in range(pathways) for g in range(size)]
    return pd.DataFrame(values, columns=names).assign(response=response), "response"


def ratings(n: int = 3_000) -> tuple[pd.DataFrame, str]:
    """Ratings of 150 people for 80 films, each pair at most once: levels, and two tastes.

    Of the variance of a rating, levels are about a third and tastes another.
    """
    draws = _draws("ratings")
    person, film = np.divmod(draws.choice(150 * 80, n, replace=False), 80)
    kind, mild = draws.normal(0, 0.5, size=80), draws.normal(0, 0.6, size=150)
    tastes, styles = draws.normal(size=(150, 2)), draws.normal(0, 0.5, size=(80, 2))
    liking = (tastes[person] * styles[film]).sum(axis=1)
    stars = 3.4 + kind[film] + mild[person] + liking + 0.5 * draws.normal(size=n)
    frame = pd.DataFrame(
        {"person": [f"p{k:03}" for k in person], "film": [f"f{k:02}" for k in film]}
    )
    return frame.assign(stars=np.clip(np.round(2 * stars) / 2, 0.5, 5.0)), "stars"
