"""The gate of a promotion: is the challenger better than the champion on rows that neither saw?

Rows are known by keyed hashes of their content under each model's own schema, so a row that was
trained on is found however it comes back. What both models left out is compared; the units of the
comparison are groups or blocks of time where the study declares them.

Why a champion that is asked again is harder to beat: a bound of 95% errs once in twenty askings,
and a watch asks every week. So the error of 5% is that of a champion's whole reign, half of it in
each of two ways to fall. Either one challenger is so much better that the k-th asking may say so:
its p-value is at most ``2.5% * 6 / (pi * k)**2``, which adds up to 2.5% (Bonferroni; the sum of
1/k**2 is pi**2/6). Or many were a little better: each asking on rows that no earlier one saw
multiplies the evidence by ``1 / (2 * sqrt(p))``, whose mean is at most 1 while the champion is as
good as its challengers, so that it ever comes to 40 has a probability of at most 2.5% (Ville). Why
both: spending alone never let a champion fall in a year of drift, for every single gain was small.
With a promotion a new reign begins. The bound of 95% above the margin is needed all the same.

Sources: Tian & Ramdas 2021, Statistical Methods in Medical Research 30(4) (the error over all tests
that will ever be made); Vovk & Wang 2021, Annals of Statistics 49(3) (evidence from p-values);
Ville 1939, Etude critique de la notion de collectif.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.data.view import viewed
from autoreg.disk import write_arrays
from autoreg.errors import DataError, StudyError
from autoreg.metrics.base import row_losses
from autoreg.model import Model
from autoreg.sealed import row_hashes
from autoreg.statistics import Interval, nadeau_bengio, one_sided_p

FEWEST = 20  # units
ERROR = 0.05  # one-sided, of one asking alone; of a whole reign where askings are corrected
LEVEL = 1 - 2 * ERROR  # two-sided: its lower end is the one-sided bound of 95%
ENOUGH = 2 / ERROR  # evidence
SMALLEST = 1e-12  # p-value
ROWS = "rows.npz"
Side = tuple[Model, frozenset[str]]  # a model, and the hashes of its training rows


def share_of(asking: int) -> float:
    """The p-value that the k-th asking of one champion needs by itself; all together 2.5%.

    >>> round(share_of(1), 4), round(sum(map(share_of, range(1, 10**4))), 4)
    (0.0152, 0.025)
    """
    return ERROR / 2 * 6 / (math.pi * asking) ** 2


def evidence_of(p: float) -> float:
    """What a p-value is worth as evidence: above 1 for the challenger, below for the champion.

    >>> evidence_of(0.01), evidence_of(0.25), round(evidence_of(0.9), 2)
    (5.0, 1.0, 0.53)
    """
    return 0.5 / math.sqrt(max(p, SMALLEST))


@dataclass(frozen=True)
class Standing:
    """What a champion has been through: this is its k-th ``asking``, ``evidence`` is that of the
    earlier ones together; ``repeated`` says that some rows of this one were compared before."""

    asking: int = 1
    evidence: float = 1.0
    repeated: bool = False


@dataclass(frozen=True)
class Comparison:
    """Champion against challenger: ``gain`` is loss(champion) - loss(challenger), paired.

    ``rows`` were compared, ``seen`` left out because a model was trained on them; ``units`` are
    what counts as independent, of the kind ``unit``. ``p`` is that of a gain of no more than the
    margin; ``added`` is the evidence of this asking, ``evidence`` that of the whole reign.
    """

    gain: Interval
    rows: int
    seen: int
    units: int
    unit: str
    margin: float
    p: float
    asking: int
    added: float
    evidence: float
    corrected: bool

    @property
    def passed(self) -> bool:
        """Whether the bound of 95% lies above the margin, and the whole reign says the same."""
        sure = self.p <= share_of(self.asking) or self.evidence >= ENOUGH
        return self.gain.low > self.margin and (sure or not self.corrected)

    def __str__(self) -> str:
        """The comparison in words."""
        verdict = "better" if self.passed else "not clearly better"
        gain, least = (_lower(one) for one in (self.gain.value, self.gain.low))
        return (
            f"the challenger is {verdict}: its loss is {gain}, and at worst {least} with 95% "
            f"confidence, on {self.rows} rows ({self.units} {self.unit}) that neither model was "
            f"trained on; the margin is {self.margin:g}; {self.reign}"
        )

    @property
    def reign(self) -> str:
        """How often the champion was asked about, and what that asks for, in words."""
        if not self.corrected:
            return f"not corrected for being asking {self.asking} of this champion"
        return (
            f"asking {self.asking} of this champion, which falls wrongly with 5% probability over "
            f"all of them: it takes p {share_of(self.asking):.2g} (here {self.p:.2g}), or evidence "
            f"of {ENOUGH:g} (here {self.evidence:.2g})"
        )

    def to_data(self) -> dict[str, Any]:
        """The comparison as plain data."""
        return {**vars(self), "gain": self.gain.to_data(), "passed": self.passed}


def remember_rows(folder: Path, table: Dataset, key: str) -> None:
    """Write down, beside a model, which rows it was trained on: keyed hashes, no values.

    Rows of a stream were never in memory, so nothing is written and no gate will open.
    """
    if table.streamed is None:
        found = np.frombuffer(bytes.fromhex("".join(row_hashes(table, key))), dtype=np.uint8)
        hashes = found.reshape(table.n, -1)
        write_arrays(folder / ROWS, {"hashes": hashes, "key": np.array(_name_of(key))})


def remembered(folder: Path, key: str) -> frozenset[str]:
    """The hashes of the rows that a saved model was trained on.

    Raises StudyError where they are unknown, or were hashed with another home folder's key.
    """
    path = folder / ROWS
    if not path.exists():
        raise StudyError("a model does not say which rows it was trained on, so the gate is shut")
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["key"]) != _name_of(key):
            raise StudyError(
                "a model was trained in another home folder, whose row hashes cannot be read "
                "here, so the gate is shut; train both models in one home folder"
            )
        return frozenset(row.tobytes().hex() for row in stored["hashes"])


def unseen(champion: Side, challenger: Side, rows: Dataset, key: str) -> Rows:
    """The ids of the rows that neither model was trained on, in order.

    Raises StudyError where they are fewer than 20 units, or the models answer different questions.
    """
    old, new = champion[0], challenger[0]
    if old.task != new.task or old.target != new.target:
        raise StudyError("champion and challenger predict different targets: nothing to compare")
    fresh = np.arange(rows.n)
    for model, trained in (champion, challenger):
        hashes = row_hashes(as_seen_by(model, rows), key)
        fresh = fresh[[hashes[k] not in trained for k in fresh]]
    units, unit = units_of(rows, fresh)
    if (count := len(np.unique(units))) < FEWEST:
        raise StudyError(
            f"{len(fresh)} of {rows.n} rows ({count} {unit}) were in neither model's training "
            f"rows; the gate needs at least {FEWEST} {unit}: bring newer rows"
        )
    return fresh


def compare(
    champion: Model,
    challenger: Model,
    rows: Dataset,
    fresh: Rows,
    margin: float = 0.0,
    *,
    standing: Standing = Standing(),
    corrected: bool = True,
) -> Comparison:
    """Compare two models on the rows that neither saw: :func:`unseen`.

    ``standing`` is what the champion has been through; rows that were compared before can take
    evidence away, and add none.
    """
    units, unit = units_of(rows, fresh)
    compared, count = rows.rows(fresh), len(np.unique(units))
    gains = _losses(champion, compared) - _losses(challenger, compared)
    gain = paired(gains, compared.weights, units)
    p = one_sided_p(gain, count, margin)
    added = min(evidence_of(p), 1.0) if standing.repeated else evidence_of(p)
    return Comparison(
        gain,
        rows=len(fresh),
        seen=rows.n - len(fresh),
        units=count,
        unit=unit,
        margin=margin,
        p=p,
        asking=standing.asking,
        added=added,
        evidence=standing.evidence * added,
        corrected=corrected,
    )


def paired(differences: Floats, weights: Floats, units: Rows) -> Interval:
    """The weighted mean difference, with an interval over units.

    The ratio of sums is linearized (Cochran 1977, Sampling Techniques, section 6.3); units are
    independent, so the variance is that of a plain mean.

    >>> paired(np.array([1.0, 2.0, 3.0]), np.ones(3), np.arange(3)).value
    2.0
    """
    _, places = np.unique(units, return_inverse=True)
    sums = np.bincount(places, weights * differences)
    sizes = np.bincount(places, weights)
    mean = sums.sum() / sizes.sum()
    return nadeau_bengio(mean + (sums - mean * sizes) / sizes.mean(), 0.0, level=LEVEL)


def units_of(rows: Dataset, ids: Rows) -> tuple[Rows, str]:
    """What is independent among some rows: groups, blocks of time, or the rows themselves."""
    if rows.group is not None:
        return rows.group[ids], "groups"
    if rows.time is None:
        return np.arange(len(ids)), "rows"
    # As long as possible: what lies within a block may depend on each other.
    moments, places = np.unique(rows.time[ids], return_inverse=True)
    return places * FEWEST // max(len(moments), FEWEST), "blocks of time"


def as_seen_by(model: Model, rows: Dataset) -> Dataset:
    """The rows under a model's own schema: its columns, its levels, its classes."""
    y = rows.y
    if model.classes:
        places: Mapping[Any, int] = {label: k for k, label in enumerate(model.classes)}
        labels = [rows.classes[int(k)] for k in rows.y]
        if unknown := {label for label in labels if label not in places}:
            raise DataError(f"class {sorted(map(str, unknown))[0]} is unknown to a model")
        y = np.array([places[label] for label in labels], dtype=np.int64)
    return replace(viewed(rows, model.columns), y=y, classes=model.classes)


def _lower(gain: float) -> str:
    return f"{abs(gain):.4g} {'lower' if gain > 0 else 'higher'}"


def _losses(model: Model, rows: Dataset) -> Floats:
    view = as_seen_by(model, rows)
    return row_losses(model.task, view.y, model.read(view.X, view.columns))


def _name_of(key: str) -> str:
    """What tells a key from others and does not give it away."""
    return hashlib.blake2b(b"name", key=key.encode()[:64], digest_size=8).hexdigest()
