"""Workers on one machine: the same result, and no more threads than asked for."""

import json
import os
import subprocess
import sys

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


def test_workers_change_no_bit_and_start_no_more_threads_than_they_are():
    """Were each of two workers to start a team of its own on two cores, they would fight.

    Short work starts no processes either.
    """
    found = counted()
    assert len({one["bits"] for one in found.values()}) == 1
    assert found[1]["more"] == OWN
    assert found[2]["more"] <= OWN + 2
    assert found[4]["more"] <= OWN + 4
    assert {one["processes"].strip() for one in found.values()} == {""}
