"""What each network technique is measured to do: against papers, torch.nn, numpy and scipy."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hook_bench import CLASSES, facts, moment, numbers, one_hot, settings, stacked
from scipy.special import rel_entr, softmax
from scipy.stats import entropy

from autoreg.engines.draws import Streams
from autoreg.engines.network import CROSS_ENTROPY, SQUARED_ERROR, Likelihood, initial_network
from autoreg.techniques import technique
from autoreg.techniques.base import Architecture, Facts, Seen, joint_norm, top_direction


def dials(key, **changes):
    return stacked(settings(key) | changes)


def close(got, expected, tolerance=1e-5):
    got, expected = (torch.as_tensor(one).detach().numpy() for one in (got, expected))
    return np.allclose(got, expected, rtol=tolerance, atol=tolerance)


# ---- weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_drop_connect_zeroes_its_share_of_the_weights_and_keeps_the_mean(rate):
    ones, dial = torch.ones(1, 400, 300), dials("drop_connect", rate=rate)
    out = technique("drop_connect").weights(ones, dial, Streams([1]), 0)
    error = 5 / math.sqrt(out.numel())
    assert float((out == 0).float().mean()) == pytest.approx(rate, abs=error)
    assert float(out.mean()) == pytest.approx(1.0, abs=2 * error)
    # Five standard errors of how many weights are zeroed.
    error = 5 / math.sqrt(rate * out.numel())
    assert float(out.var()) == pytest.approx(rate / (1 - rate), rel=error)


@pytest.mark.parametrize(
    ("key", "seam"), [("weight_noise", "weights"), ("activation_noise", "hidden")]
)
@pytest.mark.parametrize("sigma", [1e-3, 0.3])
def test_noise_has_its_variance_and_no_bias(key, seam, sigma):
    values = numbers(1, 400, 300)
    noisy = getattr(technique(key), seam)(values, dials(key, sigma=sigma), Streams([1]), moment())
    noise = (noisy - values).double()
    assert float(noise.var()) == pytest.approx(sigma**2, rel=0.02)
    assert abs(float(noise.mean())) < 5 * sigma / math.sqrt(noise.numel())


@pytest.mark.parametrize("mix", [0.05, 0.5, 0.95])
def test_l1_l2_minimizes_what_a_proximal_operator_minimizes(mix):
    """On a fine grid nothing is better than (v - w)^2 / 2 + s (mix |v| + (1 - mix) v^2 / 2)."""
    weights = torch.linspace(-1, 1, 41)[None, None]
    got = technique("l1_l2").prox(weights, dials("l1_l2", strength=0.4, mix=mix), moment())[0, 0]
    grid = torch.linspace(-1.2, 1.2, 4801)[:, None].double()
    penalty = 0.4 * (mix * grid.abs() + (1 - mix) * grid**2 / 2)
    cost = (grid - weights[0, 0].double()) ** 2 / 2 + penalty
    assert torch.allclose(got.double(), grid[cost.argmin(dim=0), 0], atol=6e-4)
    assert int((got == 0).sum()) > 0


def test_group_inputs_shortens_each_column_as_a_whole():
    """The last column of the table has three indicators; its weights shrink by sqrt(3) as much."""
    weights = numbers(1, 12, 5)
    weights[:, 2] *= 1e-3
    here = moment(layer=0)
    got = technique("group_inputs").prox(weights, dials("group_inputs", threshold=0.1), here)
    parts = [[k] for k in range(9)] + [[9, 10, 11]]
    for rows in parts:
        before, after = (np.asarray(w[0, rows]) for w in (weights, got))
        length = np.linalg.norm(before)
        expected = before * max(1 - 0.1 * math.sqrt(len(rows)) / length, 0)
        assert np.allclose(after, expected, atol=1e-6)
    assert int((got[0, 2] != 0).sum()) == 0
    deeper = replace(here, layer=1)
    assert technique("group_inputs").prox(weights, dials("group_inputs"), deeper) is weights


@pytest.mark.parametrize("bound", [0.5, 2.0, 8.0])
def test_max_norm_is_the_projection_onto_short_columns(bound):
    weights = 2 * numbers(1, 12, 30)
    got = technique("max_norm").step(weights, dials("max_norm", norm=bound), moment())[0]
    norms, before = got.norm(dim=0), weights[0].norm(dim=0)
    assert float(norms.max()) <= bound * (1 + 1e-6)
    assert torch.equal(got[:, before <= bound], weights[0][:, before <= bound])
    assert close(norms, before.clamp(max=bound))
    output = moment(layer=3)
    assert technique("max_norm").step(weights, dials("max_norm", norm=bound), output) is weights


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (12, 30), (64, 64), (300, 20)])
def test_the_top_direction_is_nearly_the_first_singular_vector(shape):
    matrix = numbers(1, *shape, seed=3)
    stretch = float((matrix @ top_direction(matrix)).norm())
    assert stretch == pytest.approx(np.linalg.norm(matrix[0].numpy(), 2), rel=0.03)
    assert stretch <= np.linalg.norm(matrix[0].numpy(), 2) * (1 + 1e-6)


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_spectral_norm_scales_down_to_its_bound(bound):
    """In a few steps, for the largest singular value is found from below."""
    weights = numbers(1, 30, 20)
    for _ in range(3):
        weights = technique("spectral_norm").step(weights, dials("spectral_norm", bound=bound), 0)
    assert np.linalg.norm(weights[0].numpy(), 2) == pytest.approx(bound, rel=0.01)
    small = 0.01 * numbers(1, 30, 20)
    assert torch.equal(technique("spectral_norm").step(small, dials("spectral_norm"), 0), small)


def test_spectral_penalty_shrinks_the_largest_singular_value_alone():
    left, _ = np.linalg.qr(numbers(8, 5).numpy())
    right, _ = np.linalg.qr(numbers(5, 5, seed=1).numpy())
    matrix = torch.tensor(left @ np.diag([6.0, 3, 2, 1, 0.5]) @ right.T).float()[None]
    got = technique("spectral_penalty").step(
        matrix, dials("spectral_penalty", shrink=0.1), moment()
    )
    values = np.linalg.svd(got[0].numpy(), compute_uv=False)
    assert close(values, [5.4, 3, 2, 1, 0.5], 1e-3)


# ---- shape -----------------------------------------------------------------------------------


def test_layer_norm_is_that_of_torch():
    ours = initial_network((4, Architecture(1, 6, "layer"), 2), 1).layer_norms[0]
    theirs = torch.nn.LayerNorm(6)
    with torch.no_grad():
        for mine, their in ((ours.gain, theirs.weight), (ours.shift, theirs.bias)):
            their.copy_(numbers(6, seed=7))
            mine.copy_(their)
    values = 3 * numbers(9, 6) + 2
    mine, their = values.clone().requires_grad_(), values.clone().requires_grad_()
    out, expected = ours(mine[None])[0], theirs(their)
    assert torch.allclose(out, expected, atol=1e-5)
    out.square().sum().backward()
    expected.square().sum().backward()
    assert torch.allclose(mine.grad, their.grad, atol=1e-4)


@pytest.mark.parametrize(
    ("order", "norm"),
    [
        (("batch_norm",), "batch"),
        (("layer_norm",), "layer"),
        (("batch_norm", "layer_norm"), "both"),
        (("layer_norm", "batch_norm"), "both"),
        (("layer_norm", "batch_norm", "layer_norm"), "both"),
    ],
)
def test_norms_are_combined_whatever_their_order(order, norm):
    shape = Architecture(2, 6)
    for key in order:
        shape = technique(key)().net(shape)
    assert shape == Architecture(2, 6, norm)
    network = initial_network((4, shape, 2), 1)
    assert len(network.norms) == 2 * (norm in ("batch", "both"))
    assert len(network.layer_norms) == 2 * (norm in ("layer", "both"))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_with_skip_layers_add_to_what_they_are_given(depth):
    plain = initial_network((4, Architecture(depth, 6), 2), 1)
    shape = technique("skip")().net(Architecture(depth, 6))
    skipping, inputs = initial_network((4, shape, 2), 1), numbers(1, 9, 4)
    hidden = (inputs @ plain.weights[0]).relu()
    for weights in plain.weights[1:-1]:
        hidden = hidden + (hidden @ weights).relu()
    expected = (hidden @ plain.weights[-1]).detach()
    assert close(skipping.predicting(inputs), expected)
    trained = skipping.training(inputs, lambda values, layer: values)
    assert close(trained.detach(), expected)
    assert close(plain.predicting(inputs), expected) == (depth == 1)


def test_stochastic_depth_drops_whole_rows_and_more_of_them_in_deeper_layers():
    ones, kind = torch.ones(1, 6000, 5), technique("stochastic_depth")
    for layer in range(4):
        here = moment(layer=layer, depth=4)
        out = kind.hidden(ones, dials("stochastic_depth", rate=0.5), Streams([1]), here)[0]
        gone, rate = (out == 0).float(), 0.5 * layer / 3
        assert float(gone.mean()) == pytest.approx(rate, abs=0.03)
        assert torch.equal(gone.amax(dim=1), gone.amin(dim=1))
        assert close(out[out > 0], 1 / (1 - rate))
    assert torch.equal(
        kind.hidden(ones, dials("stochastic_depth"), Streams([1]), moment(layer=0, depth=1)), ones
    )
    assert kind(rate=0.5).net(Architecture(3, 6)).skip
    assert not kind(rate=0.0).net(Architecture(3, 6)).skip


# ---- rows ------------------------------------------------------------------------------------


def rows_of_their_own(rows=2000):
    """In row i every input is i + 1, and so is the target: who is where can be read off."""
    column = torch.arange(1.0, rows + 1)[None, :, None]
    return column.expand(1, rows, 12), column


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("key", ["swap_noise", "cutout"])
def test_cells_are_changed_by_their_share_row_by_row_and_categories_as_a_whole(key, share):
    inputs, targets = rows_of_their_own()
    out, same = technique(key).batch(
        inputs, targets, dials(key, share=share), Streams([1]), moment()
    )
    changed = (out != inputs)[0].float()
    assert same is targets
    assert float(changed[:, :10].mean()) == pytest.approx(share, abs=5 / math.sqrt(20000))
    assert torch.equal(changed[:, 9], changed[:, 10])
    assert torch.equal(changed[:, 9], changed[:, 11])
    assert len(changed.unique(dim=0)) > 8, "every row draws its own cells"
    assert float((changed[:, 0] * changed[:, 1]).mean()) == pytest.approx(share**2, abs=0.03)
    replaced = out[0][changed.bool()]
    assert key == "swap_noise" or not replaced.any()


def test_swapped_cells_come_from_the_same_column_of_any_row():
    rows = 4000
    inputs = numbers(1, rows, 12) + 100 * facts().groups[:, None]
    inputs[..., 9:] = torch.nn.functional.one_hot(torch.arange(rows) % 3, 3).float()
    dial = dials("swap_noise", share=0.5)
    out, _ = technique("swap_noise").batch(inputs, inputs, dial, Streams([1]), moment())
    for column in range(9):
        assert set(out[0, :, column].tolist()) <= set(inputs[0, :, column].tolist())
    assert close(out.mean(dim=1), inputs.mean(dim=1), 0.1)
    assert torch.equal(out[..., 9:].sum(dim=2), torch.ones(1, rows)), "still one level each"


@pytest.mark.parametrize("alpha", [0.2, 2.0])
def test_cutmix_blends_targets_by_the_share_of_columns(alpha):
    """In units of a row's own number, a partner's column is told by its value."""
    inputs, targets = rows_of_their_own()
    out, mixed = technique("cutmix").batch(
        inputs, targets, dials("cutmix", alpha=alpha), Streams([1]), moment()
    )
    columns = out[0, :, :10]  # the last of them stands for the whole category
    assert torch.equal(out[0, :, 9], out[0, :, 10])
    assert close(columns.mean(dim=1), mixed[0, :, 0], 1e-4)
    assert max(len(row.unique()) for row in columns[:200]) == 2
    foreign = (columns != inputs[0, :, :10]).float().mean(dim=1)
    # Of columns drawn with probability u = min(b, 1 - b): E[u (1 - u)] = a / (2 (2 a + 1)).
    assert float(foreign.mean()) < 0.5
    spread = float((foreign * (1 - foreign)).mean())
    assert spread == pytest.approx(0.9 * alpha / (2 * (2 * alpha + 1)), rel=0.1)


def test_a_region_of_a_table_counts_every_column_once():
    groups = torch.tensor([[0, 1, 1, 1, 2]])
    known = Facts(groups, torch.ones(1, 1, 5), 3)
    region = torch.tensor([[[1, 0, 0, 0, 0], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1]]]).bool()
    assert close(known.share(region)[0, :, 0], [1 / 3, 1 / 3, 1.0])


# ---- losses ----------------------------------------------------------------------------------


WEIGHTS = numbers(1, 12, CLASSES, seed=8)


def linear_scene(classes=CLASSES, rows=40, criterion=CROSS_ENTROPY, noise=None):
    """A network that is one matrix: slopes are known in closed form."""
    inputs, matrix = numbers(1, rows, 12), WEIGHTS[..., :classes]
    targets = one_hot(torch.arange(rows) % CLASSES)[None] if classes > 1 else numbers(1, rows, 1)
    asked = []

    def answer(others, draws=None):
        asked.append(others.detach().clone())
        jitter = 0 if draws is None or noise is None else noise * draws.normal(rows, classes)
        return others @ matrix + jitter

    weights = torch.linspace(0.5, 1.5, rows)[None, :, None]
    return Seen(inputs, targets, inputs @ matrix, weights, criterion, answer), asked


def acted(key, seen, seed=1, **changes):
    losses = seen.criterion(seen.outputs, seen.targets)
    return technique(key).loss(
        losses, seen, dials(key, **changes), Streams([seed]), moment()
    ), losses


def test_the_gradient_penalty_is_the_squared_slope_of_each_rows_loss():
    seen, _ = linear_scene()
    got, losses = acted("gradient_penalty", seen, strength=0.5)
    error = seen.outputs.softmax(dim=2) - seen.targets
    slopes = error @ WEIGHTS.mT
    assert close(got - losses, 0.5 * slopes.square().sum(dim=2, keepdim=True))
    seen, _ = linear_scene(1, criterion=SQUARED_ERROR)
    got, losses = acted("gradient_penalty", seen, strength=0.5)
    expected = 0.5 * 4 * losses * WEIGHTS[..., :1].square().sum()
    assert close(got - losses, expected)


def test_the_gradient_penalty_reaches_the_weights():
    """Its own gradient, against finite differences."""
    matrix = numbers(1, 12, CLASSES, seed=8).double().requires_grad_()
    inputs, targets = (
        numbers(1, 20, 12).double(),
        one_hot(torch.arange(20) % CLASSES)[None].double(),
    )

    def penalized(weights):
        outputs = inputs @ weights
        seen = Seen(inputs, targets, outputs, None, CROSS_ENTROPY, lambda rows: rows @ weights)
        losses = CROSS_ENTROPY(outputs, targets)
        for key in ("gradient_penalty", "jacobian"):
            losses = technique(key).loss(losses, seen, dials(key), Streams([1]), moment())
        return losses.sum()

    assert torch.autograd.gradcheck(penalized, matrix, atol=1e-4)


def test_the_jacobian_penalty_is_exact_for_one_output_and_right_on_average_for_many():
    seen, _ = linear_scene(1, criterion=SQUARED_ERROR)
    got, losses = acted("jacobian", seen, strength=0.5)
    assert close(got - losses, 0.25 * float(WEIGHTS[..., :1].square().sum()))
    seen, _ = linear_scene(rows=30000)
    got, losses = acted("jacobian", seen, strength=0.5)
    assert float((got - losses).mean()) == pytest.approx(
        0.25 * float(WEIGHTS.square().sum()), rel=0.02
    )


def test_fgsm_moves_numeric_inputs_uphill_by_its_reach_and_no_indicator():
    seen, asked = linear_scene()
    got, losses = acted("adversarial_fgsm", seen, weight=0.5, reach=0.2)
    move = asked[-1] - seen.inputs
    slopes = (seen.outputs.softmax(dim=2) - seen.targets) @ WEIGHTS.mT
    assert close(move[..., :9], 0.2 * slopes.sign()[..., :9])
    assert not move[..., 9:].any()
    worse = CROSS_ENTROPY(asked[-1] @ WEIGHTS, seen.targets)
    assert bool((worse > losses).all())
    assert close(got, 0.5 * losses + 0.5 * worse)


def test_nothing_is_cut_off_at_a_range_of_values():
    seen, asked = linear_scene()
    seen = replace(seen, inputs=50 + seen.inputs)
    acted("adversarial_fgsm", seen, reach=0.2)
    assert float(asked[-1][..., :9].min()) > 40


def test_pgd_stays_in_its_box_and_ends_where_the_loss_is_high():
    seen, asked = linear_scene()
    got, losses = acted("adversarial_pgd", seen, weight=0.5, reach=0.2, steps=3)
    for inputs in asked:
        assert float((inputs - seen.inputs).abs().max()) <= 0.2 * (1 + 1e-5)
        assert not (inputs - seen.inputs)[..., 9:].any()
    start, end = (CROSS_ENTROPY(one @ WEIGHTS, seen.targets) for one in (asked[0], asked[-1]))
    assert bool((end > start).all())
    assert close(got, 0.5 * losses + 0.5 * end)
    assert bool((asked[0] - seen.inputs)[..., :9].abs().unique().numel() > 300), "a random start"


def test_models_of_fewer_steps_stand_still_in_the_last_ones():
    seen, asked = linear_scene()
    acted("adversarial_pgd", seen, steps=2)
    assert not torch.equal(asked[1], asked[2])
    assert torch.equal(asked[2], asked[3])
    assert torch.equal(asked[2], asked[-1])


def test_the_virtual_adversary_changes_predictions_more_than_chance_does():
    seen, asked = linear_scene()
    got, losses = acted("virtual_adversarial", seen, weight=2.0, reach=0.3)
    move = asked[-1] - seen.inputs
    assert close(move.norm(dim=2), 0.3)
    assert not move[..., 9:].any()
    ours = divergence(seen.outputs, asked[-1] @ WEIGHTS)
    assert close((got - losses)[0, :, 0], 2.0 * ours, 1e-4)
    chance = numbers(1, 40, 12, seed=9) * facts().numeric
    chance = 0.3 * chance / chance.norm(dim=2, keepdim=True)
    assert ours.mean() > 2 * divergence(seen.outputs, (seen.inputs + chance) @ WEIGHTS).mean()


def divergence(outputs, others):
    """Kullback-Leibler, row by row, by scipy."""
    first, second = (softmax(o[0].numpy().astype(float), axis=1) for o in (outputs, others))
    return rel_entr(first, second).sum(axis=1)


def test_divergences_are_kullback_leibler_for_every_task():
    seen, _ = linear_scene()
    o, p = numbers(1, 40, CLASSES, seed=1), numbers(1, 40, CLASSES, seed=2)
    assert close(seen.divergence(o, p)[0, :, 0], divergence(o, p))
    squared = replace(seen, criterion=SQUARED_ERROR)
    assert close(squared.divergence(o, p)[0, :, 0], (o - p)[0].square().sum(dim=1))
    counts = replace(seen, criterion=Likelihood.poisson(5.0))
    a, b = o[..., :1], p[..., :1]
    expected = (b.exp() - a.exp() + a.exp() * (a - b))[0, :, 0]
    assert close(counts.divergence(a, b)[0, :, 0], expected)
    for one in (seen, squared, counts):
        assert not one.divergence(o, o).any()


def test_the_confidence_penalty_is_the_negative_entropy():
    seen, _ = linear_scene()
    got, losses = acted("confidence_penalty", seen, strength=0.3)
    chances = softmax(seen.outputs[0].numpy().astype(float), axis=1)
    assert close((got - losses)[0, :, 0], -0.3 * entropy(chances, axis=1))


@pytest.mark.parametrize("level", [0.0, 0.2, 50.0])
def test_flooding_turns_the_loss_around_at_its_level(level):
    seen, _ = linear_scene()
    outputs = seen.outputs.clone().requires_grad_()
    seen = replace(seen, outputs=outputs)
    got, losses = acted("flooding", seen, level=level)
    mean, flooded = ((one * seen.weights).mean() for one in (losses, got))
    assert flooded.item() == pytest.approx(abs(mean.item() - level) + level, rel=1e-5)
    slope, before = (
        torch.autograd.grad(one, outputs, retain_graph=True)[0] for one in (flooded, mean)
    )
    assert torch.equal(slope, before if mean.item() > level else -before)


def test_r_drop_asks_two_networks_for_the_same_prediction():
    seen, _ = linear_scene(noise=0.5)
    got, losses = acted("r_drop", seen, weight=3.0)
    second = seen.answer(seen.inputs, Streams([1]))
    both = divergence(seen.outputs, second) + divergence(second, seen.outputs)
    assert close((got - losses)[0, :, 0], 1.5 * both, 1e-4)
    off, losses = acted("r_drop", seen, rate=0.0)
    assert torch.equal(off, losses)
    zeros = (
        technique("r_drop").hidden(torch.ones(1, 900, 90), dials("r_drop"), Streams([1]), 0) == 0
    )
    assert float(zeros.float().mean()) == pytest.approx(0.1, abs=0.01)


# ---- gradients and averages ------------------------------------------------------------------


@pytest.mark.parametrize("bound", [0.1, 1.0, 1e6])
def test_clipping_shortens_the_gradient_of_each_model_and_keeps_its_direction(bound):
    parts = [numbers(2, 9, 4), numbers(2, 1, 4, seed=1)]
    got = technique("gradient_clipping").gradients(parts, dials("gradient_clipping", norm=bound), 0)
    for model in range(2):
        before, after = (torch.cat([t[model].flatten() for t in ts]) for ts in (parts, got))
        length = min(float(before.norm()), bound)
        assert close(after, before * (length / before.norm()))
        assert float(joint_norm(got)[model]) == pytest.approx(length, rel=1e-5)


def test_sam_leads_uphill_by_rho_in_each_model():
    parts = [numbers(2, 9, 4), numbers(2, 1, 4, seed=1)]
    parts[0][1] *= 100
    moves = technique("sam").ascent(parts, dials("sam", rho=0.3), moment())
    assert close(joint_norm(moves).flatten(), [0.3, 0.3])
    assert close(moves[0] / parts[0] * joint_norm(parts), 0.3)


def averaged(key, steps, longest=100, **changes):
    """What is kept of numbers that are drawn anew in every step, and those numbers."""
    drawn = [numbers(1, 2, 3, seed=k) for k in range(steps)]
    kept = torch.zeros(1, 2, 3)
    for k, current in enumerate(drawn):
        here = replace(
            moment(np.float32(k / longest)), longest=torch.full((1, 1, 1), float(longest))
        )
        kept = technique(key).average(kept, current, dials(key, **changes), here)
    return kept, torch.stack(drawn)


@pytest.mark.parametrize(("steps", "longest"), [(71, 100), (84, 100), (100, 100), (700, 999)])
def test_swa_is_the_plain_mean_from_its_start_on(steps, longest):
    kept, drawn = averaged("swa", steps, longest, start=0.7)
    first = math.ceil(0.7 * longest - 0.01)
    assert close(kept, drawn[first:].mean(dim=0) if steps > first else drawn[-1])
    early, drawn = averaged("swa", 60, start=0.7)
    assert torch.equal(early, drawn[-1])


@pytest.mark.parametrize("pace", [0.1, 0.01])
def test_ema_is_a_mean_at_first_and_then_forgets_at_its_pace(pace):
    kept, drawn = averaged("ema", 80, pace=pace)
    share = np.maximum(pace, 1 / np.arange(1, 81))
    expected = np.zeros((1, 2, 3))
    for part, current in zip(share, drawn.double().numpy(), strict=True):
        expected = (1 - part) * expected + part * current
    assert close(kept, expected)
    young, drawn = averaged("ema", 5, pace=0.01)
    assert close(young, drawn.mean(dim=0))
