"""A small tracked study, and ways to look into MLflow stores; shared by the tests of tracking."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import ViewType

import autoreg
from autoreg.tracking import server_command
from autoreg.tracking.projection import Projection
from autoreg.tracking.spool import Spool
from autoreg.tracking.store import Store

with warnings.catch_warnings():
    # While it is imported, MLflow warns about its own type hints.
    warnings.simplefilter("ignore")
    import mlflow.pyfunc  # noqa: F401

STUDY = {
    "study": "tracked",
    "data": {"source": "wine"},
    "space": {
        "space": "tiny",
        "families": {
            "linear": {"techniques": ["ridge", "lasso"]},
            "network": {
                "techniques": ["early_stopping", "dropout"],
                "architecture": {"width": [8, 16], "depth": [1, 1]},
            },
        },
        "incumbent": {"family": "linear", "techniques": ["ridge"]},
        "path_points": 5,
    },
    "trials": 6,
    "folds": {"outer": 3},
    "training": {"epochs": 3},
}
LINEAR = STUDY["space"] | {"families": {"linear": {"techniques": ["ridge", "lasso"]}}}
QUICK = STUDY | {"space": LINEAR, "trials": 2}  # 8 trials
TRIALS = 24

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "=HYPERLINK(1)",
    "@sum",
    "`` ` ``",
    "größe 测量 مقياس",
    "n" * 10_000,
]


def run(home, document=STUDY, **options):
    return autoreg.run_study(document, home=home, workers=1, progress=False, **options)


def runs_of(uri, experiment="autoreg"):
    client = MlflowClient(tracking_uri=uri)
    number = client.get_experiment_by_name(experiment).experiment_id
    return client, client.search_runs([number], run_view_type=ViewType.ALL, max_results=1000)


def by_role(runs, role):
    return [one for one in runs if one.data.tags.get("autoreg.role") == role]


def keys(runs):
    return sorted(one.data.tags["autoreg.key"] for one in runs)


def uri_of(home):
    return f"sqlite:///{home / 'mlflow.db'}"


class Said:
    """A study that has said its last word, or says it after so many seconds of waiting."""

    def __init__(self, word="FINISHED", after=0.0):
        self.word, self.after = word, after
        self.waited = []

    @property
    def last(self):
        return self.word if sum(self.waited) >= self.after else None

    def listen(self, seconds):
        self.waited.append(seconds)
        time.sleep(min(seconds, 0.01))


def copied(home, place, database):
    """The finished study in a home folder of its own, with an empty store."""
    shutil.copytree(home / "studies", place / "studies")
    if database is not None:
        shutil.copy(database, place / "mlflow.db")
    return Spool(place / "studies" / "tracked")


def projected(spool, words=None, grace=0.0, store=None):
    """Write a study in this very process, so that its calls can be made to fail."""
    home = spool.study_folder.parents[1]
    return Projection(spool, store or Store.of(home, {}), words or Said(), grace).run()


def same(one, other):
    pairs = zip(one.findings.trials, other.findings.trials, strict=True)
    same_trials = all(mine.essence == theirs.essence for mine, theirs in pairs)
    return same_trials and one.selection == other.selection and one.verdict == other.verdict


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(home, port=None):
    """MLflow's server on the store of a home folder; yields its address."""
    port = port or free_port()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("a") as log:
        command = server_command(home, port)
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/health")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def wait_for(address, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{address} did not answer")


def artifacts(client, run, place):
    return Path(client.download_artifacts(run, "", str(place)))


class Line:
    """A telephone line to a server, which can be cut and joined again."""

    def __init__(self, port):
        self.cut = False
        self.calls = 0
        self._port = port
        self._ends = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._listen, daemon=True).start()

    def hang_up(self):
        """Cut the line, also in the middle of what is being said."""
        self.cut = True
        for end in self._ends:
            end.close()

    def close(self):
        self.hang_up()
        self._door.close()

    def _listen(self):
        while True:
            try:
                caller, _ = self._door.accept()
            except OSError:
                return
            self.calls += 1
            if self.cut:
                caller.close()
                continue
            try:
                caller = self.heard(caller)
            except OSError:  # somebody who does not speak as the line does
                caller.close()
                continue
            called = socket.create_connection(("127.0.0.1", self._port))
            self._ends += [caller, called]
            for ends in ((caller, called), (called, caller)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def heard(self, caller):
        """What is said before words are passed on; here nothing."""
        return caller

    @staticmethod
    def _pass_on(source, target):
        with suppress(OSError):
            while words := source.recv(65536):
                target.sendall(words)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
