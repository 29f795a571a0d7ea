"""The chosen linear model to be read: its coefficients in the units of the columns, and its path.

The engine refits the choice on all development rows anyway; along with it, it walks the whole
path of strengths there, so that a reader sees in what order the columns come in, and how much
the choice of the strength matters for each of them. Nothing here chooses anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autoreg.candidate import Candidate, candidate
from autoreg.data.dataset import Dataset, Floats, Rows
from autoreg.engines.base import Failure, Fit, Job, Outcome
from autoreg.judge import final_job
from autoreg.scoring import Bench, leaves_out
from autoreg.select import Contender
from autoreg.trial import Trial
from autoreg.verdict import FoldVerdict

Shares = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class CoefficientPath:
    """The coefficients of one linear setting along its path, fitted on all development rows.

    ``names`` (q) are the inputs, ``groups`` (q) the columns that they come from, ``outputs`` (C)
    what is scored: the target, the second of two classes (its log odds), or each class.
    ``strengths`` (S) are weakest first, empty where there is no path (S = 1). ``coefficients``
    (S, q, C) and ``intercepts`` (S, C) are in the units of the columns, ``scales`` (q,) their
    standard deviations, 0 for constant inputs. ``chosen`` is the position of the selection, whose
    coefficients are those of the final model, and ``freedom`` its effective degrees of freedom.

    ``inner`` is the share of the inner folds of the final search that use a column, at the best
    strength of the chosen setting; ``outer`` the share among those ``outer_folds`` whose choice
    could leave columns out. Columns that none of them uses are not listed; ``inner`` is None
    where the choice leaves no column out. ``remark`` says why there is no path, if it failed;
    ``dial`` is the name of the dial that is walked.

    >>> line = CoefficientPath(
    ...     names=("a", "b"), groups=("a", "b"), strengths=(), chosen=0, outputs=("y",),
    ...     coefficients=np.array([[[2.0], [0.5]]]), intercepts=np.array([[1.0]]),
    ...     scales=np.array([1.0, 100.0]), freedom=2.0,
    ... )
    >>> [line.names[k] for k in line.used]  # the largest per standard deviation first
    ['b', 'a']
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    strengths: tuple[float, ...]
    coefficients: Floats
    intercepts: Floats
    chosen: int
    outputs: tuple[str, ...]
    scales: Floats
    freedom: float
    inner: Shares | None = None
    outer: Shares | None = None
    outer_folds: int = 0
    remark: str = ""
    dial: str = "strength"

    @property
    def standardized(self) -> Floats:
        """The coefficients per standard deviation of each input, (S, q, C)."""
        return self.coefficients * self.scales[:, None]

    @property
    def sizes(self) -> Floats:
        """The size of each input's standardized coefficients at each strength, (S, q).

        With several outputs, their Euclidean norm.
        """
        return np.asarray(np.linalg.norm(self.standardized, axis=2))

    @property
    def order(self) -> Rows:
        """Positions of the inputs, the largest of the chosen model first, then of the path."""
        sizes = self.sizes
        return np.lexsort((-sizes.max(axis=0), -sizes[self.chosen]))

    @property
    def used(self) -> Rows:
        """Positions of the inputs that the chosen model uses, the largest first."""
        return self.order[: np.count_nonzero(self.sizes[self.chosen])]

    @property
    def used_columns(self) -> int:
        """The number of columns that the chosen model uses."""
        return len({self.groups[k] for k in self.used})

    @property
    def rows(self) -> Iterator[dict[str, Any]]:
        """The chosen model as a table: one row for each input and output, intercepts first."""
        for output, value in zip(self.outputs, self.intercepts[self.chosen].tolist(), strict=True):
            yield {"input": "(intercept)", "column": "", "output": output, "coefficient": value}
        standardized = self.standardized[self.chosen]
        for k in self.order.tolist():
            for c, output in enumerate(self.outputs):
                yield {
                    "input": self.names[k],
                    "column": self.groups[k],
                    "output": output,
                    "coefficient": float(self.coefficients[self.chosen, k, c]),
                    "standardized": float(standardized[k, c]),
                    "inner_share": self.share(self.inner, k),
                    "outer_share": self.share(self.outer, k),
                }

    def share(self, shares: Shares | None, k: int) -> float | None:
        """In how many of the folds the column of input k is used."""
        return None if shares is None else shares.get(self.groups[k], 0.0)


