"""Whole strength paths in five folds: likelihoods and groups, against saga and the best peers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import Row, clocked, inputs, objective, side_by_side, strongest, violation

# isort: split
import numpy as np
from linear_nested import FOLDS, STRENGTHS, apart
from sklearn.linear_model import LogisticRegression

from autoreg.candidate import candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.engines.base import Job, TrainingSet
from autoreg.engines.path import PathEngine, walk
from autoreg.engines.path.design import Design
from autoreg.engines.path.walk import solve
from autoreg.folds import plan
from autoreg.spec import FoldsSpec, LinearSpec
from autoreg.techniques import technique

SHAPES = ((500, 20), (2_000, 200), (20_000, 100), (100, 5_000))
SMALL = ((200, 10), (60, 200))
SAMPLED = slice(10, None, 20)  # of the strengths at which saga is measured
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6)
NEAR = 1e-5  # saga's objective may be that share of the null loss above ours
ITERATIONS = 5_000
LOOSE = 1e-2  # a violation near what peers leave by default
PEERS = Path(__file__).with_name("linear_peers.py")


# ---- data --------------------------------------------------------------------------------------


def classified(n: int, p: int, classes: int, seed: int = 0) -> Dataset:
    """Classes drawn from a softmax of ten inputs."""
    rng = np.random.default_rng(seed)
    X = inputs(n, p, 0.5 if n > p else 0.0, rng)
    scores = X[:, :10] @ rng.normal(size=(min(p, 10), classes))
    y = (scores + rng.gumbel(size=(n, classes))).argmax(axis=1)
    columns = tuple(Column(f"x{j}", "numeric") for j in range(p))
    task = "binary" if classes == 2 else "multiclass"
    return Dataset("made", columns, X, y.astype(np.int64), task, "y", tuple(range(classes)))


def grouped(n: int, p: int, size: int, seed: int = 0) -> Dataset:
    """Six groups of inputs matter."""
    rng = np.random.default_rng(seed)
    X = inputs(n, p, 0.3, rng)
    y = X[:, : 6 * size] @ rng.normal(size=6 * size)
    y += rng.normal(size=n) * y.std()
    columns = tuple(Column(f"x{j}", "numeric", group=f"g{j // size}") for j in range(p))
    return Dataset("made", columns, X, (y - y.mean()) / y.std(), "regression", "y")


# ---- ours --------------------------------------------------------------------------------------


class Paths:
    """Five training sets of a table and one candidate, solved along its whole path."""

    def __init__(self, data: Dataset, key: str, weakest: float) -> None:
        self.data, self.candidate = data, candidate("linear", [technique(key)()], {})
        self.plan = plan(data, FoldsSpec(outer=FOLDS), 0)
        self.fractions = tuple(np.geomspace(1.0, weakest, STRENGTHS))
        self.kind = {"regression": "squared", "binary": "binary"}.get(data.task, "several")
        self.groups = 5 if key == "group_lasso" else 0
        self.designs = [Design(data, fold.train, None) for fold in self.plan.outer]
        self.folds = [(design.inputs, design.y) for design in self.designs]
        self.levels = [
            strongest(self.kind, X, y, self.groups) * np.array(self.fractions)
            for X, y in self.folds
        ]
        self.alone()

    def alone(self) -> None:
        """The paths from standardized inputs, as the peers compute them."""
        self.found = [
            solve(design, self.candidate, self.fractions, LinearSpec()) for design in self.designs
        ]

    def whole(self) -> None:
        """All that the engine does: scaling, paths, and the losses of both kinds of rows."""
        jobs = [
            Job(self.candidate, TrainingSet(f.train, f.excluded), f.test, 0, self.fractions)
            for f in self.plan.outer
        ]
        PathEngine().run(jobs, self.data, cells=self.plan.cells)

    def times(self) -> dict[str, float]:
        """Seconds of both; groups are fitted on sums, which only the whole adds up."""
        sides = {"whole": self.whole, "alone": self.whole if self.groups else self.alone}
        return {name: seconds for name, (seconds, _) in side_by_side(sides).items()}

    @property
    def fits(self):
        """Inputs, target, coefficients, intercepts and level of every fit."""
        return [
            (*fold, found.coefficients[k], found.intercepts[k], level)
            for fold, found, levels in zip(self.folds, self.found, self.levels, strict=True)
            for k, level in enumerate(levels)
        ]

    @property
    def violation(self) -> float:
        return max(violation(self.kind, *fit, self.groups) for fit in self.fits)

    @property
    def objectives(self) -> np.ndarray:
        return np.array([objective(self.kind, *fit, self.groups) for fit in self.fits])


# ---- theirs ------------------------------------------------------------------------------------


def peer_versions(python: Path) -> str:
    code = (
        "from importlib.metadata import version as v; "
        "print(*(f'{p} {v(p)}' for p in ('python-glmnet', 'adelie', 'numpy')), sep=', ')"
    )
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return said.stdout.strip()


def peers_found(python: Path | None, paths: Paths, wanted: list[float]) -> dict:
    """What each peer needs for the same paths, at its default tolerance and for certificates."""
    if python is None:
        return {}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "arrays.npz"
        arrays = {}
        for k, ((X, y), levels) in enumerate(zip(paths.folds, paths.levels, strict=True)):
            arrays |= {f"X{k}": X, f"y{k}": y.astype(np.float64), f"levels{k}": levels}
        facts = {"folds": FOLDS, "kind": paths.kind, "groups": paths.groups, "wanted": wanted}
        np.savez(file, **arrays, **facts)
        said = subprocess.run([python, PEERS, file], stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(said.stdout)


@contextmanager
def certificate(target: float) -> Iterator[None]:
    """Let the engine leave another violation, relative to the penalty's pull, than it does."""
    before = walk.TARGET, walk.FLOOR
    walk.TARGET, walk.FLOOR = target, before[1] * target / before[0]
    try:
        yield
    finally:
        walk.TARGET, walk.FLOOR = before


