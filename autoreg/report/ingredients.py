"""What each ingredient of the winner is worth: rows of a table, a chart, lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from autoreg.attribution import Attribution, Effect, Kind
from autoreg.findings import Findings
from autoreg.report.figures import WIDE, Row, dot_row, rows_only
from autoreg.report.ink import ACCENT, INK, MUTED, Picture, picture
from autoreg.report.wording import effect_name, effect_word
from autoreg.report.words import brief, count, fixed, loss_name, places_for, span

MOST = 12  # added techniques on the chart
CUT = 1.3  # beyond so many times what the ingredients reach, the axis ends


def ingredient_rows(findings: Findings) -> Mapping[str, Any] | None:
    """The tables of the section; None where nothing was measured."""
    found = findings.attribution
    if found is None or not found.effects:
        return None
    return {
        "left_out": _rows(found, "left_out"),
        "added": _rows(found, "added"),
        "pairs": _rows(found, "pair"),
        "folds": len(found.losses),
        "repeats": found.repeats,
        "shown": sum(one.gain is not None for one in found.effects),
    }


def _rows(found: Attribution, kind: Kind) -> list[Mapping[str, str]]:
    return [
        {
            "name": effect_name(one),
            "gain": _signed(one),
            "span": span(one.gain) if one.gain else "",
            "p": "" if one.p_value is None else brief(one.p_value),
            "word": effect_word(one),
        }
        for one in found.of(kind)
    ]


def _signed(one: Effect) -> str:
    if one.gain is None:
        return "n/a"
    text = fixed(one.gain.value, places_for(one.gain))
    return f"+{text}" if one.gain.value > 0 else text


def ingredient_chart(findings: Findings) -> Picture | None:
    """Gains with their intervals: ingredients left out, then what could be added."""
    found = findings.attribution
    if found is None:
        return None
    own = [one for one in found.of("left_out") if one.gain]
    others = [one for one in found.of("added") if one.gain]
    shown = others[:MOST]
    if not own and not shown:
        return None
    rows = [_row(one) for one in (*own, *shown)]
    loss = loss_name(findings.data["task"])

    def paint(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=1)
        for place, row in enumerate(rows):
            dot_row(axes, -place, row)
        if own and shown:
            axes.axhline(0.5 - len(own), color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.set_yticks(range(0, -len(rows), -1), [row.name for row in rows])
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        _limit(axes, [one for one in own if len(one.techniques) == 1] or own or shown)
        axes.set_xlabel(f"{loss} that it saves: right of 0 it helps")
        rows_only(axes)
        axes.tick_params(axis="y", labelsize=11.5)

    hidden = len(others) - len(shown)
    more = f" The table has {count(hidden, 'technique')} more." if hidden > 0 else ""
    best = max((*own, *shown), key=lambda one: one.gain.value if one.gain else 0.0)
    return picture(
        "ingredients",
        WIDE,
        90 + 30 * len(rows),
        paint,
        alt=f"What {count(len(own), 'ingredient')} of the winner and "
        f"{count(len(shown), 'further technique')} are worth in {loss}; {effect_name(best)} gains "
        f"most, {_signed(best)}; the tables below have the numbers.",
        caption="Filled: ingredients of the winner, left out one by one; hollow: techniques it "
        "lacks, added one by one at their default. Small dots are outer folds, bars 90% intervals "
        f"of the paired difference; what lies far outside is cut off.{more}",
    )


def _row(one: Effect) -> Row:
    added = one.kind == "added"
    name = f"with {effect_name(one)}" if added else effect_name(one)
    return Row(name, None, one.gain, one.folds, MUTED if added else ACCENT, hollow=added)


def _limit(axes: Axes, leading: Sequence[Effect]) -> None:
    """End the axis where the leading effects do, or one bad addition would squeeze them all."""
    ends = [abs(end) for one in leading if one.gain for end in (one.gain.low, one.gain.high)]
    folds = [abs(value) for one in leading for value in one.folds]
    reach = CUT * max([*ends, *folds, 1e-12])
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, -reach), min(high, reach))
