"""What stands in front of a network: learned vectors of categories, and filters for images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_network import KEYS, SHAPE, TEST, TRAIN, SameSeed, bits, fitted, garbled, job, table
from test_network import on_rows as rows_of
from test_pack import check_independent, check_same, on_task, run

from autoreg.candidate import NEEDED
from autoreg.data.dataset import MOST_VECTORS, Column, Dataset
from autoreg.engines.convolution import FILTERS, Canvas, canvases_of
from autoreg.engines.fitting import Ground
from autoreg.engines.front import Front, initial_tables, table_mask
from autoreg.engines.loop import LoopEngine
from autoreg.engines.network import initial_network, matrices
from autoreg.engines.scaling import Scaling
from autoreg.forward import patches, pooled
from autoreg.space import Space
from autoreg.spec import ImageSpec, SpaceSpec
from autoreg.techniques import technique
from autoreg.techniques.base import TASKS, Architecture

LEVELS = tuple("abcdefghij")
VECTORS = SHAPE | {"categories": "vectors"}
ONE, TWO = (SHAPE | {"convolution": name} for name in ("one", "two"))


def categories(task="binary", n=90, seed=0, **roles):
    """A number, a category of ten levels, one of two and one of three, and another number."""
    data, rng = table(task, n=n, p=5, seed=seed, **roles), np.random.default_rng(seed)
    X = data.X.copy()
    for place, levels in ((1, 10), (2, 2), (3, 3)):
        X[:, place] = rng.integers(0, levels, n)
    kinds = {1: LEVELS, 2: LEVELS[:2], 3: LEVELS[:3]}
    columns = [
        Column(f"c{k}", "categorical", kinds[k]) if k in kinds else Column(f"x{k}", "numeric")
        for k in range(5)
    ]
    return replace(data, X=X, columns=tuple(columns))


def images(task="multiclass", n=90, seed=0, size=(5, 4, 2), **roles):
    height, width, channels = size
    spec = ImageSpec(height=height, width=width, channels=channels, symmetries=("shift", "flip"))
    return table(task, n=n, p=spec.pixels, seed=seed, image=spec, **roles)


# ---- learned vectors of categories -------------------------------------------------------------


def test_tables_have_a_block_for_each_category_of_three_levels_or_more():
    data = categories()
    mask = table_mask(Scaling.fit(data, TRAIN).facts)
    groups = Scaling.fit(data, TRAIN).facts.groups[0]
    assert mask.shape[2] % 16 == 0
    lengths = {int(g): int(mask[0][groups == g].amax(0).sum()) for g in groups.unique()}
    assert lengths == {0: 0, 1: round(1.6 * 10**0.56), 2: 0, 3: round(1.6 * 3**0.56), 4: 0}
    together = (mask[0] @ mask[0].T) > 0
    assert torch.equal(together, (groups[:, None] == groups) & together)
    assert table_mask(Scaling.fit(table(), TRAIN).facts) is None


def test_a_row_gets_the_vector_of_its_level_and_no_indicator():
    data = categories()
    scaling = Scaling.fit(data, TRAIN)
    mask = table_mask(scaling.facts)
    (learned,) = initial_tables(mask, 3)
    front, inputs = Front(mask=mask), scaling.inputs(data.X)
    given = front.entering(inputs, [learned])
    assert given.shape[2] == inputs.shape[2] + front.extra
    levels, place = data.X[:, 1].astype(int), inputs.shape[2]
    for level in range(10):
        own = given[0, levels == level, place : place + 6]
        assert torch.allclose(own, own[:1].expand_as(own), atol=1e-6)
    hidden = front.unlearned[0, 0] == 0
    assert hidden.sum() == 13
    assert (given[0, :, :place][:, hidden] == 0).all()
    assert torch.equal(given[0, :, :place][:, ~hidden], inputs[0][:, ~hidden])
    spread = given[0, :, place : place + 6].var()
    assert 0.2 < spread < 5, "vectors are about as large as standardized inputs"


@pytest.mark.parametrize("embedding", ["none", "piecewise"])
@pytest.mark.parametrize("task", TASKS)
def test_kept_parameters_are_a_network_of_indicators(task, embedding):
    one = job("ema", shape=VECTORS | {"embedding": embedding}, keep_model=True)
    outcome = fitted(one, categories(task))
    weights = outcome.model.arrays["weight_0"]
    assert len(weights) == 16 + 24 * (embedding == "piecewise")
    again = outcome.model.predictions(categories(task).X[TEST], task)
    spread = 1.0 if task in ("binary", "multiclass") else categories(task).y.std()
    assert np.abs(again - outcome.predictions[0]).max() < 1e-5 * spread


def test_a_table_is_trained_and_has_few_directions():
    """The folded rows of a column of ten levels have the rank of its vectors."""
    one = job(shape=VECTORS | {"width": 32}, epochs=30, keep_model=True)
    folded = fitted(one, categories()).model.arrays["weight_0"][1:11]
    assert np.linalg.matrix_rank(folded, tol=1e-4) == round(1.6 * 10**0.56)
    data = categories()
    mask = table_mask(Scaling.fit(data, TRAIN).facts)
    start = initial_tables(mask, one.fit_seed)[0]
    assert torch.equal(start, initial_tables(mask, one.fit_seed)[0])
    assert not torch.equal(start, initial_tables(mask, one.fit_seed + 1)[0])


def test_a_column_of_categories_is_left_out_as_a_whole():
    data = categories("regression")
    data = replace(data, y=data.X[:, 0])
    strict = technique("group_inputs")(threshold=0.01)
    one = job(strict, shape=VECTORS, epochs=60, keep_model=True)
    weights = fitted(one, data).model.arrays["weight_0"]
    assert np.abs(weights[0]).max() > 0
    assert np.abs(weights[1:11]).max() == 0


def test_levels_that_act_alike_are_learned():
    rng = np.random.default_rng(1)
    data = categories("regression", n=300)
    effects = rng.choice([-1.0, 1.0], 10)
    data = replace(data, y=effects[data.X[:, 1].astype(int)] * data.X[:, 0])
    rows, rest = np.arange(200), np.arange(200, 300)
    one = rows_of(job(shape=VECTORS | {"width": 32}, epochs=60), rows, rest)
    assert fitted(one, data).losses[0] < 0.3 * data.y.var()


def test_without_categories_vectors_change_nothing():
    plain, vectors = (
        fitted(job("dropout", kind=SameSeed, shape=shape), table()) for shape in (SHAPE, VECTORS)
    )
    assert bits(plain) == bits(vectors)


# ---- filters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8, 1), (5, 4, 2), (2, 2, 1), (1, 6, 1)])
@pytest.mark.parametrize("layers", [1, 2])
def test_filters_are_the_convolution_of_torch(size, layers):
    canvases = canvases_of(size, layers)
    shape = Architecture(1, 7, filters=FILTERS[:layers])
    net = initial_network((canvases[0].size, shape, 3), 5, Front(canvases=canvases))
    for bias in net.biases:
        bias.data.normal_()
    pixels = torch.randn(1, 6, canvases[0].size)
    values = pixels.reshape(6, *size).permute(0, 3, 1, 2)
    for layer, canvas in enumerate(canvases):
        kernel = net.weights[layer][0].T.reshape(-1, canvas.channels, 3, 3)
        values = torch.nn.functional.conv2d(values, kernel, net.biases[layer][0, 0], padding=1)
        by = 2 if min(values.shape[2:]) >= 2 else 1
        values = torch.nn.functional.max_pool2d(values.relu(), by)
    flat = values.permute(0, 2, 3, 1).flatten(1)
    hidden = (flat @ net.weights[-2][0] + net.biases[-2][0]).relu()
    expected = hidden @ net.weights[-1][0] + net.biases[-1][0]
    assert torch.allclose(net.predicting(pixels)[0], expected, atol=1e-5)
    assert net.sizes == [*(c.behind(f).size for c, f in zip(canvases, FILTERS, strict=False)), 7]


def test_filters_with_batch_norm_are_those_of_torch():
    shape = Architecture(1, 7, norm="batch", filters=FILTERS[:1])
    net = initial_network((16, shape, 2), 5, Front(canvases=canvases_of((4, 4, 1), 1)))
    pixels = torch.randn(1, 6, 16)
    kernel = net.weights[0][0].T.reshape(-1, 1, 3, 3)
    values = torch.nn.functional.conv2d(pixels.reshape(6, 1, 4, 4), kernel, padding=1)
    normed = torch.nn.BatchNorm2d(16)(values).relu()
    flat = torch.nn.functional.max_pool2d(normed, 2).permute(0, 2, 3, 1).flatten(1)
    seen = []
    net.training(pixels, lambda v, layer: seen.append(v) or v)
    assert torch.allclose(seen[0][0], flat, atol=1e-5)


@pytest.mark.parametrize("size", [(6, 5, 2), (1, 4, 1)])
def test_predictions_without_torch_see_the_same_patches(size):
    canvas, pixels = Canvas(*size), torch.randn(1, 3, int(np.prod(size)))
    ours = patches(pixels[0].numpy(), size)
    assert np.array_equal(ours, canvas.patches(pixels)[0].numpy())
    values = torch.randn(1, 3 * size[0] * size[1], 4)
    assert np.array_equal(pooled(values[0].numpy(), size), canvas.pooled(values)[0].numpy())


@pytest.mark.parametrize("keys", [(), ("batch_norm", "skip", "mc_dropout"), ("layer_norm", "ema")])
@pytest.mark.parametrize("task", TASKS)
def test_kept_parameters_see_images_with_numpy(task, keys):
    data = images(task)
    outcome = fitted(job(*keys, shape=TWO, epochs=2, keep_model=True), data)
    again = outcome.model.predictions(data.X[TEST], task)
    spread = 1.0 if data.classes else data.y.std()
    assert np.abs(again - outcome.predictions[0]).max() < 1e-5 * spread


def bars(n=300, seed=0):
    """Noise with a short bar somewhere: lying or standing is the class."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(0, 0.5, size=(n, 8, 8)), rng.integers(0, 2, n)
    for image, standing in zip(X, y, strict=True):
        row, column = rng.integers(0, 6, 2)
        part = image[row : row + 3, column] if standing else image[row, column : column + 3]
        part += 2
    spec = ImageSpec(height=8, width=8)
    columns = tuple(Column(f"x{k}", "numeric") for k in range(64))
    return Dataset("bars", columns, X.reshape(n, 64), y, "binary", "y", (0, 1), image=spec)


