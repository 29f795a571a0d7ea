"""How the fit of a network begins and ends, whichever engine trains it in between."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from autoreg.candidate import ARCHITECTURE, CONVOLUTIONS
from autoreg.data.dataset import Dataset, Rows
from autoreg.engines.base import Failure, Fit, Job, Outcome, checked, mean_losses, thinned
from autoreg.engines.convolution import FILTERS, canvases_of
from autoreg.engines.draws import FLOAT, Acting
from autoreg.engines.embedding import embedding_of
from autoreg.engines.front import Front, table_mask
from autoreg.engines.network import Network, initial_network
from autoreg.engines.scaling import Eye, Sample, Scaling, parameters
from autoreg.engines.trainable import Trainable
from autoreg.model import Parameters
from autoreg.spec import seed_for
from autoreg.splitters import stop_rows
from autoreg.techniques.base import Architecture, Facts, Moment, Value

# Training losses are curves to look at: a sample of the rows shows as much, and costs less.
SEEN_ROWS = 128
# A constant prediction has a loss of 1 (standardized target) or of a few nats. A network that is
# this much worse on its own rows ran away, even where float32 still holds its numbers.
DIVERGED = 1e3
Embedded = Literal["none", "piecewise", "periodic"]


@dataclass(frozen=True, eq=False)
class Ground:
    """What fits on the same training set have in common.

    ``fitted`` rows count in the gradient and in the preprocessing, ``watched`` ones (none, where
    nothing stops early) in neither. ``seen`` is a sample of the fitted rows for learning curves.
    """

    table: Dataset
    rows: Rows
    fitted: Rows
    watched: Rows
    seen: Rows
    scaling: Scaling
    sample: Sample

    @classmethod
    def of(cls, job: Job, table: Dataset) -> Ground:
        """Cut the training rows of a job and learn its preprocessing.

        Raises DataError where no stop-set can be cut.
        """
        rows = job.training.rows
        fitted, watched = rows, rows[:0]
        if job.stops_early:
            fitted, watched = stop_rows(table, rows, job.settings.stop_share, job.stop_seed)
        scaling = Scaling.fit(table, fitted)
        seen = _some(fitted, seed_for(job.stop_seed, "seen"))
        return cls(table, rows, fitted, watched, seen, scaling, scaling.sample(table, fitted))

    def eye(self, rows: Rows) -> Eye:
        """An eye on some rows."""
        return Eye(self.scaling, self.table, rows)

    def first(self, job: Job) -> Network:
        """The untrained network of a job."""
        shape, sample = self.shape(job), self.sample
        sizes = sample.inputs.shape[-1], shape, sample.targets.shape[-1]
        return initial_network(sizes, job.fit_seed, self.front(job))

    def shape(self, job: Job) -> Architecture:
        """The shape of a job's network: filters are for images, and take pixels as they are."""
        shape = architecture(job)
        if not shape.filters:
            return shape
        images = self.scaling.image is not None
        return replace(shape, embedding="none") if images else replace(shape, filters=())

    def front(self, job: Job) -> Front:
        """What stands in front of the first layer of a job's network."""
        shape, facts, image = self.shape(job), self.scaling.facts, self.scaling.image
        if shape.filters and image is not None:
            size = image.height, image.width, image.channels
            return Front(canvases=canvases_of(size, len(shape.filters)))
        rows = self.sample.inputs, self.sample.weights
        embedding = embedding_of(shape.embedding, *rows, facts, job.fit_seed)
        return Front(embedding, table_mask(facts) if shape.vectors else None)

    @cached_property
    def _eyes(self) -> list[Eye]:
        """Eyes on the fitted rows and on the watched ones, if there are any."""
        fitted = Eye(self.scaling, self.table, self.fitted, self.sample.inputs)
        return [fitted, self.eye(self.watched)] if len(self.watched) else [fitted]

    @cached_property
    def _predicted(self) -> dict[bytes, Tensor]:
        return {}

    def _inputs(self, rows: Rows) -> Tensor:
        """The inputs of rows to predict, which many jobs have in common."""
        key = rows.tobytes()
        if key not in self._predicted:
            self._predicted[key] = self.scaling.inputs(self.table.X[rows])
        return self._predicted[key]

    def _losses(self, network: Trainable, outputs: Tensor) -> list[float]:
        """The losses of fitted and of watched rows; ``outputs`` are those of the fitted ones."""
        first, *others = self._eyes
        if network.passes:
            return [eye.judged(self.scaling.predictions(network, eye.inputs)) for eye in self._eyes]
        return [first.loss_of(outputs), *(eye.loss(network) for eye in others)]

    def outcome(
        self,
        job: Job,
        network: Trainable,
        steps: int,
        curve: dict[str, list[float]],
        kept: Callable[[Any, Scaling], Parameters] = parameters,
    ) -> Outcome:
        """What a trained network amounts to; a Failure where it diverged.

        ``kept`` makes of the network what is kept of it on request.
        """
        outputs = network.predicting(self.sample.inputs)
        rungs = at_rungs(job.rungs, curve.get("stop", []))
        nats = self.scaling.criterion(outputs, self.sample.targets)  # or standardized targets
        if not float((nats * self.sample.weights).mean()) <= DIVERGED:  # NaN is not either
            reason = "the network diverged; narrow learning_rate to smaller values"
            return Failure(reason, rungs=rungs)
        if passes := passes_of(job, network.sizes):
            assert isinstance(network, Network), "no other network opens this seam"
            network = replace(network, passes=passes)
        losses = self._losses(network, outputs)
        weights = [eye.weight for eye in self._eyes]
        predictions = self.scaling.predictions(network, self._inputs(job.predict))[None]
        fit = Fit(
            predictions=predictions,
            losses=mean_losses(self.table, job.predict, predictions),
            train_loss=np.array([np.average(losses, weights=weights)]),
            steps=steps,
            curve={name: thinned(values) for name, values in curve.items() if values},
            rungs=rungs + rungs_after(job.rungs, curve.get("stop", [])),
            model=kept(network, self.scaling) if job.keep_model else None,
        )
        return checked(fit)


