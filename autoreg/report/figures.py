"""The charts of what the outer folds and the held-out rows say: the numbers, the techniques.

They draw what the findings hold and compute nothing. A chart is a picture, or None where there
is nothing to show.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

from matplotlib.axes import Axes

from autoreg.findings import Findings
from autoreg.report.ink import (
    ACCENT,
    FAMILY_INKS,
    FAMILY_MARKERS,
    INK,
    MUTED,
    PAPER,
    WARN,
    Picture,
    keep_within,
    picture,
    plain_numbers,
    quiet,
    tell,
)
from autoreg.report.words import (
    brief,
    count,
    family_name,
    fixed,
    loss_name,
    metric_name,
    places_for,
    quoted,
    set_name,
    span,
    who,
)
from autoreg.statistics import Interval
from autoreg.verdict import Standing

WIDE, HALF = 840, 400
MOST_SETS = 14
FAR = 1.0  # so many times the distance between the procedure and knowing nothing is still drawn
SHIFT = 0.26  # how far below its mean's line a technique's fold-wise dots are drawn


# ---- the numbers side by side ------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One line of a dot-and-interval chart: a name, a number, its interval, fold-wise dots."""

    name: str
    value: float | None = None
    interval: Interval | None = None
    dots: tuple[float | None, ...] = ()
    ink: str = MUTED
    hollow: bool = False


def number_charts(findings: Findings) -> list[Picture]:
    """The estimates in the metric and in the loss; one chart where they are the same."""
    if metric_name(findings.verdict.metric) == loss_name(findings.data["task"]):
        return [loss_chart(findings)]
    return [score_chart(findings), loss_chart(findings)]


def score_chart(findings: Findings) -> Picture:
    """The estimates in the metric of the study."""
    verdict = findings.verdict
    rows = [
        Row("best inner (optimistic)", verdict.inner_best, hollow=True),
        Row("nested", None, verdict.nested, tuple(f.score for f in verdict.folds), ACCENT),
    ]
    if verdict.held_out and verdict.held_out.score is not None:
        rows.append(Row("held-out", verdict.held_out.score, ink=ACCENT))
    rows += [
        Row(f"none, {one.family}", None, one.score, one.scores)
        for one in verdict.standings
        if one.label == "none"
    ]
    rows.append(Row("featureless", None, verdict.baseline, ink=WARN))
    places = places_for(verdict.nested)
    better = "larger" if verdict.greater_is_better else "smaller"
    return _dot_chart(
        "score",
        metric_name(verdict.metric),
        f"{better} is better",
        rows,
        _told(verdict.nested, verdict.baseline),
        alt=f"{metric_name(verdict.metric)}: nested {fixed(verdict.nested.value, places)}, "
        f"interval {span(verdict.nested, places)}; best inner "
        f"{fixed(verdict.inner_best, places)}, optimistic.",
        caption="The nested score and the unregularized models were measured on the same outer "
        "folds (small dots: the folds; bar: 90% interval).",
    )


def loss_chart(findings: Findings) -> Picture:
    """The estimates in the loss that the search minimizes, with the featureless model."""
    verdict = findings.verdict
    rows = [
        Row("best inner (optimistic)", verdict.inner_best_loss, hollow=True),
        Row("nested", None, verdict.nested_loss, tuple(f.loss for f in verdict.folds), ACCENT),
    ]
    if verdict.held_out and verdict.held_out.loss is not None:
        rows.append(Row("held-out", verdict.held_out.loss, ink=ACCENT))
    rows += [
        Row(f"none, {one.family}", None, one.loss, one.losses)
        for one in verdict.standings
        if one.label == "none"
    ]
    worst = tuple(fold.baseline_loss for fold in verdict.folds)
    rows.append(Row("featureless", None, verdict.baseline_loss, worst, WARN))
    loss = loss_name(findings.data["task"])
    return _dot_chart(
        "loss",
        loss,
        "smaller is better",
        rows,
        _told(verdict.nested_loss, verdict.baseline_loss),
        alt=f"{loss}: nested {quoted(verdict.nested_loss)}; best inner "
        f"{brief(verdict.inner_best_loss)}, optimistic; the featureless model in every fold.",
        caption="How far everything lies from a model that sees no features: the distance is "
        "the signal in the data.",
    )


def _told(*intervals: Interval) -> list[float]:
    """The numbers that must be told apart: the procedure's and the featureless model's."""
    return [end for one in intervals for end in (one.low, one.value, one.high)]


def keep_near(axes: Axes, told: Sequence[float], marks: Mapping[int, float | None]) -> None:
    """End the axis not far beyond the numbers to be told apart, and say what lies outside.

    ``marks`` are the large marks, by their height. Why: one model that is far worse than to know
    nothing would press all others into one dot.
    """
    known = [one for one in told if math.isfinite(one)]
    low, high, reach = min(known), max(known), FAR * (max(known) - min(known))
    left, right = axes.get_xlim()
    left, right = max(left, low - reach), min(right, high + reach)
    axes.set_xlim(left, right)
    for line in axes.lines:
        keep_within(line, left, right)
    for place, value in marks.items():
        if value is not None and not left <= value <= right:
            side = "right" if value > right else "left"
            edge, words = (
                (right, f"{brief(value)} >") if value > right else (left, f"< {brief(value)}")
            )
            axes.annotate(
                words, (edge, place), (0, 5), textcoords="offset points", ha=side, va="bottom",
                fontsize=11.5, color=MUTED,
            )  # fmt: skip


