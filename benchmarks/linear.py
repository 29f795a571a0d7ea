"""How fast is the path engine? Ratios against other libraries, side by side in one run.

Everything runs on one thread and is timed by its CPU time. Both sides of a row get the same rows
in the same folds; ``losses differ`` is the relative difference of what they reach: of the nested
loss (each side selects by its own inner losses and is judged on the outer folds), or of the
penalized objectives, whichever is the worst on the path. A star marks times that were measured at
a few points and multiplied up to all of them.

    python benchmarks/linear.py
    python benchmarks/linear.py --quick --only elastic_net
    python benchmarks/linear.py --peers /path/to/venv/bin/python

python-glmnet and adelie are run in an environment of their own, because the one is licensed
under the GPL and the other pins an old numpy, with which it does not need to be installed:

    python -m venv peers
    peers/bin/pip install numpy scipy scikit-learn joblib setuptools tqdm python-glmnet
    peers/bin/pip install ipython matplotlib
    peers/bin/pip install --no-deps adelie
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from measuring import HEAD, Row, table, versions  # first: it sets the number of threads

# isort: split
import linear_nested
import linear_paths
import linear_study

SECTIONS = {
    "elastic_net": linear_nested.elastic_net,
    "wide": linear_nested.wide,
    "ridge": linear_nested.ridge,
    "logistic": linear_paths.logistic,
    "multinomial": linear_paths.multinomial,
    "group_lasso": linear_paths.group_lasso,
    "reading": linear_study.reading,
    "compiling": linear_study.compiling,
    "study": linear_study.study,
}
PACKAGES = ("autoreg", "numpy", "scipy", "numba", "scikit-learn", "optuna", "mlflow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small shapes: a smoke test")
    parser.add_argument("--only", choices=sorted(SECTIONS), nargs="+", help="some sections")
    parser.add_argument("--peers", type=Path, help="a Python that has glmnet and adelie")
    parser.add_argument("--write", type=Path, help="write the tables to this file, too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # others warn that they did not converge
    said = [f"CPU seconds; {versions(*PACKAGES)}."]
    if options.peers:
        said[0] += f" Peers: {linear_paths.peer_versions(options.peers)}."
    print(said[0], flush=True)
    linear_nested.warm_up()
    for name, section in SECTIONS.items():
        if name in (options.only or SECTIONS):
            title, rows = section(quick=options.quick, peers=options.peers)
            head = HEAD if isinstance(rows[0], Row) else tuple(rows.pop(0))
            said.append(table(title, head, [getattr(row, "cells", row) for row in rows]))
            print(said[-1], flush=True)
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text("# Speed of the path engine\n\n" + "\n".join(said) + "\n")


if __name__ == "__main__":
    main()