def test_filters_learn_what_may_be_anywhere():
    rows, rest = np.arange(200), np.arange(200, 300)
    wide = {"width": 32, "depth": 1, "learning_rate": 5e-3}
    errors = [
        fitted(rows_of(job(shape=wide | {"convolution": name}, epochs=20), rows, rest), bars())
        for name in ("none", "one", "two")
    ]
    none, one, two = (float(np.mean(fit.losses)) for fit in errors)
    assert one < 0.7 * none
    assert two < 0.5 * none


def test_without_an_image_there_are_no_filters():
    plain, filtered = (
        fitted(job("dropout", kind=SameSeed, shape=shape), table(p=5)) for shape in (SHAPE, ONE)
    )
    assert bits(plain) == bits(filtered)


# ---- both, in a stack --------------------------------------------------------------------------


def jobs_of(data, shapes, epochs=2):
    """Each technique once, but for batch_norm, whose training is chaotic: see below."""
    keys = [key for key in KEYS if on_task(key, data) and key != "batch_norm"]
    return [
        job(key, epochs=epochs, shape=shapes[k % len(shapes)] | {"width": (5, 16, 21)[k % 3]})
        for k, key in enumerate(keys)
    ]


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_each_technique_acts_behind_vectors_as_if_alone(task):
    data = categories(task)
    jobs = jobs_of(data, [VECTORS, VECTORS | {"embedding": "periodic"}])
    check_same(run(jobs, data), LoopEngine().run(jobs, data), data, 1e-4)


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_each_technique_acts_on_filters_as_if_alone(task):
    data = images(task)
    jobs = jobs_of(data, [ONE, TWO])
    check_same(run(jobs, data), LoopEngine().run(jobs, data), data, 1e-4)


