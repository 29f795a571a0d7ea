"""Parts of a model's forward pass, in numpy alone: ratings of levels, filters of images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autoreg.data.dataset import Floats, Rows


def rating(
    user_bias: Floats,
    item_bias: Floats,
    user_factors: Floats,
    item_factors: Floats,
    users: Rows,
    items: Rows,
) -> Floats:
    """What users (n,) think of items (n,), both positions, beyond the mean rating; shape (n,).

    >>> rating(np.ones(1), np.ones(1), np.ones((1, 2)), np.ones((1, 2)), *np.zeros((2, 1), int))
    array([4.])
    """
    tastes = (user_factors[users] * item_factors[items]).sum(axis=1)
    return np.asarray(user_bias[users] + item_bias[items] + tastes)


def places_of(cells: Floats, levels: Rows) -> Rows:
    """Where cells (n,) of a categorical column are among some of its levels, rising; else the end.

    >>> places_of(np.array([7.0, 4.0, -1.0, np.nan]), np.array([2, 7]))
    array([1, 2, 2, 2])
    """
    there = np.nan_to_num(cells, nan=-1.0)
    places = np.searchsorted(levels, there)
    return np.where(np.append(levels, -2)[places] == there, places, len(levels))


def patches(images: Floats, size: Sequence[int]) -> Floats:
    """The 3 x 3 surroundings (n * pixels, 9 channels) of each pixel of images (n, size).

    ``size`` is height, width, channels. Beyond the border pixels are 0.

    >>> patches(np.ones((1, 4)), (2, 2, 1)).sum(axis=1)
    array([4., 4., 4., 4.])
    """
    square = images.reshape(-1, *size)
    padded = np.pad(square, ((0, 0), (1, 1), (1, 1), (0, 0)))
    parts = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return parts.reshape(-1, 9 * size[2])


def pooled(values: Floats, size: Sequence[int]) -> Floats:
    """The largest of each 2 x 2 pixels: values (n * pixels, F) become rows (n, pixels / 4 * F).

    >>> pooled(np.arange(4.0)[:, None], (2, 2, 1))
    array([[3.]])
    """
    by = 2 if min(size[0], size[1]) >= 2 else 1
    height, width, filters = size[0] // by, size[1] // by, values.shape[1]
    square = values.reshape(-1, size[0], size[1], filters)[:, : height * by, : width * by]
    blocks = square.reshape(-1, height, by, width, by, filters).max(axis=(2, 4))
    return np.asarray(blocks.reshape(len(blocks), -1))
