"""A study's searches as Optuna studies in a database, for optuna-dashboard and for notebooks.

A projection of the ledger: nothing of autoreg reads it. Each search is one Optuna study, for its
losses are of its own rows. Parameters are the technique set and every dial at its best value, on
the dial's own scale; intermediate values are a network's learning curve, else the path, by its
place in percent, weakest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoreg.candidate import ARCHITECTURES, Candidate
from autoreg.dials import Choice, Dial, Value
from autoreg.errors import StudyError
from autoreg.home import home_folder
from autoreg.spec import study_from
from autoreg.tracking.spool import Told
from autoreg.tracking.sync import spool_of
from autoreg.trial import Trial

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

KEY = "autoreg.key"
Architectures = Mapping[str, Mapping[str, Dial]]


def export_optuna(
    study: str, home: str | Path | None = None, storage: str | None = None
) -> tuple[str, list[str]]:
    """Write a study's trials into an Optuna storage; returns its URL and the studies' names.

    By default ``optuna.db`` in the study's folder. What is there already is continued. Raises
    StudyError where the study was never run here, or the storage holds another one of that name.
    """
    spool = spool_of(study, home_folder(home))
    url = storage or f"sqlite:///{spool.study_folder / 'optuna.db'}"
    told = sorted(spool.trials().more(), key=lambda one: (one.trial.search, one.trial.number))
    labels = sorted({one.trial.candidate.label for one in told})
    opening = spool.opening or {}
    key, known = opening["key"], _architectures(opening["config"])
    names = []
    for search, trials in groupby(told, key=lambda one: one.trial.search):
        names.append(f"{study}/{search}")
        _continue(_opened(names[-1], url, key), list(trials), labels, known)
    return url, names


def _opened(name: str, url: str, key: str) -> Study:
    import optuna

    found = optuna.create_study(
        study_name=name, storage=url, direction="minimize", load_if_exists=True
    )
    if found.user_attrs.get(KEY, key) != key:
        raise StudyError(
            f"{name} in that storage is of another run of the study; name another --storage"
        )
    found.set_user_attr(KEY, key)
    return found


def _architectures(config: Mapping[str, Any]) -> Architectures:
    """The dials of each family beside its techniques, those of the user's own as declared."""
    ours = {family: {one.name: one for one in dials} for family, dials in ARCHITECTURES.items()}
    own = {
        family: ours.get(family, {}) | {name: one.dial(name) for name, one in spec.dials.items()}
        for family, spec in study_from(dict(config)).own.items()
    }
    return ours | own


def _continue(
    study: Study, told: Sequence[Told], labels: Sequence[str], known: Architectures
) -> None:
    for one in told[len(study.get_trials(deepcopy=False)) :]:
        study.add_trial(_frozen(one, labels, known))


def _frozen(told: Told, labels: Sequence[str], known: Architectures) -> FrozenTrial:
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import FrozenTrial

    trial, best = told.trial, told.trial.best_candidate
    dials = {name: (dial, value) for name, dial, value in _dials(best, known)}
    box: dict[str, BaseDistribution] = {
        "technique": CategoricalDistribution(labels),
        **{name: _distribution(dial) for name, (dial, _) in dials.items()},
    }
    ended = datetime.fromtimestamp(told.at / 1000)  # noqa: DTZ006 # Optuna's times have no zone
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=_state(trial),
        value=trial.loss if trial.is_valid else None,
        datetime_start=ended - timedelta(seconds=trial.seconds),
        datetime_complete=ended,
        params={"technique": best.label} | {name: value for name, (_, value) in dials.items()},
        distributions=box,
        user_attrs=_attributes(trial),
        system_attrs={},
        intermediate_values=_steps(trial),
    )


def _dials(one: Candidate, known: Architectures) -> list[tuple[str, Dial, Value]]:
    """Every dial that is set, by its full name; one that is off on a logarithmic range is none."""
    named = [
        (f"{one.family}.{name}", known[one.family][name], value)
        for name, value in one.architecture
        if name in known[one.family]
    ]
    named += [
        (f"{chosen.key}.{dial.name}", dial, chosen.values[dial.name])
        for chosen in one.techniques
        for dial in chosen.dials
        if dial.name in chosen.values
    ]
    return [(name, dial, value) for name, dial, value in named if dial.contains(value)]


def _distribution(dial: Dial) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(dial, Choice):
        return CategoricalDistribution(dial.options)
    # An off value may lie beside the range; where the range is logarithmic, it cannot join it.
    ends = [dial.low, dial.high, *([dial.off] if dial.off is not None and not dial.log else [])]
    low, high = min(ends), max(ends)
    if dial.integer:
        return IntDistribution(int(low), int(high), log=dial.log)
    return FloatDistribution(low, high, log=dial.log)


def _state(trial: Trial) -> Any:
    from optuna.trial import TrialState

    if trial.pruned:
        return TrialState.PRUNED
    return TrialState.FAIL if trial.failure else TrialState.COMPLETE


def _attributes(trial: Trial) -> dict[str, Any]:
    """What the trial's row says beside its loss."""
    row = trial.row
    kept = ("family", "candidate", "origin", "train_loss", "gap", "flags", "failure")
    return {name: row[name] for name in kept if row[name] == row[name]} | dict(trial.scores)


def _steps(trial: Trial) -> dict[int, float]:
    if trial.pruned:
        return {trial.pruned.at: trial.pruned.loss}
    if trial.failure:
        return {}
    if curve := trial.curve.get("stop") or trial.curve.get("train"):
        return dict(enumerate(map(float, curve), 1))
    dial = trial.candidate.path
    if dial is None:
        return {}
    pairs = zip(trial.strengths, trial.means, strict=True)
    return {round(100 * dial.strength(strength)): float(loss) for strength, loss in pairs}
