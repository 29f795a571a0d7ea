"""A whole study against Optuna with skorch, in trials per minute of CPU time, and full stacks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import clocked

# isort: split
from autoreg.engines.pack.occupancy import counted
from autoreg.study import run_study

FOLDS, EPOCHS = 5, 60
RULES = {"": {}, ", pruned by folds": {"folds": "forgiving"}}


def study(*, quick: bool, peers: Path | None) -> tuple[str, list[tuple[str, ...]]]:
    """Trials of all searches; a trial is a setting on its inner folds, stopped early."""
    trials = 6 if quick else 24
    rows = [("side", "trials", "CPU s", "trials per minute", "models in a step", "places used")]
    for name, rule in RULES.items():
        seconds, made, filled = _ours(trials, rule)
        full = (f"{filled.models:.1f}", f"{filled.share:.0%}")
        rows.append((f"autoreg, nested{name}", *_speed(made, seconds), *full))
        if peers:
            theirs = _theirs(trials, peers, prune=bool(rule))
            side = f"Optuna + skorch, one search{name}"
            rows.append((side, *_speed(trials, theirs), "1.0", ""))
    return "A study of breast_cancer, early stopping on", rows


def _ours(trials: int, rule: dict[str, str]):
    question = {
        "study": "speed",
        "data": {"source": "breast_cancer"},
        "space": "network",
        "trials": trials,
        "folds": {"outer": FOLDS},
        "training": {"epochs": EPOCHS, "members": 1},
        "attribution": False,
        "prune": rule,
    }
    with TemporaryDirectory() as home, counted() as filled:
        options = {"home": home, "tracking": False, "progress": False, "workers": 1}
        seconds, result = clocked(lambda: run_study(question, **options))
    return seconds, len(result.trials), filled


def _theirs(trials: int, peers: Path, *, prune: bool) -> float:
    script = Path(__file__).with_name("network_peers_study.py")
    asked = json.dumps({"trials": trials, "prune": prune})
    done = subprocess.run([peers, script, asked], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads(done.stdout))


def _speed(trials: int, seconds: float) -> tuple[str, str, str]:
    return str(trials), f"{seconds:.3g}", f"{60 * trials / seconds:.3g}"