def _dot_chart(
    key: str,
    title: str,
    better: str,
    rows: Sequence[Row],
    told: Sequence[float],
    *,
    alt: str,
    caption: str,
) -> Picture:
    def paint(axes: Axes) -> None:
        for place, row in enumerate(rows):
            dot_row(axes, -place, row)
        axes.set_yticks(range(0, -len(rows), -1), [row.name for row in rows])
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        axes.margins(x=0.08)
        marks = {
            -k: one.interval.value if one.interval else one.value for k, one in enumerate(rows)
        }
        keep_near(axes, told, marks)
        axes.locator_params(axis="x", nbins=5)
        axes.set_title(title)
        axes.set_xlabel(better)
        rows_only(axes)

    return picture(key, HALF, 84 + 32 * len(rows), paint, alt=alt, caption=caption)


def dot_row(axes: Axes, place: float, row: Row) -> None:
    """Draw one line of a dot-and-interval chart at a height."""
    value = row.value if row.interval is None else row.interval.value
    dots = [dot for dot in row.dots if dot is not None]
    level = place if value is None else place - SHIFT
    axes.plot(
        dots, [level] * len(dots), "o", color=row.ink, markersize=5, alpha=0.5, markeredgewidth=0
    )
    if row.interval is not None:
        axes.plot(*bar(row.interval, place), "-", color=row.ink, linewidth=2.2)
    if value is not None:
        fill = PAPER if row.hollow else row.ink
        (mark,) = axes.plot(
            value, place, "o", markersize=9, color=fill, markeredgecolor=row.ink, zorder=3,
            markeredgewidth=1.8,
        )  # fmt: skip
        tell(mark, [f"{row.name}: {quoted(row.interval) if row.interval else brief(value)}"])


def bar(interval: Interval, place: float) -> tuple[list[float], list[float]]:
    """The ends of an interval; an unbounded one has no bar."""
    ends = [end for end in (interval.low, interval.high) if math.isfinite(end)]
    return ends, [place] * len(ends)


def rows_only(axes: Axes) -> None:
    """Names at the left, grid lines from the numbers below, no other frame."""
    quiet(axes, grid="x")
    plain_numbers(axes, "x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", labelcolor=INK, labelsize=12)


# ---- technique sets over the outer folds -------------------------------------------------------


def standing_chart(findings: Findings) -> Picture | None:
    """Every compared technique set on the outer folds, best first."""
    standings = findings.verdict.standings[:MOST_SETS]
    if not standings:
        return None
    winner = findings.final.chosen.candidate.technique_set
    names = ["\n".join(wrap(_standing_name(one), 44)) for one in standings]
    folds = [fold.fold for fold in findings.verdict.folds]

    def paint(axes: Axes) -> None:
        for place, one in enumerate(standings):
            _standing_row(axes, -place, one, folds, (one.family, one.label) == winner)
        axes.set_yticks(range(0, -len(standings), -1), names)
        axes.set_ylim(-len(standings) + 0.4, 0.6)
        for label, one in zip(axes.get_yticklabels(), standings, strict=True):
            label.set_fontweight("bold" if (one.family, one.label) == winner else "normal")
        axes.set_xlabel(f"{metric_name(findings.verdict.metric)} on the outer folds")
        told = _told(findings.verdict.nested, findings.verdict.baseline)
        marks = {-k: one.score.value if one.score else None for k, one in enumerate(standings)}
        keep_near(axes, told, marks)
        rows_only(axes)
        axes.tick_params(axis="y", labelsize=11.5)
        _family_legend(axes, {one.family for one in standings})

    first, hidden = standings[0], len(findings.verdict.standings) - len(standings)
    more = f" The table has {hidden} more." if hidden else ""
    return picture(
        "standings",
        WIDE,
        90 + sum(14 + 15 * (1 + name.count("\n")) for name in names),
        paint,
        alt=f"{count(len(standings), 'technique set')} on the outer folds; the best mean has "
        f"{who(first.label, first.family)}; the table below has the numbers.",
        caption="Each small mark is one outer fold, each large one a mean with its 90% interval; "
        "where intervals overlap widely, the folds do not tell the techniques apart. Sets without "
        f"a large mark were not tried by every search.{more}",
    )


def _standing_name(one: Standing) -> str:
    """The set in words; ``none`` exists in each family and says which one it is."""
    family = f" ({family_name(one.family)})" if one.label == "none" else ""
    return set_name(one.label) + family


def _standing_row(
    axes: Axes, place: int, one: Standing, folds: Sequence[str], is_winner: bool
) -> None:
    ink, marker = FAMILY_INKS.get(one.family, INK), FAMILY_MARKERS.get(one.family, "D")
    if is_winner:
        axes.axhspan(place - 0.46, place + 0.46, color=ACCENT, alpha=0.1, linewidth=0)
    dots = [
        (score, fold) for score, fold in zip(one.scores, folds, strict=True) if score is not None
    ]
    level = place - SHIFT if one.score else place
    (marks,) = axes.plot(
        [score for score, _ in dots], [level] * len(dots), marker, color=ink, markersize=5,
        alpha=0.5, markeredgewidth=0,
    )  # fmt: skip
    tell(marks, [f"{_standing_name(one)}, {fold}: {brief(score)}" for score, fold in dots])
    if one.score is not None:
        axes.plot(*bar(one.score, place), "-", color=ink, linewidth=2)
        (mark,) = axes.plot(one.score.value, place, marker, color=ink, markersize=9, zorder=3)
        tell(mark, [f"{_standing_name(one)}: {quoted(one.score)}"])


def _family_legend(axes: Axes, families: Iterable[str]) -> None:
    for family in sorted(families):
        axes.plot(
            [], [], FAMILY_MARKERS.get(family, "D"), color=FAMILY_INKS.get(family, INK),
            markersize=8, label=family_name(family),
        )  # fmt: skip
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2, fontsize=11.5)