def peer_rows(python: Path | None, paths: Paths, shape: str, goal: float) -> list[Row]:
    """One row for each peer and certificate, and one at its default tolerance.

    The goal is for paths against paths, under a loose certificate and under the engine's own. A
    certificate is the violation that the engine is asked for, or the one that it leaves where
    rounding makes that the larger one; where it leaves less, peers need not.
    """
    ours = {}
    for target in (LOOSE, walk.TARGET):
        with certificate(target):
            paths.alone()
            ours[target] = paths.violation, paths.times()
    wanted = [max(target, violated) for target, (violated, _) in ours.items()]
    rows = []
    for name, found in peers_found(python, paths, wanted).items():
        for one in found:
            kept = zip(wanted, ours.values(), strict=True)
            pairs = [pair for level, pair in kept if level in one["kept"]]
            for violated, times in pairs or list(ours.values())[:1]:
                aim = goal if pairs else None
                rows += _peer_rows(name, one, paths, shape, violated, times, aim)
    alone = ours[walk.TARGET][1]["whole"]
    note = f"violation {paths.violation:.0e}"
    itself = Row(shape, "itself (no --peers)", "paths and scores", alone, alone, note=note)
    return rows or [itself]


def _peer_rows(name, one, paths: Paths, shape: str, violated, times, goal) -> list[Row]:
    against = f"{name} at {one['tolerance']:.0e}"
    note = f"violation {one['violation']:.0e}, ours {violated:.0e}"
    objectives = paths.objectives
    differs = float(np.max(np.abs(objectives - one["objectives"]) / objectives))
    seconds = one["seconds"]
    whole = Row(shape, against, "paths and scores", seconds, times["whole"], note=note)
    if paths.groups:
        return [replace(whole, goal=goal, differs=differs)]
    return [Row(shape, against, "paths", seconds, times["alone"], goal, differs, note), whole]


def saga_row(paths: Paths, shape: str, whole: float) -> Row:
    """Cold fits at a few strengths of the first fold, with the first tolerance that is near."""
    X, y = paths.folds[0]
    ours = paths.objectives[:STRENGTHS][SAMPLED]
    levels = paths.levels[0][SAMPLED]
    null = objective(
        "binary", X, y, np.zeros((X.shape[1], 1)), np.log(y.mean() / (1 - y.mean())), 0
    )
    seconds, notes, worst = 0.0, [], 0.0
    for level, best in zip(levels, ours, strict=True):
        for tolerance in TOLERANCES:
            model = LogisticRegression(
                solver="saga",
                l1_ratio=1.0,
                C=1 / (len(y) * level),
                tol=tolerance,
                max_iter=ITERATIONS,
                random_state=0,
            )
            spent, _ = clocked(lambda model=model: model.fit(X, y))
            reached = objective("binary", X, y, model.coef_.T, model.intercept_, level)
            if reached <= best + NEAR * null:
                break
        seconds += spent
        worst = max(worst, apart(reached, best))
        notes.append(f"{tolerance:.0e}")
    measured = len(levels) / (STRENGTHS * FOLDS)
    note = f"{len(levels)} of {STRENGTHS} strengths, 1 of {FOLDS} folds; tol {', '.join(notes)}"
    return Row(shape, "saga, cold*", "paths and scores", seconds / measured, whole, 20, worst, note)


# ---- sections ----------------------------------------------------------------------------------


def logistic(quick: bool, peers: Path | None) -> tuple[str, list[Row]]:
    rows = []
    for n, p in SMALL if quick else SHAPES:
        paths = Paths(classified(n, p, 2), "lasso", 1e-3 if n > p else 1e-2)
        shape = f"{n:,} x {p:,}"
        rows.append(saga_row(paths, shape, paths.times()["whole"]))
        rows += peer_rows(peers, paths, shape, 1 / 1.1 if n > p else 2)
    return f"L1 logistic, {STRENGTHS} strengths in {FOLDS} folds", rows


def multinomial(quick: bool, peers: Path | None) -> tuple[str, list[Row]]:
    rows = []
    for n, p in SMALL[:1] if quick else (SHAPES[0], SHAPES[1], SHAPES[3]):
        paths = Paths(classified(n, p, 4), "lasso", 1e-3 if n > p else 1e-2)
        rows += peer_rows(peers, paths, f"{n:,} x {p:,}", 1)
    return f"L1 multinomial, 4 classes, {STRENGTHS} strengths in {FOLDS} folds", rows


def group_lasso(quick: bool, peers: Path | None) -> tuple[str, list[Row]]:
    n, p = (200, 50) if quick else (1_000, 500)
    paths = Paths(grouped(n, p, 5), "group_lasso", 1e-2)
    rows = peer_rows(peers, paths, f"{n:,} x {p:,}", 1.5)
    return f"Group lasso, groups of 5, {STRENGTHS} strengths in {FOLDS} folds", rows
