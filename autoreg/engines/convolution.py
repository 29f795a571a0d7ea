"""Layers of 3 x 3 filters in front of a perceptron, for images: products with patches of pixels.

Why products and not a library's convolution: a stack of M models is then one batched product, whose
bits do not depend on which models share it; and every technique that acts on a weight matrix, a
norm or a hidden layer acts on filters without knowing of them.

Source: LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document
recognition, Proc. IEEE 86(11); He et al. 2015 for the rectified units.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SIDE = 3
FILTERS = (16, 32)  # of the first layer and of the second


@dataclass(frozen=True)
class Canvas:
    """What a layer of filters is given: images, row by row, the channels of a pixel together.

    >>> Canvas(5, 4, 1).behind(16)
    Canvas(height=2, width=2, channels=16)
    """

    height: int
    width: int
    channels: int

    @property
    def size(self) -> int:
        """Numbers in an image."""
        return self.height * self.width * self.channels

    @property
    def patch(self) -> int:
        """Numbers in a patch."""
        return SIDE * SIDE * self.channels

    def behind(self, filters: int) -> Canvas:
        """The canvas of the next layer: half as high and wide where it can be halved."""
        by = self.halved
        return Canvas(self.height // by, self.width // by, filters)

    @property
    def halved(self) -> int:
        """By how much height and width shrink."""
        return 2 if min(self.height, self.width) >= 2 else 1

    def patches(self, images: Tensor) -> Tensor:
        """The surroundings (M, B * pixels, patch) of each pixel of images (M, B, size).

        Beyond the border pixels are 0, the mean of standardized ones.
        """
        models, rows = images.shape[:2]
        square = images.reshape(-1, self.height, self.width, self.channels)
        padded = torch.nn.functional.pad(square, (0, 0, 1, 1, 1, 1))
        parts = padded.unfold(1, SIDE, 1).unfold(2, SIDE, 1)
        return parts.reshape(models, rows * self.height * self.width, self.patch)

    def pooled(self, values: Tensor) -> Tensor:
        """The largest of each 2 x 2 pixels: (M, B * pixels, F) becomes (M, B, size behind)."""
        models, _, filters = values.shape
        by, height, width = self.halved, self.height // self.halved, self.width // self.halved
        square = values.reshape(models, -1, self.height, self.width, filters)
        whole = square[:, :, : height * by, : width * by]
        blocks = whole.reshape(models, -1, height, by, width, by, filters)
        return blocks.amax(dim=(3, 5)).flatten(2)


def canvases_of(size: tuple[int, int, int], layers: int) -> tuple[Canvas, ...]:
    """What each layer of filters is given, for images of a height, a width and channels."""
    found = [Canvas(*size)]
    for filters in FILTERS[: layers - 1]:
        found.append(found[-1].behind(filters))
    return tuple(found[:layers])
