"""What the benchmarks share: one thread, a clock of CPU time, certificates, and tables in text.

Import it first: the number of threads must be set before numpy is loaded. It needs nothing but
numpy, because the interpreter of the peers imports it, too.
"""

from __future__ import annotations

from single_thread import THREADS  # first: numpy reads it when it is loaded

# isort: split
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

SLOW = 4.0  # seconds, from which on one run is enough
RUNS = 11


def clocked(work: Callable) -> tuple[float, object]:
    """CPU seconds of this process, and what the work returned.

    With one thread CPU time is the time on a quiet machine, whoever else is computing.
    """
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def side_by_side(
    sides: Mapping[str, Callable], runs: int = RUNS
) -> dict[str, tuple[float, object]]:
    """Median seconds and the last result of each side; the sides take turns."""
    spent = {name: [] for name in sides}
    results = {}
    for number in range(runs):
        for name, work in sides.items():
            if number == 0 or spent[name][0] < SLOW:
                seconds, results[name] = clocked(work)
                spent[name].append(seconds)
    # The first run of a quick side warms caches; it counts only where there is no other.
    return {
        name: (float(np.median(times[1:] or times)), results[name]) for name, times in spent.items()
    }


def versions(*names: str) -> str:
    """How it is measured, for the head of a table."""
    found = [f"{THREADS} thread"]
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} absent")
    return ", ".join(found)


# ---- data --------------------------------------------------------------------------------------


def inputs(n: int, p: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Equicorrelated normal inputs (n, p)."""
    common = rng.normal(size=(n, 1))
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.normal(size=(n, p))


def standardized(X: np.ndarray) -> np.ndarray:
    return (X - X.mean(axis=0)) / X.std(axis=0)


# ---- certificates ------------------------------------------------------------------------------


def derivative(kind: str, X: np.ndarray, y: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Minus the derivative (q, K) of the mean loss in the coefficients."""
    scores = X @ W + b
    if kind == "squared":
        rest = scores - y[:, None]
    elif kind == "binary":
        rest = 1 / (1 + np.exp(-scores)) - y[:, None]
    else:
        rest = np.exp(scores - scores.max(axis=1, keepdims=True))
        rest /= rest.sum(axis=1, keepdims=True)
        rest[np.arange(len(y)), y.astype(int)] -= 1
    return -X.T @ rest / len(y)


def objective(kind: str, X, y, W, b, level: float, groups: int = 0) -> float:
    """Mean loss plus level times the L1 norm, or the sum of the norms of groups of that size."""
    scores = X @ W + b
    if kind == "squared":
        loss = np.mean((scores[:, 0] - y) ** 2) / 2
    elif kind == "binary":
        loss = np.mean(np.logaddexp(0, scores[:, 0]) - y * scores[:, 0])
    else:
        top = scores.max(axis=1)
        total = np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top
        loss = np.mean(total - scores[np.arange(len(y)), y.astype(int)])
    size = np.abs(W).sum()
    if groups:
        size = np.sqrt(groups) * np.linalg.norm(W.reshape(-1, groups), axis=1).sum()
    return float(loss + level * size)


def violation(kind: str, X, y, W, b, level: float, groups: int = 0) -> float:
    """The largest distance of zero from the subdifferential, relative to the level."""
    slope = derivative(kind, X, y, W, b)
    if groups:
        slope, W = slope.reshape(-1, groups), W.reshape(-1, groups)
        norm = np.linalg.norm(W, axis=1, keepdims=True)
        height = level * np.sqrt(groups)
        inside = slope - height * W / np.where(norm > 0, norm, 1)
        outside = np.maximum(np.linalg.norm(slope, axis=1) - height, 0)
        worst = np.where(norm[:, 0] > 0, np.abs(inside).max(axis=1), outside)
        return float(worst.max() / height)
    off = np.maximum(np.abs(slope) - level, 0)
    return float(np.where(W == 0, off, np.abs(slope - level * np.sign(W))).max() / level)


def strongest(kind: str, X: np.ndarray, y: np.ndarray, groups: int = 0) -> float:
    """The smallest level at which all coefficients are zero, for inputs with mean zero."""
    if kind == "several":
        y = np.eye(int(y.max()) + 1)[y.astype(int)]
    slope = X.T @ (y - y.mean(axis=0)) / len(X)
    if groups:
        return float(np.linalg.norm(slope.reshape(-1, groups), axis=1).max() / np.sqrt(groups))
    return float(np.abs(slope).max())


# ---- the table ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One ratio: their seconds over ours. ``differs`` is the relative difference of losses."""

    shape: str
    against: str
    ours: str
    theirs_seconds: float
    ours_seconds: float
    goal: float | None = None
    differs: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.theirs_seconds / self.ours_seconds

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.shape,
            self.against,
            self.ours,
            f"{self.theirs_seconds:.4g}",
            f"{self.ours_seconds:.4g}",
            f"{self.ratio:.3g}x",
            "" if self.goal is None else f"{self.goal:g}x",
            "" if self.differs is None else f"{self.differs:.1e}",
            self.note,
        )


HEAD = ("shape", "against", "autoreg", "their s", "our s", "ratio", "goal", "losses differ", "note")


def table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table that reads well as plain text, too."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]

    def line(cells: tuple[str, ...]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = tuple("-" * width for width in widths)
    return "\n".join([f"\n## {title}\n", *(line(cells) for cells in (head, rule, *rows))])