@pytest.mark.parametrize(("made", "shape"), [(categories, VECTORS), (images, TWO)])
def test_with_batch_norm_a_stack_is_as_near_as_rounding_allows(made, shape, monkeypatch):
    """A shift in front of a norm is taken away again where its unit is on for a whole batch: its
    slope is 0 but for rounding, and Adam makes a step of it. So the yardstick is how far a network
    comes from itself that began a ten millionth away."""
    data, slow = made("regression"), shape | {"learning_rate": 1e-4}
    one = job("batch_norm", epochs=2, shape=slow)
    alone, (stacked,) = fitted(one, data).predictions, run([one], data)
    first, nudged = Ground.first, []
    for seed in range(4):

        def aside(self, job, seed=seed):
            network, draws = first(self, job), torch.Generator().manual_seed(seed)
            for tensor in network.trained:
                tensor.data.mul_(1 + 1e-7 * torch.randn(tensor.shape, generator=draws))
            return network

        monkeypatch.setattr(Ground, "first", aside)
        nudged.append(np.abs(fitted(one, data).predictions - alone).max())
    assert np.abs(stacked.predictions - alone).max() < 2 * max(nudged) < 0.01 * data.y.std()


@pytest.mark.parametrize(("made", "shapes"), [(categories, [VECTORS]), (images, [ONE, TWO])])
def test_company_changes_no_bit_of_what_stands_in_front(made, shapes):
    keys = [("dropout",), ("batch_norm", "mixup"), ("sam", "ema"), ("layer_norm",), ()]
    jobs = [job(*some, epochs=2, shape=one) for some in keys for one in shapes]
    check_independent(jobs, made("multiclass"))


