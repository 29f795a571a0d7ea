"""The report room: findings in, pages and sentences out. It formats and never computes.

``write_report`` writes ONE self-contained HTML file, ``summary_lines`` gives the verdict for a
terminal, ``markdown`` the note of the MLflow run, ``summary_html`` the card in a notebook.
"""

from __future__ import annotations

from pathlib import Path

from autoreg.disk import made, write_whole
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

    page = write_whole(made(folder) / FILE_NAME, render(findings, mlflow_run))
    write_whole(folder / TEXT_NAME, report_markdown(findings))
    write_whole(folder / DATA_NAME, report_json(findings, mlflow_run))
    if findings.sheet:
        write_whole(folder / SHEET_NAME, sheet_markdown(findings))
    return page
