"""What GPUs are asked to do, on a device that is none: the same models, and nothing read back."""

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


@pytest.fixture
def read_in_steps(monkeypatch):
    """Train on the second device; how often something was read back from it within an epoch."""
    found = []

    def advance(stack, steps):
        before = traffic["reads"]
        original(stack, steps)
        found.append(traffic["reads"] - before)

    original = Stack.advance
    monkeypatch.setattr(Stack, "advance", advance)
    for place in (scheduler, team):
        monkeypatch.setattr(place, "device_for", lambda asked: AWAY)
    return found


def run_away(jobs, data):
    with second_device():
        return run(jobs, data)


def check_device(jobs, data, monkeypatch, read_in_steps, tolerance=1e-5):
    """The models of both devices agree, and no step waits for the device."""
    away = run_away(jobs, data)
    assert read_in_steps
    assert not any(read_in_steps)
    monkeypatch.undo()
    assert all(isinstance(one, Fit) for one in away), away
    check_same(away, run(jobs, data), data, tolerance)


@pytest.mark.parametrize("key", KEYS)
def test_a_technique_does_on_a_device_what_it_does_on_the_processor(
    key, monkeypatch, read_in_steps
):
    """In models of other strengths and widths, and beside one without it."""
    data = table(task_for(key))
    ends = [{dial.name: dial.at(u) for dial in technique(key).dials[:1]} for u in (0.1, 0.9)]
    jobs = [job(chosen(key, **end), epochs=2, shape=s) for end in ends for s in SHAPES[:2]]
    jobs.append(job(epochs=2, shape=SHAPES[0] | {"schedule": "cosine"}))
    check_device(jobs, data, monkeypatch, read_in_steps)


@pytest.mark.parametrize("task", TASKS)
def test_cocktails_do_on_a_device_what_they_do_on_the_processor(task, monkeypatch, read_in_steps):
    """Those that stop early leave their stack, and others take their places."""
    data = table(task, weight=np.random.default_rng(3).uniform(0.5, 2.0, 90))
    jobs = [cocktail(seed, data) for seed in range(6)]
    jobs += [job("early_stopping", "ema", epochs=12, shape=shape) for shape in SHAPES]
    check_device(jobs, data, monkeypatch, read_in_steps, 1e-4)


@pytest.mark.parametrize("embedding", ["piecewise", "periodic"])
def test_embeddings_lie_on_the_device(embedding, monkeypatch, read_in_steps):
    shapes = [shape | {"embedding": embedding, "schedule": "flat_cos"} for shape in SHAPES[:3]]
    jobs = [job("dropout", "group_inputs", epochs=3, shape=shape) for shape in shapes]
    check_device(jobs, table("binary"), monkeypatch, read_in_steps)


@pytest.mark.parametrize(
    ("made", "shapes"),
    [(categories, [VECTORS, VECTORS | {"embedding": "periodic"}]), (images, [ONE, TWO])],
)
def test_what_stands_in_front_lies_on_the_device(made, shapes, monkeypatch, read_in_steps):
    """Vectors of categories and filters of images, with each technique once."""
    data = made("multiclass")
    check_device(jobs_of(data, shapes), data, monkeypatch, read_in_steps, 1e-4)


# ---- planted faults ----------------------------------------------------------------------------


def test_a_technique_that_makes_its_numbers_on_the_processor_is_caught(monkeypatch, read_in_steps):
    kind = technique("weight_decay")
    monkeypatch.setattr(kind, "step", staticmethod(lambda w, dials, now: w * torch.ones(1, 1, 1)))
    (outcome,) = run_away([job("weight_decay", epochs=1)], table())
    assert isinstance(outcome, Failure)
    assert "tensors on two devices" in outcome.reason


def test_a_technique_that_reads_what_the_device_computed_is_caught(monkeypatch, read_in_steps):
    kind = technique("weight_decay")
    kept = kind.step
    monkeypatch.setattr(
        kind, "step", staticmethod(lambda w, dials, now: kept(w, dials, now) * float(w.sum() < 1e9))
    )
    (outcome,) = run_away([job("weight_decay", epochs=1)], table())
    assert isinstance(outcome, Fit)
    assert all(read_in_steps)


@pytest.mark.parametrize("shape", [(), (1,), (3, 4)])
def test_the_border_lets_single_numbers_pass_and_nothing_else(shape):
    with second_device() as seen:
        away, here = torch.ones(3, 4).to(AWAY), torch.ones(shape)
        if shape == ():
            assert torch.equal((away + here).cpu(), torch.full((3, 4), 2.0))
            assert seen == {"sends": 1, "reads": 1}
            return
        with pytest.raises(RuntimeError, match="two devices"):
            away + here


def test_views_of_the_second_device_share_their_numbers():
    with second_device():
        away = torch.zeros(2, 3, device=AWAY)
        away.view(6)[1] = 7.0
        away[[0, 1], 2] = 5.0
        away.requires_grad_()
        (slope,) = torch.autograd.grad((away * away).sum(), [away])
        assert slope.device.type == AWAY
        assert slope.tolist() == [[0.0, 14.0, 10.0], [0.0, 0.0, 10.0]]
