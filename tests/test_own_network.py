"""An own torch module in a search: trained, regularized and judged as autoreg's networks are."""

import json
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import make_circles
from torch import nn

from autoreg import AutoRegClassifier, AutoRegRegressor, Between, Family, run_study
from autoreg.candidate import candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.engines.base import Failure, Job, TrainingSet
from autoreg.engines.loop import LoopEngine, fit
from autoreg.engines.loop_module import SEAMS, ModuleNetwork, as_matrix, as_parameter
from autoreg.engines.network import Adam, cross_entropy
from autoreg.engines.scaling import Scaling
from autoreg.errors import SpaceError, SpecError
from autoreg.own_spec import ModuleSpec
from autoreg.space import Space
from autoreg.spec import Training, read_space, study_from
from autoreg.study import prepare
from autoreg.techniques import catalogue, technique

WIDTH = {"width": Between(4, 32, log=True)}


class Tanh(nn.Module):
    """One hidden layer."""

    def __init__(self, n_inputs, n_outputs, width=16, rate=0.0, norm=False):
        super().__init__()
        self.first = nn.Linear(n_inputs, width)
        self.norm = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.drop = nn.Dropout(rate)
        self.last = nn.Linear(width, n_outputs)

    def forward(self, x):
        return self.last(self.drop(torch.tanh(self.norm(self.first(x)))))


def xor(n=120):
    draws = np.random.default_rng(0)
    X = draws.uniform(-1, 1, (n, 2))
    return X, (X[:, 0] * X[:, 1] > 0).astype(int)


def table(n=120):
    X, y = xor(n)
    columns = (Column("a", "numeric"), Column("b", "numeric"))
    return Dataset("xor", columns, X, y, "binary", "y", (0, 1))


def spec_of(maker=Tanh, dials=None, **more):
    return ModuleSpec.model_validate(Family(maker, WIDTH if dials is None else dials, **more))


def fitted(techniques=(), spec=None, data=None, **changes):
    """The fit of one module on the first rows, predicting the others."""
    data = data or table()
    rows = np.arange(data.n)
    shape = {"width": 16, "learning_rate": 0.02, **changes.pop("shape", {})}
    one = candidate("module", [technique(key)() if isinstance(key, str) else key
                               for key in techniques], shape)  # fmt: skip
    options = {"settings": Training(epochs=60), "keep_model": True, **changes}
    job = Job(one, TrainingSet(rows[:80], ("held",)), rows[80:], 0, **options)
    return fit(job, data, {"module": spec or spec_of()})


def loss(outcome):
    return float(outcome.losses[0])


# ---- it learns ----------------------------------------------------------------------------------


def test_a_module_learns_what_no_line_can():
    found = fitted()
    assert loss(found) < 0.35
    assert found.predictions.shape == (1, 40, 2)
    np.testing.assert_allclose(found.predictions.sum(axis=2), 1)
    assert found.curve["norm"][0] < found.curve["norm"][-1]


def test_the_model_in_memory_predicts_what_the_fit_did():
    data = table()
    found = fitted()
    again = found.model.predictions(data.X[80:], "binary")
    assert np.array_equal(again, found.predictions[0])
    theirs = pickle.loads(pickle.dumps(found.model))
    assert np.array_equal(theirs.predictions(data.X[80:], "binary"), again)
    assert isinstance(found.model.own.fitted, Tanh)


@pytest.mark.parametrize("shape", [{}, {"rate": 0.3}, {"norm": True}], ids=str)
def test_a_fit_is_the_same_bit_for_bit_whatever_ran_before(shape):
    spec = spec_of(dials={**WIDTH, "rate": Between(0.0, 0.5), "norm": [False, True]})
    first = fitted(spec=spec, shape=shape)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        second = fitted(spec=spec, shape=shape)
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(first.predictions, second.predictions)
    assert first.curve == second.curve
    other = fitted(spec=spec, shape={**shape, "width": 17})
    assert not np.array_equal(first.predictions, other.predictions)


