"""What stacks compile: products, tiles, and whole steps, against numpy and plain torch."""

import platform
import subprocess
import sys

import numpy as np
import pytest
import torch

from autoreg.engines.draws import Acting, Streams
from autoreg.engines.pack.compiled import LOSSES
from autoreg.engines.pack.kernels import products, steps
from autoreg.engines.pack.kernels.losses import CROSS_ENTROPY
from autoreg.engines.pack.kernels.picks import as_they_are, batch_room, in_order, pick
from autoreg.engines.pack.kernels.shapes import Sizes, no_changes
from autoreg.techniques import catalogue
from autoreg.techniques.base import Facts, Moment, mixed

SHAPES = [
    (64, 30, 32),
    (61, 7, 48),
    (5, 3, 16),
    (8, 1, 64),
    (13, 0, 16),
    (1, 1, 16),
    (70, 200, 144),
]


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def product(A, B):
    """A B by the compiled product."""
    C = np.empty((len(A), B.shape[1]), np.float32)
    flat = A.flatten(), 0, B.flatten(), 0, C.reshape(-1), 0
    products.fill(A.shape[1], *flat[:2], A.shape[1], 1, *flat[2:], *C.shape)
    return C


# ---- products ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "terms", "columns"), SHAPES)
def test_products_are_those_of_doubles(rows, terms, columns):
    A, B = numbers(0, rows, terms), numbers(1, terms, columns)
    C = product(A, B)
    assert np.allclose(C, A.astype(float) @ B.astype(float), atol=1e-5 * max(terms, 1))
    crossed = np.empty_like(C)
    flat = A.T.flatten(), 0, B.flatten(), 0, crossed.reshape(-1), 0
    products.crossed(*flat, rows, terms, columns)
    assert np.array_equal(crossed, C)


def test_a_sum_has_the_same_bits_in_every_tile():
    """Whatever tile a row or a column falls into, be it of eight rows or one, of two registers."""
    A, B = numbers(0, 21, 33), numbers(1, 33, 80)
    whole = product(A, B)
    for rows in (slice(0, 3), slice(5, 18), slice(20, 21)):
        for columns in (slice(0, 16), slice(16, 64), slice(64, 80)):
            part = product(A[rows], B[:, columns])
            assert np.array_equal(part, whole[rows, columns])


def test_a_sum_is_a_chain_of_fused_steps():
    """(1 + 2^-23) (1 - 2^-23) - 1 would be 0 if the product were rounded before the sum."""
    a, b = np.float32(1 + 2**-23), np.float32(1 - 2**-23)
    B = np.stack([np.full(16, 1, np.float32), np.full(16, b, np.float32)])
    C = product(np.array([[-1, a]], np.float32), B)
    assert set(C[0].tolist()) == {-(2.0**-46)}


def test_turning_is_transposing():
    A, B = numbers(0, 48, 32), np.empty((32, 48), np.float32)
    products.turn(A.reshape(-1), 0, B.reshape(-1), 0, 48, 32)
    assert np.array_equal(B, A.T)


# ---- steps -------------------------------------------------------------------------------------


def sizes_of(inputs, depth, width, outputs):
    """The sizes, and the shapes of all tensors of a row."""
    ends = [inputs, *[width] * depth, outputs]
    shapes = [*zip(ends[:-1], ends[1:], strict=True), *((1, units) for units in ends[1:])]
    return Sizes(inputs, depth, width, outputs), shapes


def tensors(row, shapes):
    sizes = [a * b for a, b in shapes]
    parts = torch.split(row[: sum(sizes)], sizes)
    return [part.view(*shape) for part, shape in zip(parts, shapes, strict=True)]


def by_torch(kind, row, batches, effects, shapes, adds, shrink, losses):
    """Steps of torch.optim.Adam by autograd, in numbers of a kind."""
    leaf = torch.tensor(row.astype(kind)).requires_grad_()
    optimizer, half = torch.optim.Adam([leaf], lr=1e-2), len(shapes) // 2
    given = [one.astype(kind) for one in (*batches, effects)]
    for X, Y, v, effect in zip(*given, strict=True):
        parts = tensors(leaf, shapes)
        values = torch.tensor(X)
        for layer in range(half - 1):
            values = (values @ parts[layer] + parts[half + layer]).relu()
            for t, added in enumerate(adds):
                one = torch.tensor(effect[t, layer])
                values = values + one if added else values * one
        outputs = values @ parts[half - 1] + parts[-1]
        optimizer.zero_grad()
        (losses(outputs, torch.tensor(Y)) * torch.tensor(v)).mean().backward()
        optimizer.step()
        with torch.no_grad():
            for matrix in tensors(leaf, shapes)[:half]:
                matrix.mul_(shrink)
    return leaf.detach().numpy()


