"""Stacks of 40 models against skorch, a plain torch loop and our own loop engine."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from measuring import Row, clocked, side_by_side

# isort: split
import numpy as np
import torch

from autoreg.candidate import candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.engines.base import Job, TrainingSet
from autoreg.engines.loop import LoopEngine
from autoreg.engines.pack import PackEngine
from autoreg.spec import Training
from autoreg.techniques import catalogue, technique

CONFIGURATIONS, FOLDS, BATCH = 8, 5, 64
MODELS = CONFIGURATIONS * FOLDS
FEW = 2  # models that a slow side trains; the rest is multiplied up


@dataclass(frozen=True)
class Shape:
    """Rows and columns of the training sets, the width of two hidden layers, and how long."""

    rows: int
    columns: int
    width: int
    epochs: int
    goal: float

    @property
    def name(self) -> str:
        return f"{self.rows:,} x {self.columns}, 2x{self.width}"

    @property
    def steps(self) -> int:
        return self.epochs * round(self.rows / BATCH)

    @property
    def operations(self) -> float:
        """Of the matrix products of all models: forward, backward twice, less the inputs'."""
        whole = self.columns * self.width + self.width**2 + 2 * self.width
        behind = self.width**2 + 2 * self.width
        return 2.0 * MODELS * self.steps * BATCH * (2 * whole + behind)


SHAPES = (
    Shape(455, 30, 32, 60, 50),
    Shape(455, 30, 64, 60, 12),
    Shape(2_000, 30, 128, 10, 8),
    Shape(5_000, 50, 256, 4, 3),
)