def test_regression_and_counts_come_in_original_units():
    X, _ = xor()
    columns = (Column("a", "numeric"), Column("b", "numeric"))
    y = 1000 + 100 * X[:, 0] * X[:, 1]
    numbers = Dataset("product", columns, X, y, "regression", "y")
    found = fitted(data=numbers)
    assert loss(found) < 0.5 * y[80:].var()
    counts = Dataset("counts", columns, X, np.round(np.exp(2 * X[:, 0])), "count", "y")
    found = fitted(data=counts)
    assert (found.predictions > 0).all()
    assert loss(found) < 1.0


def test_a_refit_takes_the_steps_that_it_is_told():
    stopped = fitted(["early_stopping"])
    assert 0 < stopped.steps <= 60
    refit = fitted(["early_stopping"], steps=stopped.steps)
    assert refit.steps == stopped.steps
    assert "stop" in stopped.curve
    assert "stop" not in refit.curve


def test_one_step_of_training_is_the_textbook_one():
    """Against torch's own optimizer on the module itself."""
    data, spec = table(64), spec_of(dials={})
    rows = np.arange(64)
    one = candidate("module", [], {"learning_rate": 0.02})
    job = Job(one, TrainingSet(rows, ()), rows, 3, settings=Training(epochs=1, batch_size=64),
              keep_model=True)  # fmt: skip
    found = fit(job, data, {"module": spec}).model.own.fitted
    with torch.random.fork_rng(devices=[]):
        network = ModuleNetwork.first(spec, job, (2, 2))
    module = network.kept().train()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    sample = Scaling.fit(data, rows).sample(data, rows)
    cross_entropy(module(sample.inputs[0])[None], sample.targets).mean().backward()
    optimizer.step()
    for mine, theirs in zip(found.parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


# ---- techniques ---------------------------------------------------------------------------------

NETWORKS = {key: kind for key, kind in catalogue().items() if "network" in kind.families}
CARRIED = {
    key
    for key, kind in NETWORKS.items()
    if kind.seams() <= SEAMS and not kind.needs_layers and not kind.needs_symmetries
}


def default(key):
    kind = NETWORKS[key]
    return kind(**{dial.name: dial.default for dial in kind.dials})


@pytest.mark.parametrize("key", sorted(CARRIED - {"none"}))
def test_each_technique_that_a_module_carries_changes_its_training(key):
    plain = fitted(settings=Training(epochs=12))
    found = fitted([default(key)], settings=Training(epochs=12))
    assert not isinstance(found, Failure), found
    changed = not np.array_equal(found.predictions, plain.predictions)
    # Clipping at its default and a flood that is never reached leave an easy training alone.
    assert changed or key in {"gradient_clipping", "flooding"}
    assert loss(found) < 0.75


def test_techniques_inside_layers_are_refused_with_a_remedy():
    refused = set(NETWORKS) - CARRIED - {"image_augmentation"}
    assert refused == {
        "dropout", "mc_dropout", "variational", "r_drop", "activation_noise", "stochastic_depth",
        "batch_norm", "layer_norm", "skip", "max_norm", "group_inputs",
    }  # fmt: skip
    for key in refused:
        with pytest.raises(SpaceError, match=f"network: {key} acts on the layers.*a dial"):
            prepare(asked(network=Family(Tanh, WIDTH, techniques=[key])), xor())


def test_the_learning_rate_may_follow_a_schedule_of_which_the_module_hears_nothing():
    spec = spec_of(dials={**WIDTH, "schedule": ["constant", "cosine"]})
    plain = fitted(spec=spec, shape={"schedule": "constant"})
    falling = fitted(spec=spec, shape={"schedule": "cosine"})
    steps = [np.diff(one.curve["norm"])[-1] for one in (plain, falling)]
    assert abs(steps[1]) < 0.2 * abs(steps[0])


def test_the_length_of_training_is_a_dial_of_which_the_module_hears_nothing():
    spec = spec_of(dials={**WIDTH, "training_length": Between(0.25, 4.0)})
    steps = [
        fitted(spec=spec, shape={"training_length": length}).steps for length in (0.5, 1.0, 2.0)
    ]
    assert steps == [steps[1] // 2, steps[1], 2 * steps[1]]


def test_weights_decay_as_matrices_and_biases_do_not():
    strong = technique("weight_decay")(decay=0.01)
    plain, held = fitted(), fitted([strong])
    assert held.curve["norm"][-1] < 0.8 * plain.curve["norm"][-1]
    for shape in ((5, 3), (5, 3, 2), (5,), ()):
        parameter = torch.randn(shape)
        assert torch.equal(as_parameter(as_matrix(parameter), parameter.shape), parameter)
    assert as_matrix(torch.zeros(5, 3)).shape == (1, 3, 5)  # (inputs, units), as techniques know it


def test_a_second_pass_meets_the_same_noise_and_leaves_running_statistics_alone():
    job = Job(candidate("module", [], {"rate": 0.5, "norm": True, "learning_rate": 0.01}),
              TrainingSet(np.arange(4), ()), np.arange(4), 0)  # fmt: skip
    network = ModuleNetwork.first(spec_of(dials={}), job, (2, 2))
    inputs = torch.randn(1, 8, 2)
    first = network.training(inputs, None)
    mean = network.buffers["norm.running_mean"].clone()
    assert torch.equal(network.training(inputs, None, track=False), first)
    assert torch.equal(network.buffers["norm.running_mean"], mean)
    assert not torch.equal(network.training(inputs, None), first)  # the next step
    assert not torch.equal(network.buffers["norm.running_mean"], mean)
    assert torch.equal(network.predicting(inputs), network.predicting(inputs))
    Adam(network.trained, 0.1)


# ---- in a search --------------------------------------------------------------------------------


def asked(**changes):
    return {
        "study": "xor", "space": "quick", "trials": 4, "held_out": None, "folds": {"outer": 3},
        "training": {"epochs": 40}, **changes,
    }  # fmt: skip


def circles():
    X, y = make_circles(120, noise=0.05, factor=0.4, random_state=0)
    return X, y


def test_an_own_network_joins_a_search_and_its_dials_are_searched():
    X, y = circles()
    own = Family(Tanh, {**WIDTH, "learning_rate": Between(1e-2, 1e-1, log=True)})
    ask = partial(AutoRegClassifier, trials=8, folds=3, network=own,
                  study={"training": {"epochs": 60}})  # fmt: skip
    found = ask().fit(X, y)
    assert found.best_params_["family"] == "module"
    assert {"width", "learning_rate"} <= set(found.best_params_)
    assert found.score(X, y) > 0.9
    trials = [one for one in found.study_result_.findings.trials if one.search == "final"]
    own_trials = [one.candidate for one in trials if one.candidate.family == "module"]
    assert len({one.architecture for one in own_trials}) >= 2
    labels = {one.label for one in own_trials}
    assert labels >= {"none", "early_stopping", "weight_decay"}
    assert found.study_result_.verdict.none.keys() >= {"linear", "module"}
    assert isinstance(found.study_result_.fitted, Tanh)
    two = ask(n_jobs=2).fit(X, y)
    assert np.array_equal(two.predict_proba(X), found.predict_proba(X))


def test_what_the_ingredients_of_an_own_network_are_worth_is_measured(tmp_path):
    X, y = xor()
    network = Family(Tanh, WIDTH, techniques=["early_stopping", "weight_decay"], share=0.5)
    study = {
        "study": "own", "space": "ridge_to_lasso", "trials": 6, "folds": {"outer": 3},
        "training": {"epochs": 60}, "network": network,
    }  # fmt: skip
    result = run_study(study, (X, y), home=tmp_path, workers=1, tracking=False, progress=False)
    winner = result.selection.chosen.candidate
    found = json.loads((result.folder / "attribution.json").read_text())
    assert winner.family == "module"
    kinds = {key for one in found["effects"] for key in one["techniques"]}
    assert kinds == {"early_stopping", "weight_decay"}
    page = result.report.read_text()
    assert "Learning curves of the chosen network of your own" in page


def test_a_function_and_a_partial_make_modules_too():
    def net(n_inputs, n_outputs, width=8):
        return nn.Sequential(nn.Linear(n_inputs, width), nn.ReLU(), nn.Linear(width, n_outputs))

    X, _ = xor()
    found = AutoRegRegressor(
        "quick", trials=2, folds=3, network=Family(net, WIDTH), study={"training": {"epochs": 5}}
    ).fit(X, X[:, 0] * X[:, 1])
    assert found.study_result_ is not None
    spec = spec_of(partial(Tanh, rate=0.1), WIDTH)
    assert spec.params == {"rate": 0.1}
    rate, width = Space.build(read_space("quick"), "binary", own={"module": spec}).architectures[
        "module"
    ]
    assert (width.name, width.default, rate.name) == ("width", 16, "learning_rate")


def test_a_network_in_a_file_is_a_class_of_an_installed_package():
    document = {"path": "torch.nn.Bilinear", "params": {"bias": False}}
    assert spec_from(document).factory.func is nn.Bilinear
    for path, words in (
        ("sklearn.svm.SVC", "no torch.nn.Module"),
        ("torch.nn.Liner", "did you mean Linear"),
        ("mine.Net", "no installed package"),
    ):
        with pytest.raises(SpecError, match=words):
            prepare(asked(network={"path": path}), xor())


def spec_from(document):
    return study_from(asked(network=document)).network


class Flat(nn.Module):
    """Gives one number a row where scores of classes are wanted."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.last = nn.Linear(n_inputs, 1)

    def forward(self, x):
        return self.last(x)[:, 0]


@pytest.mark.parametrize(
    ("family", "words"),
    [
        (Family(Tanh, {"widht": Between(1, 9)}), "did you mean width"),
        (Family(Tanh, {"width": Between(9, 1)}), "must rise"),
        (Family(Flat), "one score a class"),
        (Family(Tanh(2, 2)), "each fit needs a fresh one"),
        (Family(lambda i, o: Tanh(i, o)), "lambda"),
        (Family(partial(Tanh, 2)), "name the arguments"),
        (Family(Tanh, WIDTH, techniques=["weight_dekay"]), "did you mean weight_decay"),
        (Family(Tanh, WIDTH, techniques=["ridge"]), "not for module"),
        (Family(Tanh, {"schedule": ["constant", "linear"]}), "constant, cosine, flat_cos"),
        (Family(Tanh, {"training_length": ["long"]}), "a range of numbers above 0"),
        (Family(Tanh, {"training_length": Between(0.0, 2.0, default=1.0)}), "numbers above 0"),
        (Family(Tanh, {"rate": Between(0.0, 2.0, default=1.5)}), "probability has to be between"),
    ],
)
def test_mistakes_are_named_before_any_work(family, words):
    with pytest.raises((SpecError, SpaceError)) as found:
        prepare(asked(network=family), xor())
    assert words in str(found.value)


def test_a_module_that_fails_in_a_fit_is_a_failed_trial():
    class Late(Tanh):
        def forward(self, x):
            if self.training:
                raise KeyError("no such thing")
            return super().forward(x)

    found = fitted(spec=spec_of(Late))
    assert isinstance(found, Failure)
    assert "KeyError" in found.reason


def test_the_loop_engine_says_what_it_refuses():
    engine = LoopEngine({"module": spec_of()})
    dropped = candidate("module", [default("dropout")], {})
    assert "acts through hidden" in engine.refuses(dropped, "binary")
    assert engine.refuses(candidate("module", [default("sam")], {}), "binary") is None
    assert "not forest" in engine.refuses(candidate("forest", [], {}), "binary")
