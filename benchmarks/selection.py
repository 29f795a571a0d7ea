"""Does selecting help? Held-out regret of autoreg's choice to the best technique in hindsight.

On every split of a problem autoreg searches the training rows and refits its choice. So is the
inner-best setting of each technique; the technique with the lowest loss on the held-out rows of
all splits together is the best in hindsight, and regret is how far a method's loss lies above
that, relative to it. The noise of autoreg's regret is the standard error of the paired difference,
by a bootstrap of splits and of the held-out rows in them. Nobody could know the best in hindsight,
and the lowest of many noisy losses is a little too low, so a regret of zero is more than can be
had.

Beside it: ElasticNetCV and RidgeCV (LogisticRegressionCV for two classes) on the same inputs, and
random search over the same space (technique, dials and strength drawn at random, fitted one at a
time by the same engine on the same inner folds) for as much CPU time as autoreg's search took.

    python benchmarks/selection.py
    python benchmarks/selection.py --data FOLDER        # and real data sets, see REAL
    python benchmarks/selection.py --resume FILE        # problems that FILE has are not repeated

A made problem is drawn afresh for each split and has many held-out rows, so its noise is that of
the splits; a real one is cut into outer folds, each of which judges once.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from measuring import inputs, table, versions  # first: it sets the number of threads

# isort: split
import numpy as np
from sklearn.linear_model import ElasticNetCV, LogisticRegressionCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from autoreg.data import load
from autoreg.data.dataset import Column, Dataset
from autoreg.deciding import SelectSpec
from autoreg.engines import engine_for
from autoreg.engines.base import Fit, Job, TrainingSet
from autoreg.folds import FINAL, plan
from autoreg.metrics import default_metrics, row_losses
from autoreg.preprocess import Preprocessor
from autoreg.scoring import Bench, job_for
from autoreg.search import run_searches
from autoreg.select import select
from autoreg.space import Space
from autoreg.spec import DataSpec, seed_for, study_from
from autoreg.splitters import split

FOLDS = 5
OUTER = 5  # splits of a real data set
HELD_OUT = 4_000  # rows of a made problem
BOOTSTRAPS = 2_000
SIZES = {(100, 20): 12, (100, 300): 4, (1_000, 60): 5}  # and the splits of each
TRUTHS = ("sparse", "dense", "grouped", "null")
GROUP = 5  # inputs in a group
ALPHAS = np.geomspace(1e-4, 1e4, 100)  # of RidgeCV, on standardized inputs

# Files in the folder that --data names, and the column to predict.
REAL = {
    "college": ("college/college.csv", "Apps"),
    "credit_isl": ("credit_isl/credit_isl.csv", "Balance"),
    "bdims": ("bdims/bdims.csv", "wgt"),
    "bardet": ("bardet/bardet.csv", "y"),
    "permeability_qsar": ("permeability_qsar/permeability_qsar.csv.gz", "permeability"),
    "triazines": ("triazines/triazines.csv", "y"),
    "pyrim": ("pyrim/pyrim.csv", "y"),
    "residential": ("residential/residential.csv.gz", "y"),
    "star98": ("star98/star98.csv", "PR50M"),
    "saheart": ("saheart/saheart.csv", "chd"),
    "oj": ("oj/oj.csv", "Purchase"),
    "sonar": ("sonar/sonar.csv", "Class"),
    "ionosphere": ("ionosphere/ionosphere.csv", "class"),
    "musk": ("musk/musk.csv.gz", "y"),
    "qsar_biodeg": ("qsar_biodeg/qsar_biodeg.csv.gz", "class"),
    "micro_alon": ("micro_alon/micro_alon.csv.gz", "y"),
}
GROUPS = {"bardet": "_"}  # the separator that names feature groups


@dataclass(frozen=True, eq=False)
class Split:
    """One table, and which of its rows are learned from and which judge."""

    data: Dataset
    train: np.ndarray
    test: np.ndarray


# ---- problems ----------------------------------------------------------------------------------


def made(truth: str, n: int, p: int, task: str, seed: int) -> Split:
    """A linear truth that explains half of the variance, or nothing at all."""
    rng = np.random.default_rng(seed)
    X = inputs(n + HELD_OUT, p, 0.3, rng)
    signal = X @ _coefficients(truth, p, rng)
    noise = rng.normal(size=len(X)) if task == "regression" else rng.logistic(size=len(X))
    signal *= 2 / signal.std() if task == "binary" and truth != "null" else 1
    spread = signal.std() if task == "regression" and truth != "null" else 1.0
    y = signal + spread * noise
    group = (lambda j: f"g{j // GROUP}") if truth == "grouped" else (lambda j: "")
    columns = tuple(Column(f"x{j}", "numeric", group=group(j)) for j in range(p))
    rows = np.arange(len(X))
    if task == "binary":
        data = Dataset(truth, columns, X, (y > 0).astype(np.int64), task, "y", (0, 1))
    else:
        data = Dataset(truth, columns, X, y, task, "y")
    return Split(data, rows[:n], rows[n:])


def _coefficients(truth: str, p: int, rng: np.random.Generator) -> np.ndarray:
    w = rng.normal(size=p)
    if truth == "sparse":
        w[5:] = 0
    elif truth == "grouped":
        w[3 * GROUP :] = 0
    elif truth == "null":
        w[:] = 0
    return w


def real(name: str, folder: Path) -> list[Split]:
    """The outer folds of a data set: each row judges once."""
    file, target = REAL[name]
    groups = GROUPS.get(name)
    data = load(DataSpec(source=str(folder / file), target=target, feature_groups=groups))
    return [Split(data, train, test) for train, test in split(data, OUTER, seed_for(0, name))]


def problems(folder: Path | None, quick: bool) -> Iterator[tuple[str, Callable[[], list[Split]]]]:
    sizes = list(SIZES)[:1] if quick else list(SIZES)
    cases = [(truth, size, "regression") for truth in TRUTHS for size in sizes]
    cases += [(truth, sizes[0], "binary") for truth in TRUTHS]
    for truth, (n, p), task in cases:
        name = f"{truth}, {n:,} x {p}, {task}"
        yield (
            name,
            lambda a=(truth, n, p, task): [made(*a, seed_for(*a, k)) for k in range(SIZES[a[1:3]])],
        )
    for name in REAL if folder else ():
        yield name, lambda name=name: real(name, folder)


# ---- methods -----------------------------------------------------------------------------------


def bench_for(one: Split, trials: int) -> Bench:
    """What a search over the space ``linear`` needs, on the training rows alone."""
    data = one.data.rows(one.train)
    spec = study_from({"study": "selection", "space": "linear", "trials": trials})
    folds = plan(data, spec.folds, 0, cheap=spec.is_linear)
    folds = replace(folds, inner={FINAL: folds.inner[FINAL]})  # nested scores are not needed
    known = {"grouped": data.is_grouped, "symmetric": data.is_symmetric}
    space = Space.build(spec.space, data.task, spec.linear, **known)
    engine = engine_for(space.design(), data.task)
    return Bench(data, folds, space, spec, engine, default_metrics(data.task))


def refitted(one: Split, bench: Bench, candidates) -> np.ndarray:
    """Row losses (c, n_test) of candidates that are refitted on all training rows."""
    training = TrainingSet(one.train, ("held-out",))
    jobs = [Job(candidate, training, one.test, 0) for candidate in candidates]
    fits = bench.engine.run(jobs, one.data)
    return np.array([_losses(one, fit.predictions[0]) for fit in fits])


def _losses(one: Split, predicted: np.ndarray) -> np.ndarray:
    return row_losses(one.data.task, one.data.y[one.test], predicted)


def searched(one: Split, bench: Bench) -> tuple[dict[str, np.ndarray], str, float]:
    """Row losses of autoreg's choice ("autoreg") and of each technique; its name; seconds."""
    start = time.process_time()
    trials = run_searches(bench, {}, record=lambda trial: None, round_done=lambda number: True)[
        FINAL
    ]
    chosen = select(trials, SelectSpec(), bench.space.incumbent)
    seconds = time.process_time() - start
    asked = {"autoreg": chosen.chosen.candidate}
    asked |= {rival.candidate.label: rival.candidate for rival in chosen.contenders}
    losses = refitted(one, bench, asked.values())
    return dict(zip(asked, losses, strict=True)), chosen.chosen.candidate.label, seconds


