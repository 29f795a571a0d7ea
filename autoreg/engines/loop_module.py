"""Fits of a user's own network: a module of torch, trained as autoreg trains its own networks.

The optimizer, the batches, the stop-set, the loss and the techniques are those of the plain network
engine; only what lies between inputs and outputs is the user's. Weights are given to techniques as
matrices (1, in, out): torch's convention is (out, in, ...), so every parameter of two dimensions or
more is one, and all others (biases, gains) are left alone by what acts on weights.

Why functional calls: techniques act on tensors that are no parameters (noisy, displaced, averaged
ones), and a call that is told all tensors leaves the module itself as it was made.

Techniques inside layers (dropout, batch normalization, skip connections) have no place here: which
layers a module has is its own business, and a rate or a switch of them is a dial.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from autoreg.data.dataset import Dataset, Floats
from autoreg.engines.base import Job, Outcome, no_stop_set
from autoreg.engines.draws import FLOAT
from autoreg.engines.fitting import Ground
from autoreg.engines.loop_network import trained, trainer_of
from autoreg.engines.network import one_thread
from autoreg.engines.scaling import Scaling
from autoreg.engines.trainable import Act, untouched
from autoreg.engines.training import SEAMS as ALL_SEAMS
from autoreg.errors import DataError
from autoreg.model import Parameters
from autoreg.offers import INSIDE
from autoreg.own_spec import ModuleSpec, settings
from autoreg.preprocess import Preprocessor
from autoreg.spec import seed_for

SEAMS = ALL_SEAMS - INSIDE


@dataclass(frozen=True, eq=False)
class ModuleNetwork:
    """A module with tensors of its own: trained ones (1, a, b) by name, and its buffers.

    ``shapes`` are those that the module knows the tensors by. Random numbers inside the module,
    those of dropout for example, come from torch's global stream, which is seeded by ``seed`` and
    the number of the step: all passes of a step meet the same noise.
    """

    module: torch.nn.Module
    tensors: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    shapes: Mapping[str, torch.Size]
    seed: int
    steps: list[int] = field(default_factory=lambda: [0])
    passes: tuple[Tensor, ...] = ()

    @classmethod
    def first(cls, spec: ModuleSpec, job: Job, sizes: tuple[int, int]) -> ModuleNetwork:
        """The untrained network of a job, for numbers of inputs and outputs.

        Raises ValueError where the module does not give one score for each output.
        """
        torch.default_generator.manual_seed(seed_for(job.fit_seed, "init"))
        module = spec.factory(*sizes, **settings(job.candidate.architecture))
        if not isinstance(module, torch.nn.Module):
            raise ValueError(f"{spec.named} gave {type(module).__name__}, no torch.nn.Module")
        module.eval()
        with torch.no_grad():  # lazy layers learn their sizes from it
            fitting(module(torch.zeros(2, sizes[0], dtype=FLOAT)), (2, sizes[1]), spec.named)
        own = {name: one for name, one in module.named_parameters() if one.requires_grad}
        if not any(one.ndim > 1 for one in own.values()):
            raise ValueError(f"{spec.named} has no weights to train")
        return cls(
            module,
            {name: as_matrix(one.detach()).requires_grad_() for name, one in own.items()},
            {name: one.detach().clone() for name, one in module.named_buffers()},
            {name: one.shape for name, one in own.items()},
            seed_for(job.fit_seed, "module"),
        )

    @property
    def trained(self) -> list[Tensor]:
        """The tensors that follow the gradient."""
        return list(self.tensors.values())

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The weight matrices (1, in, out) among them."""
        return tuple(one for name, one in self.tensors.items() if len(self.shapes[name]) > 1)

    @property
    def state(self) -> list[Tensor]:
        """The trained tensors and the buffers of numbers, (1, a, b)."""
        numbers = [one for one in self.buffers.values() if one.is_floating_point()]
        return [*self.trained, *(one.view(1, 1, -1) for one in numbers)]

    @property
    def sizes(self) -> list[int]:
        """Of hidden layers nothing is known."""
        return []

    def copy(self) -> ModuleNetwork:
        """The same network in tensors of its own, which follow no gradient."""
        return replace(
            self,
            tensors={name: one.detach().clone() for name, one in self.tensors.items()},
            buffers={name: one.clone() for name, one in self.buffers.items()},
        )

    def training(
        self, inputs: Tensor, hidden: Act, weighted: Act = untouched, track: bool = True
    ) -> Tensor:
        """Outputs (1, B, C) in training; ``weighted`` acts on each weight matrix.

        Only a pass that is tracked moves the buffers, and begins a step.
        """
        self.steps[0] += track
        buffers = self.buffers
        if not track:
            buffers = {name: one.clone() for name, one in buffers.items()}
        self.module.train()
        return self._outputs(inputs, weighted, buffers, self.steps[0])

    @torch.no_grad()
    def predicting(self, inputs: Tensor) -> Tensor:
        """Outputs (1, B, C) after training."""
        self.module.eval()
        return self._outputs(inputs, untouched, self.buffers, 0)

    def answers(self, inputs: Tensor) -> Iterator[Tensor]:
        """The outputs (1, B, C) of the one pass of a prediction."""
        yield self.predicting(inputs)

    def _outputs(
        self, inputs: Tensor, weighted: Act, buffers: Mapping[str, Tensor], step: int
    ) -> Tensor:
        layer, known = 0, dict(buffers)
        for name, tensor in self.tensors.items():
            shape = self.shapes[name]
            if len(shape) > 1:
                tensor, layer = weighted(tensor, layer), layer + 1
            known[name] = as_parameter(tensor, shape)
        torch.default_generator.manual_seed(seed_for(self.seed, step))
        outputs: Tensor = functional_call(self.module, known, (inputs[0],))
        return outputs[None]

    def kept(self) -> torch.nn.Module:
        """The module itself with what was learned, ready to predict."""
        with torch.no_grad():
            for name, one in self.module.named_parameters():
                if name in self.tensors:
                    one.copy_(as_parameter(self.tensors[name], self.shapes[name]))
            for name, buffer in self.module.named_buffers():
                buffer.copy_(self.buffers[name])
        return self.module.eval()


