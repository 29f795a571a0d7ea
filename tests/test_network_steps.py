"""A whole optimizer step: streams of random numbers, stacks of models, and what is kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hook_bench import KEYS, numbers, one_hot
from test_network import SameSeed, fitted, job, table
from test_network_techniques import data, weights_of
from test_network_techniques import job as longer

from autoreg.engines import draws as draws_room
from autoreg.engines import loop_network
from autoreg.engines.base import Fit
from autoreg.engines.draws import Acting, Streams
from autoreg.engines.loop_network import fit_network
from autoreg.engines.network import CROSS_ENTROPY, Adam, LayerNorm, Network, Norm, initial_network
from autoreg.engines.scaling import Sample
from autoreg.engines.training import SEAMS, Trainer, single
from autoreg.techniques import technique
from autoreg.techniques.base import Architecture, Facts


def chosen(key, **changes):
    kind = technique(key)
    return kind(**{dial.name: dial.default for dial in kind.dials} | changes)


# ---- random streams --------------------------------------------------------------------------


class Recording(Streams):
    """Streams that write down what they gave, under their seeds."""

    log = {}

    def __init__(self, seeds):
        super().__init__(seeds)
        self._heard = self.log.setdefault(tuple(seeds), [])

    def uniform(self, *shape):
        self._heard.append(super().uniform(*shape))
        return self._heard[-1]

    def normal(self, *shape):
        self._heard.append(super().normal(*shape))
        return self._heard[-1]

    def permutation(self, rows):
        self._heard.append(super().permutation(rows))
        return self._heard[-1]


@pytest.mark.parametrize("key", KEYS)
def test_what_a_technique_draws_does_not_depend_on_the_others(monkeypatch, key):
    """Not even on those that ask the network again, or pass each batch twice."""
    monkeypatch.setattr(draws_room, "Streams", Recording)
    heard = []
    for others in ([], [one for one in KEYS if one != key]):
        monkeypatch.setattr(Recording, "log", {})
        fitted(job(key, *others, kind=SameSeed, steps=3), table())
        heard.append(Recording.log)
    seeds, alone = next(iter(heard[0].items()))
    together = heard[1][seeds]
    assert len(alone) == len(together)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    passing = [one for one in KEYS if "passes" in technique(one).seams()]
    assert len(heard[1]) == len(KEYS) + len(passing)  # passes have streams of their own


# ---- stacks ----------------------------------------------------------------------------------


def merged(networks):
    """Several networks of one model each as one network of several."""

    def together(tensors):
        return torch.cat([one.detach() for one in tensors])

    first = networks[0]
    layers, normed = range(len(first.weights)), range(len(first.norms))
    return Network(
        tuple(together([n.weights[k] for n in networks]).requires_grad_() for k in layers),
        tuple(together([n.biases[k] for n in networks]).requires_grad_() for k in layers),
        tuple(
            Norm(
                together([n.norms[k].gain for n in networks]).requires_grad_(),
                together([n.norms[k].shift for n in networks]).requires_grad_(),
                together([n.norms[k].mean for n in networks]),
                together([n.norms[k].variance for n in networks]),
            )
            for k in normed
        ),
        tuple(
            LayerNorm(
                together([n.layer_norms[k].gain for n in networks]).requires_grad_(),
                together([n.layer_norms[k].shift for n in networks]).requires_grad_(),
            )
            for k in range(len(first.layer_norms))
        ),
        first.skip,
    )


def trained(members, seeds, shape):
    """A stack of models, one list of techniques each, after three steps."""
    network = merged([initial_network((6, shape, 3), seed) for seed in seeds])
    acts = []
    for position in range(len(members[0])):
        parts = [Acting.of(own[position], seed) for own, seed in zip(members, seeds, strict=True)]
        dials = {k: torch.cat([one.dials[k] for one in parts]) for k in parts[0].dials}
        kind = parts[0].kind
        names = [draws_room.seed_for(seed, kind.key) for seed in seeds]
        acts.append(Acting(kind, dials, Streams(names)))
    acting = {seam: tuple(one for one in acts if seam in one.kind.seams()) for seam in SEAMS}
    groups = torch.tensor([[0, 1, 2, 3, 3, 3]]).repeat(len(seeds), 1)
    known = Facts(groups, (groups < 3).float().unsqueeze(1), 4)
    trainer = Trainer(
        network,
        Adam(network.trained, 1e-2),
        acting,
        CROSS_ENTROPY,
        known,
        torch.full((len(seeds), 1, 1), 4.0),
        tuple(network.copy() for _ in acting["average"]),
    )
    for number in range(3):
        rows = [numbers(20, 6, seed=100 * number + seed) for seed in seeds]
        labels = torch.stack([one_hot(own[:, :3].argmax(dim=1)) for own in rows])
        weights = torch.stack([numbers(20, 1, seed=seed).abs() for seed in seeds])
        trainer.step(
            Sample(torch.stack(rows), labels, weights),
            torch.full((len(seeds), 1, 1), float(number)),
        )
    return trainer


@pytest.mark.parametrize("key", [*KEYS, "everything"])
def test_a_stack_of_models_is_trained_as_each_of_them_alone(key):
    """Every other model has the technique off, and each has dials of its own."""
    keys = KEYS if key == "everything" else [key]
    shape = Architecture(2, 8)
    for one in keys:
        shape = chosen(one).net(shape)
    members = [[at(one, unit) for one in keys] for unit in (0.2, None, 0.8)]
    seeds = [11, 12, 13]
    together = trained(members, seeds, shape)
    for model, (own, seed) in enumerate(zip(members, seeds, strict=True)):
        alone = trained([own], [seed], shape)
        for stack, lone in zip(together.kept.state, alone.kept.state, strict=True):
            assert torch.allclose(stack[model], lone[0], atol=1e-5), key


def at(key, unit):
    kind = technique(key)
    lead = {d.name: d.off if unit is None else d.at(unit) for d in kind.dials[:1]}
    return kind(**{d.name: d.default for d in kind.dials} | lead)


# ---- in whole fits ---------------------------------------------------------------------------


def test_sam_takes_the_gradient_where_it_leads():
    """One step from known weights, by hand; the weights themselves do not move uphill."""
    start = initial_network((4, Architecture(1, 5), 3), 3)
    inputs, labels = numbers(30, 4), torch.arange(30) % 3

    def slopes(tensors):
        first, second, bias, top = tensors
        outputs = (inputs @ first[0] + bias[0]).relu() @ second[0] + top[0]
        return torch.autograd.grad(torch.nn.functional.cross_entropy(outputs, labels), tensors)

    tensors = [one.detach().clone().requires_grad_() for one in start.trained]
    here = slopes(tensors)
    length = torch.cat([one.flatten() for one in here]).norm()
    moved = [
        (t.detach() + 0.4 * g / length).requires_grad_() for t, g in zip(tensors, here, strict=True)
    ]
    expected, seen = slopes(moved), []
    spy = type("Spy", (), {"step": lambda self, gradients, rate: seen.extend(gradients)})()
    acting = {seam: () for seam in SEAMS} | {"ascent": (Acting.of(chosen("sam", rho=0.4), 1),)}
    known = Facts(torch.arange(4)[None], torch.ones(1, 1, 4), 4)
    trainer = Trainer(start, spy, acting, CROSS_ENTROPY, known, single(4))
    before = [one.detach().clone() for one in start.trained]
    trainer.step(Sample(inputs[None], one_hot(labels)[None], torch.ones(1, 30, 1)), single(0))
    for got, want, plain in zip(seen, expected, here, strict=True):
        assert torch.allclose(got, want, atol=1e-6)
        assert not torch.allclose(got, plain, atol=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(before, start.trained, strict=True))


@pytest.mark.parametrize("key", ["ema", "swa"])
def test_averages_are_kept_beside_training_and_never_change_it(monkeypatch, key):
    """What is kept is the average of the very weights of the fit without it."""
    walked, kept = [], []
    original = loop_network.Trainer.step

    def recording(self, sample, number):
        original(self, sample, number)
        walked.append(self.network.weights[0].detach().clone())
        kept.append(self.kept.weights[0].clone())

    monkeypatch.setattr(loop_network.Trainer, "step", recording)
    fitted(job(kind=SameSeed, epochs=5), table())
    plain, walked[:], kept[:] = list(walked), [], []
    fitted(job(key, kind=SameSeed, epochs=5), table())
    assert all(torch.equal(a, b) for a, b in zip(plain, walked, strict=True))
    if key == "swa":
        expected = torch.stack(plain[14:]).mean(dim=0)  # 20 steps, the last 30 % of them
    else:
        expected = torch.stack(plain).mean(dim=0)  # as long as it is young
    assert torch.allclose(kept[-1], expected, atol=1e-6)


def test_early_stopping_watches_and_restores_the_average():
    table_, one = data(), longer("ema", "early_stopping", pace=0.003)
    outcome = fit_network(replace(one, settings=replace_epochs(one, 12)), table_)
    assert isinstance(outcome, Fit)
    plain = fit_network(replace(longer("early_stopping"), settings=replace_epochs(one, 12)), table_)
    assert np.diff(outcome.curve["stop"]).std() < np.diff(plain.curve["stop"]).std()


def replace_epochs(one, epochs):
    return one.settings.model_copy(update={"epochs": epochs})


@pytest.mark.parametrize("key", ["max_norm", "spectral_norm"])
def test_bounds_hold_in_a_trained_network(key):
    table_ = data()
    dial = technique(key).dials[0]
    free, bound = (
        fit_network(one, table_).model.arrays
        for one in (longer("none"), longer(key, **{dial.name: 0.5}))
    )
    for arrays, small in ((free, False), (bound, True)):
        lengths = np.linalg.norm(arrays["weight_1"], axis=0)
        stretch = np.linalg.norm(arrays["weight_1"], 2)
        largest = lengths.max() if key == "max_norm" else stretch
        assert (largest <= 0.5 * 1.03) == small


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_group_inputs_leaves_useless_columns_out_of_a_trained_network(task):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6))
    signal = X[:, 0] + X[:, 1]
    y = signal if task == "regression" else (signal > 0).astype(np.int64)
    some = data(task)
    columns = some.columns[:6]
    dataset = replace(some, X=X, y=y, columns=columns)
    arrays = fit_network(longer("group_inputs", threshold=0.04), dataset).model.arrays
    used = np.abs(arrays["weight_0"]).max(axis=1) > 0
    assert used.tolist() == [True, True, False, False, False, False]
    assert (weights_of(longer("none"), dataset) != 0).all()


@pytest.mark.parametrize("key", ["gradient_penalty", "jacobian", "adversarial_fgsm"])
def test_smoothing_makes_the_fitted_function_flatter(key):
    """Measured by finite differences of the predictions at rows that were not trained on."""
    slopes = []
    for one in (longer("none"), strongest(key)):
        model = fit_network(one, data("regression")).model
        X = data("regression").X[150:]
        step = 1e-4 * X.std(axis=0)
        moved = [model.outputs(X + np.eye(10)[k] * step) - model.outputs(X) for k in range(10)]
        slopes.append(np.mean([(each / 1e-4) ** 2 for each in moved]))
    assert slopes[1] < 0.7 * slopes[0]


def strongest(key):
    return longer(key, **{dial.name: dial.high for dial in technique(key).dials})


def test_flooding_keeps_the_training_loss_up():
    one = longer("flooding", level=0.2)
    settings = replace_epochs(one, 120)
    losses = [
        fit_network(replace(each, settings=settings), data()).train_loss[0]
        for each in (longer("none"), one)
    ]
    assert losses[0] < 0.1
    assert 0.12 < losses[1] < 0.35


def test_confident_predictions_become_rarer():
    chances = [
        fit_network(one, data()).predictions.max(axis=-1).mean()
        for one in (longer("none"), longer("confidence_penalty", strength=1.0))
    ]
    assert chances[1] < chances[0] - 0.05
