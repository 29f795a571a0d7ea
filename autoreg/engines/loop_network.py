"""The plain network engine: one multilayer perceptron at a time, the judge of faster engines.

Everything random has a stream of its own, seeded by name: the initial weights, the order of
the rows, and each technique's draws. So a technique that is absent never moves the stream of
another, and a fit is the same bit for bit whatever ran before it in the process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from autoreg.candidate import ARCHITECTURE
from autoreg.data.dataset import Dataset, Rows
from autoreg.engines.base import Failure, Fit, Job, Outcome, checked, mean_losses
from autoreg.engines.draws import Acting, row_order
from autoreg.engines.network import Adam, Network, initial_network, one_thread
from autoreg.engines.scaling import Eye, Sample, Scaling, parameters
from autoreg.engines.training import SEAMS, Trainer
from autoreg.errors import DataError
from autoreg.splitters import stop_rows
from autoreg.techniques.base import Architecture

__all__ = ["SEAMS", "Best", "Pace", "fit_network", "thinned"]

CURVE_POINTS = 100
# A constant prediction has a loss of 1 (standardized target) or of a few nats. A network that is
# this much worse on its own rows ran away, even where float32 still holds its numbers.
DIVERGED = 1e3


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
    trainer = _trainer(job, network, sample, scaling)
    train = Eye(scaling, table, fit_rows)
    stop = Eye(scaling, table, watched) if len(watched) else None
    steps, curve = _train(job, trainer, sample, train, stop)
    if not trainer.loss(sample) <= DIVERGED:  # NaN is not either
        return Failure("the network diverged; narrow learning_rate to smaller values")
    whole = Eye(scaling, table, job.training.rows)
    kept = trainer.kept
    predictions = scaling.predictions(kept, scaling.inputs(table.X[job.predict]))[None]
    fit = Fit(
        predictions=predictions,
        losses=mean_losses(table, job.predict, predictions),
        train_loss=np.array([whole.loss(kept)]),
        steps=steps,
        curve=curve,
        model=parameters(kept, scaling) if job.keep_model else None,
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


def _trainer(job: Job, network: Network, sample: Sample, scaling: Scaling) -> Trainer:
    optimizer = Adam(network.trained, float(_network_dials(job)["learning_rate"]))
    chosen = [Acting.of(one, job.fit_seed) for one in job.candidate.techniques]
    acting = {seam: tuple(one for one in chosen if seam in one.kind.seams()) for seam in SEAMS}
    longest = job.settings.epochs * Pace.of(sample.rows, job.settings.batch_size).steps
    averages = tuple(network.copy() for _ in acting["average"])
    return Trainer(network, optimizer, acting, scaling.criterion, scaling.facts, longest, averages)


# ---- the training loop -----------------------------------------------------------------------


@dataclass(frozen=True)
class Pace:
    """How training passes over its rows: full batches only, ``steps`` of them in an epoch.

    The rows that the last pass leaves over are joined by the first ones of the next. Why: every
    step then weighs the same, and models whose rows differ by a few take equal steps.

    >>> Pace.of(150, 64), Pace.of(50, 64)
    (Pace(rows=150, batch=64, steps=2), Pace(rows=50, batch=50, steps=1))
    """

    rows: int
    batch: int
    steps: int

    @classmethod
    def of(cls, rows: int, size: int) -> Pace:
        """The pace for a number of rows and the size of a batch."""
        batch = min(size, rows)
        return cls(rows, batch, max(1, round(rows / batch)))


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
    best, network = Best(), trainer.kept
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
    pace = Pace.of(sample.rows, job.settings.batch_size)
    limit = trainer.longest if job.steps is None else job.steps
    for first in range(0, limit, pace.steps):
        last = min(first + pace.steps, limit)
        seen, length = first * pace.batch, pace.steps * pace.batch
        shuffled = sample.ordered(row_order([job.fit_seed], [seen], [pace.rows], length)[0])
        for number in range(first, last):
            start = (number - first) * pace.batch
            trainer.step(shuffled.slice(start, start + pace.batch), number)
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
