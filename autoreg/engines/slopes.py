"""A stored network as torch sees it, so that it can be asked how inputs change what it says.

The forward pass is that of :meth:`autoreg.model.Parameters.outputs`, number for number, in double
precision; a test holds one against the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autoreg.data.dataset import Floats
from autoreg.engines.network import one_thread
from autoreg.model import LAYER_NORM_EPS, SMALLEST_BIN, Parameters

Arrays = Mapping[str, Tensor]


class Differentiable:
    """A classifier, or the mean of several, of standardized inputs (n, q)."""

    def __init__(self, model: Parameters) -> None:
        self._parts = [(_tensors(one), one.info) for one in model.members]

    def chances(self, inputs: Floats) -> Floats:
        """Class probabilities (n, C): the mean over networks and over their passes."""
        with torch.no_grad(), one_thread():
            each = [one.softmax(dim=1) for one in self._scores(torch.from_numpy(inputs))]
            return np.asarray(torch.stack(each).mean(dim=0).numpy())

    def uphill(self, inputs: Floats, y: NDArray[np.int64]) -> Floats:
        """Signs (n, q) of the slopes along which the best other class gains on each row's own."""
        with one_thread():
            at = torch.from_numpy(inputs).requires_grad_()
            own = torch.from_numpy(y)[:, None]
            gains = [_gain(one, own) for one in self._scores(at)]
            (slopes,) = torch.autograd.grad(torch.stack(gains).mean(dim=0).sum(), at)
            return np.asarray(slopes.sign().numpy())

    def _scores(self, inputs: Tensor) -> Iterator[Tensor]:
        """Scores (n, C) of each network, and of each of its passes."""
        for arrays, info in self._parts:
            hidden = _embedded(arrays, inputs)
            count = len(arrays["pass_0"]) if "pass_0" in arrays else 0
            for number in range(count) if count else [None]:
                scores = _outputs(arrays, info, hidden, number)
                if scores.shape[1] == 1:
                    scores = torch.cat([torch.zeros_like(scores), scores], dim=1)
                yield scores


def _gain(scores: Tensor, own: Tensor) -> Tensor:
    """How far the best other class is ahead of each row's own (n, 1); shape (n,)."""
    return scores.scatter(1, own, -torch.inf).amax(dim=1) - scores.gather(1, own)[:, 0]


def _tensors(model: Parameters) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array).double() for name, array in model.arrays.items()}


def _outputs(arrays: Arrays, info: Mapping[str, Any], hidden: Tensor, number: int | None) -> Tensor:
    images = info.get("images", [])
    for layer in range(int(info["depth"])):
        filters = layer < len(images)
        weight, bias = arrays[f"weight_{layer}"], arrays[f"bias_{layer}"]
        if filters:
            added = _filtered(hidden, images[layer], weight, bias, arrays, layer)
        else:
            added = _standardized(hidden @ weight + bias, arrays, layer).relu()
        if number is not None:
            added = added * arrays[f"pass_{layer}"][number]
        hidden = hidden + added if info.get("skip") and layer > len(images) else added
    return hidden @ arrays["output_weight"] + arrays["output_bias"]


def _filtered(
    hidden: Tensor, size: list[int], weight: Tensor, bias: Tensor, arrays: Arrays, layer: int
) -> Tensor:
    """3 x 3 filters of images (n, height * width * channels), then 2 x 2 pooling; flat again."""
    height, width, channels = size
    square = hidden.reshape(len(hidden), height, width, channels).permute(0, 3, 1, 2)
    kernels = weight.T.reshape(-1, channels, 3, 3)
    values = torch.nn.functional.conv2d(square, kernels, bias, padding=1).permute(0, 2, 3, 1)
    values = _standardized(values, arrays, layer).relu().permute(0, 3, 1, 2)
    if min(height, width) >= 2:
        values = torch.nn.functional.max_pool2d(values, 2)
    return values.permute(0, 2, 3, 1).reshape(len(hidden), -1)


def _standardized(values: Tensor, arrays: Arrays, layer: int) -> Tensor:
    if f"norm_scale_{layer}" in arrays:
        values = values * arrays[f"norm_scale_{layer}"] + arrays[f"norm_shift_{layer}"]
    if f"layer_gain_{layer}" in arrays:
        gain, shift = arrays[f"layer_gain_{layer}"], arrays[f"layer_shift_{layer}"]
        values = torch.nn.functional.layer_norm(
            values, values.shape[-1:], gain, shift, LAYER_NORM_EPS
        )
    return values


def _embedded(arrays: Arrays, inputs: Tensor) -> Tensor:
    """Inputs (n, q) with the vectors of numeric ones behind them, where there are any."""
    if "embedded" not in arrays:
        return inputs
    numeric = inputs[:, arrays["embedded"].long(), None]
    if "edges" in arrays:
        edges = arrays["edges"]
        widths = edges.diff(dim=1).clamp(min=SMALLEST_BIN)
        vectors = 2 * ((numeric - edges[:, :-1]) / widths).clamp(0.0, 1.0) - 1
    else:
        turns = 2 * torch.pi * numeric * arrays["frequencies"]
        vectors = torch.cat([turns.sin(), turns.cos()], dim=2)
    return torch.cat([inputs, vectors.reshape(len(inputs), -1)], dim=1)
