"""Standardize each hidden unit over the rows of a training batch, before the ReLU."""

from __future__ import annotations

from dataclasses import replace

from autoreg.techniques.base import Architecture, Technique


class BatchNorm(Technique):
    """Standardize each hidden unit over the rows of a training batch, before the ReLU.

    The noise of the batch statistics regularizes; predictions use running statistics.
    """

    families = ("network",)
    rank = 2
    references = ("Ioffe & Szegedy 2015, ICML 37, algorithms 1 and 2",)

    def net(self, architecture: Architecture) -> Architecture:
        """The same shape, with batch normalization in every hidden layer, before any other."""
        both = architecture.norm in ("layer", "both")
        return replace(architecture, norm="both" if both else "batch")