def random_search(one: Split, bench: Bench, seconds: float, seed: int) -> np.ndarray:
    """Row losses of the best of random settings, drawn until the time is over."""
    rng = np.random.default_rng(seed)
    inner = bench.plan.inner[FINAL]
    best, lowest, start = None, np.inf, time.process_time()
    while best is None or time.process_time() - start < seconds:
        candidate = _drawn(bench.space, rng)
        jobs = [replace(job_for(bench, candidate, fold), strengths=()) for fold in inner]
        fits = bench.engine.run(jobs, bench.table, cells=bench.plan.cells)
        if all(isinstance(fit, Fit) for fit in fits):
            sizes = [len(fold.test) for fold in inner]
            loss = np.average([fit.losses[0] for fit in fits], weights=sizes)
            if loss < lowest:
                best, lowest = candidate, loss
    return refitted(one, bench, [best])[0]


def _drawn(space: Space, rng: np.random.Generator):
    point = {
        axis.name: str(rng.choice(axis.categories)) if axis.categories else float(rng.random())
        for axis in space.axes("linear")
    }
    candidate = space.decode("linear", point)
    strengths = space.strengths(candidate)
    return candidate.at(float(rng.choice(strengths))) if strengths else candidate


def from_sklearn(one: Split) -> dict[str, np.ndarray]:
    """Row losses of what people reach for, on the inputs that autoreg's preprocessing makes."""
    data = one.data
    scaling = Preprocessor.fit(data.X[one.train], data.columns, np.ones(len(one.train)))
    prepared = FunctionTransformer(scaling.transform)
    y = data.y[one.train]
    if data.task == "binary":
        net = LogisticRegressionCV(
            Cs=20,
            cv=FOLDS,
            scoring="neg_log_loss",
            max_iter=2_000,
            l1_ratios=(0.0,),
            use_legacy_attributes=False,
        )
        net = make_pipeline(prepared, net).fit(data.X[one.train], y)
        return {"LogisticRegressionCV": _losses(one, net.predict_proba(data.X[one.test]))}
    found = {}
    rivals = {
        "ElasticNetCV": ElasticNetCV(l1_ratio=[0.1, 0.5, 0.9, 1.0], cv=FOLDS, max_iter=5_000),
        "RidgeCV": RidgeCV(alphas=ALPHAS),
    }
    for name, rival in rivals.items():
        rival = make_pipeline(prepared, rival).fit(data.X[one.train], y)
        found[name] = _losses(one, rival.predict(data.X[one.test])[:, None])
    return found


