"""Champion, challenger, previous: aliases of a registered model, moved under the gate only.

Every comparison is a look at rows, and is written down (:mod:`autoreg.tracking.askings`), whatever
comes of it; rows that were looked at before are counted in the answer, and so is how often this
champion was asked to go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from autoreg.data import load
from autoreg.data.dataset import Dataset
from autoreg.errors import StudyError
from autoreg.home import home_folder
from autoreg.model import Model
from autoreg.sealed import row_hashes
from autoreg.spec import DataSpec
from autoreg.tracking.askings import Asking, Askings
from autoreg.tracking.gate import Comparison, Side, compare, remembered, unseen
from autoreg.tracking.spool import Spool
from autoreg.tracking.store import Store, impatient
from autoreg.tracking.sync import spool_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


@dataclass(frozen=True)
class Promotion:
    """What came of it: the version, whether it is the champion now, and why."""

    name: str
    version: str
    promoted: bool
    reason: str
    comparison: Comparison | None = None


def promote(
    study: str,
    home: str | Path | None = None,
    *,
    data: str | Path | None = None,
    margin: float = 0.0,
    name: str | None = None,
    corrected: bool = True,
) -> Promotion:
    """Register a study's final model, and make it the champion if it passes the gate.

    The first model of a name has nobody to beat. Later ones are compared with the champion on
    the rows of ``data`` that neither model was trained on. ``margin`` is by how much the loss
    must fall. ``corrected``: a champion falls wrongly with 5% probability in its whole reign,
    however often it is asked; else in each asking. Raises StudyError where the gate cannot be
    asked, with the reason.
    """
    place = home_folder(home)
    spool, store = spool_of(study, place), Store.of(place)
    with _client(store) as client:
        known = name or study
        version = _registered(client, known, spool)
        champion = _alias(client, known, CHAMPION)
        if champion is None:
            client.set_registered_model_alias(known, CHAMPION, _number(version))
            return Promotion(known, _number(version), True, "there was no champion to beat")
        if _number(champion) == _number(version):
            return Promotion(known, _number(version), True, "it is the champion already")
        client.set_registered_model_alias(known, CHALLENGER, _number(version))
        if data is None:
            raise StudyError(
                f"{known} has a champion, version {_number(champion)}: name a table of rows to "
                f"compare on with --data; rows that either model was trained on are left out"
            )
        rows, askings = _rows(spool, data), Askings(place)
        sides = _sides(client, champion, spool, askings.key)
        fresh = unseen(*sides, rows, askings.key)
        hashes = tuple(row_hashes(rows.rows(fresh), askings.key))
        asking = Asking(known, _number(champion), _number(version), hashes)
        standing = askings.standing(asking)
        found = compare(
            *(sides[0][0], sides[1][0], rows, fresh, margin),
            standing=standing,
            corrected=corrected,
        )
        reused = askings.record(asking, study, found)
        reason = str(found) + (f"; {reused} earlier comparisons saw such rows" if reused else "")
        if found.passed:
            _crown(client, known, _number(version), _number(champion), found)
        return Promotion(known, _number(version), found.passed, reason, found)


def rollback(name: str, home: str | Path | None = None) -> Promotion:
    """Make the version before the champion the champion again; can be repeated.

    Raises StudyError where there is none.
    """
    with _client(Store.of(home_folder(home))) as client:
        champion, before = _alias(client, name, CHAMPION), _alias(client, name, PREVIOUS)
        if champion is None or before is None:
            raise StudyError(f"{name} has no previous champion to go back to")
        client.set_registered_model_alias(name, CHAMPION, _number(before))
        when = datetime.now(UTC).isoformat(timespec="seconds")
        client.set_model_version_tag(name, _number(champion), "autoreg.rolled_back", when)
        if earlier := before.tags.get("autoreg.replaced"):
            client.set_registered_model_alias(name, PREVIOUS, earlier)
        else:
            client.delete_registered_model_alias(name, PREVIOUS)
        reason = f"version {_number(champion)} was rolled back"
        return Promotion(name, _number(before), True, reason)


# ---- the registry ------------------------------------------------------------------------------


@contextmanager
def _client(store: Store) -> Iterator[MlflowClient]:
    with impatient():
        from mlflow import MlflowClient

        store.prepare()
        yield MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)


def _registered(client: MlflowClient, name: str, spool: Spool) -> ModelVersion:
    """The version of a study's final model: registered before, or now."""
    closing, opening = spool.closing, spool.opening
    if closing is None or opening is None:
        raise StudyError(f"{spool.study_folder.name} is unfinished: there is no final model yet")
    if not closing["has_model"]:
        raise StudyError(
            f"{spool.study_folder.name} has no stored model: it asked for none, or its winner is "
            f"of a family of your own, which is code and no data"
        )
    parents = client.search_runs(
        [one.experiment_id for one in client.search_experiments()],
        f"tags.`autoreg.key` = '{opening['key']}'",
    )
    chosen = closing["selection"]
    if not parents or parents[0].data.tags.get("autoreg.selection") != chosen:
        raise StudyError(
            f"the final model is not in MLflow yet; `autoreg sync {opening['study']}` writes it"
        )
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description="Kept by `autoreg promote`.")
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get("autoreg.key") == f"{opening['key']}:{chosen}":
            return client.get_model_version(name, _number(version))
    model = parents[0].data.tags["autoreg.model"]
    own = {"autoreg.key": f"{opening['key']}:{chosen}", "autoreg.model": model}
    run, tags = parents[0].info.run_id, own | {"autoreg.study": opening["study"]}
    number = model.removeprefix("models:/")
    if client.tracking_uri.startswith("http"):  # a server takes no other source
        return client.create_model_version(
            name, model, run_id=run, tags=tags, model_id=number, await_creation_for=0
        )
    # Where its files lie: without a server `models:/...` is looked up in the user's own store.
    place = client.get_logged_model(number).artifact_location
    return client.create_model_version(name, place, run_id=run, tags=tags, await_creation_for=0)


