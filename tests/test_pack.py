"""The pack engine: each model of a stack is the model alone, whoever its neighbours are."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_network import KEYS, TEST, TRAIN, bits, chosen, job, on_rows, table, task_for

from autoreg.engines import pack
from autoreg.engines.base import Failure, Fit
from autoreg.engines.draws import Acting, Streams
from autoreg.engines.loop import LoopEngine
from autoreg.engines.pack import PackEngine
from autoreg.engines.pack.adam import plain_adam, plain_paces
from autoreg.engines.pack.compiled import CompiledTrainer
from autoreg.engines.pack.kernels.moves import adam, paces
from autoreg.engines.pack.layout import Layout
from autoreg.engines.pack.occupancy import counted
from autoreg.engines.pack.plain import PlainTrainer, is_plain
from autoreg.engines.pack.stack import Stack
from autoreg.engines.philox import block
from autoreg.engines.training import Trainer
from autoreg.errors import SpecError
from autoreg.techniques import technique
from autoreg.techniques.base import TASKS, Architecture

SHAPES = [
    {"width": width, "depth": depth, "learning_rate": rate}
    for width, depth, rate in ((8, 2, 1e-2), (13, 2, 3e-3), (16, 2, 2e-2), (5, 1, 1e-2))
]


def run(jobs, data, **options):
    return PackEngine().run(jobs, data, **options)


def check_same(outcomes, expected, data, tolerance=1e-5):
    """Predictions, losses, steps and curves agree; models that fail, fail on both sides."""
    spread = 1.0 if data.classes else data.y.std()
    for got, alone in zip(outcomes, expected, strict=True):
        assert type(got) is type(alone)
        if isinstance(got, Fit):
            assert np.abs(got.predictions - alone.predictions).max() < tolerance * spread
            assert np.allclose(got.train_loss, alone.train_loss, rtol=1e-4)
            assert got.steps == alone.steps
            assert got.curve.keys() == alone.curve.keys()
            for name, values in got.curve.items():
                assert np.allclose(values, alone.curve[name], rtol=1e-4)


def on_task(key, data):
    return data.task in technique(key).tasks


def cocktail(seed, data):
    """A job with a random handful of techniques."""
    rng = random.Random(seed)
    keys = rng.sample([key for key in KEYS if on_task(key, data)], 5)
    return job(*keys, epochs=2, shape=rng.choice(SHAPES))


# ---- stacked is alone ------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_a_technique_in_a_stack_does_what_it_does_alone(key):
    """In models of other strengths, widths and depths, and beside one without it."""
    data = table(task_for(key))
    dials = technique(key).dials[:1]
    ends = [{dial.name: dial.at(u)} for dial in dials for u in (0.1, 0.9)] or [{}]
    jobs = [job(chosen(key, **end), epochs=2, shape=s) for end in ends for s in SHAPES]
    jobs += [job(epochs=2, shape=shape) for shape in SHAPES]
    check_same(run(jobs, data), LoopEngine().run(jobs, data), data)


@pytest.mark.parametrize("task", TASKS)
def test_cocktails_in_a_stack_do_what_they_do_alone(task):
    data = table(task, weight=np.random.default_rng(3).uniform(0.5, 2.0, 90))
    jobs = [cocktail(seed, data) for seed in range(10)]
    check_same(run(jobs, data), LoopEngine().run(jobs, data), data, 1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_every_step_is_the_step_of_the_loop_engine(task):
    data = table(task)
    keys = ("dropout", "mixup", "weight_decay")
    jobs = [job(*keys, steps=steps, shape=SHAPES[steps % 4]) for steps in range(1, 10)]
    check_same(run(jobs, data), LoopEngine().run(jobs, data), data)


@pytest.mark.parametrize("embedding", ["none", "piecewise", "periodic"])
@pytest.mark.parametrize("keys", [("dropout", "group_inputs"), ("weight_noise", "ema")])
def test_embeddings_and_schedules_in_a_stack_are_those_alone(embedding, keys):
    data = table("binary")
    jobs = [
        job(*keys, epochs=3, shape=shape | {"schedule": schedule, "embedding": embedding})
        for schedule in ("constant", "cosine", "flat_cos")
        for shape in SHAPES[:2]
    ]
    check_same(run(jobs, data), LoopEngine().run(jobs, data), data)


def test_models_of_a_stack_train_for_as_long_as_each_of_them_says():
    data = table("binary")
    jobs = [
        job("dropout", "swa", epochs=4, shape=SHAPES[0] | {"schedule": schedule, **length})
        for schedule in ("constant", "cosine")
        for length in ({}, {"training_length": 0.25}, {"training_length": 2.5})
    ]
    outcomes = run(jobs, data)
    check_same(outcomes, LoopEngine().run(jobs, data), data)
    assert [len(one.curve["train"]) for one in outcomes] == 2 * [4, 1, 10]


def test_a_technique_that_finds_nothing_to_change_draws_nothing():
    """Image augmentation of a table that is no image."""
    data = table("multiclass", p=5)
    jobs = [job("image_augmentation", "mixup", epochs=2, shape=shape) for shape in SHAPES]
    check_same(run(jobs, data), LoopEngine().run(jobs, data), data)


def test_models_of_other_rows_share_a_stack():
    """Rows, epochs and stop-sets may differ: each model has its own pace."""
    data = table("regression")
    rows = [TRAIN, TRAIN[:-1], TRAIN[:45], TRAIN[3:]]
    jobs = [
        replace(on_rows(job(*keys, epochs=epochs), some, TEST), keep_model=True)
        for some in rows
        for keys, epochs in ((("early_stopping", "dropout"), 30), (("dropout",), 3))
    ]
    outcomes, alone = run(jobs, data), LoopEngine().run(jobs, data)
    check_same(outcomes, alone, data, 1e-4)
    for one, other in zip(outcomes, alone, strict=True):
        assert one.model.arrays.keys() == other.model.arrays.keys()
        assert all(one.model.arrays[k].shape == a.shape for k, a in other.model.arrays.items())
        made = one.model.predictions(data.X[TEST], data.task)
        assert np.abs(made - one.predictions[0]).max() < 1e-4 * data.y.std()


# ---- company ---------------------------------------------------------------------------------


def check_independent(jobs, data):
    """Each outcome is the same bit for bit alone, in other company and in other order."""
    together = [bits(one) for one in run(jobs, data)]
    assert together == [bits(one) for one in run(jobs[::-1], data)][::-1]
    assert together == [bits(one) for one in run(jobs, data, workers=2)]
    assert together == [bits(run([one], data)[0]) for one in jobs]


@pytest.mark.parametrize("task", TASKS)
def test_company_changes_no_bit(task):
    """Each technique of the task once, in a stack where it is off for all others."""
    data = table(task)
    keys = [key for key in KEYS if on_task(key, data)]
    check_independent([job(key, epochs=2, shape=SHAPES[i % 3]) for i, key in enumerate(keys)], data)


@pytest.mark.parametrize(("task", "n", "p"), [("binary", 90, 7), ("multiclass", 41, 3)])
def test_odd_shapes_change_no_bit(task, n, p):
    data = table(task, n=n, p=p)
    rows, rest = np.arange(n - 9), np.arange(n - 9, n)
    shapes = [SHAPES[0] | {"width": width} for width in (5, 9, 16, 21, 37)]
    plain, norm = ("dropout", "mixup"), ("layer_norm", "batch_norm")
    jobs = [
        on_rows(job(*keys, epochs=2, shape=s, batch_size=26), rows, rest)
        for s in shapes
        for keys in (plain, norm)
    ]
    check_independent(jobs, data)


@pytest.mark.parametrize("places", [1, 3, 7])
def test_places_in_a_stack_change_no_bit(places, monkeypatch):
    data = table("binary")
    jobs = [job("early_stopping", chosen("dropout", rate=r / 20), epochs=40) for r in range(1, 11)]
    free = [bits(one) for one in run(jobs, data)]
    monkeypatch.setattr(pack, "PLACES", places)
    assert free == [bits(one) for one in run(jobs, data)]


def reduced_over_models(name):
    """The hooks of some technique, with a sum over the models of the stack planted in them."""
    kind = technique(name)

    def clipped(gradients, dials, moment):
        norm = sum(one.square().sum() for one in gradients).sqrt()
        return [(dials["norm"] / norm).clamp(max=1.0) * one for one in gradients]

    def noised(inputs, targets, dials, draws, moment):
        return inputs + dials["sigma"] * draws.normal(*inputs.shape[1:])[:1], targets

    def shrunk(weights, dials, moment):
        return weights * (1 - dials["decay"].mean())

    faults = {"gradient_clipping": clipped, "feature_noise": noised, "weight_decay": shrunk}
    seam = {"gradient_clipping": "gradients", "feature_noise": "batch", "weight_decay": "step"}
    return kind, seam[name], staticmethod(faults[name])


@pytest.mark.parametrize("key", ["gradient_clipping", "feature_noise", "weight_decay"])
def test_a_hook_that_looks_at_the_whole_stack_is_caught(key, monkeypatch):
    monkeypatch.setattr(*reduced_over_models(key))
    lead = technique(key).dials[0]
    jobs = [job(chosen(key, **{lead.name: lead.at(u)}), epochs=1) for u in (0.1, 0.5, 0.9)]
    with pytest.raises(AssertionError):
        check_independent(jobs, table())


def test_batch_statistics_of_the_whole_stack_are_caught(monkeypatch):
    honest = torch.var_mean

    def shared(values, dim, **options):
        return honest(values, dim=(0, dim), **options)

    monkeypatch.setattr(torch, "var_mean", shared)
    jobs = [job("batch_norm", epochs=1, shape=shape) for shape in SHAPES[:3]]
    with pytest.raises(AssertionError):
        check_independent(jobs, table())


def test_a_stream_for_the_whole_stack_is_caught(monkeypatch):
    monkeypatch.setattr(Acting, "of", classmethod(lambda cls, one, seed: _one_stream(one)))
    jobs = [job("dropout", epochs=2, shape=shape) for shape in SHAPES[:3]]
    with pytest.raises(AssertionError):
        check_same(run(jobs, table()), LoopEngine().run(jobs, table()), table())


CALLS = iter(range(1, 10_000))


def _one_stream(one):
    dials = {dial.name: torch.full((1, 1, 1), 0.3) for dial in one.dials}
    return Acting(type(one), dials, Streams([next(CALLS)]))


# ---- who stops, who fails --------------------------------------------------------------------


def test_a_model_that_stopped_neither_moves_nor_costs(monkeypatch):
    """The models in all stacked steps are the steps that the models need, and not one more."""
    taken = []
    original = CompiledTrainer.take

    def counting(self, picks, moment):
        taken.append(len(picks.rows))
        return original(self, picks, moment)

    monkeypatch.setattr(CompiledTrainer, "take", counting)
    data = table()
    early = chosen("early_stopping", patience=8)
    jobs = [job(early, chosen("dropout", rate=r / 10), epochs=60) for r in range(1, 7)]
    jobs += [job("dropout", steps=steps) for steps in (1, 5, 60)]
    outcomes = run(jobs, data)
    paces = [len(one.curve["stop"]) * 3 for one in outcomes[:6]]  # 51 rows, 16 at a time
    assert len(set(paces)) > 1
    refits = 1 + 5 + 60  # of five networks each
    assert sum(taken) == sum(paces) + 5 * refits
    alone = [one.curve for one in LoopEngine().run(jobs, data)]
    assert [len(one.curve["train"]) for one in outcomes] == [len(one["train"]) for one in alone]


def test_a_model_that_diverges_touches_no_other():
    data = table("regression")
    wild = job("dropout", shape=SHAPES[0] | {"learning_rate": 1e12}, epochs=6)
    calm = [job("dropout", "ema", shape=shape, epochs=6) for shape in SHAPES]
    *others, failed = run([*calm, wild], data)
    assert isinstance(failed, Failure)
    assert "diverged" in failed.reason
    assert [bits(one) for one in others] == [bits(one) for one in run(calm, data)]


def test_a_stop_set_that_cannot_be_cut_fails_its_own_job_only():
    data = table(group=np.zeros(90, dtype=np.int64))
    broken, fine = run([job("early_stopping"), job()], data)
    assert "no stop-set" in broken.reason
    assert isinstance(fine, Fit)


class Broken(RuntimeError):
    """As torch says that there is no memory."""


@pytest.mark.parametrize("room", [1, 2, 3])
def test_a_stack_without_memory_is_halved(room, monkeypatch):
    data, jobs = table(), [job(chosen("dropout", rate=r / 20), epochs=2) for r in range(1, 8)]
    expected = [bits(one) for one in run(jobs, data)]
    original = Trainer.descend

    def scarce(self, batch, moments):
        if len(batch.inputs) > room:
            raise Broken("out of memory")
        original(self, batch, moments)

    monkeypatch.setattr(Trainer, "descend", scarce)
    assert [bits(one) for one in run(jobs, data)] == expected
    assert [bits(one) for one in run(jobs, data, workers=2)] == expected


def test_a_model_that_breaks_its_stack_fails_alone(monkeypatch):
    data, jobs = table(), [job(chosen("l1", threshold=1e-4 * r), epochs=2) for r in range(1, 6)]
    expected = run(jobs, data)
    original = technique("l1").prox

    def breaking(weights, dials, moment):
        if (dials["threshold"] == 3e-4).any():
            raise Broken("no such number")
        return original(weights, dials, moment)

    monkeypatch.setattr(technique("l1"), "prox", staticmethod(breaking))
    outcomes = run(jobs, data)
    assert outcomes.pop(2) == Failure("Broken: no such number")
    assert [bits(one) for one in outcomes] == [bits(one) for one in expected[:2] + expected[3:]]


def test_what_is_no_failed_fit_is_raised(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(CompiledTrainer, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run([job("dropout")], table())


def test_adam_of_every_device_is_the_compiled_one():
    rng = np.random.default_rng(0)
    rows, first, slope = (rng.normal(size=(3, 50)).astype(np.float32) for _ in range(3))
    second, size = (rng.uniform(0.1, 1, shape).astype(np.float32) for shape in ((3, 50), 3))
    pace = np.stack([size, np.full(3, 1e-8, dtype=np.float32)], axis=1)
    compiled = [one.copy() for one in (rows, first, second)]
    for start, end in ((0, 15), (15, 40)):  # as many tensors, one behind the other
        adam(*compiled, slope[:, start:end].copy(), start, pace)
    plain = [torch.from_numpy(one.copy()) for one in (rows, first[:, :40], second[:, :40])]
    plain_adam(*plain, *map(torch.from_numpy, (slope[:, :40].copy(), pace[:, :1], pace[:, 1:])))
    for one, other in zip(compiled, plain, strict=True):
        assert np.allclose(one[:, :40], other.numpy()[:, :40], atol=1e-6)
    assert np.array_equal(compiled[0][:, 40:], rows[:, 40:])


def test_paces_of_every_device_are_the_compiled_ones():
    fading, rates = np.ones((4, 2)), np.array([1e-4, 3e-3, 0.02, 0.1])
    plain, made = torch.ones(4, 2, dtype=torch.float64), np.empty((4, 2), dtype=np.float32)
    for step in range(50):
        paces(fading, rates / (1 + step), made)
        found = plain_paces(plain, torch.from_numpy(rates / (1 + step)))
        assert np.array_equal(torch.cat(found, dim=1).numpy(), made)


def test_a_gpu_that_is_not_there_is_refused_before_any_work():
    if torch.cuda.is_available():
        pack.check_device("cuda")
        return
    with pytest.raises(SpecError, match="write auto or cpu"):
        pack.check_device("cuda")
    assert {pack.device_for(asked) for asked in ("auto", "cpu")} == {"cpu"}


def test_models_that_predict_other_rows_are_trained_once():
    """As in the searches of a symmetric scheme: block i validates where block j is left out."""
    first = job("dropout", "early_stopping", epochs=20)
    second = replace(first, predict=TEST[:7])
    with counted() as found:
        outcomes = run([first, second], table())
    with counted() as alone:
        expected = [run([one], table())[0] for one in (first, second)]
    assert [bits(one) for one in outcomes] == [bits(one) for one in expected]
    assert 2 * found.used == alone.used


def test_equal_jobs_are_fitted_once_and_counted_each():
    seen, one = [], job("dropout")
    outcomes = run([one, one, job(), one], table(), on_done=seen.append)
    assert outcomes[0] is outcomes[1] is outcomes[3]
    assert seen[-1] == 4
    assert seen == sorted(seen)


def test_nothing_to_do_is_done_at_once():
    assert run([], table()) == []


def test_linear_models_are_refused():
    from autoreg.candidate import candidate

    assert "fits networks" in PackEngine().refuses(candidate("linear", [], {}), "binary")
    smooth = candidate("network", [chosen("label_smoothing")], {})
    assert "label_smoothing" in PackEngine().refuses(smooth, "regression")


# ---- the written-out gradient ----------------------------------------------------------------


def test_the_written_out_gradient_is_taken_where_it_is_enough():
    shape = Architecture(2, 16)
    plain = [key for key in KEYS if is_plain(technique(key)().net(shape), [technique(key)])]
    assert {"dropout", "mixup", "weight_decay", "ema", "sam", "label_smoothing"} <= set(plain)
    asking = {"adversarial_fgsm", "adversarial_pgd", "virtual_adversarial", "r_drop", "jacobian"}
    assert not (asking | {"gradient_penalty", "weight_noise", "batch_norm", "skip"}) & set(plain)


@pytest.mark.parametrize("way", [PlainTrainer, Trainer])
@pytest.mark.parametrize(
    "keys",
    [
        ["dropout", "variational", "mixup", "weight_decay"],  # many steps in one call
        ["activation_noise", "dropout", "weight_decay", "l1", "ema"],  # a call for each step
        ["dropout", "activation_noise", "sam", "gradient_clipping", "mixup"],  # part by part
        ["dropout", "label_smoothing", "confidence_penalty"],
    ],
    ids=["whole", "steps", "parts", "losses"],
)
@pytest.mark.parametrize("task", TASKS)
def test_compiled_steps_are_those_of_torch_and_of_autograd(task, keys, way, monkeypatch):
    data = table(task)
    keys = [key for key in keys if on_task(key, data)]
    jobs = [job(*keys, epochs=2, shape=shape) for shape in SHAPES]
    compiled = run(jobs, data)
    monkeypatch.setattr(Stack, "_way", lambda *_: way)
    check_same(compiled, run(jobs, data), data)


@pytest.mark.parametrize("key", ["max_norm", "group_inputs"])
def test_what_acts_on_weights_acts_on_those_models_that_have_it(key, monkeypatch):
    seam = "prox" if "prox" in technique(key).seams() else "step"
    original, seen = getattr(technique(key), seam), []

    def recording(weights, dials, moment):
        groups = moment.facts.groups
        seen.append({len(weights), len(moment.rate), len(groups), *map(len, dials.values())})
        return original(weights, dials, moment)

    monkeypatch.setattr(technique(key), seam, staticmethod(recording))
    jobs = [job("dropout", epochs=1), job(key, epochs=1), job("mixup", epochs=1)]
    run(jobs, table())
    assert seen
    assert set.union(*seen) == {1}


SEEING = ["l1", "sam", "label_smoothing", "activation_noise", "feature_noise"]


@pytest.mark.parametrize("key", SEEING)
def test_steps_taken_one_by_one_have_the_bits_of_steps_taken_together(key):
    """A neighbour whose technique must see each step, gradient or batch changes nothing."""
    alone = job("dropout", "weight_decay", "mixup", epochs=3)
    expected = run([alone], table())[0]
    assert bits(run([alone, job(key, epochs=3)], table())[0]) == bits(expected)


# ---- places of numbers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ([0] * 2, [0] * 4, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([2**32 - 1] * 2, [2**32 - 1] * 4, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0xA4093822, 0x299F31D0],
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_words_that_its_authors_publish(key, counter, words):
    """The known answers of the Random123 library for Philox4x32-10."""
    found = block(*(np.uint32(word) for word in (*key, *counter)))
    assert " ".join(f"{int(word):08x}" for word in found) == words


@pytest.mark.parametrize("draw", ["uniform", "normal", "kept"])
def test_a_larger_draw_begins_with_the_smaller_one(draw):
    arguments = (torch.tensor([[[0.3]], [[0.6]]]),) if draw == "kept" else ()
    small, large = (
        getattr(Streams([3, 4]), draw)(*arguments, *shape) for shape in ((5, 7), (13, 16))
    )
    assert torch.equal(small, large[:, :5, :7])
    assert torch.equal(getattr(Streams([4]), draw)(*(a[1:] for a in arguments), 5, 7)[0], small[1])
    assert not torch.equal(small[0], small[1])


def test_uniform_numbers_are_uniform_and_unrelated():
    streams = Streams(range(20))
    first, then = streams.uniform(64, 64), streams.uniform(64, 64)
    for drawn in (first, then):
        ranks = np.sort(drawn.flatten().numpy())
        assert np.abs(ranks - np.linspace(0, 1, len(ranks))).max() < 1.63 / math.sqrt(len(ranks))
        assert drawn.min() >= 0
        assert drawn.max() < 1
    pairs = [(first, then), (first[1:], first[:-1]), (first[:, 1:], first[:, :-1])]
    pairs.append((first[:, :, 1:], first[:, :, :-1]))
    for a, b in pairs:
        correlation = np.corrcoef(a.flatten(), b.flatten())[0, 1]
        assert abs(correlation) < 4 / math.sqrt(a.numel())


@pytest.mark.parametrize("concentration", [0.05, 0.3, 1.0, 2.0, 8.0])
def test_beta_numbers_have_their_distribution(concentration):
    from scipy.stats import beta, kstest

    drawn = Streams([1]).beta(torch.full((1, 1, 1), concentration), 20_000).flatten().double()
    expected, least = beta(concentration, concentration).cdf, 1e-4  # what is nearer to 0 is rounded
    assert float((drawn < 0.5).double().mean()) == pytest.approx(0.5, abs=0.02)
    assert float((drawn < least).double().mean()) == pytest.approx(expected(least), abs=0.02)
    inside = drawn[(drawn > least) & (drawn < 0.5)]
    low, high = expected([least, 0.5])
    assert kstest(inside, lambda x: (expected(x) - low) / (high - low)).pvalue > 1e-3


def test_normal_numbers_are_normal():
    from scipy.stats import kstest

    assert kstest(Streams([1]).normal(200, 100).flatten().double(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.37, 0.9])
def test_coins_fall_by_their_rate(rate):
    kept = Streams([1]).kept(torch.full((1, 1, 1), rate), 1000, 100)
    assert float((kept == 0).double().mean()) == pytest.approx(rate, abs=5e-3)
    assert torch.allclose(kept[kept > 0], torch.tensor(1 / (1 - rate)))


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "both"])
def test_a_row_holds_a_network_and_gives_it_back(norm):
    from autoreg.engines.network import initial_network

    network = initial_network((3, Architecture(2, 5, norm), 2), 7)
    layout = Layout(3, Architecture(2, 16, norm), 2)
    back = layout.single(layout.row(network), 5)
    pairs = list(zip(network.state, back.state, strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert int(layout.mask(5).sum()) == sum(one.numel() for one in network.trained)
    inputs = torch.randn(1, 9, 3)
    units = (torch.arange(16) < 5).float().view(1, 1, 16)
    padded = layout.network(layout.row(network), units).predicting(inputs)
    assert torch.allclose(padded, network.predicting(inputs), atol=1e-6)
