"""One file adds a technique: dropped into the folder, or brought by another package."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from import_law import PACKAGE

SHRUNKEN = '''\
"""Shrink all coefficients, under another name."""

from autoreg.techniques.base import Penalty, Range, Technique


class Shrunken(Technique):
    """Shrink all coefficients, under another name."""

    families = ("linear",)
    dials = (Range("strength", 1e-3, 1.0, default=0.1, log=True, path=True, about="how much"),)
    rank = 1
    references = ("Nobody 2026",)

    def penalty(self):
        return Penalty(l2=1.0)
'''
JITTER = '''\
"""Shake the hidden units."""

from autoreg.techniques.base import Range, Technique


class Jitter(Technique):
    """Shake the hidden units."""

    families = ("network",)
    dials = (Range("sigma", 1e-3, 0.5, default=0.1, log=True, off=0.0, about="how much"),)
    rank = 1
    references = ("Nobody 2026",)

    @staticmethod
    def hidden(activations, dials, draws, moment):
        return activations + dials["sigma"] * draws.normal(*activations.shape[1:])
'''
STUDY = {
    "study": "dropped_in",
    "data": {"source": "wine"},
    "space": {
        "space": "new",
        "families": {
            "linear": {"techniques": ["shrunken"]},
            "network": {
                "techniques": ["jitter"],
                "architecture": {"width": [8, 16], "depth": [1, 1]},
            },
        },
        "incumbent": {"family": "linear", "techniques": ["shrunken"]},
        "path_points": 3,
    },
    "trials": 6,
    "folds": {"outer": 3},
    "training": {"epochs": 2},
}
RUN = """
import json, sys, autoreg
result = autoreg.run_study(json.loads(sys.argv[1]), home=sys.argv[2], tracking=False,
                           workers=int(sys.argv[3]))
good = result.trials[result.trials["failure"].isna()]
print(json.dumps(sorted(set(good["technique"]))))
"""


def python(paths, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=paths[0], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def copied(folder):
    shutil.copytree(PACKAGE, folder / "autoreg")
    shutil.copytree(PACKAGE.parent / "search_spaces", folder / "search_spaces")
    return folder / "autoreg" / "techniques"


@pytest.fixture(params=["dropped into the folder", "brought by a package"])
def paths(request, tmp_path):
    """Where Python finds a copy of autoreg and the two new techniques."""
    source, other = tmp_path / "source", tmp_path / "other"
    folder = copied(source)
    if request.param == "dropped into the folder":
        (folder / "shrunken.py").write_text(SHRUNKEN)
        (folder / "jitter.py").write_text(JITTER)
        return [source]
    other.mkdir()
    (other / "shrunken.py").write_text(SHRUNKEN)
    (other / "jitter.py").write_text(JITTER)
    info = other / "brought-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[autoreg.techniques]\nshrunken = shrunken\njitter = jitter\n"
    )
    return [source, other]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_new_file_is_listed_searched_and_fitted(paths, tmp_path, workers):
    assert "Shake the hidden units." in python(paths, "-m", "autoreg", "techniques")
    out = python(paths, "-c", RUN, json.dumps(STUDY), str(tmp_path / "home"), str(workers))
    assert {"shrunken", "jitter", "none"} <= set(json.loads(out.splitlines()[-1]))


def test_two_techniques_in_one_file_are_refused(tmp_path):
    (copied(tmp_path) / "twins.py").write_text(SHRUNKEN + JITTER.replace('"""Shake', '"""S', 1))
    code = "import autoreg.techniques as t\ntry: t.catalogue()\nexcept TypeError as e: print(e)"
    assert "exactly one technique" in python([tmp_path], "-c", code)