def _alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    for model in client.search_registered_models(f"name = '{name}'"):
        if version := model.aliases.get(alias):
            return client.get_model_version(name, version)
    return None


def _number(version: ModelVersion) -> str:
    """The version's number as text: stores disagree about its type."""
    return str(version.version)


def _crown(client: MlflowClient, name: str, version: str, champion: str, found: Comparison) -> None:
    client.set_model_version_tag(name, version, "autoreg.replaced", champion)
    client.set_model_version_tag(name, version, "autoreg.gate", json.dumps(found.to_data()))
    client.set_registered_model_alias(name, PREVIOUS, champion)
    client.set_registered_model_alias(name, CHAMPION, version)
    client.delete_registered_model_alias(name, CHALLENGER)


# ---- the comparison ----------------------------------------------------------------------------


def _rows(spool: Spool, data: str | Path) -> Dataset:
    """The rows to compare on, with the roles that the study declares."""
    opening = spool.opening or {}
    declared = DataSpec.model_validate(opening["config"]["data"])
    task = Model.load(spool.study_folder / "model").task
    return load(declared.model_copy(update={"source": str(data), "task": task}))


def _sides(
    client: MlflowClient, champion: ModelVersion, spool: Spool, key: str
) -> tuple[Side, Side]:
    old, new = _downloaded(client, champion), spool.study_folder / "model"
    return (
        (Model.load(old), remembered(old, key)),
        (Model.load(new), remembered(new, key)),
    )


def _downloaded(client: MlflowClient, version: ModelVersion) -> Path:
    """The folder of a registered version's own files."""
    from mlflow.artifacts import download_artifacts

    uri = client.get_model_version_download_uri(version.name, _number(version))
    folder = Path(download_artifacts(artifact_uri=uri, tracking_uri=client.tracking_uri))
    return next(folder.rglob("model.json")).parent