def as_matrix(parameter: Tensor) -> Tensor:
    """A parameter as a matrix (1, in, out), or (1, 1, n) where it has one dimension or none.

    >>> as_matrix(torch.zeros(5, 3, 2)).shape, as_matrix(torch.zeros(5)).shape
    (torch.Size([1, 6, 5]), torch.Size([1, 1, 5]))
    """
    if parameter.ndim < 2:
        return parameter.to(FLOAT).reshape(1, 1, -1).clone()
    return parameter.to(FLOAT).flatten(1).T[None].contiguous().clone()


def as_parameter(tensor: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of :func:`as_matrix`, laid out in memory as torch lays parameters out.

    A transposed view would make some processors add up in another order than the module itself.
    """
    return (tensor[0].T if len(shape) > 1 else tensor[0]).reshape(shape).contiguous()


def fitting(outputs: Any, shape: tuple[int, int], named: str) -> None:
    """Raise ValueError where outputs have another shape than (rows, outputs)."""
    found = tuple(getattr(outputs, "shape", ()))
    if found != shape:
        raise ValueError(
            f"{named} gave outputs of shape {found} for {shape[0]} rows, not {shape}: one score a "
            f"class (no softmax), or one number where numbers are predicted"
        )


ALONE = RLock()  # the stream is one for all threads of a process


@contextmanager
def alone() -> Iterator[None]:
    """One thread; torch's global random numbers and its default type put back afterwards."""
    with ALONE, one_thread(), torch.random.fork_rng(devices=[]):
        before = torch.get_default_dtype()
        torch.set_default_dtype(FLOAT)  # of what the module makes, as of the inputs
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def fit_module(spec: ModuleSpec, job: Job, table: Dataset) -> Outcome:
    """Fit the module of one job on one core; the outcome is a Failure where it diverges."""
    start = time.perf_counter()
    try:
        ground = Ground.of(job, table)
    except DataError as error:
        return no_stop_set(error, time.perf_counter() - start)
    with alone():
        sizes = ground.sample.inputs.shape[-1], ground.sample.targets.shape[-1]
        network = ModuleNetwork.first(spec, job, sizes)
        trainer = trainer_of(job, ground, network, ground.scaling.facts)
        steps, curve = trained(job, ground, trainer)
        outcome = ground.outcome(job, trainer.kept, steps, curve, kept=_parameters)
    return replace(outcome, seconds=time.perf_counter() - start)


@dataclass(frozen=True, eq=False)
class FittedModule:
    """A trained module between preprocessed inputs and predictions."""

    fitted: torch.nn.Module
    scaling: Scaling

    def predictions(self, inputs: Floats) -> Floats:
        """Means (n, 1) or class probabilities (n, C) for preprocessed inputs (n, q)."""
        with alone(), torch.no_grad():
            torch.default_generator.manual_seed(0)
            return self.scaling.meant(self.fitted(torch.from_numpy(inputs).to(FLOAT)))


def _parameters(network: ModuleNetwork, scaling: Scaling) -> Parameters:
    model = FittedModule(network.kept(), scaling)
    return Parameters("module", {}, scaling.preprocessor, own=model)


def problem(spec: ModuleSpec, table: Dataset) -> str | None:
    """Why a network cannot be part of a study of this table, in words; None where it can.

    The module is made with the defaults of its dials, and asked about two rows of zeros.
    """
    sizes = len(Preprocessor.of(table, np.arange(table.n)).names), max(1, len(table.classes))
    defaults = {dial.name: dial.default for dial in spec.box}
    with alone():
        try:
            module = spec.factory(*sizes, **settings(tuple(defaults.items())))
            with torch.no_grad():
                outputs = module.eval()(torch.zeros(2, sizes[0], dtype=FLOAT))
            fitting(outputs, (2, sizes[1]), spec.named)
        except Exception as error:  # whatever code of the user's makes of it
            return f"{spec.named}({sizes[0]}, {sizes[1]}, **{defaults}) failed: {error}"
    return None
