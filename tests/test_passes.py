"""Predictions by many passes: networks with units dropped, by the book."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hook_bench import WIDTH, moment, numbers, stacked
from test_network import SHAPE, TEST, fitted, job, table

from autoreg.engines.draws import Streams
from autoreg.engines.fitting import passes_of
from autoreg.model import linked
from autoreg.techniques import technique
from autoreg.techniques.base import PASSES, TASKS


def passing(task, rate=0.4, **changes):
    one = job(technique("mc_dropout")(rate=rate), epochs=20, keep_model=True, **changes)
    return one, fitted(one, table(task))


@pytest.mark.parametrize("task", TASKS)
def test_mc_dropout_predicts_the_mean_over_thinned_networks(task):
    """By the book: each pass is a network whose dropped units are not there at all."""
    one, outcome = passing(task)
    arrays, X = outcome.model.arrays, table(task).X[TEST]
    inputs = outcome.model.preprocessor.transform(X)
    passes = []
    for number in range(PASSES):
        hidden = inputs
        for layer in range(SHAPE["depth"]):
            on = arrays[f"pass_{layer}"][number]
            assert set(np.round(on, 3)) <= {0.0, round(1 / 0.6, 3)}
            values = hidden @ arrays[f"weight_{layer}"] + arrays[f"bias_{layer}"]
            hidden = np.maximum(values, 0) * on
        scores = hidden @ arrays["output_weight"] + arrays["output_bias"]
        if "target_scale" in arrays:
            scores = scores * arrays["target_scale"] + arrays["target_mean"]
        passes.append(linked(scores, task))
    spread = 1.0 if task in ("binary", "multiclass") else table(task).y.std()
    assert np.abs(np.mean(passes, axis=0) - outcome.predictions[0]).max() < 1e-5 * spread
    assert np.ptp(passes, axis=0).max() > 0.01 * spread
    again = outcome.model.predictions(X, task)
    assert np.abs(again - outcome.predictions[0]).max() < 1e-5 * spread


def test_the_same_network_is_surer_when_it_is_asked_once():
    _, outcome = passing("binary", rate=0.5)
    once = {k: v for k, v in outcome.model.arrays.items() if not k.startswith("pass_")}
    sure = replace(outcome.model, arrays=once).predictions(table().X[TEST], "binary")
    entropy = [-(p * np.log(p)).sum(axis=1).mean() for p in (sure, outcome.predictions[0])]
    assert entropy[0] < entropy[1]


def test_passes_have_their_rate_and_differ_between_layers_and_from_training():
    one, outcome = passing("regression")
    first, second = (outcome.model.arrays[f"pass_{layer}"] for layer in range(2))
    assert first.shape == second.shape == (PASSES, SHAPE["width"])
    assert not np.array_equal(first, second)
    off = np.mean(np.stack([first, second]) == 0)
    assert abs(off - 0.4) < 4 * np.sqrt(0.24 / (2 * first.size))
    assert passes_of(job("dropout"), [8, 8]) == ()
    assert all(
        torch.equal(a, b) for a, b in zip(*(passes_of(one, [8, 8]) for _ in range(2)), strict=True)
    )


def test_dropout_that_stays_on_learns_what_dropout_learns():
    """Only predictions differ: with the same stream both train the same network."""
    mc, plain = technique("mc_dropout"), technique("dropout")
    given, dials = numbers(1, 50, WIDTH), stacked({"rate": 0.3, "schedule": 0.0, "shape": 0.0})
    trained = [kind.hidden(given, dials, Streams([5]), moment()) for kind in (mc, plain)]
    assert torch.equal(*trained)


# ---- Gaussian factors --------------------------------------------------------------------------


def test_variational_noise_is_in_proportion_to_the_unit_and_has_its_variance():
    given, sigma = numbers(1, 4000, WIDTH), 0.5
    noisy = technique("variational").hidden(
        given, stacked({"sigma": sigma}), Streams([5]), moment()
    )
    factors = (noisy / given).flatten().double()
    assert abs(float(factors.mean()) - 1) < 4 * sigma / np.sqrt(len(factors))
    assert abs(float(factors.std()) / sigma - 1) < 4 * np.sqrt(0.5 / len(factors))


@pytest.mark.parametrize("task", TASKS)
def test_variational_predictions_are_the_mean_over_draws(task):
    """The draws are fixed factors around one, of the dial's standard deviation."""
    one = job(technique("variational")(sigma=0.7), epochs=20, keep_model=True)
    outcome = fitted(one, table(task))
    arrays, X = outcome.model.arrays, table(task).X[TEST]
    both = np.concatenate([arrays["pass_0"], arrays["pass_1"]]).ravel()
    assert abs(both.mean() - 1) < 4 * 0.7 / np.sqrt(len(both))
    assert abs(both.std() / 0.7 - 1) < 4 * np.sqrt(0.5 / len(both))
    each = [linked(outcome.model.outputs(X, number), task) for number in range(PASSES)]
    spread = 1.0 if task in ("binary", "multiclass") else table(task).y.std()
    assert np.abs(np.mean(each, axis=0) - outcome.predictions[0]).max() < 1e-5 * spread
    assert np.ptp(each, axis=0).max() > 0.01 * spread


def test_passes_of_two_techniques_are_multiplied_and_know_nothing_of_each_other():
    kinds = technique("mc_dropout")(rate=0.4), technique("variational")(sigma=0.5)
    both = passes_of(job(*kinds), [500])
    factors = both[0].flatten().double().numpy()
    on = factors[factors != 0] * 0.6
    assert abs(np.mean(factors == 0) - 0.4) < 4 * np.sqrt(0.24 / len(factors))
    assert abs(on.mean() - 1) < 4 * 0.5 / np.sqrt(len(on))
    assert abs(on.std() / 0.5 - 1) < 4 * np.sqrt(0.5 / len(on))
