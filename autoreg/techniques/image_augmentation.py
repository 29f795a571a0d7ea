"""Train on images that are shifted, turned, zoomed, flipped or partly erased at random."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autoreg.techniques.base import Dials, Draws, Moment, Picture, Range, Technique

if TYPE_CHECKING:
    from torch import Tensor

# At magnitude 1, at most; a flip comes with half the magnitude as its probability.
TURN, SHIFT, ZOOM, ERASED = math.pi / 6, 0.25, 0.3, 0.2


class ImageAugmentation(Technique):
    """Train on images that are shifted, turned, zoomed, flipped or partly erased at random.

    Only what the study declares to be a symmetry of its images is done (data: image: symmetries):
    a digit may be shifted, but a 6 that is turned upside down is a 9. Images are changed in the
    units of their pixels and standardized again.
    """

    families = ("network",)
    needs_symmetries = True
    dials = (
        Range(
            "magnitude",
            0.05,
            1.0,
            default=0.3,
            off=0.0,
            about="1 turns by up to 30 degrees and shifts by up to a quarter of the image",
        ),
    )
    rank = 3
    references = (
        "Shorten & Khoshgoftaar 2019, A survey on image data augmentation for deep learning",
        "Cubuk et al. 2020, RandAugment, arXiv 1909.13719 (one magnitude for all changes)",
    )

    @staticmethod
    def batch(
        inputs: Tensor, targets: Tensor, dials: Dials, draws: Draws, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        """Inputs (M, B, q) with every image changed in its own way; targets unchanged."""
        picture, magnitude = moment.facts.picture, dials["magnitude"]
        if picture is None:
            return inputs, targets
        ways = draws.uniform(inputs.shape[1], 5)
        moved = _moved(inputs, _maps(magnitude, ways, picture), picture)
        erased = ERASED * magnitude * ("erase" in picture.symmetries)
        hidden = picture.square(erased.expand(-1, inputs.shape[1], 1), draws)
        return moved.masked_fill(hidden, 0.0).where(magnitude > 0, inputs), targets


def _maps(magnitude: Tensor, ways: Tensor, picture: Picture) -> Tensor:
    """Affine maps (M, B, 2, 3) from places in the new image to places in the old one.

    Places run from -1 to 1, from left to right and from top to bottom; ``ways`` (M, B, 5) are
    uniform numbers that say how far each image is turned, zoomed, shifted and whether flipped.
    """
    import torch

    turned, zoomed, shifted, flipped = (
        magnitude.squeeze(2) * (name in picture.symmetries)
        for name in ("rotate", "zoom", "shift", "flip")
    )
    far, ratio = 2.0 * ways - 1.0, picture.height / picture.width
    angle, size = TURN * turned * far[..., 0], 1.0 + ZOOM * zoomed * far[..., 1]
    mirror = 1.0 - 2.0 * (ways[..., 4] < 0.5 * flipped)
    cosine, sine = size * angle.cos(), size * angle.sin()
    right, down = (2.0 * SHIFT * shifted * far[..., k] for k in (2, 3))
    rows = [[mirror * cosine, -ratio * sine, right], [mirror * sine / ratio, cosine, down]]
    return torch.stack([torch.stack(row, dim=2) for row in rows], dim=2)


def _moved(inputs: Tensor, maps: Tensor, picture: Picture) -> Tensor:
    """Inputs (M, B, q) as images seen through maps; beyond the border its pixels go on."""
    import torch.nn.functional as F

    raw = inputs * picture.scale + picture.mean
    images = raw.reshape(-1, picture.height, picture.width, picture.channels).permute(0, 3, 1, 2)
    grid = F.affine_grid(maps.flatten(0, 1), list(images.shape), align_corners=False)
    seen = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    scale = picture.scale.masked_fill(picture.scale == 0, math.inf)
    return (seen.permute(0, 2, 3, 1).reshape(inputs.shape) - picture.mean) / scale