def opened(chosen: Candidate) -> Candidate:
    """A candidate with its path strength open again, to be walked as a whole.

    >>> from autoreg.techniques import technique
    >>> opened(candidate("linear", [technique("lasso")(strength=0.5)], {})).techniques
    (lasso(),)
    """
    paths = {dial.name for one in chosen.techniques for dial in one.dials if dial.path}
    kept = [{k: v for k, v in one.values.items() if k not in paths} for one in chosen.techniques]
    parts = [type(one)(**dials) for one, dials in zip(chosen.techniques, kept, strict=True)]
    return candidate(chosen.family, parts, dict(chosen.architecture))


def final_jobs(bench: Bench, contender: Contender) -> list[Job]:
    """The refit of the final selection, and its whole path where it has one."""
    final = final_job(bench, contender)
    one = opened(contender.candidate)
    if one.path is None:
        return [final]
    walked = {*bench.space.strengths(one), *contender.candidate.chosen_strengths}
    weakest_first = sorted(walked, key=one.path.strength)
    return [final, replace(final, candidate=one, strengths=tuple(weakest_first))]


def coefficient_path(
    bench: Bench,
    contender: Contender,
    outcomes: Sequence[Outcome],
    trial: Trial,
    folds: Sequence[FoldVerdict],
) -> CoefficientPath | None:
    """What the outcomes of :func:`final_jobs` tell; None where there is no final linear model.

    ``trial`` is the chosen one, ``folds`` are the outer folds as they were judged.
    """
    if not outcomes:
        return None
    final, *walked = outcomes
    if isinstance(final, Failure) or final.coefficients is None:
        return None
    told = [fold.used for fold in folds if fold.used is not None]
    alone = _alone(bench.table, final)
    shown = replace(
        alone,
        inner=trial.stability if leaves_out(bench, contender.candidate) else None,
        outer=_shares(told) if told else None,
        outer_folds=len(told),
    )
    if not walked:
        return shown
    job = final_jobs(bench, contender)[1]
    assert job.candidate.path is not None
    shown = replace(shown, dial=job.candidate.path.name)
    return _along(shown, walked[0], job.strengths, *contender.candidate.chosen_strengths)


def _alone(table: Dataset, final: Fit) -> CoefficientPath:
    """The final model as a path of one strength."""
    assert final.model is not None, "a final job keeps its model"
    assert final.freedom is not None, "and linear engines tell the freedom"
    scaling = final.model.preprocessor
    return CoefficientPath(
        names=scaling.names,
        groups=tuple(table.columns[column].name for column in scaling.groups),
        strengths=(),
        coefficients=_there(final.coefficients),
        intercepts=_there(final.intercepts),
        chosen=0,
        outputs=_outputs(table),
        scales=scaling.scale,
        freedom=float(final.freedom[0]),
    )


def _along(
    alone: CoefficientPath, walked: Outcome, strengths: tuple[float, ...], chosen: float
) -> CoefficientPath:
    """The path around a final model, which stays in its place as it is, to the last bit."""
    if isinstance(walked, Failure):
        return replace(alone, remark=f"the path could not be walked: {walked.reason}")
    place = strengths.index(chosen)

    def with_final(along: Floats | None, final: Floats) -> Floats:
        kept = _there(along).copy()
        kept[place] = final[0]
        return kept

    return replace(
        alone,
        strengths=strengths,
        chosen=place,
        coefficients=with_final(walked.coefficients, alone.coefficients),
        intercepts=with_final(walked.intercepts, alone.intercepts),
    )


def _there(part: Floats | None) -> Floats:
    assert part is not None, "linear engines keep coefficients where they keep the model"
    return part


def _outputs(table: Dataset) -> tuple[str, ...]:
    """What each score is of: the target, the second of two classes, or every class."""
    labels = tuple(map(str, table.classes))
    return labels[-1:] if table.task == "binary" else labels or (table.target,)


def _shares(told: Sequence[Sequence[str]]) -> Shares:
    counts = Counter(name for names in told for name in names)
    return {name: count / len(told) for name, count in counts.items()}
