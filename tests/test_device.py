"""What GPUs are asked to do, on a device that is none: the same models, and nobody waits for it.

Where there is a GPU, the same is asked of it.
"""

import contextlib

import numpy as np
import pytest
import torch
from second_device import AWAY, second_device, traffic
from test_front import ONE, TWO, VECTORS, categories, images, jobs_of
from test_network import KEYS, chosen, job, table, task_for
from test_pack import SHAPES, check_same, cocktail, run

from autoreg.engines.base import Failure, Fit
from autoreg.engines.pack import scheduler, team
from autoreg.engines.pack.stack import Stack
from autoreg.techniques import technique
from autoreg.techniques.base import TASKS

DEVICES = [AWAY, *(["cuda"] if torch.cuda.is_available() else [])]


@contextlib.contextmanager
def no_waiting_for(device):
    """An epoch, in which the processor must not wait for the device."""
    if device == AWAY:
        before = traffic["waits"]
        yield
        assert traffic["waits"] == before, "an epoch waits for the device"
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def run_on(device, jobs, data):
    """What jobs come to on a device."""
    with pytest.MonkeyPatch.context() as patched:
        for place in (scheduler, team):
            patched.setattr(place, "device_for", lambda asked: device)
        if device == "cpu":
            return run(jobs, data)
        original = Stack.advance

        def advance(stack, steps):
            with no_waiting_for(device):
                original(stack, steps)

        patched.setattr(Stack, "advance", advance)
        with second_device() if device == AWAY else contextlib.nullcontext():
            return run(jobs, data)


def check_device(device, jobs, data, tolerance=1e-5):
    """The models are those that the processor trains."""
    found = run_on(device, jobs, data)
    assert all(isinstance(one, Fit) for one in found), found
    check_same(found, run_on("cpu", jobs, data), data, tolerance)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("key", KEYS)
def test_a_technique_does_on_a_device_what_it_does_on_the_processor(key, device):
    """In models of other strengths and widths, and beside one without it."""
    data = table(task_for(key))
    ends = [{dial.name: dial.at(u) for dial in technique(key).dials[:1]} for u in (0.1, 0.9)]
    jobs = [job(chosen(key, **end), epochs=2, shape=s) for end in ends for s in SHAPES[:2]]
    jobs.append(job(epochs=2, shape=SHAPES[0] | {"schedule": "cosine"}))
    check_device(device, jobs, data)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("task", TASKS)
def test_cocktails_do_on_a_device_what_they_do_on_the_processor(task, device):
    """Those that stop early leave their stack, and others take their places."""
    data = table(task, weight=np.random.default_rng(3).uniform(0.5, 2.0, 90))
    jobs = [cocktail(seed, data) for seed in range(6)]
    jobs += [job("early_stopping", "ema", epochs=12, shape=shape) for shape in SHAPES]
    check_device(device, jobs, data, 1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("embedding", ["piecewise", "periodic"])
def test_embeddings_lie_on_the_device(embedding, device):
    shapes = [shape | {"embedding": embedding, "schedule": "flat_cos"} for shape in SHAPES[:3]]
    jobs = [job("dropout", "group_inputs", epochs=3, shape=shape) for shape in shapes]
    check_device(device, jobs, table("binary"))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("made", "shapes"),
    [(categories, [VECTORS, VECTORS | {"embedding": "periodic"}]), (images, [ONE, TWO])],
)
def test_what_stands_in_front_lies_on_the_device(made, shapes, device):
    """Vectors of categories and filters of images, with each technique once."""
    data = made("multiclass")
    check_device(device, jobs_of(data, shapes), data, 1e-4)


# ---- planted faults ----------------------------------------------------------------------------


def decaying(monkeypatch, step):
    """What a job with weight decay comes to, if that did something else."""
    monkeypatch.setattr(technique("weight_decay"), "step", staticmethod(step))
    return run_on(AWAY, [job("weight_decay", epochs=1)], table())


def test_a_technique_that_makes_its_numbers_on_the_processor_is_caught(monkeypatch):
    (outcome,) = decaying(monkeypatch, lambda weights, dials, now: weights * torch.ones(1, 1, 1))
    assert isinstance(outcome, Failure)
    assert "tensors on two devices" in outcome.reason


@pytest.mark.parametrize(
    "step",
    [
        lambda weights, dials, now: weights * float(weights.sum() < 1e9),
        lambda weights, dials, now: weights * torch.ones(1, 1, 1).to(weights.device),
    ],
)
def test_a_technique_that_waits_for_the_device_is_caught(step, monkeypatch):
    with pytest.raises(AssertionError, match="waits for the device"):
        decaying(monkeypatch, step)


# ---- the second device itself ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1,), (3, 4)])
def test_an_operation_refuses_tensors_of_two_devices(shape):
    with second_device(), pytest.raises(RuntimeError, match="two devices"):
        torch.ones(3, 4, device=AWAY) + torch.ones(shape)


def test_single_numbers_pass_the_border_and_traffic_is_counted():
    with second_device() as seen:
        away = torch.ones(3, 4).to(AWAY, non_blocking=True) + torch.tensor(1.0)
        assert seen == {"sends": 1, "reads": 0, "waits": 0}
        away.copy_(torch.zeros(3, 4))
        assert float(away[0, 0]) == 0
        assert torch.equal(away.cpu(), torch.zeros(3, 4))
        assert seen == {"sends": 2, "reads": 2, "waits": 3}


def test_views_of_the_second_device_share_their_numbers():
    with second_device():
        away = torch.zeros(2, 3, device=AWAY)
        away.view(6)[1] = 7.0
        away[[0, 1], 2] = 5.0
        away.requires_grad_()
        (slope,) = torch.autograd.grad((away * away).sum(), [away])
        assert slope.device.type == AWAY
        assert slope.tolist() == [[0.0, 14.0, 10.0], [0.0, 0.0, 10.0]]
