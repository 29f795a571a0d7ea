"""The values that judging produces: judgements of single refits, and the verdict made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from autoreg.candidate import Candidate
from autoreg.statistics import Interval

Parts = Mapping[str, tuple[float, float]]
ByClass = Mapping[str, list[list[float]]]  # by metric: numerator and denominator of each class


@dataclass(frozen=True)
class Judgement:
    """One candidate refitted on the training rows of one outer fold and scored on its rows.

    ``parts`` are the numerators and denominators of the metrics, ``baseline_parts`` those of
    the featureless model; ``by_class`` and ``baseline_by_class`` are what each class adds to those
    of the metrics and of the loss, where the outer folds are stratified. A failed refit is scored
    as the featureless model and flagged.
    ``used`` names the columns that the refit uses; None where it could leave none out.
    """

    fold: str
    candidate: Candidate
    loss: float
    baseline_loss: float
    parts: Parts
    baseline_parts: Parts
    flags: tuple[str, ...] = ()
    used: tuple[str, ...] | None = None
    by_class: ByClass = field(default_factory=dict)
    baseline_by_class: ByClass = field(default_factory=dict)

    @property
    def baseline(self) -> Judgement:
        """The featureless model, judged on the same fold."""
        return replace(
            self,
            loss=self.baseline_loss,
            parts=self.baseline_parts,
            by_class=self.baseline_by_class,
        )

    def to_data(self) -> dict[str, Any]:
        """The judgement as plain data."""
        return {**vars(self), "candidate": self.candidate.to_data()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Judgement:
        """The inverse of :meth:`to_data`."""
        return cls(
            data["fold"],
            Candidate.from_data(data["candidate"]),
            data["loss"],
            data["baseline_loss"],
            _pairs(data["parts"]),
            _pairs(data["baseline_parts"]),
            tuple(data["flags"]),
            None if data.get("used") is None else tuple(data["used"]),
            data["by_class"],
            data["baseline_by_class"],
        )


@dataclass(frozen=True)
class FoldVerdict:
    """One outer fold: what its search chose and how that did on the fold's rows.

    ``used`` names the columns that the choice uses; None where it could leave none out;
    ``monitored`` are the metrics of its refit that no search computes, by name.
    """

    fold: str
    chosen: Candidate
    loss: float
    score: float
    inner_loss: float
    baseline_loss: float
    rows: int
    flags: tuple[str, ...] = ()
    used: tuple[str, ...] | None = None
    monitored: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """One technique set over the outer folds: its inner-best of each search, judged there.

    ``losses`` and ``scores`` have one entry an outer fold, None where that search did not try
    the set; then ``score`` and ``loss``, over all folds, are None. Descriptive: these numbers
    chose nothing. ``monitored`` are the metrics that no search computes, over all folds.
    """

    family: str
    label: str
    losses: tuple[float | None, ...]
    scores: tuple[float | None, ...]
    score: Interval | None
    loss: Interval | None
    monitored: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Margin:
    """The winner against another technique set, paired over folds; descriptive.

    ``difference`` is loss(other) - loss(winner): positive means that the winner is better. It is
    over the ``folds`` outer folds whose searches tried both; where fewer than two did, ``where``
    is "inner" and it is over the inner folds of the final search, and so optimistic. ``p_value``
    is that of the corrected resampled t-test, over outer folds.
    """

    family: str
    label: str
    difference: Interval | None
    folds: int
    where: Literal["outer", "inner"] = "outer"
    p_value: float | None = None


@dataclass(frozen=True)
class HeldOut:
    """The final model on the rows that were opened once.

    ``opening`` is 'first' or 'reused k' (k earlier selections have seen some of these rows);
    or 'sealed' where the rows were not opened, 'kept' where there is no final model to judge on
    them; then the numbers are None. ``interval`` is that of the loss, over rows. ``measured``
    holds, in plain data, the interval of the ``score``, the ``coverage`` of conformal sets or
    intervals, their ``level`` and mean ``size``, and the ``monitored`` metrics by name. All
    intervals are widened for reused rows.
    """

    rows: int
    opening: str
    score: float | None = None
    loss: float | None = None
    baseline_loss: float | None = None
    interval: Interval | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def score_interval(self) -> Interval | None:
        """The interval of the score, over rows or groups; widened where they were reused."""
        return Interval.from_data(self.measured["score"]) if "score" in self.measured else None

    @property
    def monitored(self) -> dict[str, Interval]:
        """The metrics that no search computes, over rows or groups, by name."""
        found = self.measured.get("monitored", {})
        return {name: Interval.from_data(one) for name, one in found.items()}

    @property
    def coverage(self) -> Interval | None:
        """The share of these rows that conformal sets or intervals cover, and its interval."""
        found = self.measured.get("coverage")
        return Interval.from_data(found) if found else None

    def to_data(self) -> dict[str, Any]:
        """The result as plain data."""
        interval = None if self.interval is None else self.interval.to_data()
        return {**vars(self), "interval": interval}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> HeldOut:
        """The inverse of :meth:`to_data`."""
        interval = data.get("interval")
        return cls(**{**data, "interval": Interval.from_data(interval) if interval else None})


@dataclass(frozen=True)
class Verdict:
    """How well the procedure and the final model do on unseen rows.

    ``metric`` is the metric shown; ``greater_is_better`` its direction. ``inner_best`` is the
    optimistic score of the final search. ``nested`` estimates the procedure's expected score at
    the outer training size; ``nested_loss`` the same in the task's loss. ``none`` holds the
    unregularized candidate's nested score by family, ``baseline`` and ``baseline_loss`` those of
    the featureless model. ``signal`` is the paired outer-fold
    difference baseline loss - procedure loss. ``agreement`` counts the outer folds that chose
    the final technique set. ``statement`` holds remarks in words.
    """

    metric: str
    greater_is_better: bool
    inner_best: float
    inner_best_loss: float
    nested: Interval
    nested_loss: Interval
    folds: tuple[FoldVerdict, ...]
    standings: tuple[Standing, ...]
    none: Mapping[str, Interval]
    baseline: Interval
    baseline_loss: Interval
    runner_up: Margin | None
    incumbent: Margin | None
    signal: Interval
    agreement: int
    held_out: HeldOut | None
    scores: Mapping[str, Interval]
    statement: tuple[str, ...] = ()

    @property
    def monitored(self) -> tuple[str, ...]:
        """The names of the metrics that no search computes: each needs the model itself."""
        return tuple(self.folds[0].monitored) if self.folds else ()

    @property
    def has_signal(self) -> bool:
        """Whether the procedure beats the featureless model beyond its interval."""
        return self.signal.low > 0

    @property
    def shown_beats_baseline(self) -> bool:
        """Whether the interval of the shown metric leaves the featureless score out.

        It may where the paired difference in the loss does not: where a few folds are much
        harder than the others, losses differ by the fold more than by the model.
        """
        if self.greater_is_better:
            return self.nested.low > self.baseline.value
        return self.nested.high < self.baseline.value

    def to_data(self) -> dict[str, Any]:
        """The verdict as plain data."""
        return {name: _plain(value) for name, value in vars(self).items()}


def _pairs(data: Mapping[str, Any]) -> Parts:
    return {name: (pair[0], pair[1]) for name, pair in data.items()}


def _plain(value: Any) -> Any:
    """Nested dataclasses as dictionaries; candidates by their own data form."""
    if isinstance(value, Candidate):
        return value.to_data()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return value
