"""Compiled solvers are kept on disk, and never outlive a change of their sources."""

import os
import subprocess
import sys

INNER = """
from pathlib import Path
{decorate}

@compiled
def inner(x):
    return x + {added}
"""
OUTER = """
from inner import compiled, inner

@compiled
def outer(x):
    return 10.0 * inner(x)

print(outer(1.0), sum(outer.stats.cache_hits.values()))
"""
OURS = """
from autoreg.engines.path.kernels.compiling import compiler
compiled = compiler(Path(__file__).parent.glob("*.py"))
"""
NUMBAS_OWN = """
from numba import njit
compiled = njit(cache=True)
"""


GIVEN = """
from typing import NamedTuple

class Point(NamedTuple):
    x: float
"""
OF_A_POINT = """
from {given} import Point
from inner import compiled

@compiled
def outer(point):
    return point.x

print(outer(Point(1.0)), sum(outer.stats.cache_hits.values()))
"""


def run(folder, added, decorate=OURS, outer=OUTER):
    (folder / "inner.py").write_text(INNER.format(added=added, decorate=decorate))
    (folder / "outer.py").write_text(outer)
    stamp = 1_700_000_000  # an archive gives every version of a file the same time
    os.utime(folder / "outer.py", (stamp, stamp))
    done = subprocess.run(
        [sys.executable, "outer.py"], cwd=folder, check=True, capture_output=True, text=True
    )
    value, hits = done.stdout.split()
    return float(value), int(hits)


def test_a_change_in_another_file_is_seen(tmp_path):
    assert run(tmp_path, added=1.0) == (20.0, 0)
    assert run(tmp_path, added=1.0) == (20.0, 1)
    assert run(tmp_path, added=2.0) == (30.0, 0)


def test_without_the_stamp_old_code_would_stay(tmp_path):
    assert run(tmp_path, added=1.0, decorate=NUMBAS_OWN) == (20.0, 0)
    assert run(tmp_path, added=2.0, decorate=NUMBAS_OWN)[0] == 20.0


def test_a_class_may_move_to_another_module(tmp_path):
    for given in ("here", "there"):
        (tmp_path / f"{given}.py").write_text(GIVEN)
        assert run(tmp_path, added=1.0, outer=OF_A_POINT.format(given=given)) == (1.0, 0)
        assert run(tmp_path, added=1.0, outer=OF_A_POINT.format(given=given)) == (1.0, 1)
        (tmp_path / f"{given}.py").unlink()
