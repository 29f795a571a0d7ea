"""The plain network engine: one multilayer perceptron at a time, the judge of faster engines.

Everything random has a stream of its own, seeded by name: the initial weights, the order of
the rows, and each technique's draws. So a technique that is absent never moves the stream of
another, and a fit is the same bit for bit whatever ran before it in the process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from autoreg.candidate import ARCHITECTURE
from autoreg.data.dataset import Dataset, Floats, Rows, Task
from autoreg.engines.base import Failure, Fit, Job, Outcome, checked, mean_losses
from autoreg.engines.network import (
    FLOAT,
    Acting,
    Adam,
    Network,
    cross_entropy,
    generator,
    initial_network,
    one_thread,
    poisson_loss,
    squared_error,
)
from autoreg.errors import DataError
from autoreg.metrics.base import CLIP, row_losses
from autoreg.model import Parameters, linked
from autoreg.preprocess import Preprocessor
from autoreg.splitters import stop_rows
from autoreg.techniques.base import Architecture, Criterion, Moment

SEAMS = frozenset({"batch", "hidden", "loss", "step", "prox", "net", "stop"})
CURVE_POINTS = 100
# A constant prediction has a loss of 1 (standardized target) or of a few nats. A network that is
# this much worse on its own rows ran away, even where float32 still holds its numbers.
DIVERGED = 1e3
# Up to where the loss of counts is exact, whatever a row's own count: means of exp(5) = 148 times
# the training mean, and of 20 events.
FARTHEST, MANY = 5.0, 20.0


def fit_network(job: Job, table: Dataset) -> Outcome:
    """Fit the network of one job on one core; the outcome is a Failure where it diverges.

    With early stopping (and no given number of steps) a stop-set is cut out of the training
    rows, which then counts neither in the gradient nor in any preprocessing statistic.
    """
    start = time.perf_counter()
    try:
        fit_rows, watched = _cut(job, table)
    except DataError as error:
        return Failure(f"no stop-set for early stopping: {error}", time.perf_counter() - start)
    with one_thread():
        outcome = _fit(job, table, fit_rows, watched)
    return replace(outcome, seconds=time.perf_counter() - start)


def _fit(job: Job, table: Dataset, fit_rows: Rows, watched: Rows) -> Outcome:
    scaling = Scaling.fit(table, fit_rows)
    sample = scaling.sample(table, fit_rows)
    network = initial_network(_architecture(job, sample), job.fit_seed)
    trainer = _trainer(job, network, sample, scaling.criterion)
    train = Eye(scaling, table, fit_rows)
    stop = Eye(scaling, table, watched) if len(watched) else None
    steps, curve = _train(job, trainer, sample, train, stop)
    if not trainer.loss(sample) <= DIVERGED:  # NaN is not either
        return Failure("the network diverged; narrow learning_rate to smaller values")
    whole = Eye(scaling, table, job.training.rows)
    predictions = scaling.predictions(network, scaling.inputs(table.X[job.predict]))[None]
    fit = Fit(
        predictions=predictions,
        losses=mean_losses(table, job.predict, predictions),
        train_loss=np.array([whole.loss(network)]),
        steps=steps,
        curve=curve,
        model=_parameters(network, scaling) if job.keep_model else None,
    )
    return checked(fit)


def _cut(job: Job, table: Dataset) -> tuple[Rows, Rows]:
    """The rows to fit on and the rows to watch (none, where nothing stops early)."""
    rows = job.training.rows
    stops = any("stop" in chosen.seams() for chosen in job.candidate.techniques)
    if not stops or job.steps is not None:
        return rows, rows[:0]
    return stop_rows(table, rows, job.settings.stop_share, job.stop_seed)


def _architecture(job: Job, sample: Sample) -> tuple[int, Architecture, int]:
    """Inputs, shape and outputs of the network that the candidate asks for."""
    dials = _network_dials(job)
    shape = Architecture(depth=int(dials["depth"]), width=int(dials["width"]))
    for chosen in job.candidate.techniques:
        shape = chosen.net(shape)
    return sample.inputs.shape[-1], shape, sample.targets.shape[-1]


def _network_dials(job: Job) -> dict[str, float | int]:
    return {dial.name: dial.default for dial in ARCHITECTURE} | dict(job.candidate.architecture)


# ---- one step --------------------------------------------------------------------------------


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

    @property
    def _tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.inputs, self.targets, self.weights


@dataclass(frozen=True, eq=False)
class Trainer:
    """A network, what moves it, and the techniques that act on the way."""

    network: Network
    optimizer: Adam
    acting: Mapping[str, tuple[Acting, ...]]
    criterion: Criterion
    longest: int

    def step(self, sample: Sample, number: int) -> None:
        """One optimizer step, the ``number``-th from 0, on the rows of one batch."""
        moments = self._moments(number)
        loss = self._loss(sample, moments)
        self.optimizer.step(torch.autograd.grad(loss, self.network.trained))
        self._regularize(moments)

    def loss(self, sample: Sample) -> float:
        """The mean loss in training units, standardized targets or nats; no technique acts."""
        losses = self.criterion(self.network.predicting(sample.inputs), sample.targets)
        return float((losses * sample.weights).mean())

    def _moments(self, number: int) -> list[Moment]:
        """This step as seen from each layer, the output layer last."""
        progress = torch.full((1, 1, 1), min(number / self.longest, 1.0), dtype=FLOAT)
        rate = torch.ones(1, 1, 1, dtype=FLOAT)
        depth = len(self.network.weights) - 1
        return [Moment(progress, rate, layer, depth) for layer in range(depth + 1)]

    def _loss(self, sample: Sample, moments: list[Moment]) -> Tensor:
        inputs, targets = sample.inputs, sample.targets
        for one in self.acting["batch"]:
            inputs, targets = one.kind.batch(inputs, targets, one.dials, one.draws)
        outputs = self.network.training(inputs, lambda a, layer: self._hidden(a, moments[layer]))
        losses = self.criterion(outputs, targets)
        for one in self.acting["loss"]:
            losses = one.kind.loss(losses, outputs, targets, self.criterion, one.dials)
        return (losses * sample.weights).mean()

    def _hidden(self, activations: Tensor, here: Moment) -> Tensor:
        for one in self.acting["hidden"]:
            activations = one.kind.hidden(activations, one.dials, one.draws, here)
        return activations

    @torch.no_grad()
    def _regularize(self, moments: list[Moment]) -> None:
        """Let techniques act on the weight matrices; biases and norms are never touched."""
        if not (self.acting["step"] or self.acting["prox"]):
            return
        for weights, here in zip(self.network.weights, moments, strict=True):
            changed: Tensor = weights
            for one in self.acting["step"]:
                changed = one.kind.step(changed, one.dials, here)
            for one in self.acting["prox"]:
                changed = one.kind.prox(changed, one.dials, here)
            weights.copy_(changed)


def _trainer(job: Job, network: Network, sample: Sample, criterion: Criterion) -> Trainer:
    optimizer = Adam(network.trained, float(_network_dials(job)["learning_rate"]))
    chosen = [Acting.of(one, job.fit_seed) for one in job.candidate.techniques]
    acting = {seam: tuple(one for one in chosen if seam in one.kind.seams()) for seam in SEAMS}
    epoch = len(batches(sample.rows, job.settings.batch_size))
    return Trainer(network, optimizer, acting, criterion, job.settings.epochs * epoch)


# ---- raw rows in, predictions out ------------------------------------------------------------


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

    @classmethod
    def fit(cls, table: Dataset, rows: Rows) -> Scaling:
        """Learn the preprocessing and, for regression and counts, the target's mean and spread."""
        weights = table.weights[rows]
        scaler = Preprocessor.fit(table.X[rows], table.columns, weights)
        if table.classes:
            return cls(scaler, table.task, len(table.classes))
        mean = float(np.average(table.y[rows], weights=weights))
        if table.task == "count":
            return cls(scaler, table.task, 0, math.log(max(mean, CLIP)))
        variance = float(np.average((table.y[rows] - mean) ** 2, weights=weights))
        return cls(scaler, table.task, 0, mean, math.sqrt(variance) or 1.0)

    @property
    def criterion(self) -> Criterion:
        """The row loss that is minimized."""
        if self.task == "count":
            return partial(poisson_loss, limit=max(FARTHEST, math.log(MANY) - self.mean))
        return cross_entropy if self.classes else squared_error

    def inputs(self, X: Floats) -> Tensor:
        """Preprocessed inputs (1, n, q) of raw rows (n, p)."""
        return torch.from_numpy(self.preprocessor.transform(X)).to(FLOAT, copy=True)[None]

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
        return Sample(self.inputs(table.X[rows]), targets[None], relative[None, :, None])

    def predictions(self, network: Network, inputs: Tensor) -> Floats:
        """Means in original units (n, 1), or class probabilities (n, C), for inputs (1, n, q)."""
        outputs = network.predicting(inputs)[0].double()
        if self.classes:
            return np.asarray(outputs.softmax(dim=-1).numpy())
        return linked((outputs * self.scale + self.mean).numpy(), self.task)