@pytest.mark.parametrize(("made", "shape"), [(categories, VECTORS), (images, TWO)])
def test_what_stands_in_front_does_not_see_other_rows(made, shape):
    data = made("binary", weight=np.ones(90))
    one = rows_of(job(shape=shape, keep_model=True), TRAIN)
    other = data
    if made is images:
        other = garbled(data, TEST)
    else:
        X = data.X.copy()
        X[TEST, 0], X[TEST, 1] = 1e9, 0
        other = replace(data, X=X, y=np.where(np.isin(np.arange(90), TEST), 1 - data.y, data.y))
    assert bits(fitted(one, data)) == bits(fitted(one, other))


# ---- in a space --------------------------------------------------------------------------------


def built(**traits):
    document = {
        "space": "s",
        "families": {
            "network": {
                "techniques": ["dropout"],
                "architecture": {
                    "embedding": ["none", "piecewise"],
                    "categories": ["indicators", "vectors"],
                    "convolution": ["two"],
                },
            }
        },
        "incumbent": {"family": "network"},
    }
    return Space.build(SpaceSpec(**document), "binary", **traits)


def test_dials_that_mean_nothing_for_a_table_are_not_searched():
    def names(one):
        return {dial.name for dial in one.architectures["network"]} & set(NEEDED)

    assert names(built()) == set(NEEDED)
    assert names(built(grouped=False)) == {"embedding", "convolution"}
    assert names(built(pictured=False)) == {"embedding", "categories"}
    assert names(built(measured=False)) == {"categories", "convolution"}
    assert images().traits == {
        "grouped": False, "symmetric": True, "pictured": True, "measured": False, "rated": False,
    }  # fmt: skip
    assert categories().traits["grouped"]


@pytest.mark.parametrize(
    ("columns", "is_measured"),
    [
        (["numeric"], True),
        (["numeric", "categorical"], True),
        (["categorical"], False),
        (["numeric", "text"], False),
        (["numeric"] * MOST_VECTORS, True),
        (["numeric"] * (MOST_VECTORS + 1), False),
    ],
)
def test_few_measured_columns_may_be_vectors(columns, is_measured):
    known = tuple(Column(f"c{k}", kind) for k, kind in enumerate(columns))
    table = Dataset("t", known, np.zeros((3, len(known))), np.arange(3.0), "regression", "y")
    assert table.traits["measured"] == is_measured


def test_matrices_are_listed_from_the_first_filter_to_the_output():
    canvases = canvases_of((8, 8, 1), 2)
    shape = Architecture(2, 7, filters=FILTERS)
    found = matrices(64, shape, 3, Front(canvases=canvases))
    assert found == [(9, 16), (144, 32), (128, 7), (7, 7), (7, 3)]
