"""Laws over every network technique of the catalogue, and what each of them is measured to do.

The oracles are written from the papers or taken from torch.nn; none of them calls a hook.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hook_bench import (
    HOOKED,
    HOOKS,
    KEYS,
    act,
    arguments,
    effect,
    moment,
    numbers,
    settings,
    stacked,
)
from sklearn.datasets import load_diabetes

from autoreg.candidate import candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.engines.base import Fit, Job, TrainingSet
from autoreg.engines.draws import Acting, Streams
from autoreg.engines.loop_network import fit_network
from autoreg.engines.network import (
    CROSS_ENTROPY,
    cross_entropy,
    initial_network,
    squared_error,
)
from autoreg.spec import Training
from autoreg.splitters import stop_rows
from autoreg.techniques import technique
from autoreg.techniques.base import Architecture, Range, Seen, Technique

SHAPE = {"width": 16, "depth": 2, "learning_rate": 1e-2}


# ---- laws for all ----------------------------------------------------------------------------


def test_the_catalogue_has_techniques_at_every_seam():
    assert {seam for key in KEYS for seam in technique(key).seams()} == {
        *HOOKS,
        "net",
        "stop",
        "passes",
        "drops",
        "mixes",
    }
    assert len(KEYS) >= 30


@pytest.mark.parametrize("key", KEYS)
def test_a_technique_is_declared_in_full(key):
    kind = technique(key)
    assert kind.__doc__
    assert kind.references
    assert kind.rank > 0
    assert "network" in kind.families
    for dial in kind.dials[:1]:
        assert isinstance(dial, Range)
        assert dial.off is not None
        assert dial.contains(dial.default)
        assert dial.about
    defaults = {dial.name: dial.default for dial in kind.dials}
    assert Acting.of(kind(**defaults), 3).dials.keys() == defaults.keys()


@pytest.mark.parametrize(("key", "seam"), HOOKED)
def test_off_is_exactly_the_identity(key, seam):
    dials = stacked(settings(key, technique(key).dials[0].off))
    for progress in (0.0, 0.9, 0.999):
        changed, before = act(key, seam, arguments()[seam], dials, Streams([5]), moment(progress))
        for after, was in zip(changed, before, strict=True):
            assert torch.equal(after, was)


@pytest.mark.parametrize(("key", "seam"), HOOKED)
def test_a_weaker_dial_is_nearer_to_the_identity(key, seam):
    """From strong to weak the effect falls, and it vanishes as the dial goes to off."""
    dial = technique(key).dials[0]
    ends = (dial.high, dial.low) if dial.stronger == "up" else (dial.low, dial.high)
    strong, default, weak = (effect(key, seam, v, 0.95) for v in (ends[0], dial.default, ends[1]))
    assert strong > default > weak >= 0.0
    near = [nearer_to_off(dial, ends[1], part) for part in (1e-2, 1e-4)]
    closer, closest = (effect(key, seam, lead, 0.95) for lead in near)
    assert closest <= closer <= weak
    assert closest < 1e-3 * strong


def nearer_to_off(dial, weak, part):
    return weak / part if math.isinf(dial.off) else dial.off + (weak - dial.off) * part


@pytest.mark.parametrize(("key", "dial"), [(k, d) for k in KEYS for d in technique(k).dials])
def test_the_whole_range_of_every_dial_acts_without_trouble(key, dial):
    for seam in technique(key).seams() & set(HOOKS):
        for unit in (0.0, 0.5, 1.0):
            dials = stacked(settings(key) | {dial.name: dial.as_number(dial.at(unit))})
            changed, _ = act(key, seam, arguments()[seam], dials, Streams([5]), moment(0.5))
            assert all(torch.isfinite(one).all() for one in changed)


@pytest.mark.parametrize(("key", "seam"), [(k, s) for k, s in HOOKED if s != "loss"])
def test_models_of_a_stack_are_treated_as_if_alone(key, seam):
    dial = technique(key).dials[0]
    members = [settings(key, lead) for lead in (dial.low, dial.off, dial.high)]
    seeds, given = [11, 12, 13], arguments(models=3)[seam]
    together, _ = act(key, seam, given, stacked(*members), Streams(seeds), moment(0.9, models=3))
    for i, (one, seed) in enumerate(zip(members, seeds, strict=True)):
        own = tuple(tensor[i : i + 1] for tensor in given)
        alone, before = act(key, seam, own, stacked(one), Streams([seed]), moment(0.9))
        for stack, single, was in zip(together, alone, before, strict=True):
            assert stack[i : i + 1].shape == was.shape
            assert torch.allclose(stack[i : i + 1], single, rtol=0, atol=1e-6)


WEIGHTS = [(k, s) for k, s in HOOKED if s in ("step", "prox") and technique(k).dials[0].off == 0]


@pytest.mark.parametrize(("key", "seam"), WEIGHTS)
def test_what_acts_on_weights_follows_the_learning_rate(key, seam):
    """A quarter of the rate is a quarter of the dial."""
    high, given = technique(key).dials[0].high, arguments()[seam]
    slow = replace(moment(), rate=torch.full((1, 1, 1), 0.25))
    (slowed,), _ = act(key, seam, given, stacked(settings(key, high)), Streams([5]), slow)
    (weaker,), _ = act(key, seam, given, stacked(settings(key, high / 4)), Streams([5]), moment())
    assert torch.equal(slowed, weaker)


@pytest.mark.parametrize(("key", "seam"), HOOKED)
def test_the_same_stream_gives_the_same_draws(key, seam):
    given, dials = arguments()[seam], stacked(settings(key))
    first, again = (act(key, seam, given, dials, Streams([5]), moment())[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize(
    ("key", "seam"), [(k, s) for k, s in HOOKED if s in ("batch", "hidden", "weights")]
)
def test_each_call_draws_anew(key, seam):
    streams, given, dials = Streams([5]), arguments()[seam], stacked(settings(key))
    (first, *_), _ = act(key, seam, given, dials, streams, moment())
    (then, *_), _ = act(key, seam, given, dials, streams, moment())
    assert not torch.equal(first, then)


@pytest.mark.parametrize("key", KEYS)
def test_streams_are_named_after_the_technique(key):
    kind = technique(key)
    one = kind(**{dial.name: dial.default for dial in kind.dials})
    drawn = {k: Acting.of(technique(k)(), 3).draws.uniform(4) for k in KEYS}
    assert torch.equal(Acting.of(one, 3).draws.uniform(4), drawn.pop(key))
    assert not torch.equal(Acting.of(one, 4).draws.uniform(4), Acting.of(one, 3).draws.uniform(4))
    assert all(not torch.equal(Acting.of(one, 3).draws.uniform(4), d) for d in drawn.values())


def test_a_misspelt_hook_is_refused_when_the_class_is_made():
    with pytest.raises(TypeError, match=r"hiden is no seam; seams are .*hidden"):

        class Misspelt(Technique):
            @staticmethod
            def hiden(activations, dials, draws, moment):
                return activations


def test_a_misspelt_way_of_acting_is_refused_when_the_class_is_made():
    with pytest.raises(TypeError, match="acts_as is 'facter'"):
        type("Misspelt", (Technique,), {"acts_as": "facter"})


@pytest.mark.parametrize("wrapper", [classmethod, property, staticmethod])
def test_every_kind_of_public_method_is_looked_at(wrapper):
    body = {"bacth": wrapper(lambda *_: None)}
    if wrapper is property:  # a property is read, never called: it is no misspelt hook
        type("Fine", (Technique,), body)
        return
    with pytest.raises(TypeError, match="bacth is no seam"):
        type("Misspelt", (Technique,), body)


# ---- dropout ---------------------------------------------------------------------------------


def dropped(rate, schedule="constant", progress=0.0, values=None, funnel=False, layer=0):
    values = torch.ones(1, 4000, 50) if values is None else values
    position = float(technique("dropout").dials[1].options.index(schedule))
    dials = stacked({"rate": rate, "schedule": position, "shape": float(funnel)})
    when = moment(progress, layer=layer)
    return technique("dropout").hidden(values, dials, Streams([8]), when)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.6])
def test_dropout_zeroes_its_share_and_keeps_the_mean(rate):
    out = dropped(rate)
    error = 5 / math.sqrt(out.numel())
    assert float((out == 0).float().mean()) == pytest.approx(rate, abs=error)
    assert float(out.mean()) == pytest.approx(1.0, abs=2 * error)
    # A value of 1 becomes Bernoulli(1 - rate) / (1 - rate).
    assert float(out.var()) == pytest.approx(rate / (1 - rate), rel=0.03)
    assert torch.allclose(out[out > 0], torch.tensor(1 / (1 - rate)))


def test_dropout_drops_cells_and_not_rows_or_units():
    zero = (dropped(0.5) == 0).float()
    assert float(zero.mean(dim=1).std()) < 0.02
    assert float(zero.mean(dim=2).std()) == pytest.approx(0.5 / math.sqrt(50), rel=0.1)


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.7, 0.8, 0.85, 0.95, 1.0])
def test_the_rate_stays_flat_and_then_fades_along_a_cosine(progress):
    late = max(progress - 0.7, 0.0) / 0.3
    expected = 0.4 * (1 + math.cos(math.pi * late)) / 2
    zeros = float((dropped(0.4, "flat_cos", progress) == 0).float().mean())
    assert zeros == pytest.approx(expected, abs=6e-3)
    constant = float((dropped(0.4, "constant", progress) == 0).float().mean())
    assert constant == pytest.approx(0.4, abs=6e-3)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_funnel_falls_from_layer_to_layer(layer):
    zeros = float((dropped(0.6, funnel=True, layer=layer) == 0).float().mean())
    assert zeros == pytest.approx(0.6 * (1 - layer / 3), abs=6e-3)
    assert float((dropped(0.6, layer=layer) == 0).float().mean()) == pytest.approx(0.6, abs=6e-3)


# ---- weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [1e-6, 1e-3, 1e-2])
def test_weight_decay_shrinks_like_a_geometric_series(decay):
    start = numbers(1, 30, 20)
    weights = start
    for _ in range(100):
        weights = technique("weight_decay").step(weights, stacked({"decay": decay}), moment())
    expected = start.double().numpy() * (1 - decay) ** 100
    assert np.allclose(weights.numpy(), expected, rtol=2e-5, atol=0)


@pytest.mark.parametrize("threshold", [1e-7, 1e-3, 1e-2, 0.5])
def test_l1_is_the_soft_threshold(threshold):
    weights = numbers(1, 30, 20)
    got = technique("l1").prox(weights, stacked({"threshold": threshold}), moment())[0].numpy()
    w, t = weights[0].numpy(), np.float32(threshold)
    expected = np.sign(w) * np.maximum(np.abs(w) - t, 0)
    assert np.allclose(got, expected, rtol=0, atol=1e-7)
    assert np.array_equal(got == 0, np.abs(w) <= t)


@pytest.mark.parametrize("threshold", [0.01, 0.3])
def test_l1_minimizes_what_a_proximal_operator_minimizes(threshold):
    """On a fine grid nothing is better than (v - w)^2 / 2 + t |v|."""
    weights = torch.linspace(-1, 1, 41)[None, None]
    got = technique("l1").prox(weights, stacked({"threshold": threshold}), moment())
    grid = torch.linspace(-1.2, 1.2, 4801)[:, None].double()
    cost = (grid - weights[0, 0].double()) ** 2 / 2 + threshold * grid.abs()
    assert torch.allclose(got[0, 0].double(), grid[cost.argmin(dim=0), 0], atol=6e-4)


# ---- batches ---------------------------------------------------------------------------------


def mixed(alpha, rows=4000, seed=9):
    """Each row is its own unit vector, so a mixture shows who is in it, and how much."""
    kind, dials = technique("mixup"), stacked({"alpha": alpha})
    identity = torch.eye(rows)[None]
    inputs, targets = kind.batch(identity, 3 * identity, dials, Streams([seed]), moment())
    return inputs[0], targets[0]


@pytest.mark.parametrize("alpha", [0.2, 2.0])
def test_mixup_blends_inputs_and_targets_of_a_row_by_the_same_share(alpha):
    inputs, targets = mixed(alpha)
    assert torch.allclose(targets, 3 * inputs)
    assert torch.allclose(inputs.sum(dim=1), torch.ones(len(inputs)))
    assert int((inputs > 0).sum(dim=1).max()) == 2
    own = inputs.diagonal().double().numpy()
    assert own.min() >= 0.5
    assert len(np.unique(own.round(6))) > 0.4 * len(own)
    # max(b, 1 - b) for b from Beta(a, a): b (1 - b) has mean a / (2 (2 a + 1)).
    partner = inputs.sum(dim=0)
    assert (own * (1 - own)).mean() == pytest.approx(alpha / (2 * (2 * alpha + 1)), rel=0.06)
    assert float(partner.mean()) == pytest.approx(1.0)


def test_every_row_is_the_partner_of_exactly_one_row():
    inputs, _ = mixed(2.0, rows=300)
    others = inputs - torch.diag(inputs.diagonal())
    assert int((others > 0).sum(dim=0).max()) == 1
    assert int((others > 0).sum()) >= 295


@pytest.mark.parametrize("sigma", [1e-3, 0.1, 0.5])
def test_feature_noise_has_its_variance_and_no_bias(sigma):
    inputs, targets = numbers(1, 4000, 50), numbers(1, 4000, 1)
    dials = stacked({"sigma": sigma})
    noisy, same = technique("feature_noise").batch(inputs, targets, dials, Streams([5]), moment())
    noise = (noisy - inputs)[0].double()
    assert same is targets
    assert float(noise.var()) == pytest.approx(sigma**2, rel=0.02)
    assert abs(float(noise.mean())) < 5 * sigma / math.sqrt(noise.numel())
    assert float((noise[:, 0] * noise[:, 1]).mean()) == pytest.approx(0.0, abs=0.08 * sigma**2)
    assert float((noise[0] * noise[1]).mean()) == pytest.approx(0.0, abs=0.6 * sigma**2)
    assert float((noise**4).mean()) == pytest.approx(3 * sigma**4, rel=0.05)


# ---- losses ----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [5e-3, 0.1, 0.3])
@pytest.mark.parametrize("classes", [2, 5])
def test_label_smoothing_is_the_loss_of_torch(share, classes):
    outputs = numbers(1, 64, classes) * 4
    labels = torch.arange(64) % classes
    targets = torch.nn.functional.one_hot(labels, classes).float()[None]
    got = technique("label_smoothing").loss(
        cross_entropy(outputs, targets),
        Seen(None, targets, outputs, None, CROSS_ENTROPY, None),
        stacked({"share": share}),
        Streams([1]),
        moment(),
    )
    expected = torch.nn.functional.cross_entropy(
        outputs[0], labels, reduction="none", label_smoothing=share
    )
    assert got.shape == (1, 64, 1)
    assert torch.allclose(got[0, :, 0], expected, atol=1e-6)


def test_label_smoothing_is_not_for_regression():
    assert "regression" not in technique("label_smoothing").tasks
    assert squared_error(torch.ones(1, 2, 1), torch.zeros(1, 2, 1)).tolist() == [[[1.0], [1.0]]]


# ---- batch normalization ---------------------------------------------------------------------


def test_batch_norm_asks_for_norms_and_changes_nothing_else():
    shape = Architecture(depth=3, width=9)
    asked = technique("batch_norm")().net(shape)
    assert asked == replace(shape, norm="batch")
    assert len(initial_network((4, asked, 2), 1).norms) == 3
    assert initial_network((4, shape, 2), 1).norms == ()


def test_batch_norm_is_that_of_torch_in_training_and_after():
    """Values, gradients and running statistics over several batches."""
    ours = initial_network((4, Architecture(1, 6, "batch"), 2), 1).norms[0]
    theirs = torch.nn.BatchNorm1d(6)
    with torch.no_grad():
        for mine, their in ((ours.gain, theirs.weight), (ours.shift, theirs.bias)):
            their.copy_(numbers(6, seed=7))
            mine.copy_(their)
    for seed, rows in enumerate((16, 16, 5, 2)):
        values = numbers(rows, 6, seed=seed) * 3 + 2
        mine, their = values.clone().requires_grad_(), values.clone().requires_grad_()
        out, expected = ours.training(mine[None])[0], theirs(their)
        assert torch.allclose(out, expected, atol=1e-5)
        out.square().sum().backward()
        expected.square().sum().backward()
        # Two rows are standardized to +-1, whose slope is 0 but for rounding.
        assert torch.allclose(mine.grad, their.grad, atol=1e-3 if rows > 2 else 1e-2)
        assert torch.allclose(ours.mean[0, 0], theirs.running_mean, atol=1e-6)
        assert torch.allclose(ours.variance[0, 0], theirs.running_var, atol=1e-5)
    theirs.eval()
    values = numbers(9, 6, seed=20)
    assert torch.allclose(ours.predicting(values[None])[0], theirs(values), atol=1e-5)


def test_statistics_of_a_stack_are_those_of_each_model():
    norm = initial_network((4, Architecture(1, 6, "batch"), 2), 1).norms[0]
    values = torch.cat([numbers(1, 8, 6), 100 + numbers(1, 8, 6)])
    two = replace(norm, mean=norm.mean.repeat(2, 1, 1), variance=norm.variance.repeat(2, 1, 1))
    out = two.training(values)
    assert torch.allclose(out.mean(dim=1), torch.zeros(2, 6), atol=1e-4)
    assert torch.allclose(two.mean[1] - two.mean[0], torch.full((1, 6), 10.0), atol=1e-3)


# ---- in a whole fit --------------------------------------------------------------------------


def data(task="binary"):
    X, y = load_diabetes(return_X_y=True)
    y = y[:200] if task == "regression" else (y[:200] > 140).astype(np.int64)
    columns = tuple(Column(f"x{i}", "numeric") for i in range(X.shape[1]))
    return Dataset("some", columns, X[:200], y, task, "y", (0, 1) if task == "binary" else ())


def job(key, *others, **dials):
    kind = technique(key)
    defaults = {dial.name: dial.default for dial in kind.dials}
    made = [kind(**defaults | dials)] if key != "none" else []
    one = candidate("network", [*made, *(technique(other)() for other in others)], SHAPE)
    rows, settings = np.arange(150), Training(epochs=40, batch_size=32)
    return Job(one, TrainingSet(rows, ()), np.arange(150, 200), 3, (), settings, keep_model=True)


def weights_of(one, table):
    outcome = fit_network(one, table)
    assert isinstance(outcome, Fit)
    arrays = outcome.model.arrays
    return np.concatenate([arrays[name].ravel() for name in arrays if "weight" in name])


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_l1_leaves_exact_zeros_in_a_trained_network(task):
    weak, strong = (weights_of(job("l1", threshold=t), data(task)) for t in (1e-5, 3e-3))
    assert (weights_of(job("none"), data(task)) == 0).sum() == 0
    assert (strong == 0).mean() > 0.3
    assert (weak == 0).mean() < 0.1


def test_weight_decay_leaves_smaller_weights_and_no_zeros():
    norms = [
        np.linalg.norm(weights_of(one, data()))
        for one in (job("none"), job("weight_decay", decay=1e-3), job("weight_decay", decay=1e-2))
    ]
    assert norms[0] > norms[1] > norms[2]
    assert (weights_of(job("weight_decay", decay=1e-2), data()) == 0).sum() == 0


def test_no_technique_touches_the_biases_directly():
    """Adam's first step moves each number that has a gradient by the learning rate, no more."""
    table = data("regression")
    arrays = [
        fit_network(replace(job(key), steps=1), table).model.arrays
        for key in ("weight_decay", "l1")
    ]
    for kept in arrays:
        moved = [array for name, array in kept.items() if "bias" in name]
        assert all(
            np.allclose(np.abs(part[part != 0]), SHAPE["learning_rate"], rtol=1e-3)
            for part in moved
        )


