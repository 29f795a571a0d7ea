"""How fast is the pack engine? Ratios against skorch and a plain loop, side by side in one run.

40 models (8 configurations x 5 folds) with dropout, weight decay and mixup on, of the same shape,
epochs and batch size on each side, on one thread, timed by CPU time: on a quiet machine of more
cores stacks run on all of them at once. A star marks times that were measured on a few models and
multiplied up to 40.

    python benchmarks/network.py
    python benchmarks/network.py --quick --only stacks
    python benchmarks/network.py --peers /path/to/venv/bin/python

skorch is run in an environment of its own, because autoreg does not need it:

    python -m venv peers
    peers/bin/pip install numpy torch==2.13.0 skorch optuna
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from measuring import HEAD, Row, table, versions  # first: it sets the number of threads

# isort: split
import network_stacks
import network_study

SECTIONS = {
    "stacks": network_stacks.stacks,
    "shares": network_stacks.shares,
    "techniques": network_stacks.techniques,
    "study": network_study.study,
}
PACKAGES = ("autoreg", "torch", "numpy", "numba", "optuna")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few epochs: a smoke test")
    parser.add_argument("--only", choices=sorted(SECTIONS), help="one section")
    parser.add_argument("--peers", type=Path, help="a Python that has skorch")
    parser.add_argument("--write", type=Path, help="write the tables to this file, too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    said = [f"CPU seconds; {versions(*PACKAGES)}."]
    print(said[0], flush=True)
    network_stacks.warm_up()
    for name, section in SECTIONS.items():
        if options.only in (None, name):
            title, rows = section(quick=options.quick, peers=options.peers)
            head = HEAD if isinstance(rows[0], Row) else tuple(rows.pop(0))
            said.append(table(title, head, [getattr(row, "cells", row) for row in rows]))
            print(said[-1], flush=True)
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text("# Speed of the pack engine\n\n" + "\n".join(said) + "\n")


if __name__ == "__main__":
    main()
