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

import torch
from torch import Tensor

from autoreg.candidate import SCHEDULES
from autoreg.data.dataset import Dataset
from autoreg.engines.base import Job, Outcome, no_stop_set
from autoreg.engines.draws import Acting, order_key, row_order
from autoreg.engines.fitting import Ground, Pace, is_known, network_dials, weight_norm
from autoreg.engines.network import Adam, one_thread
from autoreg.engines.trainable import Trainable
from autoreg.engines.training import SEAMS, Trainer, single
from autoreg.errors import DataError
from autoreg.techniques.base import Facts

__all__ = ["SEAMS", "Best", "fit_network", "trained", "trainer_of"]


def fit_network(job: Job, table: Dataset) -> Outcome:
    """Fit the network of one job on one core; the outcome is a Failure where it diverges.

    With early stopping (and no given number of steps) a stop-set is cut out of the training
    rows, which then counts neither in the gradient nor in any preprocessing statistic.
    """
    start = time.perf_counter()
    try:
        ground = Ground.of(job, table)
    except DataError as error:
        return no_stop_set(error, time.perf_counter() - start)
    with one_thread():
        network = ground.first(job)
        trainer = trainer_of(job, ground, network, network.front.informed(ground.scaling.facts))
        steps, curve = trained(job, ground, trainer)
        outcome = ground.outcome(job, trainer.kept, steps, curve)
    return replace(outcome, seconds=time.perf_counter() - start)


def trainer_of(job: Job, ground: Ground, network: Trainable, facts: Facts) -> Trainer:
    """What trains a fresh network: the optimizer, and the techniques of the job's candidate."""
    optimizer = Adam(network.trained, float(network_dials(job)["learning_rate"]))
    chosen = [Acting.of(one, job.fit_seed) for one in job.candidate.techniques]
    acting = {seam: tuple(one for one in chosen if seam in one.kind.seams()) for seam in SEAMS}
    averages = tuple(network.copy() for _ in acting["average"])
    longest = single(job.longest * _pace(job, ground).steps)
    return Trainer(
        network,
        optimizer,
        acting,
        ground.scaling.criterion,
        facts,
        longest,
        averages,
        schedule=single(SCHEDULES.index(str(network_dials(job)["schedule"]))),
    )


def _pace(job: Job, ground: Ground) -> Pace:
    return Pace.of(ground.sample.rows, job.settings.batch_size)


@dataclass
class Best:
    """The best epoch so far, by its stop-set loss."""

    loss: float = math.inf
    steps: int = 0
    since: int = 0
    state: list[Tensor] = field(default_factory=list)

    def see(self, loss: float, steps: int, network: Trainable) -> None:
        """Take note of one epoch."""
        self.since += 1
        if loss < self.loss:
            self.loss, self.steps, self.since = loss, steps, 0
            self.state = [tensor.detach().clone() for tensor in network.state]

    @torch.no_grad()
    def restore(self, network: Trainable) -> int:
        """Put the best weights back; the optimizer steps that led to them."""
        for tensor, kept in zip(network.state, self.state, strict=True):
            tensor.copy_(kept)
        return self.steps


def trained(job: Job, ground: Ground, trainer: Trainer) -> tuple[int, dict[str, list[float]]]:
    """Train in place; the steps behind the weights that stay, and the learning curves."""
    best, network = Best(), trainer.kept
    eyes = {"train": ground.eye(ground.seen)}
    if len(ground.watched):
        eyes["stop"] = ground.eye(ground.watched)
    curve: dict[str, list[float]] = {name: [] for name in (*eyes, "norm")}
    steps = 0
    for steps in _epochs(job, ground, trainer):
        losses = {name: eye.loss(network) for name, eye in eyes.items()}
        if not is_known(list(losses.values())):
            break
        for name, loss in losses.items():
            curve[name].append(loss)
        curve["norm"].append(weight_norm([one[0] for one in network.weights]))
        if "stop" in losses:
            best.see(losses["stop"], steps, network)
            if _is_over(trainer.acting["stop"], best.since):
                break
    return (best.restore(network) if best.state else steps), curve


def _epochs(job: Job, ground: Ground, trainer: Trainer) -> Iterator[int]:
    """Train epoch by epoch, up to the job's steps; yields the steps so far after each one."""
    pace = _pace(job, ground)
    limit = int(trainer.longest) if job.steps is None else job.steps
    for first in range(0, limit, pace.steps):
        last = min(first + pace.steps, limit)
        seen, length = first * pace.batch, pace.steps * pace.batch
        order = row_order([order_key(job.fit_seed)], [seen], [pace.rows], length)
        shuffled = ground.sample.ordered(order[0])
        for number in range(first, last):
            start = (number - first) * pace.batch
            trainer.step(shuffled.slice(start, start + pace.batch), single(number))
        yield last


def _is_over(acting: tuple[Acting, ...], since: int) -> bool:
    epochs = torch.full((1,), float(since))
    return any(bool(one.kind.stop(epochs, one.dials).all()) for one in acting)
