"""Brings a study into MLflow from its folder alone, and compares the two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoreg.errors import StudyError
from autoreg.home import home_folder
from autoreg.ledger import locked
from autoreg.tracking import views
from autoreg.tracking.spool import Spool, State
from autoreg.tracking.store import Store, impatient, without_secrets
from autoreg.tracking.tracker import WriterProcess
from autoreg.trial import Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SHOWN = 5  # of many alike
FILES = ("report.html", "report.json", "report.md", "study.json", "trials.csv", "verdict.json")
PAGE = 5000


def sync(study: str, home: str | Path | None = None) -> State:
    """Write to MLflow whatever is missing there; returns how far that came.

    The store may be the study's own or another one, named by MLFLOW_TRACKING_URI. Raises
    StudyError where the study was never run here, or is running now.
    """
    place = home_folder(home)
    spool = spool_of(study, place)
    writer = WriterProcess(spool, place, Store.of(place))
    with locked(spool.study_folder):
        writer.start()
        writer.end("FINISHED" if spool.closing else "KILLED")
    if writer.problem:
        raise StudyError(writer.problem)
    return spool.state


def spool_of(study: str, place: Path) -> Spool:
    """The documents of a study that was run in a home folder; StudyError where there are none."""
    spool = Spool(place / "studies" / study)
    if not spool.ledger.exists():
        known = ", ".join(sorted(path.name for path in (place / "studies").glob("*")))
        raise StudyError(f"no study {study} was run in {place}; there is {known or 'none yet'}")
    if spool.opening is None:
        raise StudyError(f"{study} has no documents for MLflow; run it again, that writes them")
    return spool


def page_of(study: str | None, home: str | Path | None = None) -> str:
    """The address, on a server, of a study's run; of the list of studies where none is named.

    Raises StudyError where the study was never run here, or is not in MLflow.
    """
    place = home_folder(home)
    if study is None:
        folders = [path.parent for path in (place / "studies").glob("*/tracking")]
        found = [state.experiment for state in (Spool(one).state for one in folders)]
        numbers = [number for number in found if number]
        return views.view_page(numbers[0], "autoreg-studies") if numbers else ""
    state = spool_of(study, place).state
    if state.run is None or state.experiment is None:
        raise StudyError(f"{study} is not in MLflow yet; `autoreg sync {study}` writes it")
    return views.run_page(state.experiment, state.run)


@dataclass(frozen=True)
class Difference:
    """Something in MLflow that does not agree with the ledger; ``what`` says it in words."""

    what: str
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The difference, with the first few runs that it is about."""
        shown = ", ".join(self.keys[:SHOWN]) + (", ..." if len(self.keys) > SHOWN else "")
        return f"{self.what}: {shown}" if self.keys else self.what


def differences(study: str, home: str | Path | None = None) -> list[Difference]:
    """Where MLflow's view of a study differs from its ledger; empty where they agree.

    Raises StudyError where the study was never run here, or the store does not answer.
    """
    place = home_folder(home)
    spool, store = spool_of(study, place), Store.of(place)
    opening = spool.opening or {}
    with impatient():
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        try:
            client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
            runs = list(_runs(client, opening["key"]))
            return [*_compared(spool, opening["key"], runs, client)]
        except (MlflowException, OSError) as error:
            where = without_secrets(store.uri)
            first = without_secrets((str(error).splitlines() or [""])[0])
            raise StudyError(f"{where} does not answer ({first}); try again later") from error


def _runs(client: MlflowClient, key: str) -> Iterator[Run]:
    """All runs of a study, in whatever experiment they are."""
    experiments = [one.experiment_id for one in client.search_experiments()]
    chosen, token = f"tags.`autoreg.study_key` = '{key}'", None
    while True:
        page = client.search_runs(experiments, chosen, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _compared(spool: Spool, key: str, runs: list[Run], client: MlflowClient) -> list[Difference]:
    closing = spool.closing
    trials = {_key(key, told.trial): told.trial for told in spool.trials().more()}
    expected = {key, *trials, *(f"{key}:{trial.search}" for trial in trials.values())}
    if closing:
        expected |= {f"{key}:refit", *(f"{key}:{name}" for name in closing["searches"])}
    by_key = {run.data.tags["autoreg.key"]: run for run in runs}
    counts = Counter(run.data.tags["autoreg.key"] for run in runs)
    found = {
        "not in MLflow": sorted(expected - set(counts)),
        "in MLflow more than once": sorted(one for one, count in counts.items() if count > 1),
        "in MLflow and not in the ledger": sorted(set(counts) - expected),
        "still open": sorted(k for k, run in by_key.items() if run.info.status == "RUNNING"),
        "with other numbers than in the ledger": sorted(
            name
            for name, trial in trials.items()
            if name in by_key and not _agrees(by_key[name], trial)
        ),
    }
    differences = [Difference(what, tuple(keys)) for what, keys in found.items() if keys]
    if closing and key in by_key:
        differences += _of_the_end(by_key[key], closing, client)
    return differences


def _of_the_end(parent: Run, closing: Mapping[str, Any], client: MlflowClient) -> list[Difference]:
    """What a finished study's parent lacks."""
    found = []
    metrics = {k: v for k, v in closing["verdict"]["metrics"].items() if abs(v) < float("inf")}
    if any(parent.data.metrics.get(name) != value for name, value in metrics.items()):
        found.append(Difference("the verdict in MLflow is not that of the study"))
    stored = parent.data.tags.get("autoreg.selection")
    if closing["has_model"] and stored != closing["selection"]:
        found.append(Difference("the final model is not in MLflow"))
    there = {one.path for one in client.list_artifacts(parent.info.run_id)}
    if absent := tuple(name for name in FILES if name not in there):
        found.append(Difference("files that are not in MLflow", absent))
    return found


def _agrees(run: Run, trial: Trial) -> bool:
    if trial.failure:
        return bool(run.info.status == "FAILED")
    if trial.pruned:
        return bool(run.info.status == "KILLED" and "fit_seconds" in run.data.metrics)
    return bool(run.info.status == "FINISHED" and run.data.metrics.get("val_loss") == trial.loss)


def _key(key: str, trial: Trial) -> str:
    return f"{key}:{trial.search}:{trial.number}"
