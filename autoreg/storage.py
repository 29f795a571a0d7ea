"""A folder of arrays and one JSON document: written whole, checked bit for bit when it is read.

``model.json`` holds everything but numbers in bulk, and ``arrays.npz`` those (no object arrays,
so nothing that could be unpickled). The document knows the SHA-256 of the arrays, and of itself
with zeros in that place. A file that a disk, a copy or a merge has changed is told by its name
before anything in it is believed.

Why a hash and no signature: it finds damage, not malice. What malice can do with arrays and JSON
is to give other numbers; nothing of it is ever run.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoreg.disk import made, write_whole
from autoreg.errors import ModelError

FORMAT = 2
OLDER = (1,)  # without hashes
DOCUMENT, ARRAYS = "model.json", "arrays.npz"
ZEROS = "0" * 64

Arrays = Mapping[str, NDArray[Any]]


def write(folder: Path, document: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a document and its arrays into a folder, in today's format; all or nothing of each.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write(folder, {"task": "regression"}, {"line": np.array([2.0])})
    >>> document, arrays = read(folder)
    >>> document["task"], arrays["line"].tolist()
    ('regression', [2.0])
    """
    made(folder)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **dict(arrays))
    content = packed.getvalue()
    whole = {
        "format": FORMAT,
        "sha256": {DOCUMENT: ZEROS, ARRAYS: _hash(content)},
        **document,
    }
    text = json.dumps(whole, indent=2)
    text = text.replace(ZEROS, _hash(text.encode()), 1)
    write_whole(folder / ARRAYS, content)
    write_whole(folder / DOCUMENT, text)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what :func:`write` wrote, today or in an older format; nothing is unpickled.

    Raises ModelError naming the file that is missing, damaged or of a format not known here.
    """
    document = _document(folder / DOCUMENT)
    content = _bytes(folder / ARRAYS)
    if document["format"] not in OLDER and _hash(content) != document["sha256"].get(ARRAYS):
        raise damaged(folder / ARRAYS, "its SHA-256 is not the one that model.json names")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return document, {name: stored[name] for name in stored.files}
    except Exception as error:  # whatever damaged bytes make a reader of archives stumble over
        raise damaged(folder / ARRAYS, f"{type(error).__name__}: {error}") from error


def damaged(path: Path, reason: str) -> ModelError:
    """The error for a file that cannot be what was written."""
    return ModelError(f"{path}: is damaged ({reason}); restore it from a copy, or save it anew")


def _document(path: Path) -> dict[str, Any]:
    content = _bytes(path)
    try:
        document = json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise damaged(path, str(error)) from error
    if not isinstance(document, dict) or "format" not in document:
        raise damaged(path, "it is no description of a model")
    form = document["format"]
    if type(form) is not int:
        raise damaged(path, f"its format is {form!r}")
    if form > FORMAT:
        raise ModelError(
            f"{path}: holds a model of format {form}, and this version of autoreg reads up to "
            f"{FORMAT}; install a newer one"
        )
    if form not in OLDER:
        _check_hash(path, content, document)
    elif "sha256" in document:
        raise damaged(path, f"its format is not {form}")
    return document


def _check_hash(path: Path, content: bytes, document: dict[str, Any]) -> None:
    """Raise where any byte of a document is another than was written."""
    known = document.get("sha256")
    own = known.get(DOCUMENT) if isinstance(known, dict) else None
    if not isinstance(own, str) or len(own) != len(ZEROS):
        raise damaged(path, "it names no SHA-256 of its own")
    if _hash(content.replace(own.encode(), ZEROS.encode(), 1)) != own:
        raise damaged(path, "its SHA-256 is not the one that it names")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: there is no readable autoreg model ({error.strerror}); name the folder "
            f"that holds {DOCUMENT} and {ARRAYS}"
        ) from error


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
