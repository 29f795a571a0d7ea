"""The report's charts as files of their own, which MLflow shows beside the run.

They are cut out of the report, so they cost the study nothing and say what the report says.
"""

from __future__ import annotations

import re
from html import unescape

CHART = re.compile(r"<svg\b[^>]*\brole=\"img\"[^>]*>.*?</svg>", re.DOTALL)
LABEL = re.compile(r'aria-label="([^"]*)"')
# The page's colours, which a file on its own has to bring along.
INKS = {
    "--ink": ("#1c1f24", "#e8eaed"),
    "--muted": ("#5c6470", "#a3abb6"),
    "--line": ("#d5d9df", "#3a4048"),
    "--accent": ("#0b57d0", "#8ab4f8"),
    "--linear": ("#0b57d0", "#8ab4f8"),
    "--network": ("#b3261e", "#f2b8b5"),
    "--factorization": ("#2f6b3a", "#8fd19e"),
    "--card": ("#ffffff", "#16181c"),
    "--warn": ("#8a5a00", "#f5c26b"),
}


def charts(report: str) -> dict[str, str]:
    """The charts of a report (its HTML) by file name, in order.

    >>> page = '<p><svg viewBox="0 0 9 9" role="img" aria-label="Scores: a, b"><g/></svg></p>'
    >>> list(charts(page))
    ['01_scores.svg']
    """
    found = CHART.findall(report)
    return {f"{k:02d}_{_name(svg)}.svg": _alone(svg) for k, svg in enumerate(found, 1)}


def _name(svg: str) -> str:
    label = LABEL.search(svg)
    words = unescape(label[1]) if label else "chart"
    first = re.split(r"[:;.,(]", words)[0].lower()
    return re.sub(r"[^a-z0-9]+", "_", first).strip("_")[:40] or "chart"


def _alone(svg: str) -> str:
    light, dark = (
        "".join(f"{name}:{pair[shade]};" for name, pair in INKS.items()) for shade in (0, 1)
    )
    style = (
        "<style>svg{font-family:system-ui,sans-serif;background:var(--card);"
        f"{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    )
    head, _, rest = svg.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg">{style}{rest}'