class Eye:
    """Looks at the task's loss on some rows, in original units, as often as asked."""

    def __init__(self, scaling: Scaling, table: Dataset, rows: Rows) -> None:
        self._scaling = scaling
        self._task = table.task
        self._inputs = scaling.inputs(table.X[rows])
        self._y, self._weights = table.y[rows], table.weights[rows]

    def loss(self, network: Network) -> float:
        """The row-weighted mean loss of the network as it is now."""
        predictions = self._scaling.predictions(network, self._inputs)
        losses = row_losses(self._task, self._y, predictions)
        return float(np.average(losses, weights=self._weights))


def _parameters(network: Network, scaling: Scaling) -> Parameters:
    depth = len(network.weights) - 1
    names = [str(layer) for layer in range(depth)]
    tensors = {f"weight_{name}": network.weights[int(name)][0] for name in names}
    tensors |= {f"bias_{name}": network.biases[int(name)][0, 0] for name in names}
    for layer, norm in enumerate(network.norms):
        scale, shift = norm.folded()
        tensors |= {f"norm_scale_{layer}": scale[0, 0], f"norm_shift_{layer}": shift[0, 0]}
    tensors |= {"output_weight": network.weights[-1][0], "output_bias": network.biases[-1][0, 0]}
    arrays = {name: t.detach().double().numpy() for name, t in tensors.items()}
    if not scaling.classes:
        arrays["target_mean"] = np.array([scaling.mean])
        arrays["target_scale"] = np.array([scaling.scale])
    return Parameters("network", arrays, scaling.preprocessor, {"depth": depth})


