"""Standardize the hidden units of each row by themselves, before the ReLU."""

from __future__ import annotations

from dataclasses import replace

from autoreg.techniques.base import Architecture, Technique


class LayerNorm(Technique):
    """Standardize the hidden units of each row by themselves, before the ReLU.

    It does not depend on the other rows of a batch and acts in predictions as in training.
    """

    families = ("network",)
    rank = 2
    references = ("Ba, Kiros & Hinton 2016, Layer normalization, arXiv 1607.06450, equation 3",)

    def net(self, architecture: Architecture) -> Architecture:
        """The same shape, with layer normalization in every hidden layer, behind any other."""
        both = architecture.norm in ("batch", "both")
        return replace(architecture, norm="both" if both else "layer")