@pytest.mark.parametrize(
    ("inputs", "depth", "width", "outputs"),
    [(7, 1, 16, 1), (3, 3, 48, 11), (5, 2, 32, 20), (0, 1, 16, 2)],
)
@pytest.mark.parametrize("adds", [[], [False], [True, False]])
@pytest.mark.parametrize("slope", LOSSES, ids=lambda one: one.__name__)
def test_steps_are_those_of_torch(inputs, depth, width, outputs, adds, slope):
    models, times, rows, shrink = 2, 4, 21, 0.99
    sizes, shapes = sizes_of(inputs, depth, width, outputs)
    trained = sum(a * b for a, b in shapes)
    state = 0.3 * numbers(0, models, trained + 5)
    X, Y = numbers(1, times * models, rows, inputs), numbers(2, times * models, rows, outputs)
    is_classes = LOSSES[slope] == CROSS_ENTROPY
    if is_classes:
        Y = np.exp(Y) / np.exp(Y).sum(axis=-1, keepdims=True)
    weights = np.abs(numbers(3, times * models, rows, 1))
    effects = numbers(4, len(adds), depth, times * models, rows, width)
    kinds = np.array(adds, dtype=np.int64)  # 0 is a factor, 1 a shift
    moved, count = state.copy(), times * models
    changes = no_changes()._replace(kinds=kinds, values=effects.flatten(), models=count)
    steps.descend(
        moved,
        *np.zeros((2, models, trained), np.float32),
        np.ones((models, 2)),
        np.full((times, models), 1e-2),
        sizes,
        in_order(X, Y, weights),
        changes,
        np.full((1, depth + 1, times * models), shrink, np.float32),
        LOSSES[slope],
    )

    def losses(found, wanted):
        if is_classes:
            return -(wanted * found.log_softmax(dim=-1)).sum(dim=-1, keepdim=True)
        return (found - wanted).square().sum(dim=-1, keepdim=True)

    for m in range(models):
        batches = [one[m::models] for one in (X, Y, weights)]
        mine = effects[:, :, m::models].transpose(2, 0, 1, 3, 4)
        rest = shapes, adds, shrink, losses
        exact = by_torch(np.float64, state[m, :trained], batches, mine, *rest)
        # Adam divides by slopes: where they are next to nothing, torch is off, too.
        off = np.abs(by_torch(np.float32, state[m, :trained], batches, mine, *rest) - exact).max()
        assert np.abs(moved[m, :trained] - exact).max() < 2 * max(off, 1e-6)
    assert np.array_equal(moved[:, trained:], state[:, trained:])


def test_what_is_not_a_number_stays_visible():
    sizes, shapes = sizes_of(2, 1, 16, 1)
    state = numbers(0, 2, sum(a * b for a, b in shapes))
    state[0, 0] = np.nan
    found = np.empty((1, 6), np.float32)
    rows = numbers(1, 3, 2)
    steps.answers(state, sizes, rows, np.array([0, 0]), np.array([3, 3]), found)
    assert np.isnan(found[:, :3]).all()
    assert np.isfinite(found[:, 3:]).all()


# ---- what is known ahead -----------------------------------------------------------------------


def at_a_moment(models):
    ones = torch.ones(models, 1, 1)
    return Moment(0.5 * ones, 100 * ones, ones, Facts(torch.zeros(models, 1).long(), ones, 1), 1, 2)


def acted(kind, seam, values):
    """What a hook makes of values, the same draws each time."""
    chosen = kind(**{dial.name: dial.default for dial in kind.dials})
    one = Acting.of(chosen, 7)
    hook = getattr(kind, seam)
    if seam == "step":
        return hook(values, one.dials, at_a_moment(1))
    return hook(values, one.dials, Streams([5]), at_a_moment(1))


