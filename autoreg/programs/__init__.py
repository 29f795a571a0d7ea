"""A winner without autoreg: a plain program, a notebook, an ONNX graph, or an equation.

What comes out is short, says what it is, and needs scikit-learn or torch (a program), an ONNX
runtime (a graph) or nothing (an equation). Nothing in it is pickled.
"""

from __future__ import annotations

from pathlib import Path

from autoreg.errors import StudyError
from autoreg.model import Model
from autoreg.programs.equation import equation
from autoreg.programs.notebook import notebook
from autoreg.programs.numbers import numbers
from autoreg.programs.onnx_graph import write_onnx
from autoreg.programs.script import script

__all__ = ["FORMS", "equation", "export", "notebook", "numbers", "script", "write_onnx"]

FORMS = {"script": ".py", "notebook": ".ipynb", "onnx": ".onnx", "equation": ".md"}


def export(model: Model, to: str, out: Path) -> list[Path]:
    """Write a model in one of ``FORMS``; the files that were written.

    The program of a network, of a factorization or of a model of text finds numbers in a file
    ``.npz`` beside it.

    Raises StudyError for a form that is not known or that the model has not, DataError where the
    extra is missing.

    >>> import tempfile
    >>> from autoreg.tracking.serving import made_up
    >>> [path.name for path in export(made_up(), "script", Path(tempfile.mkdtemp()) / "line.py")]
    ['line.py']
    """
    if to not in FORMS:
        raise StudyError(f"a model is exported to {', '.join(FORMS)}, not to {to!r}")
    if not model.is_data:
        raise StudyError(
            f"the model is a {model.parameters.family} of your own, whose program you have; fit "
            f"its best parameters again, or export `result.fitted` by its own library's means"
        )
    rates = model.parameters.family == "factorization"
    made = [column.name for column in model.columns if column.is_learned or column.part]
    if made and to == "onnx" and not rates:
        raise StudyError(
            f"column {made[0]!r} is made by autoreg (text, parts of dates, mean targets, marked "
            f"gaps or fences), which the graphs that are written here do not; export the model to "
            f"script or notebook"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    if to == "onnx" and rates:
        raise StudyError(
            "a factorization looks users and items up by their names, which the graphs that are "
            "written here do not; export it to script or notebook"
        )
    if to == "onnx":
        return [write_onnx(model, out)]
    if to == "equation":
        out.write_text(equation(model), encoding="utf-8")
        return [out]
    source = script(model, out.stem)
    out.write_text(notebook(source) if to == "notebook" else source, encoding="utf-8")
    beside = numbers(model, out.with_suffix(".npz"))
    return [out, beside] if beside else [out]
