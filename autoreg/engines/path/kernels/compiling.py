"""How solvers are compiled: by numba, once, into a cache on disk that knows when it is stale.

Why a stamp of our own: numba compiles what a function calls into it, but asks only whether the
function's own file has changed. A change in one file would leave old code in all the others, after
an upgrade as well. So the stamp is a digest of all the sources together. It is read before anything
else in an index is: the rest names classes by their modules, which an upgrade may have moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from numba import njit

# Sums may be reordered into vector instructions; what is not a number stays visible.
OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "fastmath": {"reassoc", "contract", "arcp", "nsz"},
    "error_model": "numpy",
}
Decorator = Callable[[Callable[..., Any]], Any]


def compiler(sources: Iterable[Path], **more: bool) -> Decorator:
    """A decorator that compiles a function, and again when any of the sources changes."""
    texts = b"\0".join(path.read_bytes() for path in sorted(sources))
    stamp = hashlib.blake2b(texts, digest_size=8).hexdigest()
    options: dict[str, Any] = OPTIONS | more

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = njit(**options)(function)
        file = dispatcher._cache._cache_file
        file._source_stamp, file._version = stamp, f"{file._version} {stamp}"
        return dispatcher

    return compiled


SOURCES = tuple(Path(__file__).parent.glob("*.py"))
compiled = compiler(SOURCES)
# For small parts of inner loops: a call hands over each array by seven numbers and counts it.
inlined = compiler(SOURCES, forceinline=True)
