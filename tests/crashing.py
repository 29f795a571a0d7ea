"""A process that runs a study in forks of itself, and kills them: ``python crashing.py``.

It reads one JSON line a run, and answers with one. The expensive imports are made once; a fork
has them all. A run may be killed at its k-th step of writing (``point``), at the ``nth`` step of
a name (``step``), after some seconds (``seconds``), or be told by the disk at a step that it is
full (``errno``).
"""

import json
import os
import signal
import sys
import time
import traceback

KILLED = -signal.SIGKILL


class At:
    """Hears of every step of a write; kills, or fails, at one of them."""

    def __init__(self, order):
        self.order, self.steps = order, []

    def __call__(self, step):
        self.steps.append(step)
        nth = self.steps.count(step) == self.order.get("nth", 1)
        if len(self.steps) == self.order.get("point") or (step == self.order.get("step") and nth):
            if number := self.order.get("errno"):
                raise OSError(number, os.strerror(number))
            os.kill(os.getpid(), signal.SIGKILL)


def child(order, answer):
    import autoreg
    from autoreg import disk
    from autoreg.errors import AutoregError

    disk.at = At(order)
    found = {}
    try:
        autoreg.run_study(
            order["study"], home=order["home"], tracking=False, workers=1, progress=False
        )
    except AutoregError as error:
        found = {"error": type(error).__name__, "code": error.exit_code, "words": str(error)}
    except BaseException:
        found = {"error": traceback.format_exc(), "code": 1}
    os.write(answer, json.dumps(found | {"steps": disk.at.steps}).encode())


def forked(order):
    """Run once; the answer with its exit status."""
    reading, writing = os.pipe()
    if (process := os.fork()) == 0:
        os.close(reading)
        child(order, writing)
        os._exit(0)
    os.close(writing)
    if "seconds" in order:
        time.sleep(order["seconds"])
        os.kill(process, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        words = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return (json.loads(words) if words else {}) | {"status": status}


def main():
    warm_up()
    for line in sys.stdin:
        print(json.dumps(forked(json.loads(line))), flush=True)


def warm_up():
    """Load and compile what forks shall have, but train nothing: torch would not fork then."""
    import matplotlib.figure  # noqa: F401
    import optuna  # noqa: F401
    import torch  # noqa: F401

    import autoreg.report.page
    import autoreg.study  # noqa: F401
    from autoreg.engines.path import PathEngine
    from autoreg.prepared import prepare

    ready = prepare({"study": "warm", "data": {"source": "wine"}, "space": "linear"})
    for task in ("multiclass", "regression"):
        PathEngine().warm_up(ready.bench.space.design()[:8], task, ready.spec.linear)


if __name__ == "__main__":
    main()
