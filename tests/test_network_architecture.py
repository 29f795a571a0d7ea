"""Dials of the network itself: embeddings of numeric inputs, and schedules of the rate."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_network import (
    SHAPE,
    TEST,
    TRAIN,
    SameSeed,
    bits,
    fitted,
    garbled,
    job,
    on_rows,
    table,
)

from autoreg.candidate import ARCHITECTURE, SCHEDULES, Candidate
from autoreg.data.dataset import Column
from autoreg.engines.embedding import BINS, Periodic, Piecewise, embedding_of, informed, widened
from autoreg.engines.loop import LoopEngine
from autoreg.engines.pack import PackEngine
from autoreg.engines.scaling import Scaling
from autoreg.engines.training import relative_rate
from autoreg.errors import SpaceError
from autoreg.space import Space
from autoreg.spec import SpaceSpec
from autoreg.techniques import technique
from autoreg.techniques.base import TASKS, Facts

EMBEDDED = ("piecewise", "periodic")


def mixed(task="binary", seed=0):
    """Two numeric columns with a category of three levels between them."""
    data = table(task, p=3, seed=seed)
    X = data.X.copy()
    X[:, 1] = np.arange(90) // 3 % 3
    columns = (data.columns[0], Column("c", "categorical", ("a", "b", "c")), data.columns[2])
    return replace(data, X=X, columns=columns)


def ground(data, weights=None):
    scaling = Scaling.fit(data, TRAIN)
    sample = scaling.sample(data, TRAIN)
    return sample.inputs, sample.weights if weights is None else weights, scaling.facts


# ---- embeddings ------------------------------------------------------------------------------


def test_edges_are_quantiles_of_the_training_rows():
    inputs, weights, facts = ground(mixed())
    embedding = embedding_of("piecewise", inputs, weights, facts, 1)
    assert embedding.positions.tolist() == [[0, 4]]
    for place, position in enumerate((0, 4)):
        column = inputs[0, :, position].numpy()
        expected = np.quantile(column, np.linspace(0, 1, BINS + 1), method="inverted_cdf")
        assert np.allclose(embedding.edges[0, place], expected)


def test_a_row_of_weight_two_counts_as_two_rows_in_the_edges():
    inputs, _, facts = ground(mixed())
    times = torch.arange(60) % 3 + 1
    weighted = embedding_of("piecewise", inputs, times.float()[None, :, None], facts, 1)
    repeated = inputs.repeat_interleave(times, dim=1)
    plain = embedding_of("piecewise", repeated, torch.ones(1, repeated.shape[1], 1), facts, 1)
    assert torch.allclose(weighted.edges, plain.edges)


@pytest.mark.parametrize("value", [-5.0, 0.0, 0.2, 1.0, 2.5, 3.0, 9.0])
def test_a_piecewise_vector_says_how_far_each_bin_is_reached(value):
    edges = [0.0, 1.0, 3.0]
    bins = Piecewise(torch.tensor([[0]]), torch.tensor([[edges]]))
    got = bins.vectors(torch.tensor([[[value]]]))[0, 0, 0]
    expected = [
        2 * np.interp(value, pair, (0, 1)) - 1 for pair in zip(edges, edges[1:], strict=False)
    ]
    assert np.allclose(got, expected)


def test_a_periodic_vector_holds_sines_and_cosines():
    frequencies = torch.tensor([[[0.25, 1.0]]])
    got = Periodic(torch.tensor([[0]]), frequencies).vectors(torch.tensor([[[1.0]]]))[0, 0, 0]
    assert np.allclose(got, [1.0, 0.0, 0.0, 1.0], atol=1e-6)
    rates = [embedding_of("periodic", *ground(mixed()), seed).frequencies for seed in (1, 1, 2)]
    assert torch.equal(rates[0], rates[1])
    assert not torch.equal(rates[0], rates[2])


@pytest.mark.parametrize("kind", EMBEDDED)
def test_models_of_a_stack_are_embedded_as_if_alone(kind):
    inputs, weights, facts = ground(mixed())
    other = ground(mixed(seed=1))[0]
    alone = [embedding_of(kind, rows, weights, facts, 1) for rows in (inputs, other)]
    parts = zip(*(vars(one).values() for one in alone), strict=True)
    both = type(alone[0])(*(torch.cat(pair) for pair in parts))
    stacked = widened(both, torch.cat([inputs, other]))
    for model, (one, rows) in enumerate(zip(alone, (inputs, other), strict=True)):
        assert torch.equal(stacked[model], widened(one, rows)[0])
        assert torch.equal(stacked[model, :, :5], rows[0]), "the inputs stay in front"


def test_rows_of_the_first_matrix_know_their_columns():
    inputs, weights, facts = ground(mixed())
    embedding = embedding_of("piecewise", inputs, weights, facts, 1)
    known = informed(facts, embedding)
    assert known.first[0].tolist() == [0, 1, 1, 1, 2, *[0] * BINS, *[2] * BINS]
    assert informed(facts, None).first is facts.groups


def test_a_table_of_categories_has_nothing_to_embed():
    facts = Facts(torch.zeros(1, 3, dtype=torch.int64), torch.zeros(1, 1, 3), 1)
    assert embedding_of("piecewise", torch.ones(1, 9, 3), torch.ones(1, 9, 1), facts, 1) is None
    data = table(p=1)
    data = replace(
        data, X=np.arange(90.0)[:, None] % 3, columns=(Column("c", "categorical", ("a", "b", "c")),)
    )
    assert len(fitted(job(shape=SHAPE | {"embedding": "periodic"}), data).predictions[0]) == len(
        TEST
    )


@pytest.mark.parametrize("kind", EMBEDDED)
@pytest.mark.parametrize("task", TASKS)
def test_kept_parameters_embed_with_numpy(kind, task):
    one = job("ema", shape=SHAPE | {"embedding": kind}, keep_model=True)
    outcome = fitted(one, mixed(task))
    again = outcome.model.predictions(mixed(task).X[TEST], task)
    spread = 1.0 if task in ("binary", "multiclass") else mixed(task).y.std()
    assert np.abs(again - outcome.predictions[0]).max() < 1e-5 * spread


@pytest.mark.parametrize("kind", EMBEDDED)
def test_an_embedding_does_not_see_other_rows(kind):
    data = table(weight=np.ones(90))
    one = on_rows(job(shape=SHAPE | {"embedding": kind}, keep_model=True), TRAIN)
    assert bits(fitted(one, data)) == bits(fitted(one, garbled(data, TEST)))
    assert bits(fitted(one, data)) != bits(fitted(one, garbled(data, TRAIN[:9])))


@pytest.mark.parametrize("kind", EMBEDDED)
def test_an_embedding_helps_to_bend_sharply(kind):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(90, 1))
    data = replace(table("regression", p=1), X=X, y=np.sin(4 * X[:, 0]))
    errors = [
        fitted(job(shape=SHAPE | {"embedding": one}, epochs=60), data).losses[0]
        for one in ("none", kind)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_an_embedded_column_is_left_out_as_a_whole():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    data = replace(table("regression", p=3), X=X, y=X[:, 0])
    strict = technique("group_inputs")(threshold=0.01)
    one = job(strict, shape=SHAPE | {"embedding": "piecewise"}, epochs=60, keep_model=True)
    weights = fitted(one, data).model.arrays["weight_0"]
    used = [np.abs(weights[[k, *range(3 + k * BINS, 3 + (k + 1) * BINS)]]).max() for k in range(3)]
    assert used[0] > 0
    assert used[1] == used[2] == 0


# ---- schedules -------------------------------------------------------------------------------


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.7, 0.85, 1.0])
def test_rates_follow_their_schedule(progress):
    positions = torch.tensor([0.0, 1.0, 2.0])[:, None, None]
    got = relative_rate(positions, torch.full((3, 1, 1), progress)).flatten().tolist()
    late = max(progress - 0.7, 0) / 0.3
    cosine, flat = (0.5 + 0.5 * math.cos(math.pi * part) for part in (progress, late))
    assert got == pytest.approx([1.0, cosine, flat], abs=1e-6)
    assert SCHEDULES == ("constant", "cosine", "flat_cos")


@pytest.mark.parametrize("schedule", SCHEDULES[1:])
def test_steps_become_short_and_techniques_are_told(monkeypatch, schedule):
    """Adam's steps are as long as its rate; a decay of weights follows it."""
    told = []
    decay = technique("weight_decay")

    def recording(weights, dials, moment):
        told.append(moment.rate.item())
        return weights

    monkeypatch.setattr(decay, "step", staticmethod(recording))
    one = job("weight_decay", shape=SHAPE | {"schedule": schedule}, kind=SameSeed)
    fitted(one, table())
    per_step = told[:: SHAPE["depth"] + 1]
    assert len(per_step) == 16
    assert per_step[0] == 1.0
    assert per_step == sorted(per_step, reverse=True)
    assert per_step[-1] < 0.2


