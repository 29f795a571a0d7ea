"""The coefficients of a linear choice as rows and sentences; ``path_chart`` draws them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autoreg.coefficients import CoefficientPath
from autoreg.findings import Findings
from autoreg.report.words import brief, clean, count, fixed, percent

SHOWN = 25
NAMED = 5
MOST_OUTPUTS = 4  # side by side in the table; of more, each row shows the one that it says most of
LONGEST = 48
EFFECTS = {
    "regression": "A coefficient is the change of the predicted {output} for one unit of its "
    "column",
    "count": "A coefficient is the change of the logarithm of the predicted {output} for one unit "
    "of its column",
    "binary": "A coefficient is the change of the log odds of {output} for one unit of its column",
    "multiclass": "A coefficient is the change of a class's log odds, up to a constant that all "
    "classes share, for one unit of its column",
}
Cells = Mapping[str, Any]


def coefficient_rows(findings: Findings) -> Cells | None:
    """The section of a linear choice: its head, a row for each large coefficient, the rest."""
    path = findings.coefficients
    if path is None:
        return None
    return {
        "size": size_words(path, int(findings.data["columns"])),
        "effect": effect_words(path, findings),
        "folds": folds_words(path),
        "heads": _heads(path),
        "intercepts": _intercepts(path),
        "rows": [_row(path, k) for k in path.used[:SHOWN].tolist()],
        "has_inner": path.inner is not None,
        "has_outer": path.outer is not None,
        "rest": _rest(path),
        "remark": clean(path.remark),
    }


def coefficients_sentence(findings: Findings) -> str:
    """The size of the linear model and its largest coefficients, in one sentence."""
    path = findings.coefficients
    if path is None:
        return ""
    size = size_words(path, int(findings.data["columns"]))
    largest = ", ".join(_named(path, k) for k in path.used[:NAMED].tolist())
    return f"{size}; largest, per unit of the column: {largest}" if largest else size


def size_words(path: CoefficientPath, columns: int) -> str:
    """How many columns the final model uses, and how free it is."""
    free = fixed(path.freedom, 1)
    return (
        f"{path.used_columns:,} of {count(columns, 'column')} used, "
        f"{free} effective degrees of freedom"
    )


def effect_words(path: CoefficientPath, findings: Findings) -> str:
    """What one unit of a column does."""
    words = EFFECTS[str(findings.data["task"])]
    return words.format(output=clean(path.outputs[0], LONGEST))


def folds_words(path: CoefficientPath) -> str:
    """What the shares of the folds say; empty where no fold could leave a column out."""
    parts = []
    if path.inner is not None:
        parts.append(
            "Inner folds: how many of the fits in the final search, at the best strength of the "
            "chosen setting, use the column."
        )
    if path.outer is not None:
        folds = count(path.outer_folds, "outer fold")
        parts.append(f"Outer folds: the same for what {folds} chose and could leave columns out.")
    return " ".join(parts)


def _heads(path: CoefficientPath) -> list[str]:
    if len(path.outputs) == 1:
        return ["Coefficient", "Per standard deviation"]
    if len(path.outputs) <= MOST_OUTPUTS:
        return [clean(output, LONGEST) for output in path.outputs]
    return ["Class it says most of", "Coefficient", "Per standard deviation"]


def _intercepts(path: CoefficientPath) -> list[str]:
    values = [brief(value) for value in path.intercepts[path.chosen].tolist()]
    if len(values) == 1:
        return [*values, ""]
    return values if len(values) <= MOST_OUTPUTS else ["each class has its own", "", ""]


def _row(path: CoefficientPath, k: int) -> Cells:
    return {
        "name": clean(path.names[k], LONGEST),
        "cells": list(_cells(path, k)),
        "inner": _percent(path.share(path.inner, k)),
        "outer": _percent(path.share(path.outer, k)),
    }


def _cells(path: CoefficientPath, k: int) -> Iterator[tuple[str, str]]:
    """The numbers of a row, each with a smaller one below it."""
    values = path.coefficients[path.chosen, k].tolist()
    per_deviation = path.standardized[path.chosen, k].tolist()
    if len(values) == 1:
        yield from [(brief(values[0]), ""), (brief(per_deviation[0]), "")]
    elif len(values) <= MOST_OUTPUTS:
        for value, standardized in zip(values, per_deviation, strict=True):
            yield brief(value), f"{brief(standardized)} per sd" if value else ""
    else:
        c = _most(path, k)
        yield clean(path.outputs[c], LONGEST), ""
        yield from [(brief(values[c]), ""), (brief(per_deviation[c]), "")]


def _most(path: CoefficientPath, k: int) -> int:
    """The output with the largest coefficient of an input."""
    return int(abs(path.coefficients[path.chosen, k]).argmax())


def _named(path: CoefficientPath, k: int) -> str:
    c = _most(path, k)
    label = f" ({clean(path.outputs[c], 20)})" if len(path.outputs) > 1 else ""
    return f"{clean(path.names[k], 32)} {brief(float(path.coefficients[path.chosen, k, c]))}{label}"


def _percent(share: float | None) -> str:
    return "" if share is None else percent(share)


def _rest(path: CoefficientPath) -> str:
    """How many inputs are not in the table, and why."""
    smaller = len(path.used) - SHOWN
    unused = len(path.names) - len(path.used)
    parts = [f"{count(smaller, 'smaller coefficient')} left out of this table"] * (smaller > 0)
    parts += [f"{count(unused, 'input')} with a coefficient of exactly zero"] * (unused > 0)
    return f"Not shown: {'; '.join(parts)}." if parts else ""
