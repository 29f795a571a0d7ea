"""Memory that a step frees is what the next step needs: the process keeps it.

The C library gives large blocks back to the system at once, which then clears each page of them
anew: a quarter of the time of a stack of small networks.
"""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # the parameters of glibc's mallopt(3)
KEPT = 1 << 28  # bytes at the end of the heap that are not given back
LARGEST = 1 << 25  # bytes of a block from the heap: what glibc allows at most


def keep_freed_memory() -> None:
    """Keep memory that was freed, up to 256 MB; C libraries other than glibc are left alone."""
    try:
        tune = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows
        return
    tune(TRIM_THRESHOLD, KEPT)
    tune(MMAP_THRESHOLD, LARGEST)
