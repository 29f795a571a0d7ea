"""Text as a few directions of meaning: counts of words, weighted by rarity, projected.

Words and pairs of words fall into ``BUCKETS`` by a hash, which needs no vocabulary and so learns
nothing. What is learned from training rows: how rare each bucket is (inverse document frequency,
Sparck Jones 1972, Journal of Documentation 28(1)), and the directions in which documents vary most
(truncated singular value decomposition: Deerwester et al. 1990, JASIS 41(6)).

Why a hash and no list of words: a list made of all rows would know which words the held-out rows
use; one made of training rows alone would have to travel with every fit.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoreg.data.dataset import Column, Floats, Rows

BUCKETS = 1024
MOST = 100  # directions
ROWS_EACH = 3  # documents behind a direction, at least
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
AT_ONCE = 2_000  # documents that are filled in together


@dataclass(frozen=True, eq=False)
class Words:
    """``rarity`` (B,) of buckets and ``directions`` (B, k)."""

    rarity: Floats
    directions: Floats

    @classmethod
    def fit(cls, cells: Floats, column: Column, known: Any) -> tuple[Words, Floats]:
        """Learn from training cells (n,), positions of documents; and what these cells become."""
        made = _fitted(column.levels, cells.tobytes())
        return made, made.values(cells, column.levels)

    @property
    def width(self) -> int:
        """The number of directions."""
        return int(self.directions.shape[1])

    def values(self, cells: Floats, levels: Sequence[str]) -> Floats:
        """Where documents lie along the directions, (n, k); a missing one at the origin."""
        places = np.where(np.isnan(cells) | (cells < 0), len(levels), cells).astype(np.int64)
        used, where = np.unique(places, return_inverse=True)
        counted = [levels[k] if k < len(levels) else "" for k in used.tolist()]
        rows = [
            weighed(counts_of(tuple(counted[start : start + AT_ONCE])), self.rarity)
            @ self.directions
            for start in range(0, len(counted), AT_ONCE)
        ]
        return np.asarray(np.concatenate(rows)[where.ravel()])

    def to_data(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What was learned, as JSON-ready data and as arrays."""
        return {}, {"rarity": self.rarity, "directions": self.directions}

    @classmethod
    def from_data(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Words:
        """The inverse of :meth:`to_data`."""
        return cls(arrays["rarity"], arrays["directions"])


def counts_of(documents: tuple[str, ...]) -> Floats:
    """How often words and pairs of words of each document fall into each bucket, (d, B).

    >>> counts_of(("Good dog, good DOG", "")).sum(axis=1).tolist()
    [7.0, 0.0]
    """
    out = np.zeros((len(documents), BUCKETS))
    for row, document in enumerate(documents):
        words = WORD.findall(document.lower())
        for token in (*words, *map(" ".join, zip(words, words[1:], strict=False))):
            out[row, zlib.crc32(token.encode()) % BUCKETS] += 1.0
    return out


def weighed(counts: Floats, rarity: Floats) -> Floats:
    """Logarithmic counts times rarity, each document of length 1."""
    values = np.log1p(counts) * rarity
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0))


@lru_cache(maxsize=64)
def _fitted(levels: tuple[str, ...], cells: bytes) -> Words:
    """Learned once for all candidates of a training set."""
    positions = np.frombuffer(cells, dtype=np.float64)
    there = positions[~np.isnan(positions) & (positions >= 0)].astype(np.int64)
    used, times = np.unique(there, return_counts=True)
    counts = counts_of(tuple(levels[k] for k in used.tolist()))
    n = max(len(there), 1)
    rarity = np.log((1 + n) / (1 + times @ (counts > 0))) + 1
    rarity[~(counts > 0).any(axis=0)] = 0.0  # buckets without a training word say nothing
    return Words(rarity, _directions(weighed(counts, rarity), times, n))


def _directions(values: Floats, times: Rows, n: int) -> Floats:
    """The right singular vectors (B, k) of documents (d, B), each counted so many times.

    The sign of each is that of its largest entry, so that it does not depend on the solver.
    """
    k = int(np.clip(n // ROWS_EACH, 1, MOST))
    if not len(values):
        return np.zeros((BUCKETS, 1))
    rooted = values * np.sqrt(times)[:, None]
    squares, left = np.linalg.eigh(
        rooted @ rooted.T if len(rooted) < BUCKETS else rooted.T @ rooted
    )
    kept = np.flatnonzero(squares > 1e-9 * max(squares[-1], 1e-300))[::-1][:k]
    if not len(kept):
        return np.zeros((BUCKETS, 1))
    vectors = left[:, kept]
    if len(rooted) < BUCKETS:
        vectors = rooted.T @ vectors / np.sqrt(squares[kept])
    largest = np.abs(vectors).argmax(axis=0)
    return np.asarray(vectors * np.sign(vectors[largest, np.arange(len(kept))]))
