"""The coefficient path: how the coefficients of the chosen setting grow as the strength falls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from autoreg.coefficients import CoefficientPath
from autoreg.data.dataset import Floats, Rows
from autoreg.findings import Findings
from autoreg.report.ink import (
    ACCENT,
    INK,
    MUTED,
    NETWORK,
    WARN,
    Picture,
    log_x,
    picture,
    plain_numbers,
    quiet,
    tell,
)
from autoreg.report.words import brief, clean, count, name_of

WIDE, HALF = 840, 400
MOST_PANELS = 4  # one for each class; of more classes the norm is drawn
LABELLED = 8
GREY = 40  # faint lines at most, or a page of a thousand columns would be all lines
BEYOND = 4.0  # times the chosen model's largest: weaker strengths would flatten all the rest
INKS = (ACCENT, NETWORK, INK, WARN)
LETTER = 15  # pixels that a line of text needs
MARGINS = 96  # pixels of a chart above and below its axes


@dataclass(frozen=True, eq=False)
class _Panel:
    """The lines (S, q) of one output; ``first`` is the weakest strength that is drawn."""

    title: str
    lines: Floats
    first: int
    labelled: Rows
    faint: Rows

    @property
    def shown(self) -> Floats:
        """What is drawn of the lines."""
        return self.lines[self.first :]

    @property
    def inks(self) -> list[tuple[int, str]]:
        """The labelled lines from top to bottom at their left ends; neighbours differ."""
        ends = self.lines[self.first, self.labelled]
        order = self.labelled[np.argsort(-ends, kind="stable")].tolist()
        return [(k, INKS[place % len(INKS)]) for place, k in enumerate(order)]


def path_charts(findings: Findings) -> list[Picture]:
    """One chart, or one for each of a few classes; none where there is no path."""
    path = findings.coefficients
    if path is None or len(path.strengths) < 2:
        return []
    panels = _panels(path)
    size = (WIDE, 400) if len(panels) == 1 else (HALF, 330)
    limits = _limits(panels)
    return [_chart(path, panel, f"path-{k}", size, limits) for k, panel in enumerate(panels)]


def _limits(panels: Sequence[_Panel]) -> tuple[float, float]:
    """One axis for all classes, with a little room at both ends."""
    low = min(0.0, *(float(panel.shown.min()) for panel in panels))
    high = max(0.0, *(float(panel.shown.max()) for panel in panels))
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def _panels(path: CoefficientPath) -> list[_Panel]:
    outputs = len(path.outputs)
    if outputs == 1:
        return [_panel(path, "", path.standardized[:, :, 0], LABELLED)]
    if outputs > MOST_PANELS:
        return [_panel(path, f"norm over {outputs} classes", path.sizes, LABELLED)]
    titles = [clean(output, 40) for output in path.outputs]
    lines = path.standardized
    return [_panel(path, title, lines[:, :, c], 5) for c, title in enumerate(titles)]


def _panel(path: CoefficientPath, title: str, lines: Floats, most: int) -> _Panel:
    sizes = np.abs(lines)
    here, first = sizes[path.chosen], _first(sizes, path.chosen)
    order = np.lexsort((-sizes[first:].max(axis=0), -here))
    drawn = order[sizes[first:, order].max(axis=0) > 0]
    labelled = drawn[: min(most, np.count_nonzero(here) or most)]
    return _Panel(title, lines, first, labelled, drawn[len(labelled) :][:GREY])


def _first(sizes: Floats, chosen: int) -> int:
    """The weakest strength up to which no coefficient leaves the chosen model's ones far behind."""
    largest = sizes.max(axis=1)
    too_large = np.flatnonzero(largest[:chosen] > BEYOND * largest[chosen])
    return int(too_large[-1]) + 1 if len(too_large) and largest[chosen] > 0 else 0


