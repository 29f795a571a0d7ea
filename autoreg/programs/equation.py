"""A linear winner as an equation in the units of its columns, and as a table of coefficients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from autoreg.errors import StudyError
from autoreg.model import Model
from autoreg.programs.words import title, written_by

SHOWN = 12  # terms of an equation; the table has them all
LEFT = {
    "regression": "{target}",
    "count": "log(mean {target})",
    "binary": "log odds of {target} = {last}",
}


def equation(model: Model) -> str:
    """Markdown: the equation, how to read it, and every coefficient that is not zero.

    Raises StudyError for any other winner.

    >>> from autoreg.tracking.serving import made_up
    >>> equation(made_up()).splitlines()[2]
    '    y = 1 * x'
    """
    if model.parameters.family != "linear":
        raise StudyError(
            f"only linear winners have an equation; export a {model.parameters.family} to script "
            f"or notebook"
        )
    arrays, scaler = model.parameters.arrays, model.parameters.preprocessor
    W, b = scaler.original_units(arrays["coefficients"], arrays["intercept"])
    lines = [f"# {title(model)}", ""]
    for k, left in enumerate(_left(model)):
        lines.append(f"    {left} = {_sum(scaler.names, W[:, k], b[k], scaler.scale)}")
    return "\n".join([*lines, "", *_reading(model), "", *_table(model, W), "", written_by(), ""])


def _left(model: Model) -> Iterator[str]:
    if model.task == "multiclass":
        yield from (f"score of {one}" for one in model.classes)
        return
    last = model.classes[-1] if model.classes else ""
    yield LEFT[model.task].format(target=model.target, last=last)


def _sum(names: Sequence[str], w: np.ndarray, b: float, scale: np.ndarray) -> str:
    """The terms, the largest per standard deviation first."""
    order = [k for k in np.argsort(-abs(w * scale), kind="stable") if w[k]]
    terms = [f"{_number(b)}"] if b or not order else []
    for k in order[:SHOWN]:
        sign = "-" if w[k] < 0 else "+" if terms else ""
        size = _number(abs(w[k]))
        terms.append(f"{sign} {size} * {_bracket(names[k])}".strip())
    more = f" + ... ({len(order) - SHOWN} more terms, below)" if len(order) > SHOWN else ""
    return " ".join(terms) + more


def _reading(model: Model) -> Iterator[str]:
    scaler = model.parameters.preprocessor
    if scaler.lookups:
        yield "A name in brackets is 1 for rows of that category, and 0 for all others."
    gaps = [c.name for c in model.columns if not c.is_categorical]
    if gaps:
        yield "A missing number counts as the mean of its column, which is in the table."
    if model.task == "multiclass":
        yield "The probability of a class is exp(its score) by the sum of exp(all scores)."


def _table(model: Model, W: np.ndarray) -> Iterator[str]:
    scaler = model.parameters.preprocessor
    outputs = [str(one) for one in model.classes] if W.shape[1] > 1 else ["coefficient"]
    yield f"| input | {' | '.join(outputs)} | mean | standard deviation |"
    yield f"|---|{'---|' * (len(outputs) + 2)}"
    order = np.argsort(-np.linalg.norm(W * scaler.scale[:, None], axis=1), kind="stable")
    for k in order:
        if W[k].any():
            cells = [_number(one) for one in (*W[k], scaler.mean[k], scaler.scale[k])]
            yield f"| {scaler.names[k]} | {' | '.join(cells)} |".replace("\n", " ")


def _bracket(name: str) -> str:
    return f"[{name}]" if "=" in name else name


def _number(value: float) -> str:
    return f"{value:.6g}"