def test_a_constant_schedule_is_none():
    plain = fitted(job(kind=SameSeed), table())
    assert bits(plain) == bits(
        fitted(job(kind=SameSeed, shape=SHAPE | {"schedule": "constant"}), table())
    )
    assert bits(plain) != bits(
        fitted(job(kind=SameSeed, shape=SHAPE | {"schedule": "cosine"}), table())
    )


# ---- in a space ------------------------------------------------------------------------------


def built(architecture):
    document = {
        "space": "s",
        "families": {"network": {"techniques": ["dropout"], "architecture": architecture}},
        "incumbent": {"family": "network"},
    }
    return Space.build(SpaceSpec(**document), "binary")


def test_refinements_are_searched_where_a_space_names_them():
    assert [d.name for d in built({}).architectures["network"]] == [
        "width",
        "depth",
        "learning_rate",
    ]
    rest = {"categories": ["vectors"], "convolution": ["none", "one"], "training_length": [0.5, 2]}
    space = built({"embedding": ["none", "periodic"], "schedule": ["cosine"], **rest})
    assert {d.name for d in space.architectures["network"]} == {d.name for d in ARCHITECTURE}
    for one in space.design():
        assert dict(one.architecture)["schedule"] == "cosine"
        assert space.decode("network", space.encode(one)) == one
        assert Candidate.from_data(one.to_data()) == one
    with pytest.raises(SpaceError, match="choose from"):
        built({"embedding": ["learned"]})


