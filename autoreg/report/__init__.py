"""The report room: findings in, pages and sentences out. It formats and never computes.

``write_report`` writes ONE self-contained HTML file, ``summary_lines`` gives the verdict for a
terminal, ``markdown`` the note of the MLflow run, ``summary_html`` the card in a notebook.
"""

from __future__ import annotations

from pathlib import Path

from autoreg.findings import Findings
from autoreg.report.beside import sheet_markdown
from autoreg.report.documents import report_json, report_markdown
from autoreg.report.summary import markdown, summary_html, summary_lines
from autoreg.report.wording import ingredient_lines

__all__ = [
    "ingredient_lines",
    "markdown",
    "report_markdown",
    "sheet_markdown",
    "summary_html",
    "summary_lines",
    "write_report",
]

FILE_NAME = "report.html"
SHEET_NAME = "info_sheet.md"
TEXT_NAME, DATA_NAME = "report.md", "report.json"


def write_report(findings: Findings, folder: Path, *, mlflow_run: str | None = None) -> Path:
    """Write the report as HTML, Markdown and JSON into a folder, and the info sheet.

    Returns the path of the page: one file, no network, styles and charts are inside. The same
    findings give the same bytes.
    """
    # matplotlib takes a while to import, and the other three functions do not need it.
    from autoreg.report.page import render

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    path.write_text(render(findings, mlflow_run), encoding="utf-8")
    (folder / TEXT_NAME).write_text(report_markdown(findings), encoding="utf-8")
    (folder / DATA_NAME).write_text(report_json(findings, mlflow_run), encoding="utf-8")
    if findings.sheet:
        (folder / SHEET_NAME).write_text(sheet_markdown(findings), encoding="utf-8")
    return path
