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

    def __call__(self, candidate) -> float:
        if candidate.key not in self.known:
            ask = Ask(FINAL, 0, candidate, "sampler")
            (trial,) = evaluate(self.bench, [ask], lambda done, total: None)
            self.known[candidate.key] = trial.told
            self.path.write_text(json.dumps(self.known))
        return self.known[candidate.key]


def run(bench, objective, side: str, seed: int, trials: int) -> tuple[list[float], float, float]:
    """The losses in the order of the asks, milliseconds and techniques of a network's ask."""
    kind, sampler = SAMPLERS[side]
    tuner = kind(bench.space, sampler, trials, seed, FINAL)
    history, spent = [], 0.0
    for _ in range(trials):
        start = time.perf_counter()
        candidate = tuner.ask(history)
        spent += time.perf_counter() - start
        history.append((candidate, objective(candidate)))
    asked = max(1, trials - len(bench.space.design()))
    nets = [one for one, _ in history[len(bench.space.design()) :] if one.family == "network"]
    techniques = np.mean([len(one.techniques) for one in nets]) if nets else float("nan")
    return [loss for _, loss in history], 1000 * spent / asked, techniques


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
    regrets = {sampler: [] for sampler in options.samplers}
    asks = {sampler: [] for sampler in options.samplers}
    sizes = {sampler: [] for sampler in options.samplers}
    for name in options.sets:
        spec = read_study(name)
        if options.space:
            spec = spec.model_copy(update={"space": read_space(options.space)})
        bench = prepare(spec, workers=1).bench
        objective = Cached(bench, options.cache / f"{name}-{bench.space.name}.json")
        paths = {}
        for sampler in options.samplers:
            for seed in range(options.seeds):
                losses, ms, size = run(bench, objective, sampler, seed, options.trials)
                paths[sampler, seed] = np.minimum.accumulate(losses)
                asks[sampler].append(ms)
                sizes[sampler].append(size)
            ends = [path[-1] for (side, _), path in paths.items() if side == sampler]
            print(f"  {name}, {sampler}: {np.mean(ends):.5g}", flush=True)
        best = min(path[-1] for path in paths.values())
        for (sampler, _), path in paths.items():
            regrets[sampler].append([path[n - 1] / best - 1 for n in looks])
        print(f"{name}: best inner loss {best:.5g}", flush=True)
    print("mean relative regret after n trials".ljust(38) + "".join(f"{n:>9}" for n in looks))
    for sampler in options.samplers:
        means = np.mean(regrets[sampler], axis=0)
        cells = "".join(f"{value:9.4f}" for value in means)
        size = f"{np.mean(sizes[sampler]):4.1f} techniques"
        print(f"  {sampler:<14}{size}, {np.mean(asks[sampler]):3.0f} ms".ljust(38) + cells)


if __name__ == "__main__":
    main()
