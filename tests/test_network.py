"""The plain network engine: equal to a textbook torch loop, blind to all rows but its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import mean_poisson_deviance

from autoreg.candidate import candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.engines import fitting, loop_network
from autoreg.engines.base import Failure, Fit, Job, TrainingSet
from autoreg.engines.draws import order_key, row_order
from autoreg.engines.fitting import Pace
from autoreg.engines.loop import fit as fit_at_the_door
from autoreg.engines.loop_network import fit_network
from autoreg.engines.network import initial_network, poisson_loss
from autoreg.errors import DataError
from autoreg.spec import ImageSpec, Training
from autoreg.splitters import stop_rows
from autoreg.techniques import catalogue, technique
from autoreg.techniques.base import TASKS, Architecture

KEYS = [key for key, kind in catalogue().items() if "network" in kind.families and key != "none"]
SHAPE = {"width": 8, "depth": 2, "learning_rate": 1e-2}
TRAIN = np.arange(90)[np.arange(90) % 3 != 2]
TEST = np.arange(90)[np.arange(90) % 3 == 2]


IMAGE = ImageSpec(height=2, width=2, symmetries=("shift", "rotate", "zoom", "flip", "erase"))


class SameSeed(Job):
    """A job whose random numbers do not depend on the candidate."""

    fit_seed = 99


def table(task="binary", n=90, p=4, seed=0, **roles):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.linspace(1, 40, p) + 3
    noisy = X[:, 0] * 5 + rng.normal(size=n)
    classes = {"binary": 2, "multiclass": 3}.get(task, 0)
    cuts = np.quantile(noisy, np.arange(1, classes) / classes) if classes else []
    y = np.searchsorted(cuts, noisy) if classes else 100 + 20 * noisy
    if task == "count":
        y = rng.poisson(np.exp(1 + (noisy - noisy.mean()) / noisy.std())).astype(float)
    columns = tuple(Column(f"x{i}", "numeric") for i in range(p))
    roles.setdefault("image", IMAGE if p == IMAGE.pixels else None)
    return Dataset("some", columns, X, y, task, "y", tuple(range(classes)), **roles)


def bundled(loader, task):
    X, y = loader(return_X_y=True)
    columns = tuple(Column(f"x{i}", "numeric") for i in range(X.shape[1]))
    return Dataset("bundled", columns, X, y, task, "y", (0, 1) if task == "binary" else ())


def chosen(key, **changes):
    kind = technique(key)
    return kind(**{dial.name: dial.default for dial in kind.dials} | changes)


def off(key):
    return chosen(key, **{dial.name: dial.off for dial in technique(key).dials[:1]})


def job(*techniques, kind=Job, shape=SHAPE, epochs=4, batch_size=16, **changes):
    made = [chosen(one) if isinstance(one, str) else one for one in techniques]
    settings = Training(epochs=epochs, batch_size=batch_size)
    training = TrainingSet(TRAIN, ("fold 0",))
    one = kind(candidate("network", made, shape), training, TEST, 7, (), settings)
    return replace(one, **changes)


def on_rows(one, rows, predict=None):
    return replace(
        one,
        training=TrainingSet(rows, one.training.excluded),
        predict=rows if predict is None else predict,
    )


def fitted(one, data):
    outcome = fit_network(one, data)
    assert isinstance(outcome, Fit), outcome
    return outcome


def bits(outcome):
    parts = [outcome.predictions.tobytes(), outcome.train_loss.tobytes(), str(outcome.steps)]
    parts += [f"{name} {values}" for name, values in outcome.curve.items()]
    if outcome.model is not None:
        parts += [array.tobytes() for array in outcome.model.arrays.values()]
    return parts


def task_for(key):
    return technique(key).tasks[-1]


# ---- how long --------------------------------------------------------------------------------


def test_a_training_of_twice_the_length_is_one_of_twice_the_epochs():
    shapes = [SHAPE | {"schedule": "cosine", **more} for more in ({"training_length": 2.0}, {})]
    twice, other = (
        fitted(job("dropout", kind=SameSeed, shape=shape, epochs=epochs), table())
        for shape, epochs in zip(shapes, (3, 6), strict=True)
    )
    assert bits(twice) == bits(other)


# ---- the textbook loop -----------------------------------------------------------------------


def textbook(one, data):
    """Predictions of the test rows after each optimizer step of a plain torch loop."""
    rows, classes = one.training.rows, len(data.classes)
    weights = data.weights[rows]
    mean = np.average(data.X[rows], axis=0, weights=weights)
    scale = np.sqrt(np.average((data.X[rows] - mean) ** 2, axis=0, weights=weights))
    y_mean, y_scale = 0.0, 1.0
    counts = data.task == "count"
    average = np.average(data.y[rows], weights=weights)
    if not classes and not counts:
        y_mean = average
        y_scale = np.sqrt(np.average((data.y[rows] - y_mean) ** 2, weights=weights))
    inputs = torch.tensor((data.X - mean) / scale, dtype=torch.float32)
    targets = torch.tensor((data.y - y_mean) / y_scale) if not classes else torch.tensor(data.y)
    relative = torch.tensor(data.weights / weights.mean(), dtype=torch.float32)

    net = _sequential(initial_network(_sizes(one, data), one.fit_seed))
    optimizer = torch.optim.Adam(net.parameters(), lr=SHAPE["learning_rate"])
    size = one.settings.batch_size
    order = row_order(
        [order_key(one.fit_seed)], [0], [len(rows)], 2 * one.settings.longest * len(rows)
    )[0]
    for _ in range(one.settings.longest):
        for _ in range(max(1, round(len(rows) / size))):
            batch, order = torch.from_numpy(rows)[order[:size]], order[size:]
            outputs = net(inputs[batch])
            if classes:
                losses = torch.nn.functional.cross_entropy(
                    outputs, targets[batch], reduction="none"
                )
            elif counts:  # the network says by what a row's mean differs from the average
                losses = torch.nn.functional.poisson_nll_loss(
                    outputs[:, 0] + np.log(average), targets[batch].float(), reduction="none"
                )
                losses = losses / average
            else:
                losses = (outputs[:, 0] - targets[batch].float()) ** 2
            optimizer.zero_grad()
            (losses * relative[batch]).mean().backward()
            optimizer.step()
            with torch.no_grad():
                out = net(inputs[one.predict])
                out = out.double() + np.log(average) if counts else out
            out = out.softmax(dim=1) if classes else out.exp() if counts else out
            yield out.double().numpy() * y_scale + y_mean


def _sizes(one, data):
    shape = Architecture(int(SHAPE["depth"]), int(SHAPE["width"]))
    return data.X.shape[1], shape, max(len(data.classes), 1)


def _sequential(start):
    layers = []
    for weights, biases in zip(start.weights, start.biases, strict=True):
        layer = torch.nn.Linear(*weights.shape[1:])
        layer.weight = torch.nn.Parameter(weights.detach()[0].T.clone())
        layer.bias = torch.nn.Parameter(biases.detach()[0, 0].clone())
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_every_step_is_the_textbook_step(task, weighted):
    weight = np.random.default_rng(3).uniform(0.5, 2.0, 90) if weighted else None
    data = table(task, weight=weight)
    one = job()
    expected = list(textbook(one, data))
    assert len(expected) == 16
    spread = 1.0 if data.classes else data.y.std()
    for steps, predictions in enumerate(expected, start=1):
        got = fitted(replace(one, steps=steps), data).predictions[0]
        assert np.abs(got - predictions).max() < 1e-5 * spread, steps
    whole = fitted(one, data)
    assert whole.steps == 16
    assert np.abs(whole.predictions[0] - expected[-1]).max() < 1e-5 * spread


def test_the_textbook_comparison_is_not_blind():
    """Another order of the rows shows after one step already."""
    data = table()
    first, *_ = textbook(job(), data)
    other = fitted(replace(job(), seed=8, steps=1), data).predictions[0]
    assert np.abs(other - first).max() > 1e-3


def test_the_loss_of_counts_is_exact_up_to_its_limit_and_straight_beyond():
    outputs = torch.linspace(-3, 12, 32, dtype=torch.float64)[None, :, None].requires_grad_()
    for count, bound in [(0.0, 5.0), (20.0, 5.0), (1000.0, float(np.log(1000) + 1))]:
        targets = torch.full_like(outputs, count)
        losses = poisson_loss(outputs, targets, 5.0)
        (slopes,) = torch.autograd.grad(losses.sum(), outputs)
        o = outputs.detach()
        height, slope = torch.exp(torch.tensor(bound)), torch.exp(o.clamp(max=bound)) - count
        exact = torch.exp(o) - count * o
        straight = height * (1 + o - bound) - count * o
        assert torch.allclose(losses, torch.where(o <= bound, exact, straight))
        assert torch.allclose(slopes, slope)


def test_initial_weights_have_the_variance_of_the_paper():
    network = initial_network((200, Architecture(2, 300), 100), 5)
    for weights, variance in zip(network.weights, (2 / 200, 2 / 300, 1 / 300), strict=True):
        assert float(weights.detach().var()) == pytest.approx(variance, rel=0.05)
    assert all(not biases.any() for biases in network.biases)


# ---- isolation -------------------------------------------------------------------------------


def garbled(data, rows, seed=0):
    """The same table with everything about some rows replaced."""
    rng = np.random.default_rng(seed)
    X, y, weight = data.X.copy(), data.y.copy(), data.weights.copy()
    X[rows] = rng.normal(size=X[rows].shape) * 1e6
    real = data.task == "regression"
    y[rows] = rng.normal(size=len(rows)) * 1e9 if real else rng.permutation(y[rows])[::-1]
    weight[rows] = rng.uniform(0.1, 9.0, len(rows))
    return replace(data, X=X, y=y, weight=weight)


@pytest.mark.parametrize("key", ["none", *KEYS])
def test_a_fit_does_not_see_other_rows(key):
    data = table(task_for(key), weight=np.ones(90))
    made = [] if key == "none" else [key]
    one = on_rows(job(*made, keep_model=True), TRAIN)
    assert bits(fitted(one, data)) == bits(fitted(one, garbled(data, TEST)))
    changed = bits(fitted(one, garbled(data, TRAIN[:9])))
    assert bits(fitted(one, data)) != changed


def test_a_statistic_of_other_rows_would_be_seen(monkeypatch):
    """A planted leak: the preprocessing is fitted on every row of the table."""
    honest = fitting.Scaling.fit
    monkeypatch.setattr(fitting.Scaling, "fit", lambda table, _: honest(table, np.arange(table.n)))
    one, data = on_rows(job(), TRAIN), table(weight=np.ones(90))
    assert bits(fitted(one, data)) != bits(fitted(one, garbled(data, TEST)))


def test_targets_and_weights_of_predicted_rows_do_not_matter():
    data = table(weight=np.ones(90))
    poisoned = replace(garbled(data, TEST), X=data.X)
    one = job("early_stopping", "batch_norm", "mixup")
    assert bits(fitted(one, data)) == bits(fitted(one, poisoned))


def test_the_stop_set_moves_no_weight():
    """Where training lasts one epoch, the best weights do not depend on who watches."""
    data = table("regression", weight=np.ones(90))
    one = on_rows(job("early_stopping", epochs=1, keep_model=True), TRAIN)
    _, watched = stop_rows(data, TRAIN, one.settings.stop_share, one.stop_seed)
    before, after = fitted(one, data), fitted(one, garbled(data, watched))
    assert before.curve["stop"] != after.curve["stop"]
    assert before.train_loss != after.train_loss
    for name, array in before.model.arrays.items():
        assert np.array_equal(array, after.model.arrays[name]), name


def test_stop_rows_are_training_rows_and_obey_groups(monkeypatch):
    seen = []

    def watching(*arguments):
        seen.append(stop_rows(*arguments))
        return seen[-1]

    monkeypatch.setattr(fitting, "stop_rows", watching)
    group = np.random.default_rng(0).integers(0, 12, 90)
    fitted(job("early_stopping"), table(group=group))
    ((fit_rows, watched),) = seen
    assert len(watched)
    assert sorted([*fit_rows, *watched]) == list(TRAIN)
    assert not set(group[fit_rows]) & set(group[watched])


@pytest.mark.parametrize("role", ["group", "time"])
@pytest.mark.parametrize("door", [fit_network, fit_at_the_door])
def test_rows_that_cannot_be_cut_are_a_failed_fit(role, door):
    data = table(**{role: np.zeros(90, dtype=np.int64)})
    outcome = door(job("early_stopping"), data)
    assert isinstance(outcome, Failure)
    assert outcome.reason.startswith("no stop-set for early stopping: all rows")
    assert isinstance(door(job(), data), Fit)
    assert isinstance(door(job("early_stopping", steps=5), data), Fit)


# ---- randomness ------------------------------------------------------------------------------


def test_nothing_that_ran_before_changes_a_bit():
    data, one = table(), job("dropout", "mixup", "feature_noise", "batch_norm", keep_model=True)
    alone = bits(fitted(one, data))
    threads = torch.get_num_threads()
    fitted(job("mixup", seed=1), data)
    torch.manual_seed(4)
    torch.rand(3)
    np.random.seed(4)  # noqa: NPY002
    torch.set_num_threads(2)
    torch.set_default_dtype(torch.float64)
    try:
        assert bits(fitted(one, data)) == alone
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(torch.float32)


def test_global_random_numbers_are_left_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fitted(job(*KEYS), table())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@pytest.mark.parametrize("beside", ["nothing", "all others"])
@pytest.mark.parametrize("key", [key for key in KEYS if technique(key).dials])
def test_a_technique_that_is_off_moves_nothing(key, beside):
    others = [one for one in KEYS if one != key] if beside == "all others" else []
    without = job(*others, kind=SameSeed, steps=3)
    with_it = job(*others, off(key), kind=SameSeed, steps=3)
    assert bits(fitted(without, table())) == bits(fitted(with_it, table()))


@pytest.mark.parametrize("key", [key for key in KEYS if key != "early_stopping"])
def test_a_technique_that_is_on_moves_something(key):
    """Behind 70 % of the training at the latest, or where the loss has become small."""
    data = table(technique(key).tasks[0], p=4 if technique(key).needs_symmetries else 1)
    alone, on = job(kind=SameSeed, epochs=30), job(key, kind=SameSeed, epochs=30)
    assert bits(fitted(alone, data)) != bits(fitted(on, data))


# ---- steps and batches -----------------------------------------------------------------------


@pytest.mark.parametrize("rows", range(1, 40))
def test_batches_are_full_and_an_epoch_is_about_one_pass(rows):
    pace = Pace.of(rows, 6)
    assert pace.batch == min(rows, 6)
    assert abs(pace.steps * pace.batch - rows) <= 3


@pytest.mark.parametrize("rows", [1, 2, 7, 50])
def test_every_pass_meets_every_row_once_in_a_new_order(rows):
    order = row_order([5, 6], [0, 3], [rows, rows], 4 * rows)
    passes = order[0].reshape(4, rows)
    assert (passes.sort(dim=1).values == torch.arange(rows)).all()
    assert rows < 7 or len({tuple(one.tolist()) for one in passes}) == 4
    later = row_order([5], [rows + 1], [rows], rows)
    assert torch.equal(later[0], order[0, rows + 1 : 2 * rows + 1])
    assert rows < 7 or not torch.equal(order[0], order[1])


@pytest.mark.parametrize("steps", [1, 4, 7, 60])
def test_a_refit_takes_its_steps_and_cuts_no_stop_set(monkeypatch, steps):
    def refusing(*_):
        raise DataError("cut")

    taken = []
    original = loop_network.Trainer.step

    def counting(self, sample, number):
        taken.append(number)
        original(self, sample, number)

    monkeypatch.setattr(fitting, "stop_rows", refusing)
    monkeypatch.setattr(loop_network.Trainer, "step", counting)
    refit = fitted(job("early_stopping", kind=SameSeed, steps=steps), table())
    assert refit.steps == steps
    assert taken == list(range(steps))
    assert list(refit.curve) == ["train", "norm"]
    assert bits(refit) == bits(fitted(job(kind=SameSeed, steps=steps), table()))


@pytest.mark.parametrize("norm", [(), ("batch_norm",)])
def test_a_lone_last_row_is_no_trouble(norm):
    data = table()
    one = on_rows(job(*norm, keep_model=True), np.arange(3 * 16 + 1), TEST)
    outcome = fitted(one, data)
    assert outcome.steps == 4 * 3


@pytest.mark.parametrize("task", TASKS)
def test_weights_are_repeated_rows(task):
    """One batch holds all rows, so their order does not matter."""
    data = table(task)
    times = np.random.default_rng(1).integers(1, 4, len(TRAIN))
    weight = np.ones(data.n)
    weight[TRAIN] = times
    repeated = data.rows(np.concatenate([np.repeat(TRAIN, times), TEST]))
    many = int(times.sum())
    one = job(epochs=30, batch_size=1000)
    weighted = fitted(one, replace(data, weight=weight)).predictions
    again = fitted(on_rows(one, np.arange(many), np.arange(many, repeated.n)), repeated).predictions
    spread = 1.0 if data.classes else data.y.std()
    assert np.abs(weighted - again).max() < 1e-4 * spread
    assert np.abs(weighted - fitted(one, data).predictions).max() > 1e-2 * spread


def test_the_unit_of_the_weights_does_not_matter():
    weight = np.random.default_rng(2).uniform(0.5, 2.0, 90)
    one = job("early_stopping", epochs=10)
    small, large = (fitted(one, table(weight=w)) for w in (weight, 1e6 * weight))
    assert small.steps == large.steps
    assert np.abs(small.predictions - large.predictions).max() < 1e-4


@pytest.mark.parametrize("task", TASKS)
def test_losses_are_means_over_weighted_rows(task):
    """Of all training rows, of the rows that are fitted, and of those that are watched."""
    data = table(task, weight=np.random.default_rng(2).uniform(0.1, 9.0, 90))
    plain, early = (on_rows(job(*keys), TRAIN) for keys in ((), ("early_stopping",)))
    whole, stopped = fitted(plain, data), fitted(early, data)
    _, watched = stop_rows(data, TRAIN, early.settings.stop_share, early.stop_seed)
    assert whole.train_loss[0] == pytest.approx(loss_on(TRAIN, whole, data))
    assert whole.curve["train"][-1] == whole.train_loss[0]
    assert stopped.train_loss[0] == pytest.approx(loss_on(TRAIN, stopped, data))
    assert min(stopped.curve["stop"]) == pytest.approx(loss_on(watched, stopped, data))


def loss_on(rows, outcome, data):
    """The weighted mean loss of some training rows, from the predictions of all of them."""
    predictions = outcome.predictions[0, np.searchsorted(TRAIN, rows)]
    y, weights = data.y[rows], data.weights[rows]
    if data.task == "count":
        return mean_poisson_deviance(y, predictions[:, 0], sample_weight=weights)
    if not data.classes:
        return (weights * (y - predictions[:, 0]) ** 2).sum() / weights.sum()
    return -(weights * np.log(predictions[np.arange(len(rows)), y])).sum() / weights.sum()


@pytest.mark.parametrize("steps", [None, 6])
def test_a_technique_is_told_where_in_training_it_acts(monkeypatch, steps):
    """A refit meets the same schedule, step by step, and may end before it does."""
    seen = []

    def recording(activations, dials, draws, moment):
        seen.append((moment.progress.item(), moment.rate.item(), moment.layer, moment.depth))
        return activations

    monkeypatch.setattr(technique("dropout"), "hidden", staticmethod(recording))
    fitted(job("dropout", steps=steps), table())
    expected = [(step / 16, 1.0, layer, 2) for step in range(steps or 16) for layer in (0, 1)]
    assert seen == expected


# ---- awkward tables --------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [(), ("batch_norm", "early_stopping")])
@pytest.mark.parametrize("task", TASKS)
def test_awkward_tables_are_fitted(task, norm):
    data = table(task)
    constant = data.X.copy()
    constant[:, 1] = 7.0
    tables = [replace(data, X=constant), replace(data, X=np.full_like(data.X, 7.0))]
    tables.append(replace(data, X=data.X[:, :1], columns=data.columns[:1]))
    tables.append(replace(data, X=data.X + 1e3 * data.y[:, None]))  # separable
    for awkward in tables:
        assert np.isfinite(fitted(job(*norm), awkward).predictions).all()


@pytest.mark.parametrize("key", ["none", *KEYS])
def test_two_rows_of_each_class_are_enough(key):
    data = table(task_for(key))
    rows = [np.flatnonzero(data.y == label)[:2] for label in np.unique(data.y)]
    few = np.sort(np.concatenate(rows)) if data.classes else np.arange(4)
    outcome = fitted(on_rows(job(*([] if key == "none" else [key])), few, TEST), data)
    assert np.isfinite(outcome.predictions).all()


def test_a_constant_target_is_predicted():
    data = replace(table("regression"), y=np.full(90, 5.0))
    assert fitted(job(epochs=60), data).predictions == pytest.approx(5.0, abs=0.5)


@pytest.mark.parametrize("mean", [0.0, 3.0, 5e4])
def test_counts_start_at_their_mean(mean):
    """A network that answers 0 predicts the training mean, so large counts need no long way."""
    data = replace(table("count"), y=np.full(90, mean))
    predicted = fitted(job(epochs=60), data).predictions
    assert predicted == pytest.approx(mean, rel=0.1, abs=0.2)


# ---- divergence ------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["none", *KEYS])
@pytest.mark.parametrize("rate", [1e6, 1e30])
def test_a_network_that_runs_away_is_a_failure(key, rate):
    made = [] if key == "none" else [key]
    one = job(*made, shape=SHAPE | {"learning_rate": rate})
    for task in technique(key).tasks:
        outcome = fit_network(one, table(task))
        assert isinstance(outcome, Failure), (key, task)
        assert "diverged" in outcome.reason


@pytest.mark.parametrize("task", TASKS)
def test_the_largest_network_at_the_highest_rate_comes_back(task):
    """It starts wildly; trained in full it is no runaway.

    The slope of counts grows with their mean, so theirs is a network of half the depth.
    """
    depth = 2 if task == "count" else 4
    shape = {"width": 512, "depth": depth, "learning_rate": 1e-1}
    assert np.isfinite(fitted(job(shape=shape, epochs=60), table(task)).predictions).all()


# ---- predictions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "norm", [(), ("batch_norm",), ("layer_norm",), ("skip",), ("batch_norm", "layer_norm", "skip")]
)
@pytest.mark.parametrize("task", TASKS)
def test_kept_parameters_predict_the_same_with_numpy(task, norm):
    data = table(task)
    outcome = fitted(job(*norm, keep_model=True), data)
    again = outcome.model.predictions(data.X[TEST], task)
    spread = 1.0 if data.classes else data.y.std()
    assert np.abs(again - outcome.predictions[0]).max() < 1e-5 * spread
    assert outcome.predictions.shape == (1, len(TEST), max(len(data.classes), 1))
    if data.classes:
        assert outcome.predictions.sum(axis=-1) == pytest.approx(1.0)
    assert fitted(job(*norm), data).model is None


def test_breast_cancer_is_learned():
    """Every row is predicted once, by a network that has not seen it."""
    data = bundled(load_breast_cancer, "binary")
    ids = np.arange(data.n)
    one = job("early_stopping", "dropout", shape={}, epochs=60, batch_size=64)
    right = 0
    for fold in range(5):
        mine = ids % 5 == fold
        outcome = fitted(on_rows(one, ids[~mine], ids[mine]), data)
        right += (outcome.predictions[0].argmax(axis=1) == data.y[mine]).sum()
    assert right / data.n > 0.95


def test_diabetes_is_predicted_better_than_by_its_mean():
    data = bundled(load_diabetes, "regression")
    ids = np.arange(data.n)
    one = job("early_stopping", "weight_decay", shape={}, epochs=60, batch_size=64)
    outcome = fitted(on_rows(one, ids[ids % 5 != 0], ids[ids % 5 == 0]), data)
    truth = data.y[ids % 5 == 0]
    error = ((outcome.predictions[0, :, 0] - truth) ** 2).mean()
    assert error < 0.7 * ((truth - data.y[ids % 5 != 0].mean()) ** 2).mean()
