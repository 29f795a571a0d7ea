"""Which sampler searches our spaces best? Regret of TPE, GP and random search on real data.

The objective is the real one (mean inner loss of a full search on all development rows, both
families), computed once for each candidate and cached on disk, so that samplers that ask the
same pay once. Regret is relative to the best loss that any sampler and seed found on that
data set. The fixed design is part of every run.

    python benchmarks/sampler.py --seeds 4 --trials 40
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import optuna
import sklearn

from autoreg.folds import FINAL
from autoreg.scoring import Ask
from autoreg.search import evaluate
from autoreg.spec import read_space, read_study
from autoreg.study import prepare
from autoreg.tuner import Tuner

SETS = ("breast_cancer", "diabetes", "wine")


class Dense(Tuner):
    """A tuner that opens every technique in every ask."""

    def opened(self, own, family, seed):
        return list(self.space.axes(family))


SAMPLERS = {
    "tpe": (Tuner, "tpe"),
    "tpe, all open": (Dense, "tpe"),
    "gp": (Tuner, "gp"),
    "random": (Tuner, "random"),
}


class Cached:
    """The inner loss of each candidate, remembered in a JSON file."""

    def __init__(self, bench, path: Path) -> None:
        self.bench, self.path = bench, path
        self.known = json.loads(path.read_text()) if path.exists() else {}

    def __call__(self, candidates) -> list[float]:
        """The losses of candidates; those that are not known yet are fitted together."""
        new = {one.key: one for one in candidates if one.key not in self.known}
        if new:
            asks = [Ask(FINAL, n, one, "sampler") for n, one in enumerate(new.values())]
            for trial in evaluate(self.bench, asks, lambda done, total: None):
                self.known[trial.candidate.key] = trial.told
            self.path.write_text(json.dumps(self.known))
        return [self.known[one.key] for one in candidates]


class Run:
    """One sampler with one seed on one data set: what it asked, and what came of it."""

    def __init__(self, space, side: str, seed: int, trials: int) -> None:
        kind, sampler = SAMPLERS[side]
        self.side, self.design = side, len(space.design())
        self.tuner = kind(space, sampler, trials, seed, FINAL)
        self.history, self.seconds = [], 0.0

    def ask(self):
        start = time.perf_counter()
        candidate = self.tuner.ask(self.history)
        self.seconds += time.perf_counter() - start
        return candidate

    @property
    def path(self) -> np.ndarray:
        """The best loss after each trial."""
        return np.minimum.accumulate([loss for _, loss in self.history])

    @property
    def milliseconds(self) -> float:
        """What an ask took after the design."""
        return 1000 * self.seconds / max(1, len(self.history) - self.design)

    @property
    def techniques(self) -> float:
        """How many techniques the networks had that the sampler asked for."""
        nets = [one for one, _ in self.history[self.design :] if one.family == "network"]
        return float(np.mean([len(one.techniques) for one in nets])) if nets else float("nan")


def runs_on(name: str, options: argparse.Namespace) -> list[Run]:
    """All runs on a data set, side by side: what they ask for is fitted together."""
    spec = read_study(name)
    if options.space:
        spec = spec.model_copy(update={"space": read_space(options.space)})
    bench = prepare(spec, workers=1).bench
    objective = Cached(bench, options.cache / f"{name}-{bench.space.name}.json")
    sides = [(side, seed) for side in options.samplers for seed in range(options.seeds)]
    runs = [Run(bench.space, side, seed, options.trials) for side, seed in sides]
    objective(bench.space.design()[: options.trials])
    for _ in range(options.trials):
        asked = [one.ask() for one in runs]
        for one, candidate, loss in zip(runs, asked, objective(asked), strict=True):
            one.history.append((candidate, loss))
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--space", help="another space than that of the studies")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=SAMPLERS)
    parser.add_argument("--cache", type=Path, default=Path("mlruns/sampler_benchmark"))
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    print(f"optuna {optuna.__version__}, scikit-learn {sklearn.__version__}")
    looks = [n for n in (16, 20, 24, 32, 40, 60, 100) if n <= options.trials]
    runs: dict[str, list[Run]] = {side: [] for side in options.samplers}
    regrets: dict[str, list[list[float]]] = {side: [] for side in options.samplers}
    for name in options.sets:
        found = runs_on(name, options)
        best = min(one.path[-1] for one in found)
        for one in found:
            runs[one.side].append(one)
            regrets[one.side].append([one.path[n - 1] / best - 1 for n in looks])
        print(f"{name}: best inner loss {best:.5g}", flush=True)
    print("mean relative regret after n trials".ljust(38) + "".join(f"{n:>9}" for n in looks))
    for sampler in options.samplers:
        means = np.mean(regrets[sampler], axis=0)
        cells = "".join(f"{value:9.4f}" for value in means)
        size = np.mean([one.techniques for one in runs[sampler]])
        spent = np.mean([one.milliseconds for one in runs[sampler]])
        print(f"  {sampler:<14}{size:4.1f} techniques, {spent:3.0f} ms".ljust(38) + cells)


if __name__ == "__main__":
    main()
