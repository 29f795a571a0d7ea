"""How good are the networks that a search finds? Nested losses on real data sets, side by side.

Each side searches the training rows of every outer fold on the same inner folds, refits its choice
and is judged on the fold's own rows, in the task's loss. Sides of autoreg have the same number of
trials and the same architectures to choose from:

* cocktail: the space ``network``, all its techniques in any combination, as autoreg has it: each
  refit averages five networks; of any length: with ``training_length``, a quarter to four times the
  epochs, as one more dial of the search; of one: each refit is one network;
* plain: no technique at all; dropout, weight decay: that technique or none; refits are one network;
* linear: ridge, or logistic regression with that penalty;
* lightgbm, xgboost: boosted trees, tuned by Optuna for as long as the cocktail's searches took.

Times are CPU seconds on one thread. Each finished side of a set is a line of the state file, so the
benchmark can be run in pieces, and goes on where it was stopped:

    python benchmarks/network_quality.py --data FOLDER --state quality.jsonl
    python benchmarks/network_quality.py --data FOLDER --state quality.jsonl --sets sonar cmc
    python benchmarks/network_quality.py --quick            # made data, few trials: a smoke test

Boosted trees are left out, with a message, where their packages are not installed:

    pip install lightgbm xgboost
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from measuring import clocked, table, versions  # first: it sets the number of threads

# isort: split
import numpy as np
import optuna
import pandas as pd
from scipy.stats import rankdata, wilcoxon
from sklearn.datasets import load_wine, make_friedman1

from autoreg.metrics.base import row_losses
from autoreg.preprocess import Preprocessor
from autoreg.spec import read_space, seed_for
from autoreg.statistics import nadeau_bengio
from autoreg.study import prepare, run_study

OUTER = 3
TRIALS = 32
SPARE = 1e-7  # probabilities of boosted trees are clipped like all others

# Files in the folder that --data names: target, columns to leave out.
REAL: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "pwlinear": ("pwlinear/pwlinear.csv", "class", ()),
    "sonar": ("sonar/sonar.csv", "Class", ()),
    "bodyfat": ("bodyfat/bodyfat.csv", "class", ("Density",)),
    "hitters": ("hitters/hitters.csv", "Salary", ()),
    "ionosphere": ("ionosphere/ionosphere.csv", "class", ()),
    "tv_autompg": ("tv_autompg/tv_autompg.csv", "y", ("fold",)),
    "saheart": ("saheart/saheart.csv", "chd", ()),
    "diabetes_pima": ("diabetes_pima/diabetes_pima.csv", "class", ()),
    "college": ("college/college.csv", "Apps", ()),
    "qsar_biodeg": ("qsar_biodeg/qsar_biodeg.csv.gz", "class", ()),
    "oj": ("oj/oj.csv", "Purchase", ()),
    "cmc": ("cmc/cmc.csv", "Contraceptive_method_used", ()),
    "tv_airfoil": ("tv_airfoil/tv_airfoil.csv", "y", ("fold",)),
    "cells": ("cells/cells.csv.gz", "class", ("case",)),
    "cpu_act": ("cpu_act/cpu_act.csv.gz", "usr", ()),
}
MADE = ("friedman", "wine")  # of --quick


def any_length() -> dict:
    """The space ``network`` with the length of training as a dial."""
    known = read_space("network").model_dump(mode="json")
    known["families"]["network"]["architecture"]["training_length"] = [0.25, 4]
    return known | {"space": "any_length"}


def network_space(techniques: list[str], incumbent: list[str]) -> dict:
    """The architectures of the space ``network``, with these techniques."""
    known = read_space("network").families["network"].model_dump(mode="json")
    family = {"techniques": techniques, "architecture": known["architecture"]}
    return {
        "space": "_".join(incumbent) or "plain",
        "families": {"network": family},
        "incumbent": {"family": "network", "techniques": incumbent},
    }


SPACES: dict[str, str | dict] = {
    "cocktail": "network",
    "cocktail of any length": any_length(),
    "cocktail of one": "network",
    "plain": network_space(["none"], []),
    "dropout": network_space(["none", "dropout"], ["dropout"]),
    "weight decay": network_space(["none", "weight_decay"], ["weight_decay"]),
    "linear": {
        "space": "ridge",
        "families": {"linear": {"techniques": ["none", "ridge"]}},
        "incumbent": {"family": "linear", "techniques": ["ridge"]},
        "path_points": 50,
    },
}
AVERAGED = ("cocktail", "cocktail of any length")
TREES = ("lightgbm", "xgboost")
SIDES = (*SPACES, *TREES)


@dataclass(frozen=True)
class Effort:
    """How many trials each search has, and from which seed."""

    trials: int
    seed: int


def question(name: str, side: str, folder: Path | None, effort: Effort) -> tuple[dict, object]:
    """The study of a side on a set, and the table where the study names no source."""
    asked = {
        "study": name,
        "space": SPACES[side],
        "trials": effort.trials,
        "seed": effort.seed,
        "held_out": None,
        "folds": {"outer": OUTER},
        "select": {"final": "skip"},
        "attribution": False,
    }
    if side not in AVERAGED:
        asked["training"] = {"members": 1}
    if name == "friedman":
        return asked, make_friedman1(200, noise=1.0, random_state=0)
    if name == "wine":
        return asked, load_wine(return_X_y=True)
    file, target, drop = REAL[name]
    frame = pd.read_csv(folder / file)
    data = {"target": target, "drop": list(drop)}
    return asked | {"data": data}, frame.dropna(subset=[target]).reset_index(drop=True)


# ---- sides -------------------------------------------------------------------------------------


def ours(name: str, side: str, folder: Path | None, effort: Effort) -> dict:
    """A nested study: the losses of its outer folds, and how long all of it took."""
    asked, data = question(name, side, folder, effort)
    with TemporaryDirectory() as home:
        options = {"home": home, "tracking": False, "progress": False, "workers": 1}
        seconds, result = clocked(lambda: run_study(asked, data, **options))
    folds = result.verdict.folds
    return {
        "losses": [fold.loss for fold in folds],
        "baselines": [fold.baseline_loss for fold in folds],
        "chosen": [fold.chosen.describe() for fold in folds],
        "seconds": seconds,
        "trials": len(result.trials),
    }


def boosted(
    name: str, side: str, folder: Path | None, effort: Effort, *, module: ModuleType, seconds: float
) -> dict:
    """Boosted trees, tuned by Optuna on the inner folds for so many seconds in all."""
    asked, data = question(name, "cocktail", folder, effort)
    bench = prepare(asked, data, workers=1).bench
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    begun, losses, made = time.process_time(), [], 0
    for number, fold in enumerate(bench.plan.outer):
        tried = _tuned(bench, fold.name, side, module, begun + seconds * (number + 1) / OUTER)
        losses.append(_tree_loss(bench.table, side, module, tried.best_params, fold))
        made += len(tried.trials)
    return {"losses": losses, "seconds": time.process_time() - begun, "trials": made}


def _tuned(bench, search: str, side: str, module: ModuleType, until: float) -> optuna.Study:
    sampler = optuna.samplers.TPESampler(seed=seed_for(bench.spec.seed, "quality", search))
    tried = optuna.create_study(sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        dials = _tree_dials(trial, side)
        return float(
            np.mean(
                [_tree_loss(bench.table, side, module, dials, f) for f in bench.plan.inner[search]]
            )
        )

    while not tried.trials or time.process_time() < until:
        tried.optimize(objective, n_trials=1)
    return tried


def _tree_dials(trial: optuna.Trial, side: str) -> dict:
    dials = {
        "n_estimators": trial.suggest_int("n_estimators", 20, 1000, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 100.0, log=True),
        "reg_alpha": trial.suggest_float("reg_alpha", 1e-3, 10.0, log=True),
    }
    if side == "lightgbm":
        dials["num_leaves"] = trial.suggest_int("num_leaves", 3, 127, log=True)
        dials["min_child_samples"] = trial.suggest_int("min_child_samples", 2, 60, log=True)
    else:
        dials["max_depth"] = trial.suggest_int("max_depth", 1, 10)
        dials["min_child_weight"] = trial.suggest_float("min_child_weight", 0.1, 20.0, log=True)
    return dials


def _tree_loss(data, side: str, module: ModuleType, dials: dict, fold) -> float:
    """The loss of trees that were fitted on a fold's training rows, on its other rows.

    Categories become indicators and missing cells are filled, as for all other sides.
    """
    known = Preprocessor.fit(data.X[fold.train], data.columns)
    inputs, rows = known.transform(data.X[fold.train]), known.transform(data.X[fold.test])
    kind = "Regressor" if data.task == "regression" else "Classifier"
    own = {"lightgbm": {"subsample_freq": 1, "verbose": -1}, "xgboost": {"verbosity": 0}}[side]
    prefix = {"lightgbm": "LGBM", "xgboost": "XGB"}[side]
    settings = dials | own | {"n_jobs": 1, "random_state": 0}
    model = getattr(module, prefix + kind)(**settings).fit(inputs, data.y[fold.train])
    if data.task == "regression":
        predicted = model.predict(rows)[:, None].astype(np.float64)
    else:
        predicted = np.clip(model.predict_proba(rows).astype(np.float64), SPARE, 1 - SPARE)
    return float(row_losses(data.task, data.y[fold.test], predicted).mean())


# ---- state -------------------------------------------------------------------------------------


class State:
    """What is known from one seed, a line of JSON for each side of a set."""

    def __init__(self, path: Path, seed: int = 0) -> None:
        self.path, self.seed = path, seed
        lines = map(json.loads, path.read_text().splitlines() if path.exists() else [])
        own = [one for one in lines if one.get("seed", 0) == seed]
        self.known = {(one["set"], one["side"]): one for one in own}

    def add(self, name: str, side: str, found: dict) -> None:
        self.known[name, side] = {"set": name, "side": side, "seed": self.seed, **found}
        with self.path.open("a") as file:
            file.write(json.dumps(self.known[name, side]) + "\n")


def packages() -> dict[str, ModuleType]:
    """The packages of boosted trees that are installed."""
    found = {}
    for name in TREES:
        try:
            found[name] = __import__(name)
        except ImportError:
            print(f"{name} is not installed and is left out: pip install {name}", flush=True)
    return found


def measure(state: State, names: list[str], sides: list[str], folder, effort: Effort) -> None:
    trees = packages()
    for name in names:
        for side in [one for one in SIDES if one in sides and (name, one) not in state.known]:
            work: Callable[..., dict] = ours
            options: dict = {}
            if side in TREES:
                if side not in trees or (name, "cocktail") not in state.known:
                    continue
                seconds = state.known[name, "cocktail"]["seconds"]
                work, options = boosted, {"module": trees[side], "seconds": seconds}
            found = work(name, side, folder, effort, **options)
            state.add(name, side, found)
            print(
                f"{name:<14} {side:<17} {np.mean(found['losses']):10.5g}  "
                f"{found['trials']:5} trials {found['seconds']:7.1f} s",
                flush=True,
            )


# ---- what comes out ----------------------------------------------------------------------------


def losses_table(state: State, names: list[str], sides: list[str]) -> list[tuple[str, ...]]:
    """Mean nested losses relative to the featureless model, the best of each set marked."""
    rows = []
    for name in names:
        unit = np.mean(state.known[name, "cocktail"]["baselines"])
        means = [np.mean(state.known[name, side]["losses"]) / unit for side in sides]
        best = int(np.argmin(means))
        rows.append((name, *(f"{m:.4f}{' *' if k == best else ''}" for k, m in enumerate(means))))
    return rows


def summary(state: State, names: list[str], sides: list[str]) -> list[tuple[str, ...]]:
    """Mean ranks, and the cocktail against each side: over sets, and set by set."""
    losses = np.array([[np.mean(state.known[n, s]["losses"]) for s in sides] for n in names])
    ranks = np.array([rankdata(row) for row in losses]).mean(axis=0)
    mine, rows = sides.index("cocktail"), []
    for k in np.argsort(ranks):
        side = sides[k]
        if k == mine:
            rows.append((side, f"{ranks[k]:.2f}", "", "", "", ""))
            continue
        ratio = np.log(losses[:, k] / losses[:, mine])
        test = wilcoxon(ratio).pvalue if len(names) > 1 else float("nan")
        clear = [_clear(state, name, side) for name in names]
        rows.append(
            (
                side,
                f"{ranks[k]:.2f}",
                f"{np.exp(np.median(ratio)):.3f}",
                f"{int((ratio > 0).sum())} of {len(names)}",
                f"{test:.3g}",
                f"{clear.count(1)} / {clear.count(-1)}",
            )
        )
    return rows


def _clear(state: State, name: str, side: str) -> int:
    """1 where the cocktail is clearly better on the outer folds of a set, -1 where it is worse."""
    mine, other = (np.array(state.known[name, one]["losses"]) for one in ("cocktail", side))
    interval = nadeau_bengio(other - mine, 1 / (OUTER - 1))
    return int(np.sign(interval.value)) if interval.excludes_zero else 0


def report(state: State, asked: list[str]) -> str:
    """The tables, of the sets on which all sides that appear anywhere are known."""
    sides = [side for side in SIDES if any(one == side for _, one in state.known)]
    names = [name for name in asked if all((name, side) in state.known for side in sides)]
    if not names or "cocktail" not in sides:
        return "nothing to compare yet"
    title = f"Nested loss by that of the featureless model, {OUTER} outer folds"
    spent = [f"{sum(state.known[n, s]['seconds'] for n in names):.0f}" for s in sides]
    rows = [*losses_table(state, names, sides), ("CPU seconds", *spent)]
    head = ("against", "mean rank", "median ratio", "cocktail better", "Wilcoxon p", "clear +/-")
    return (
        table(title, ("set", *sides), rows)
        + "\n"
        + table(
            "The cocktail against each side; ratios of losses above 1 are wins",
            ("side", *head[1:]),
            summary(state, names, sides),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder of real data sets, see REAL")
    parser.add_argument("--state", type=Path, default=Path("mlruns/network_quality.jsonl"))
    parser.add_argument("--sets", nargs="+", choices=(*REAL, *MADE))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each search")
    parser.add_argument("--seed", type=int, default=0, help="of folds, fits and searches")
    parser.add_argument("--quick", action="store_true", help="made data, few trials: a smoke test")
    parser.add_argument("--write", type=Path, help="write the tables to this file, too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.quick:
        options.trials, options.state = 6, Path(TemporaryDirectory().name + ".jsonl")
    elif options.data is None:
        raise SystemExit("name the folder of the data sets by --data, or use --quick")
    names = options.sets or list(MADE if options.quick else REAL)
    options.state.parent.mkdir(parents=True, exist_ok=True)
    head = f"{versions('autoreg', 'torch', 'lightgbm', 'xgboost')}; {options.trials} trials."
    print(head, flush=True)
    state = State(options.state, options.seed)
    measure(state, names, options.sides, options.data, Effort(options.trials, options.seed))
    said = report(state, names)
    print(said)
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(f"# Quality of searched networks\n\n{head}\n{said}\n")


if __name__ == "__main__":
    main()
