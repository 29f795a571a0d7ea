"""Workers on one machine: the same result, and no more threads than asked for."""

import json
import os
import subprocess
import sys

import pytest

COUNTED = """
import hashlib, json, os, sys, tempfile, threading
sys.path.insert(0, sys.argv[2])
import autoreg.study, scipy.linalg, sklearn, torch
from test_study import essence, run, study

def threads():
    return len(os.listdir("/proc/self/task"))

seen, over = [], threading.Event()
def sample():
    while not over.wait(0.002):
        seen.append(threads())

sampler = threading.Thread(target=sample)
sampler.start()
before = threads()
result = run(tempfile.mkdtemp(), workers=int(sys.argv[1]))
over.set()
sampler.join()
bits = hashlib.sha256(repr(essence(result)).encode()).hexdigest()
children = open(f"/proc/self/task/{os.getpid()}/children").read()
print(json.dumps({"more": max(seen) - before, "bits": bits, "processes": children}))
"""
OWN = 1  # the thread that renews the lease


@pytest.fixture(scope="module")
def counted():
    """The same study with 1, 2 and 4 workers, each in a process that sees all cores."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    found = {}
    for workers in (1, 2, 4):
        done = subprocess.run(
            [sys.executable, "-c", COUNTED, str(workers), os.path.dirname(__file__)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found[workers] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_result_is_the_same_bit_for_bit_with_any_number_of_workers(counted):
    assert len({one["bits"] for one in counted.values()}) == 1


def test_two_workers_are_two_threads_and_their_libraries_start_none(counted):
    """Were each of two workers to start a team of its own on two cores, they would fight."""
    assert counted[1]["more"] == OWN
    assert counted[2]["more"] <= OWN + 2
    assert counted[4]["more"] <= OWN + 4


def test_short_work_starts_no_processes(counted):
    assert {one["processes"].strip() for one in counted.values()} == {""}