@pytest.mark.parametrize("task", ["regression", "binary"])
@pytest.mark.parametrize(("patience", "norm"), [(8, ()), (20, ()), (8, ("batch_norm",))])
def test_early_stopping_stops_by_patience_and_restores_the_best(task, patience, norm):
    """The running statistics of batch normalization are restored too."""
    table, one = data(task), job("early_stopping", *norm, patience=patience)
    fit_rows, watched = stop_rows(table, np.arange(150), 0.15, one.stop_seed)
    outcome = fit_network(replace(one, predict=watched), table)
    curve = outcome.curve["stop"]
    best = int(np.argmin(curve))
    per_epoch = math.ceil(len(fit_rows) / 32)
    assert len(curve) == best + 1 + patience < 40
    assert len(outcome.curve["train"]) == len(curve)
    assert outcome.steps == (best + 1) * per_epoch
    assert loss_of(outcome.predictions[0], table.y[watched], task) == pytest.approx(min(curve))


def loss_of(predictions, y, task):
    if task == "regression":
        return float(((predictions[:, 0] - y) ** 2).mean())
    return float(-np.log(predictions[np.arange(len(y)), y]).mean())


def test_without_patience_running_out_training_is_long_and_the_best_is_kept():
    table = data()
    one = replace(job("early_stopping", patience=32), settings=Training(epochs=20, batch_size=32))
    outcome = fit_network(one, table)
    assert len(outcome.curve["stop"]) == 20
    assert outcome.steps == (int(np.argmin(outcome.curve["stop"])) + 1) * 4
    assert outcome.steps < 80


@pytest.mark.parametrize("since", [0, 7, 8, 31, 32, 33])
def test_patience_is_counted_for_each_model(since):
    dials = stacked({"patience": 8.0}, {"patience": 32.0}, {"patience": math.inf})
    stops = technique("early_stopping").stop(torch.full((3,), float(since)), dials)
    assert stops.tolist() == [since >= 8, since >= 32, False]


def test_the_page_on_networks_tells_of_every_technique_and_its_first_dial():
    page = (Path(__file__).parents[1] / "docs" / "networks.md").read_text()
    for key in KEYS:
        (line,) = [one for one in page.splitlines() if one.startswith(f"| `{key}` |")]
        kind = technique(key)
        assert kind.__doc__.strip().splitlines()[0].rstrip(".") in line
        for dial in kind.dials[:1]:
            assert f"`{dial.name}` {dial.low:g} to {dial.high:g}" in line
