"""A program as a Jupyter notebook: its parts as cells, its docstring as text."""

from __future__ import annotations

import ast
import json
from typing import Any


def notebook(source: str) -> str:
    """The notebook of a program, as JSON (nbformat 4.5); the last cell predicts ``new.csv``.

    >>> [cell["source"] for cell in json.loads(notebook("'What it is.'\\nx = 1"))["cells"][:2]]
    [['What it is.'], ['x = 1']]
    """
    tree, lines = ast.parse(source), source.splitlines()
    words = ast.get_docstring(tree) or ""
    cells = [_cell("markdown", words)]
    code: list[str] = []
    for node, following in zip(tree.body[1:], [*tree.body[2:], None], strict=True):
        if isinstance(node, ast.If):
            break
        end = _start(following) - 1 if following is not None else len(lines)
        own = "\n".join(lines[_start(node) - 1 : end]).rstrip()
        own = own.replace("Path(__file__).with_name", "Path")
        block = isinstance(node, ast.FunctionDef | ast.ClassDef)
        if block and code:
            cells.append(_cell("code", "\n".join(code).strip()))
            code = []
        code.append(own)
        if block:
            cells.append(_cell("code", "\n".join(code).strip()))
            code = []
    if code:
        cells.append(_cell("code", "\n".join(code).strip()))
    cells.append(_cell("code", 'predict(pd.read_csv("new.csv"))'))
    document = {
        "cells": [{**cell, "id": f"part-{k}"} for k, cell in enumerate(cells)],
        "metadata": {"kernelspec": KERNEL, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1) + "\n"


KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def _start(node: ast.stmt) -> int:
    return node.lineno


def _cell(kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})