# ---- in a stack ------------------------------------------------------------------------------


def test_a_stack_embeds_and_schedules_as_each_model_alone():
    """Categories come and go with the rows, so inputs lie elsewhere in each model."""
    refined = [
        SHAPE | {"embedding": kind, "schedule": schedule, "width": width}
        for kind in ("none", *EMBEDDED)
        for schedule, width in zip(SCHEDULES, (8, 16, 24), strict=True)
    ]
    jobs = [job("ema", "group_inputs", shape=shape, keep_model=True) for shape in refined]
    alone, together = (engine().run(jobs, mixed()) for engine in (LoopEngine, PackEngine))
    for single, stack in zip(alone, together, strict=True):
        assert np.abs(single.predictions[0] - stack.predictions[0]).max() < 1e-4
        again = stack.model.predictions(mixed().X[TEST], "binary")
        assert np.abs(again - stack.predictions[0]).max() < 1e-5


def test_a_stack_sees_images_as_each_model_alone():
    jobs = [job(*keys) for keys in (["image_augmentation"], ["cutout"], ["cutmix", "cutout"])]
    alone, together = (engine().run(jobs, table()) for engine in (LoopEngine, PackEngine))
    for single, stack in zip(alone, together, strict=True):
        assert np.abs(single.predictions[0] - stack.predictions[0]).max() < 1e-4