# ---- the training loop -----------------------------------------------------------------------


def batches(rows: int, size: int) -> list[tuple[int, int]]:
    """Where batches start and stop; a lone last row joins the batch before it.

    Why: one row has no batch statistics, and all candidates shall take the same steps.

    >>> batches(7, 3), batches(8, 3)
    ([(0, 3), (3, 7)], [(0, 3), (3, 6), (6, 8)])
    """
    starts = [start for start in range(0, rows, size) if start == 0 or start < rows - 1]
    return list(zip(starts, [*starts[1:], rows], strict=True))


@dataclass
class Best:
    """The best epoch so far, by its stop-set loss."""

    loss: float = math.inf
    steps: int = 0
    since: int = 0
    state: list[Tensor] = field(default_factory=list)

    def see(self, loss: float, steps: int, network: Network) -> None:
        """Take note of one epoch."""
        self.since += 1
        if loss < self.loss:
            self.loss, self.steps, self.since = loss, steps, 0
            self.state = [tensor.detach().clone() for tensor in network.state]

    @torch.no_grad()
    def restore(self, network: Network) -> int:
        """Put the best weights back; the optimizer steps that led to them."""
        for tensor, kept in zip(network.state, self.state, strict=True):
            tensor.copy_(kept)
        return self.steps


def _train(
    job: Job, trainer: Trainer, sample: Sample, train: Eye, stop: Eye | None
) -> tuple[int, dict[str, list[float]]]:
    """Train in place; the steps behind the weights that stay, and the learning curves."""
    best, network = Best(), trainer.network
    train_curve: list[float] = []
    stop_curve: list[float] = []
    steps = 0
    for steps in _epochs(job, trainer, sample):
        losses = [eye.loss(network) for eye in (train, stop) if eye is not None]
        if not np.isfinite(losses).all():
            break
        train_curve.append(losses[0])
        if stop is not None:
            stop_curve.append(losses[1])
            best.see(losses[1], steps, network)
            if _is_over(trainer.acting["stop"], best.since):
                break
    curve = {"train": thinned(train_curve), "stop": thinned(stop_curve)}
    kept = {name: values for name, values in curve.items() if values}
    return (best.restore(network) if best.state else steps), kept


def _epochs(job: Job, trainer: Trainer, sample: Sample) -> Iterator[int]:
    """Train epoch by epoch, up to the job's steps; yields the steps so far after each one."""
    stream = generator(job.fit_seed, "order")
    cuts = batches(sample.rows, job.settings.batch_size)
    limit = trainer.longest if job.steps is None else job.steps
    for first in range(0, limit, len(cuts)):
        shuffled = sample.ordered(torch.randperm(sample.rows, generator=stream))
        last = min(first + len(cuts), limit)
        for number, (start, end) in zip(range(first, last), cuts, strict=False):
            trainer.step(shuffled.slice(start, end), number)
        yield last


def _is_over(acting: tuple[Acting, ...], since: int) -> bool:
    epochs = torch.full((1,), float(since))
    return any(bool(one.kind.stop(epochs, one.dials).all()) for one in acting)


def thinned(values: list[float]) -> list[float]:
    """At most 100 of the values, evenly spread, first and last among them.

    >>> len(thinned([0.5] * 1000)), thinned([1.0, 2.0])
    (100, [1.0, 2.0])
    """
    if len(values) <= CURVE_POINTS:
        return values
    return [values[round(i)] for i in np.linspace(0, len(values) - 1, CURVE_POINTS)]