def made(shape: Shape) -> Dataset:
    """A binary target that a network can learn, and rows enough to leave some out in every fold."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(shape.rows * FOLDS // (FOLDS - 1), shape.columns))
    y = (X[:, 0] * X[:, 1] + X[:, 2] + rng.normal(size=len(X)) > 0).astype(np.int64)
    columns = tuple(Column(f"x{j}", "numeric") for j in range(shape.columns))
    return Dataset("made", columns, X, y, "binary", "y", (0, 1))


def settings(number: int) -> dict[str, float]:
    """The dials of one configuration."""
    return {"rate": 0.05 * (number + 1), "decay": 1e-4 * (number + 1), "alpha": 0.1 * (number + 1)}


def jobs(shape: Shape, data: Dataset, kinds: list, early: bool = False) -> list[Job]:
    """The fits of every configuration on every fold."""
    cut = np.array_split(np.random.default_rng(1).permutation(data.n), FOLDS)
    folds = [np.sort(np.concatenate(cut[:k] + cut[k + 1 :]))[: shape.rows] for k in range(FOLDS)]
    dials = {"width": shape.width, "depth": 2}
    rates = [{"learning_rate": 3e-3 * 1.01**c} for c in range(CONFIGURATIONS)]  # no two are equal
    rules = Training(epochs=shape.epochs, batch_size=BATCH)
    stop = [technique("early_stopping")(patience=8)] if early else []
    return [
        Job(
            candidate("network", [*made_by(kinds, settings(c)), *stop], dials | rates[c]),
            TrainingSet(folds[f], (f"fold {f}",)),
            np.sort(cut[f]),
            0,
            (),
            rules,
        )
        for c in range(CONFIGURATIONS)
        for f in range(FOLDS)
    ]


def made_by(kinds: list, dials: dict[str, float]) -> list:
    return [
        kind(**{d.name: dials.get(d.name, d.default) for d in kind.dials if d.name in dials})
        for kind in kinds
    ]


ON = [technique(key) for key in ("dropout", "weight_decay", "mixup")]


def warm_up() -> None:
    shape = Shape(100, 4, 8, 1, 0)
    data = made(shape)
    for kinds in (ON, [technique("label_smoothing")]):  # compiled in one, and part by part
        PackEngine().run(jobs(shape, data, kinds), data)


# ---- a plain torch loop ------------------------------------------------------------------------


def plain_loop(shape: Shape, X: np.ndarray, y: np.ndarray, dials: dict[str, float]) -> None:
    """What one would write by hand: a module, an optimizer, a loop over batches."""
    layers: list[torch.nn.Module] = []
    for width in (shape.columns, shape.width):
        linear = torch.nn.Linear(width, shape.width)
        layers += [linear, torch.nn.ReLU(), torch.nn.Dropout(dials["rate"])]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(shape.width, 2))
    decay = dials["decay"] / 3e-3
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=decay)
    inputs = torch.tensor((X - X.mean(axis=0)) / X.std(axis=0), dtype=torch.float32)
    targets = torch.nn.functional.one_hot(torch.tensor(y), 2).float()
    share = torch.distributions.Beta(dials["alpha"], dials["alpha"])
    for _ in range(shape.epochs):
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            part, partner = share.sample((BATCH, 1)), rows[torch.randperm(BATCH)]
            mixed = part * inputs[rows] + (1 - part) * inputs[partner]
            wanted = part * targets[rows] + (1 - part) * targets[partner]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(mixed), wanted).backward()
            optimizer.step()


def skorch_seconds(shape: Shape, peers: Path, early: bool) -> float:
    """CPU seconds that 40 models take with skorch, one net at a time."""
    script = Path(__file__).with_name("network_peers.py")
    asked = {
        "rows": shape.rows,
        "columns": shape.columns,
        "width": shape.width,
        "epochs": shape.epochs,
        "batch": BATCH,
        "early": early,
        "dials": [settings(c) for c in range(0, CONFIGURATIONS, CONFIGURATIONS // FEW)],
    }
    done = subprocess.run([peers, script, json.dumps(asked)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads(done.stdout)) * MODELS


# ---- sections ----------------------------------------------------------------------------------


def stacks(*, quick: bool, peers: Path | None) -> tuple[str, list[Row]]:
    rows = []
    for shape in _shapes(quick):
        for early in (False, True):
            rows += _stack(shape, early, peers)
    return f"{MODELS} models with dropout, weight decay and mixup", rows


def _stack(shape: Shape, early: bool, peers: Path | None) -> list[Row]:
    data = made(shape)
    asked = jobs(shape, data, ON, early)
    few = asked[:: MODELS // FEW]
    fold = few[0].training.rows
    sides = {
        "ours": lambda: PackEngine().run(asked, data),
        "loop": lambda: LoopEngine().run(few, data),
    }
    if not early:
        sides["torch"] = lambda: plain_loop(shape, data.X[fold], data.y[fold], settings(3))
    spent = {name: seconds for name, (seconds, _) in side_by_side(sides, 3).items()}
    name, ours, rows = f"{shape.name}{', early stopping' if early else ''}", spent["ours"], []
    if peers:
        theirs = skorch_seconds(shape, peers, early)
        rows.append(Row(name, "skorch *", "pack", theirs, ours, None if early else shape.goal))
    if not early:
        rows.append(Row(name, "torch loop *", "pack", spent["torch"] * MODELS, ours))
    rows.append(Row(name, "loop engine *", "pack", spent["loop"] * MODELS / FEW, ours))
    return rows


def shares(*, quick: bool, peers: Path | None) -> tuple[str, list[tuple[str, ...]]]:
    """What share of the time is arithmetic, and how fast it is beside the machine's own sgemm."""
    square = torch.randn(1024, 1024)
    own = min(clocked(lambda: square @ square)[0] for _ in range(20))
    peak = 2 * 1024**3 / own
    rows = [("shape", "our s", "overhead s", "arithmetic", "Gflop/s", "of sgemm")]
    for shape in _shapes(quick):
        data = made(shape)
        asked = jobs(shape, data, ON)
        empty = Shape(shape.rows, 3, 8, shape.epochs, 0)  # as many steps, with nothing to compute
        least = jobs(empty, made(empty), ON)[:2]
        sides = {
            "ours": lambda a=asked, d=data: PackEngine().run(a, d),
            "empty": lambda a=least, e=empty: PackEngine().run(a, made(e)),
        }
        spent = {name: seconds for name, (seconds, _) in side_by_side(sides, 3).items()}
        rate = shape.operations / spent["ours"]
        rows.append(
            (
                shape.name,
                f"{spent['ours']:.3g}",
                f"{spent['empty']:.3g}",
                f"{1 - spent['empty'] / spent['ours']:.0%}",
                f"{rate / 1e9:.1f}",
                f"{rate / peak:.0%} of {peak / 1e9:.0f}",
            )
        )
    return "Arithmetic, and what surrounds it", rows


def techniques(*, quick: bool, peers: Path | None) -> tuple[str, list[tuple[str, ...]]]:
    """The cost of each technique in a stack of 40 models, relative to plain training."""
    shape = Shape(455, 30, 64, 2 if quick else 10, 0)
    data = made(shape)
    kinds = [k for k in catalogue().values() if "network" in k.families and "binary" in k.tasks]
    sides = {"none": lambda: PackEngine().run(jobs(shape, data, []), data)}
    sides |= {
        kind.key: lambda k=kind: PackEngine().run(jobs(shape, data, [k]), data)
        for kind in kinds
        if kind.key not in ("none", "early_stopping")
    }
    spent = {name: seconds for name, (seconds, _) in side_by_side(sides, 3).items()}
    plain = spent.pop("none")
    ordered = sorted(spent.items(), key=lambda item: item[1])
    rows = [("technique", "time of plain training")]
    return f"Cost of each technique, {shape.name}", rows + [
        (name, f"{seconds / plain:.2f}x") for name, seconds in ordered
    ]


def _shapes(quick: bool) -> tuple[Shape, ...]:
    if not quick:
        return SHAPES
    return tuple(Shape(s.rows, s.columns, s.width, max(1, s.epochs // 10), s.goal) for s in SHAPES)
