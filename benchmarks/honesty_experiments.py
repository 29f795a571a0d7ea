"""The experiments on honesty: what is drawn, what must hold, and how it is judged.

Each draw is one made-up table whose truth is known, and the whole procedure on it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from honesty_coverage import coverage, judge_coverage, told_coverage
from honesty_tools import FRESH, bench_for, column, refitted, three_errors

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from leaky_tables import LEAKS, clean, encoded_before_split, persons  # noqa: E402

from autoreg.budget import choices
from autoreg.checks import look_at_table
from autoreg.metrics.base import row_losses
from autoreg.rehearsal import rehearsed
from autoreg.scoring import Bench
from autoreg.search import run_searches
from autoreg.spec import StudySpec
from autoreg.study import prepare

SCREENED = 20


# ---- H1, H2, H3: nothing to find --------------------------------------------------------------


def null_classes(seed: int, columns: int, screen: bool) -> dict:
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(40, columns)), rng.permutation(np.repeat(["no", "yes"], 20))
    if screen:  # the classical mistake: the columns that correlate best with the target, all rows
        ups = y == "yes"
        gap = np.abs(X[ups].mean(axis=0) - X[~ups].mean(axis=0))
        X = X[:, np.argsort(-gap)[:SCREENED]]
    found = rehearsed(bench_for(X, y, outer=10, points=25))
    return {"nested": 1 - found.scores["accuracy"].value, "inner": 1 - found.inner_best}


def null_numbers(seed: int, columns: int) -> dict:
    rng = np.random.default_rng(seed)
    found = rehearsed(bench_for(rng.normal(size=(60, columns)), rng.normal(size=60), points=25))
    return {"nested": found.scores["r2"].value, "inner": found.inner_best}


def judge_null(rows: list[dict]) -> tuple[str, bool]:
    error, inner = column(rows, "nested"), column(rows, "inner")
    low = float((error < 0.3).mean())
    fine = abs(error.mean() - 0.5) <= max(0.025, three_errors(error))
    words = f"error {error.mean():.3f}, {low:.0%} below 0.30 (best inner: {inner.mean():.3f})"
    return words, bool(fine and low <= 0.08 + 3 * math.sqrt(0.08 * 0.92 / len(rows)))


def judge_numbers(rows: list[dict]) -> tuple[str, bool]:
    nested, inner = column(rows, "nested"), column(rows, "inner")
    fine = nested.mean() <= three_errors(nested) and inner.mean() > nested.mean()
    return f"R2 {nested.mean():.3f} (best inner: {inner.mean():.3f})", bool(fine)


def judge_canary(rows: list[dict]) -> tuple[str, bool]:
    error = column(rows, "nested")
    return f"error {error.mean():.3f}", bool(error.mean() < 0.15)


# ---- H7: leaks and alarms ----------------------------------------------------------------------


def alarms_of(table) -> set[str]:
    answers = look_at_table(table, StudySpec(study="honesty"))
    return {one.code for one in answers.alarms if one.severity != "info"}


def leak(seed: int) -> dict:
    return {
        kind.__name__: bool(alarms_of(kind(np.random.default_rng(seed))) & codes)
        for kind, codes in LEAKS.items()
    }


def quiet(seed: int) -> dict:
    return {"rung": sorted(alarms_of(clean(seed)))}


def declared(seed: int) -> dict:
    """The share of the featureless loss that seems to be explained; and with the role declared."""
    rng = np.random.default_rng(seed)
    visits = persons(rng, shuffled=True, static=False)
    y = np.array(["healthy", "ill"])[visits.y]
    slow, target = memory(rng)
    code = encoded_before_split(rng)
    return {
        "persons": explained(bench_for(visits.X, y)),
        "persons, declared": explained(bench_for(visits.X, y, group=visits.group)),
        "memory": explained(bench_for(slow, target)),
        "memory, declared": explained(in_time(slow, target)),
        "encoding": explained(bench_for(code.X, code.y)),
        "encoding, left out": explained(bench_for(code.X[:, 1:], code.y)),
    }


def memory(rng, n=400, keeps=0.9):
    """Columns and a target that forget slowly, and have nothing to do with each other."""
    Z = rng.normal(size=(n, 6))
    for t in range(1, n):
        Z[t] = keeps * Z[t - 1] + math.sqrt(1 - keeps**2) * Z[t]
    return Z[:, :5], Z[:, 5]


def in_time(X, y) -> Bench:
    """The past alone trains, and what it remembers is left out."""
    import pandas as pd

    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    frame["t"], frame["target"] = np.arange(len(y)), y
    document = bench_for(X, y).spec.model_dump(mode="json")
    document["data"] |= {"time": "t", "order": {"gap": 15}}
    document["folds"] |= {"outer": 3}
    return prepare(document, frame, workers=1).bench


def explained(bench: Bench) -> float:
    found = rehearsed(bench)
    return 1 - found.nested_loss.value / found.baseline_loss.value


def judge_leaks(rows: list[dict]) -> tuple[str, bool]:
    shares = {name: np.mean([row[name] for row in rows]) for name in rows[0]}
    worst = min(shares, key=lambda name: shares[name])
    return f"{len(shares)} leaks; least: {worst} {shares[worst]:.0%}", shares[worst] >= 0.95


def judge_quiet(rows: list[dict]) -> tuple[str, bool]:
    share = np.mean([bool(row["rung"]) for row in rows])
    codes = sorted({code for row in rows for code in row["rung"]})
    return f"{share:.1%} of clean tables ({', '.join(codes) or 'none'})", bool(share <= 0.05)


def judge_declared(rows: list[dict]) -> tuple[str, bool]:
    mean = {name: column(rows, name).mean() for name in rows[0]}
    error = {name: three_errors(column(rows, name)) for name in rows[0]}
    words = ", ".join(f"{name} {value:.2f}" for name, value in mean.items())
    leaky = [name for name in mean if "," not in name]
    honest = [name for name in mean if "," in name]
    fine = all(mean[name] > error[name] for name in leaky)
    return words, bool(fine and all(mean[name] <= error[name] for name in honest))


# ---- H9: is signal found? ------------------------------------------------------------------------


def power(seed: int, effect: float) -> dict:
    rng = np.random.default_rng([seed, round(10 * effect)])
    X = rng.normal(size=(100, 20))
    y = effect * X[:, :5].sum(axis=1) / math.sqrt(5) + rng.normal(size=100)
    return {"found": rehearsed(bench_for(X, y, techniques=("ridge", "lasso"))).has_signal}


def judge_power(rows: list[dict], least: float, most: float) -> tuple[str, bool]:
    share = float(np.mean([row["found"] for row in rows]))
    return f"signal found in {share:.0%}", least <= share <= most


# ---- H13: what a larger budget seems to bring, and brings ----------------------------------------


def overtuning(seed: int, trials: int) -> dict:
    """After n trials: best inner loss, judged loss and true loss, means over the outer searches."""
    rng = np.random.default_rng([seed, 13])
    slope = np.r_[np.full(5, 0.6), np.zeros(25)]
    X, fresh = rng.normal(size=(60, 30)), rng.normal(size=(FRESH, 30))
    y = X @ slope + rng.normal(size=60)
    truth = fresh @ slope + rng.normal(size=FRESH)
    kinds = ("elastic_net", "adaptive_lasso", "relaxed_lasso", "mcp")
    bench = bench_for(X, y, techniques=kinds, trials=trials, points=8)
    found = run_searches(bench, {}, record=lambda one: None, round_done=lambda number: True)
    outer = [fold.name for fold in bench.plan.outer]
    after = choices(found, outer, bench.spec.select, bench.space.incumbent)
    result = {}
    for budget, chosen in after.items():
        told = []
        for fold in bench.plan.outer:
            one = chosen[fold.name]
            model = refitted(bench, one.candidate, fold)
            judged = row_losses(
                "regression", bench.table.y[fold.test],
                model.predictions(bench.table.X[fold.test], "regression"),
            ).mean()  # fmt: skip
            true = row_losses("regression", truth, model.predictions(fresh, "regression")).mean()
            told.append((one.loss, float(judged), float(true)))
        result[str(budget)] = np.mean(told, axis=0).tolist()
    return result


def judge_overtuning(rows: list[dict]) -> tuple[str, bool]:
    words, fine = [], True
    for budget in sorted(rows[0], key=int):
        inner, nested, true = np.array([row[budget] for row in rows]).T
        reported, measured = nested - inner, true - inner
        fine &= abs((reported - measured).mean()) <= three_errors(reported - measured)
        words.append(f"{budget}: {reported.mean():.3f} ({measured.mean():.3f})")
    return "gap after n trials, reported (true): " + ", ".join(words), bool(fine)


# ---- the table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Experiment:
    """One line of the table: what is drawn, how often, what must hold, how it is judged."""

    key: str
    what: str
    must: str
    draw: Callable[[int], dict]
    judge: Callable[[list[dict]], tuple[str, bool | None]]
    tables: int


def experiments(quick: bool, columns: int | None = None) -> list[Experiment]:
    """All experiments, in the order of the table; ``columns`` of the wide tables, if given."""
    wide = columns or (300 if quick else 1000)
    few, some, many = (20, 40, 60) if quick else (200, 100, 400)
    most_trials = 40 if quick else 200
    null = f"n = 40, p = {wide}, classes by chance"
    found = [
        Experiment("H1", null, "error 0.50 +- 0.025, at most 8% below 0.30",
                   partial(null_classes, columns=wide, screen=False), judge_null, few),
        Experiment("H2", f"n = 60, p = {wide // 2}, numbers by chance", "R2 not above 0",
                   partial(null_numbers, columns=wide // 2), judge_numbers, few),
        Experiment("H3", f"H1 after a screen of {SCREENED} columns on ALL rows",
                   "error below 0.15: H1 can see a leak",
                   partial(null_classes, columns=wide, screen=True), judge_canary, few),
        Experiment("H7 leaks", "tables with one leak each", "alarm in at least 95%",
                   leak, judge_leaks, some),
        Experiment("H7 clean", "tables without a leak", "alarm in at most 5%",
                   quiet, judge_quiet, 5 * some),
        Experiment("H7 roles", "loss explained by nothing; role declared",
                   "above 0; not above 0", declared, judge_declared, few),
    ]  # fmt: skip
    must = "accuracy: 0.855 to 0.97; Wald less"
    for n, p, groups in ((90, wide, 0), (100, 20, 0), (400, 20, 0), (400, 20, 5)):
        drawn = f"groups of {groups}" if groups else "shares by chance"
        found.append(
            Experiment(f"H8 {n}x{p}{'g' if groups else ''}",
                       f"logistic, n = {n}, p = {p}, {drawn}", must,
                       partial(coverage, n=n, p=p, groups=groups, halves=False),
                       judge_coverage, many)
        )  # fmt: skip
    found.append(
        Experiment("H8 100x20 half", "logistic, n = 100, p = 20, half of each class",
                   "(no chance in the shares)",
                   partial(coverage, n=100, p=20, groups=0, halves=True), told_coverage, many)
    )  # fmt: skip
    effects = ((0.0, 0.0, 0.07), (0.5, 0, 1), (1.0, 0, 1), (2.0, 0.9, 1))
    for effect, least, most in effects:
        share = "at most 7%" if not effect else "at least 90%" if effect > 1 else "any"
        most = most + (3 * math.sqrt(0.07 * 0.93 / many) if not effect else 0)
        found.append(
            Experiment(f"H9 {effect:g}", f"n = 100, p = 20, effect {effect:g}", share,
                       partial(power, effect=effect),
                       partial(judge_power, least=least, most=most), many)
        )  # fmt: skip
    found.append(
        Experiment("H13", f"n = 60, p = 30, up to {most_trials} trials", "reported gap = true gap",
                   partial(overtuning, trials=most_trials), judge_overtuning, 10 if quick else 30)
    )  # fmt: skip
    return found