def _chart(
    path: CoefficientPath,
    panel: _Panel,
    key: str,
    size: tuple[int, int],
    limits: tuple[float, float],
) -> Picture:
    width, height = size
    dial, chosen = name_of(path.dial), brief(path.strengths[path.chosen])

    def paint(axes: Axes) -> None:
        strengths = path.strengths[panel.first :]
        for k in panel.faint:
            (line,) = axes.plot(
                strengths, panel.shown[:, k], color=MUTED, linewidth=0.8, alpha=0.35
            )
            tell(line, [_tip(path, panel, k)])
        axes.axhline(0, color=MUTED, linewidth=1)
        axes.axvline(path.strengths[path.chosen], color=INK, linewidth=1.2, linestyle=(0, (1, 2)))
        for k, ink in panel.inks:
            (line,) = axes.plot(strengths, panel.shown[:, k], color=ink, linewidth=1.8)
            (mark,) = axes.plot(path.strengths[path.chosen], panel.lines[path.chosen, k], "o",
                                color=ink, markersize=6, zorder=4)  # fmt: skip
            tell(line, [_tip(path, panel, k)])
            tell(mark, [_tip(path, panel, k)])
        log_x(axes)
        axes.set_xlim(strengths[0], strengths[-1])  # the weakest at the left
        axes.set_ylim(*limits)
        gap = (limits[1] - limits[0]) * LETTER / (height - MARGINS)
        _label_ends(axes, path.names, panel, gap, 26 if width == WIDE else 16)
        axes.set_xlabel(f"{dial}, as a fraction")
        axes.set_title(panel.title)
        quiet(axes)
        axes.yaxis.tick_right()
        axes.tick_params(length=0)
        plain_numbers(axes, "y")

    return picture(
        key,
        width,
        height,
        paint,
        alt=f"Coefficients per standard deviation{_of(panel)}, against {dial}; at the chosen "
        f"{dial} {chosen} the largest belong to {_names(path, panel.labelled[:3])}.",
        caption=_caption(path, panel, chosen),
    )


def _tip(path: CoefficientPath, panel: _Panel, k: int) -> str:
    return f"{clean(path.names[k], 60)}: {brief(float(panel.lines[path.chosen, k]))} at the choice"


def _label_ends(axes: Axes, names: Sequence[str], panel: _Panel, gap: float, longest: int) -> None:
    """Names at the left ends of their lines, moved apart where they would overlap."""
    ends = [float(panel.shown[0, k]) for k, _ in panel.inks]
    low, high = axes.get_ylim()
    levels = apart(ends, gap, low + gap, high)  # above the numbers of the strengths
    beside = axes.get_yaxis_transform()
    for (k, ink), end, level in zip(panel.inks, ends, levels, strict=True):
        axes.plot([0, -0.012], [end, level], color=ink, linewidth=0.8, transform=beside,
                  clip_on=False)  # fmt: skip
        axes.text(-0.016, level, clean(names[k], longest), color=ink, fontsize=11.5, ha="right",
                  va="center", transform=beside)  # fmt: skip


def apart(wanted: Iterable[float], gap: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, which fall, at least a gap apart, inside the limits.

    >>> apart([1.0, 0.9, 0.0], 0.5, 0.0, 1.0)
    [1.0, 0.5, 0.0]
    """
    places: list[float] = []
    for one in wanted:
        places.append(min([one, high] if not places else [one, places[-1] - gap]))
    floor = low
    for k in reversed(range(len(places))):
        places[k] = max(places[k], floor)
        floor = places[k] + gap
    return places


def _of(panel: _Panel) -> str:
    return f", {panel.title}" if panel.title else ""


def _names(path: CoefficientPath, places: Rows) -> str:
    return ", ".join(clean(path.names[k], 40) for k in places) or "none"


def _caption(path: CoefficientPath, panel: _Panel, chosen: str) -> str:
    what, dial = f"Coefficients per standard deviation{_of(panel)}", name_of(path.dial)
    parts = [f"{what}; dotted: the chosen {dial} {chosen}."]
    moving = int(np.count_nonzero(np.abs(panel.lines[panel.first :]).max(axis=0)))
    if hidden := moving - len(panel.labelled) - len(panel.faint):
        parts.append(f"{count(hidden, 'smaller line')} not drawn.")
    if panel.first:
        weakest = brief(path.strengths[0])
        parts.append(
            f"Left of the chart, up to {dial} {weakest}, coefficients grow to more than "
            f"{BEYOND:g} times the largest of the chosen model."
        )
    return " ".join(parts)