KINDS = [k for k in catalogue().values() if k.seams() & {"hidden", "step"}]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_a_technique_acts_as_what_it_says(kind):
    """A factor of what it is given, or a shift of it, whatever it is given; or it says neither."""
    for seam in sorted(kind.seams() & {"hidden", "step"}):
        sizes = (torch.tensor(size * numbers(0, 1, 16, 16)) for size in (1e-3, 1.0, 1e3))
        held = set.intersection(*(_acts_as(kind, seam, values) for values in sizes))
        said = "factor" if kind.acts_as == "dropout" else kind.acts_as
        assert held == ({said} if said else set())


def _acts_as(kind, seam, values):
    found, ones = acted(kind, seam, values), torch.ones_like(values)
    number = acted(kind, seam, torch.ones(1, 1, 1)) if seam == "step" else acted(kind, seam, ones)
    shift = acted(kind, seam, torch.zeros_like(values))
    kinds = {"factor": values * number, "shift": values + shift}
    return {name for name, wanted in kinds.items() if torch.equal(found, wanted)}


@pytest.mark.parametrize("kind", [k for k in KINDS if k.acts_as == "dropout"], ids=lambda k: k.key)
def test_a_dropout_drops_at_the_rate_that_it_says(kind):
    chosen = kind(**{dial.name: dial.default for dial in kind.dials})
    rate = kind.drops(Acting.of(chosen, 7).dials, at_a_moment(1))
    ones = torch.ones(1, 16, 16)
    assert torch.equal(acted(kind, "hidden", ones), Streams([5]).kept(rate, 16, 16))


MIXTURES = [k for k in catalogue().values() if "batch" in k.seams()]


@pytest.mark.parametrize("kind", MIXTURES, ids=lambda kind: kind.key)
def test_a_mixture_mixes_what_it_says(kind):
    chosen = kind(**{dial.name: dial.default for dial in kind.dials})
    given = (torch.tensor(numbers(1, 1, 16, 16)), torch.tensor(numbers(2, 1, 16, 3)))
    dials = Acting.of(chosen, 7).dials
    found = kind.batch(*given, dials, Streams([5]), at_a_moment(1))
    part, partners = kind.mixes(dials, Streams([5]), 16)
    wanted = [mixed(one, partners, part) for one in given]
    says = kind.acts_as == "mixture"
    assert bool((part > 0).any()) == says == ("mixes" in kind.seams())
    assert not says or all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_rows_that_are_picked_are_those_that_the_hook_mixes():
    """Bit for bit, for a mixed step may be whole in one company and in parts in another."""
    X, Y, weights = numbers(0, 9, 5), numbers(1, 9, 2), np.abs(numbers(2, 9, 1))
    rows, partners = np.array([[3, 8, 3, 0]]), np.array([[1, 0, 2, 1]])
    parts = np.array([[0.5, 0.3, 0.0, 0.1]], np.float32)
    sizes, _ = sizes_of(5, 1, 16, 2)
    plain = as_they_are(X.reshape(-1), Y.reshape(-1), weights.reshape(-1), rows)
    for picks in (plain, plain._replace(partners=partners, parts=parts)):
        batch = batch_room(sizes, 4)
        pick(picks, 0, sizes, batch)
        for found, values in ((batch.inputs.reshape(4, 5), X), (batch.targets, Y)):
            wanted = torch.tensor(values[rows])
            if len(picks.parts):
                wanted = mixed(wanted, torch.tensor(partners), torch.tensor(parts)[:, :, None])
            assert np.array_equal(found, wanted[0].numpy())
        assert np.array_equal(batch.weights, weights[rows[0], 0])


# ---- memory --------------------------------------------------------------------------------------

# Takes and frees 120 MB again and again; says how many pages the system had to give the last time.
TAKES_AND_FREES = """
import ctypes, resource
from autoreg.engines.pack.memory import keep_freed_memory
libc, size = ctypes.CDLL(None), 30 << 20
libc.malloc.restype = ctypes.c_void_p
{kept}
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [libc.malloc(ctypes.c_size_t(size)) for _ in range(4)]
    for block in blocks:
        libc.memset(ctypes.c_void_p(block), 1, ctypes.c_size_t(size))
    for block in blocks:
        libc.free(ctypes.c_void_p(block))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(kept):
    command = [sys.executable, "-c", TAKES_AND_FREES.format(kept=kept)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep it")
def test_freed_memory_is_kept():
    assert pages("keep_freed_memory()") < 100
    assert pages("") > 1000
