"""The border of network engines: raw rows in, tensors inside, predictions and parameters out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autoreg.data.dataset import Dataset, Floats, Rows, Task
from autoreg.engines.draws import FLOAT
from autoreg.engines.network import CROSS_ENTROPY, SQUARED_ERROR, Likelihood, Network
from autoreg.engines.trainable import Trainable
from autoreg.metrics.base import CLIP, row_losses
from autoreg.model import Parameters, linked
from autoreg.preprocess import Preprocessor
from autoreg.spec import ImageSpec
from autoreg.techniques.base import Facts, Picture

# Up to where the loss of counts is exact, whatever a row's own count: means of exp(5) = 148 times
# the training mean, and of 20 events.
FARTHEST, MANY = 5.0, 20.0


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows as tensors: inputs (1, n, q), soft targets (1, n, C), weights of mean 1 (1, n, 1)."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.inputs.shape[1]

    def ordered(self, order: Tensor) -> Sample:
        """The same rows in another order."""
        return Sample(*(t.index_select(1, order) for t in self._tensors))

    def slice(self, start: int, stop: int) -> Sample:
        """The rows from one position up to another."""
        return Sample(*(t[:, start:stop] for t in self._tensors))

    def models(self, start: int, stop: int) -> Sample:
        """The rows of the models from one position up to another."""
        return Sample(*(t[start:stop] for t in self._tensors))

    @property
    def _tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.inputs, self.targets, self.weights


@dataclass(frozen=True, eq=False)
class Scaling:
    """The border between raw rows and tensors; statistics of the fit rows only.

    Outputs times ``scale`` plus ``mean`` are means for regression, and logarithms of means for
    counts: a network that answers 0 predicts the training mean.
    """

    preprocessor: Preprocessor
    task: Task
    classes: int
    mean: float = 0.0
    scale: float = 1.0
    image: ImageSpec | None = None

    @classmethod
    def fit(cls, table: Dataset, rows: Rows) -> Scaling:
        """Learn the preprocessing and, for regression and counts, the target's mean and spread."""
        weights = table.weights[rows]
        scaler = Preprocessor.of(table, rows)
        if table.classes:
            return cls(scaler, table.task, len(table.classes), image=table.image)
        mean = float(np.average(table.y[rows], weights=weights))
        if table.task == "count":
            return cls(scaler, table.task, 0, math.log(max(mean, CLIP)), image=table.image)
        variance = float(np.average((table.y[rows] - mean) ** 2, weights=weights))
        return cls(scaler, table.task, 0, mean, math.sqrt(variance) or 1.0, table.image)

    @property
    def criterion(self) -> Likelihood:
        """The row loss that is minimized."""
        if self.task == "count":
            return Likelihood.poisson(self.limit)
        return CROSS_ENTROPY if self.classes else SQUARED_ERROR

    @property
    def limit(self) -> float:
        """Counts: up to which output the loss is exact."""
        return max(FARTHEST, math.log(MANY) - self.mean)

    @cached_property
    def facts(self) -> Facts:
        """What techniques may know of the inputs."""
        groups = torch.from_numpy(self.preprocessor.groups)
        categorical = torch.tensor(sorted(self.preprocessor.lookups), dtype=groups.dtype)
        numeric = ~torch.isin(groups, categorical)
        columns = int(groups.max()) + 1 if len(groups) else 0
        return Facts(groups[None], numeric.to(FLOAT)[None, None], columns, picture=self._picture)

    @property
    def _picture(self) -> Picture | None:
        if self.image is None:
            return None
        mean, scale = (
            torch.from_numpy(one).to(FLOAT)[None, None]
            for one in (self.preprocessor.mean, self.preprocessor.scale)
        )
        one = self.image
        allowed = frozenset(one.symmetries)
        return Picture(one.height, one.width, one.channels, allowed, mean, scale)

    def inputs(self, X: Floats, *, fitted: bool = False) -> Tensor:
        """Preprocessed inputs (1, n, q) of raw rows (n, p), or of the ``fitted`` ones."""
        scaler = self.preprocessor
        values = scaler.inputs(X) if fitted else scaler.transform(X)
        return torch.from_numpy(values).to(FLOAT, copy=True)[None]

    def sample(self, table: Dataset, rows: Rows) -> Sample:
        """The rows as the optimizer sees them."""
        y, weights = torch.from_numpy(table.y[rows]), table.weights[rows]
        if self.classes:
            targets = torch.nn.functional.one_hot(y.long(), self.classes).to(FLOAT)
        elif self.task == "count":
            targets = (y / math.exp(self.mean)).to(FLOAT)[:, None]
        else:
            targets = ((y - self.mean) / self.scale).to(FLOAT)[:, None]
        relative = torch.from_numpy(weights / weights.mean()).to(FLOAT, copy=True)
        return Sample(
            self.inputs(table.X[rows], fitted=True), targets[None], relative[None, :, None]
        )

    def predictions(self, network: Trainable, inputs: Tensor) -> Floats:
        """Means in original units (n, 1), or class probabilities (n, C), for inputs (1, n, q)."""
        each = np.stack([self.meant(outputs[0]) for outputs in network.answers(inputs)])
        apart: Floats = (each - each[0]).mean(axis=0)  # so that equal passes have an exact mean
        return np.asarray(each[0] + apart)

    def meant(self, outputs: Tensor) -> Floats:
        """The predictions (n, C) that outputs (n, C) stand for."""
        exact = outputs.double()
        if self.classes:
            return np.asarray(exact.softmax(dim=-1).numpy())
        return linked((exact * self.scale + self.mean).numpy(), self.task)


