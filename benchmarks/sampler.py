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
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import sklearn

from autoreg.folds import FINAL
from autoreg.scoring import Ask
from autoreg.search import evaluate
from autoreg.study import prepare
from autoreg.tuner import Tuner

SAMPLERS = ("tpe", "gp", "random")
SETS = ("breast_cancer", "diabetes", "wine")


class Cached:
    """The inner loss of each candidate, remembered in a JSON file."""

    def __init__(self, bench, path: Path) -> None:
        self.bench, self.path = bench, path
        self.known = json.loads(path.read_text()) if path.exists() else {}

    def __call__(self, candidate) -> float:
        if candidate.key not in self.known:
            ask = Ask(FINAL, 0, candidate, "sampler")
            (trial,) = evaluate(self.bench, [ask], lambda done, total: None)
            self.known[candidate.key] = trial.told
            self.path.write_text(json.dumps(self.known))
        return self.known[candidate.key]


def run(bench, objective, sampler: str, seed: int, trials: int) -> tuple[list[float], float]:
    """The losses in the order of the asks, and the mean milliseconds of an ask."""
    tuner = Tuner(bench.space, sampler, trials, seed, FINAL)
    history, spent = [], 0.0
    for _ in range(trials):
        start = time.perf_counter()
        candidate = tuner.ask(history)
        spent += time.perf_counter() - start
        history.append((candidate, objective(candidate)))
    asked = max(1, trials - len(bench.space.design()))
    return [loss for _, loss in history], 1000 * spent / asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--cache", type=Path, default=Path("mlruns/sampler_benchmark"))
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    print(f"optuna {optuna.__version__}, scikit-learn {sklearn.__version__}")
    looks = [n for n in (16, 20, 24, 32, 40, 60, 100) if n <= options.trials]
    regrets = {sampler: [] for sampler in SAMPLERS}
    asks = {sampler: [] for sampler in SAMPLERS}
    for name in SETS:
        ready = prepare(name, workers=1)
        bench = replace(ready.bench, spec=ready.spec)
        objective = Cached(bench, options.cache / f"{name}.json")
        paths = {}
        for sampler in SAMPLERS:
            for seed in range(options.seeds):
                losses, ms = run(bench, objective, sampler, seed, options.trials)
                paths[sampler, seed] = np.minimum.accumulate(losses)
                asks[sampler].append(ms)
        best = min(path[-1] for path in paths.values())
        for (sampler, _), path in paths.items():
            regrets[sampler].append([path[n - 1] / best - 1 for n in looks])
        print(f"{name}: best inner loss {best:.5g}", flush=True)
    print("mean relative regret after n trials".ljust(38) + "".join(f"{n:>9}" for n in looks))
    for sampler in SAMPLERS:
        means = np.mean(regrets[sampler], axis=0)
        cells = "".join(f"{value:9.4f}" for value in means)
        print(f"  {sampler:<8} {np.mean(asks[sampler]):6.0f} ms an ask".ljust(38) + cells)


if __name__ == "__main__":
    main()