# ---- regret ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """Relative regrets of all methods on one problem, and the noise of autoreg's."""

    problem: str
    best: str
    chosen: str
    regrets: dict[str, float]
    noise: float
    seconds: float

    @property
    def cells(self) -> tuple[str, ...]:
        nets = ("ElasticNetCV", "RidgeCV", "LogisticRegressionCV")
        told = [f"{self.regrets[net]:+.1%}" if net in self.regrets else "" for net in nets]
        return (
            self.problem,
            self.best,
            self.chosen,
            f"{self.regrets['autoreg']:+.1%}",
            f"{self.noise:.1%}",
            *told,
            f"{self.regrets['random search']:+.1%}",
            f"{self.seconds:.1f}",
        )


HEAD = (
    "problem",
    "best in hindsight",
    "chosen (splits)",
    "autoreg",
    "noise",
    "ElasticNetCV",
    "RidgeCV",
    "LogisticRegressionCV",
    "random search",
    "s a search",
)


def outcome(name: str, splits: list[Split], trials: int) -> Outcome:
    """All methods on all splits of a problem; row losses are pooled over the splits."""
    pooled: dict[str, list[np.ndarray]] = {}
    chosen, spent = Counter(), []
    for number, one in enumerate(splits):
        bench = bench_for(one, trials)
        losses, label, seconds = searched(one, bench)
        losses |= from_sklearn(one)
        losses["random search"] = random_search(one, bench, seconds, number)
        for method, rows in losses.items():
            pooled.setdefault(method, []).append(rows)
        chosen[label] += 1
        spent.append(seconds)
    pooled = {method: parts for method, parts in pooled.items() if len(parts) == len(splits)}
    rows = {method: np.concatenate(parts) for method, parts in pooled.items()}
    singles = {method: rows[method].mean() for method in bench_labels(bench) if method in rows}
    best = min(singles, key=singles.__getitem__)
    regrets = {method: rows[method].mean() / singles[best] - 1 for method in rows}
    differences = [ours - its for ours, its in zip(pooled["autoreg"], pooled[best], strict=True)]
    noise = bootstrap_error(differences) / singles[best]
    words = ", ".join(f"{label} {count}" for label, count in chosen.most_common())
    return Outcome(name, best, words, regrets, noise, float(np.median(spent)))


