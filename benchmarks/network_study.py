"""A whole study against Optuna with skorch, in trials per minute of CPU time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import clocked

# isort: split
from autoreg.study import run_study

FOLDS = 5


def study(*, quick: bool, peers: Path | None) -> tuple[str, list[tuple[str, ...]]]:
    """Trials of all searches; a trial is a setting on its inner folds, stopped early."""
    trials = 6 if quick else 24
    question = {
        "study": "speed",
        "data": {"source": "breast_cancer"},
        "space": "network",
        "trials": trials,
        "folds": {"outer": FOLDS},
    }
    with TemporaryDirectory() as home:
        options = {"home": home, "tracking": False, "progress": False, "workers": 1}
        seconds, result = clocked(lambda: run_study(question, **options))
    made = len(result.trials)
    rows = [("side", "trials", "CPU s", "trials per minute")]
    rows.append(("autoreg, nested", str(made), f"{seconds:.3g}", f"{60 * made / seconds:.3g}"))
    if peers:
        script = Path(__file__).with_name("network_peers_study.py")
        done = subprocess.run(
            [peers, script, json.dumps({"trials": trials})], capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        theirs = float(json.loads(done.stdout))
        speed = f"{60 * trials / theirs:.3g}"
        rows.append(("Optuna + skorch, one search", str(trials), f"{theirs:.3g}", speed))
    return "A study of breast_cancer, early stopping on", rows
