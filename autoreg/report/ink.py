"""From a matplotlib figure to an inline SVG that takes its colours and font from the page.

Why sentinels: a chart is painted once, in nine colours that no one would choose, and each of
them is then replaced by a CSS variable. The same file so fits light and dark mode and paper.
Text stays text: it can be selected, searched and set in the reader's own font.

Marks tell what they are under the pointer: each carries a ``<title>``, which browsers show and
screen readers read. No script is needed, so none can be blocked, and none is on the page.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from autoreg.report.words import clean

INK = "#010101"
MUTED = "#020202"
LINE = "#030303"
ACCENT = "#040404"
LINEAR = "#050505"
NETWORK = "#060606"
FACTORIZATION = "#090909"
PAPER = "#070707"
WARN = "#080808"
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    ACCENT: "--accent",
    LINEAR: "--linear",
    NETWORK: "--network",
    FACTORIZATION: "--factorization",
    PAPER: "--card",
    WARN: "--warn",
}
FAMILY_INKS = {"linear": LINEAR, "factorization": FACTORIZATION, "network": NETWORK}
FAMILY_MARKERS = {"linear": "o", "factorization": "^", "network": "s"}
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "autoreg",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.linewidth": 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.titlepad": 10,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
}
TIPS = "tips:"
BETWEEN = "\N{SYMBOL FOR UNIT SEPARATOR}"
MILLION = 1e6
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Picture:
    """A finished chart: inline SVG with its alternative text, and the caption under it."""

    svg: Markup
    caption: str
    width: int


def picture(
    key: str, width: int, height: int, paint: Callable[[Axes], None], *, alt: str, caption: str
) -> Picture:
    """Paint one chart of that size in CSS pixels.

    ``key`` is unique on the page and goes in front of all ids of the SVG. Equal input gives
    equal bytes.
    """
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # Only widths are measured here; the letters themselves come from the reader's own font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")
        paint(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(_inline(buffer.getvalue(), key, width, alt), caption, width)


def tell(artist: Artist, tips: Sequence[str]) -> None:
    """Give each mark of an artist, or a line as a whole, a text to show under the pointer.

    All marks must have finite places, for those that are not drawn would shift the texts.
    """
    artist.set_gid(TIPS + BETWEEN.join(clean(tip).replace(BETWEEN, " ") for tip in tips))


def keep_within(line: Line2D, left: float, right: float) -> None:
    """Leave out the marks of a line beyond the ends of its axis, each with its text.

    Why: a mark outside the picture is not drawn, and the texts of the others would shift.
    """
    tips = str(line.get_gid() or "").removeprefix(TIPS).split(BETWEEN)
    places, heights = (np.atleast_1d(one) for one in line.get_data())
    inside = (left <= places) & (places <= right)
    if len(tips) == len(places) > 1 and not inside.all():
        line.set_data(places[inside], heights[inside])
        tell(line, [tip for tip, is_in in zip(tips, inside, strict=True) if is_in])


def _titled(text: str) -> str:
    """The texts of ``tell``, moved from the names of groups into their marks."""
    # A group of marks holds one group more at most: the one that is clipped to the axes.
    return re.sub(rf'<g id="{TIPS}([^"]*)">(.*?)(?=</g>)', _told, text, flags=re.DOTALL)


def _told(group: re.Match[str]) -> str:
    tips = group[1].split(BETWEEN)
    shapes, defined, marks = group[2].rpartition("</defs>")
    first, *rest = re.split(r"(?=<use |<path )", marks)
    if len(tips) == 1 and not rest:  # a lone mark beyond the ends of an axis that was cut off
        return f"<g>{group[2]}"
    assert len(rest) == len(tips), "a mark was not drawn"
    titled = [_titled_mark(mark, tip) for mark, tip in zip(rest, tips, strict=True)]
    return f'<g class="told">{shapes}{defined}{first}{"".join(titled)}'


def _titled_mark(mark: str, tip: str) -> str:
    head, _, rest = mark.partition("/>")
    kind = head[1:].partition(" ")[0]
    return f"{head}><title>{tip}</title></{kind}>{rest}"


def _inline(text: str, key: str, width: int, alt: str) -> Markup:
    """The bare ``<svg>`` of a file, named, recoloured and without outside references."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box is not None, "matplotlib always writes a viewBox"
    head = (
        f'<svg viewBox="{box[1]}" style="max-width:{width}px" role="img" '
        f'aria-label="{escape(alt)}">'
    )
    text = head + text[text.index(">") + 1 :]
    text = _own_ids(_titled(text.replace("xlink:href", "href")), key)
    text = re.sub(r"font: (?:(\w+) )?([\d.]+)px [^;\"]*", _font, text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    for ink, variable in VARIABLES.items():
        text = text.replace(ink, f"var({variable})")
    return Markup(re.sub(r"\s*\n\s*", "\n", text))  # noqa: S704 (escaped above)


def _own_ids(text: str, key: str) -> str:
    """Ids with the key in front; those that nothing refers to are dropped."""
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text))
    names = {first or second for first, second in used}

    def renamed(found: re.Match[str]) -> str:
        return f' id="{key}-{found[1]}"' if found[1] in names else ""

    text = re.sub(r' id="([^"]*)"', renamed, text)
    return re.sub(r'(url\(|href=")#', rf"\1#{key}-", text)


def _font(found: re.Match[str]) -> str:
    weight = f"font-weight: {found[1]}; " if found[1] else ""
    return f"{weight}font-size: {found[2]}px"


# ---- axes --------------------------------------------------------------------------------------


def quiet(axes: Axes, *, grid: str = "y") -> None:
    """Light grid lines along one axis, no tick marks."""
    axes.grid(axis=grid, color=LINE, linewidth=0.8, alpha=0.7)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=6)


def log_x(axes: Axes) -> None:
    """A logarithmic x axis whose ticks are powers of ten, written as text."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
    axes.xaxis.set_minor_locator(NullLocator())


def loss_axis(axes: Axes, low: float, high: float) -> None:
    """A y axis for positive losses: logarithmic where they differ by more than a factor 4."""
    if low > 0 and high > 4 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    axes.set_ylim(low, high)


def plain_numbers(axes: Axes, axis: Literal["x", "y"]) -> None:
    """Tick labels as numbers with thousands separators, up to a million."""
    getattr(axes, f"{axis}axis").set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _: int | None = None) -> str:
    """A number as text; millions and more as a multiple of a power of ten, or labels would meet.

    >>> _plain(-1500.0), _plain(2.5e9)
    ('−1,500', '2.5×10⁹')
    """
    if abs(value) < MILLION:
        return f"{value:,.10g}".replace("-", "\N{MINUS SIGN}")
    exponent = 3 * int(math.log10(abs(value)) // 3)
    share = f"{value / 10**exponent:.4g}".replace("-", "\N{MINUS SIGN}")
    return f"{share}×10{str(exponent).translate(SUPERSCRIPTS)}"


def power(value: float) -> str:
    """A power of ten as text.

    >>> power(0.001), power(1.0)
    ('10⁻³', '1')
    """
    exponent = round(math.log10(value)) if value > 0 else 0
    if exponent in (0, 1):
        return f"{10**exponent}"
    return "10" + str(exponent).translate(SUPERSCRIPTS)