def bench_labels(bench: Bench) -> set[str]:
    return {one.label for one in bench.space.design()}


def bootstrap_error(differences: list[np.ndarray]) -> float:
    """The standard error of a mean of paired differences, over resampled splits and rows."""
    rng = np.random.default_rng(0)
    means = np.array([one.mean() for one in differences])
    errors = np.array([one.std() / np.sqrt(len(one)) for one in differences])
    chosen = rng.integers(0, len(means), (BOOTSTRAPS, len(means)))
    # The mean of resampled rows is normal to a high degree: there are many of them.
    drawn = means[chosen] + errors[chosen] * rng.normal(size=chosen.shape)
    return float(np.std(drawn.mean(axis=1)))


def outcomes_of(options: argparse.Namespace) -> list[Outcome]:
    """Of all problems asked for; those that the file to resume from has are not repeated."""
    known = {}
    if options.resume and options.resume.exists():
        lines = options.resume.read_text().splitlines()
        known = {one.problem: one for one in (Outcome(**json.loads(line)) for line in lines)}
    found = []
    for name, splits in problems(options.data, options.quick):
        if not any(part in name for part in options.only or [""]):
            continue
        if name not in known:
            known[name] = outcome(name, splits(), options.trials)
            if options.resume:
                with options.resume.open("a") as file:
                    file.write(json.dumps(asdict(known[name])) + "\n")
        found.append(known[name])
        print(" | ".join(known[name].cells), flush=True)
    return found


def summary(outcomes: list[Outcome]) -> str:
    """Medians and largest regrets of all methods, in words."""
    beyond = [o.problem for o in outcomes if o.regrets["autoreg"] - 2 * o.noise > 0.05]
    lines = [f"above 5% by more than two standard errors: {', '.join(beyond) or 'none'}"]
    nets = ("ElasticNetCV", "RidgeCV", "LogisticRegressionCV")
    for method in ("autoreg", *nets, "random search"):
        both = [(o.regrets[method], o.regrets["autoreg"]) for o in outcomes if method in o.regrets]
        if both:
            theirs, ours = zip(*both, strict=True)
            told = f"{method}: median {np.median(theirs):.1%}, largest {max(theirs):.1%}"
            beside = f" (autoreg on these: {np.median(ours):.1%}, {max(ours):.1%})"
            lines.append(told + (beside if method in nets else ""))
    return "\n".join(f"- {line}" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--data", type=Path, help="folder of the files in REAL")
    parser.add_argument("--only", nargs="+", help="problems whose name contains one of these")
    parser.add_argument("--quick", action="store_true", help="the smallest size: a smoke test")
    parser.add_argument("--resume", type=Path, help="keep outcomes here, and continue from here")
    parser.add_argument("--write", type=Path, help="write the table to this file, too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # others warn that they did not converge
    head = f"{options.trials} trials; {versions('autoreg', 'scikit-learn', 'numpy')}."
    if options.only:
        head += f" Only problems whose name contains {' or '.join(options.only)}."
    print(head, flush=True)
    for task in ("regression", "binary"):  # compiles what is not in numba's cache
        one = made("sparse", 60, 5, task, 0)
        searched(one, bench_for(one, trials=options.trials))
    outcomes = outcomes_of(options)
    told = table("Regret to the best technique in hindsight", HEAD, [o.cells for o in outcomes])
    print(f"{told}\n\n{summary(outcomes)}")
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        text = f"# Does selecting help?\n\n{head}\n{told}\n\n{summary(outcomes)}\n"
        options.write.write_text(text)


if __name__ == "__main__":
    main()
