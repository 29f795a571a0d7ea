"""What all tests share: one thread, and an environment without the user's own stores."""

import math
import os
import shutil

import pytest

os.environ["OMP_NUM_THREADS"] = "1"
for name in (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_RUN_ID",
    "AUTOREG_HOME",
):
    os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def alone():
    """Tests run side by side already, so only those that are about helpers hire any."""
    from autoreg.engines.pack import team

    team.LONG = math.inf


@pytest.fixture(scope="session")
def tracked(tmp_path_factory):
    """A small study as its own command tracks it: the result, the home folder, the store's URI."""
    from tracked import run, uri_of

    home = tmp_path_factory.mktemp("tracked")
    return run(home), home, uri_of(home)


@pytest.fixture(scope="session")
def blank(tmp_path_factory):
    """An empty MLflow database: making one takes more than a second."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("blank") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def spool(tracked, blank, tmp_path):
    """The finished study in another home folder, whose store is empty."""
    from tracked import copied

    shutil.rmtree(tmp_path / "studies", ignore_errors=True)
    return copied(tracked[1], tmp_path, blank)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A real MLflow server with an empty store: its address and its home folder."""
    from tracked import served

    home = tmp_path_factory.mktemp("server")
    with served(home) as address:
        yield address, home


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    """A study of columns whose names would like to be code, and its folder.

    One cell is a number that is found nowhere else.
    """
    import numpy as np
    import pandas as pd
    from tracked import HOSTILE, QUICK, run

    home = tmp_path_factory.mktemp("hostile")
    draws = np.random.default_rng(3)
    frame = pd.DataFrame({name: draws.normal(size=90) for name in HOSTILE})
    target = "<b>target</b> | *x*"
    frame[target] = frame[HOSTILE[0]] + frame[HOSTILE[4]] + 0.1 * draws.normal(size=90)
    frame["secret"] = 0.0
    frame.loc[7, "secret"] = 31337.4242  # a cell that must not leave the table
    frame.to_csv(home / "<svg onload=alert(1)>.csv", index=False)
    source = {"source": str(home / "<svg onload=alert(1)>.csv"), "target": target}
    document = QUICK | {"data": source, "question": "<script>alert(2)</script> https://a:b@c.d/?"}
    return run(home / "home", document), home