class Eye:
    """Looks at the task's loss on some rows, in original units, as often as asked."""

    def __init__(
        self, scaling: Scaling, table: Dataset, rows: Rows, inputs: Tensor | None = None
    ) -> None:
        self._scaling = scaling
        self._task = table.task
        self.inputs = scaling.inputs(table.X[rows]) if inputs is None else inputs
        self._y, self._weights = table.y[rows], table.weights[rows]

    @property
    def weight(self) -> float:
        """The weight of all the rows."""
        return float(self._weights.sum())

    def loss(self, network: Trainable) -> float:
        """The row-weighted mean loss of the network as it is now."""
        return self.loss_of(network.predicting(self.inputs))

    def loss_of(self, outputs: Tensor) -> float:
        """The row-weighted mean loss of outputs (1, n, C)."""
        return self.judged(self._scaling.meant(outputs[0]))

    def judged(self, predictions: Floats) -> float:
        """The row-weighted mean loss of predictions (n, C)."""
        losses = row_losses(self._task, self._y, predictions)
        return float(np.average(losses, weights=self._weights))


def parameters(network: Network, scaling: Scaling) -> Parameters:
    """A trained network as data that predicts without torch."""
    depth = len(network.weights) - 1
    front, weights = network.front, list(network.weights)
    tensors = front.embedding.arrays() if front.embedding is not None else {}
    weights[0] = front.folded(weights[0], network.tables)
    tensors |= {f"weight_{k}": weights[k][0] for k in range(depth)}
    tensors |= {f"bias_{k}": network.biases[k][0, 0] for k in range(depth)}
    for layer, norm in enumerate(network.norms):
        scale, shift = norm.folded()
        tensors |= {f"norm_scale_{layer}": scale[0, 0], f"norm_shift_{layer}": shift[0, 0]}
    for layer, each in enumerate(network.layer_norms):
        tensors |= {
            f"layer_gain_{layer}": each.gain[0, 0],
            f"layer_shift_{layer}": each.shift[0, 0],
        }
    tensors |= {"output_weight": network.weights[-1][0], "output_bias": network.biases[-1][0, 0]}
    arrays = {name: t.detach().double().numpy() for name, t in tensors.items()}
    arrays |= {f"pass_{k}": one[0].double().numpy() for k, one in enumerate(network.passes)}
    if not scaling.classes:
        arrays["target_mean"] = np.array([scaling.mean])
        arrays["target_scale"] = np.array([scaling.scale])
    info: dict[str, Any] = {"depth": depth, "skip": network.skip}
    if front.canvases:
        info["images"] = [[one.height, one.width, one.channels] for one in front.canvases]
    return Parameters("network", arrays, scaling.preprocessor, info)
