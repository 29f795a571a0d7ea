"""The numbers that lie beside a program: what is written, and the lines that read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoreg.model import Model
from autoreg.programs.made_code import made_code


def beside(name: str) -> list[str]:
    """Lines that read the arrays beside the program of that name."""
    return [
        f'W = np.load(Path(__file__).with_name("{name}.npz"), allow_pickle=False)',
        "W = {key: W[key].astype(float) for key in W.files}",
    ]


def numbers(model: Model, path: Path) -> Path | None:
    """Write the numbers of a model beside its program; None where the program holds them all."""
    known = model.parameters
    if known.family == "factorization":
        names = {f"{role}s": names_of(model, role) for role in ("user", "item")}
        arrays = {**known.arrays, **names}
    elif known.family == "linear":
        arrays = made_code(model).arrays
    else:
        scaler = known.preprocessor
        own = {"mean": scaler.mean, "scale": scaler.scale}
        arrays = {**known.arrays, **made_code(model).arrays, **own}
    if not arrays:
        return None
    np.savez(path, allow_pickle=False, **arrays)
    return path


def names_of(model: Model, role: str) -> NDArray[np.str_]:
    """The names of the users or items that a factorization knows, in the order of its numbers."""
    info = model.parameters.info
    levels = model.columns[info[role]].levels
    return np.array([levels[k] for k in info[f"{role}s"]], dtype=np.str_)
