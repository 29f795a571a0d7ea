"""Let every hidden layer but the first add to what it is given."""

from __future__ import annotations

from dataclasses import replace

from autoreg.techniques.base import Architecture, Technique


class Skip(Technique):
    """Let every hidden layer but the first add to what it is given.

    A layer then learns a correction, and a network that needs fewer layers can leave one at 0.
    A network with one hidden layer is left as it is.
    """

    families = ("network",)
    rank = 1
    references = ("He et al. 2016, Deep residual learning for image recognition, CVPR",)

    def net(self, architecture: Architecture) -> Architecture:
        """The same shape with skip connections."""
        return replace(architecture, skip=True)