def passes_of(job: Job, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Factors (1, S, size) of each hidden layer in the passes of a prediction; mostly none."""
    depth = len(sizes)
    ones = torch.ones(1, 1, 1, dtype=FLOAT)
    facts = Facts(torch.zeros(1, 1, dtype=torch.int64), ones, 1)
    found: list[list[Tensor]] = []
    for chosen in job.candidate.techniques:
        if "passes" in chosen.seams():
            acting = Acting.of(chosen, seed_for(job.fit_seed, "passes"))
            at = [Moment(ones, ones, ones, facts, k, depth) for k in range(depth)]
            found.append(
                [
                    chosen.passes(size, acting.dials, acting.draws, here)
                    for size, here in zip(sizes, at, strict=True)
                ]
            )
    return tuple(math.prod(one[1:], start=one[0]) for one in zip(*found, strict=True))


def network_dials(job: Job) -> dict[str, Value]:
    """The dials of a job's network and its training."""
    return {dial.name: dial.default for dial in ARCHITECTURE} | dict(job.candidate.architecture)


def architecture(job: Job) -> Architecture:
    """The shape of the network that the candidate asks for."""
    dials = network_dials(job)
    embedding = cast(Embedded, dials["embedding"])
    layers = CONVOLUTIONS.index(str(dials["convolution"]))
    shape = Architecture(
        int(dials["depth"]),
        int(dials["width"]),
        embedding=embedding,
        vectors=dials["categories"] == "vectors",
        filters=FILTERS[:layers],
    )
    for chosen in job.candidate.techniques:
        shape = chosen.net(shape)
    return shape


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


def weight_norm(weights: Sequence[Tensor]) -> float:
    """The length of all weight matrices (a, b) of one network: how strongly it is held back.

    What penalties, decay, noise and early stopping do to a network in common is to keep this small.

    >>> weight_norm([torch.tensor([[3.0]]), torch.tensor([[0.0, 4.0]])])
    5.0
    """
    squares = [np.square(one.detach().cpu().numpy(), dtype=np.float64).sum() for one in weights]
    return math.sqrt(sum(squares))


def at_rungs(rungs: Sequence[int], losses: Sequence[float]) -> tuple[float, ...]:
    """The best of the losses, one an epoch, up to each rung that was reached.

    >>> at_rungs((1, 3, 9), [0.5, 0.4, 0.6])
    (0.5, 0.4)
    """
    return tuple(min(losses[:rung]) for rung in rungs if rung <= len(losses))


def rungs_after(rungs: Sequence[int], losses: Sequence[float]) -> tuple[float, ...]:
    """What stands for the rungs that a fit came to its end before: its best loss.

    >>> rungs_after((1, 3, 9), [0.5, 0.4, 0.6]), rungs_after((1, 3), [])
    ((0.4,), ())
    """
    return tuple(min(losses) for rung in rungs if losses and rung > len(losses))


def is_known(losses: list[float]) -> bool:
    """Whether all losses are finite numbers."""
    return all(math.isfinite(loss) for loss in losses)


def _some(rows: Rows, seed: int) -> Rows:
    if len(rows) <= SEEN_ROWS:
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), SEEN_ROWS, replace=False)
    return rows[np.sort(chosen)]
