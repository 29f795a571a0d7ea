"""A bench on which the hook of any technique acts: something to act on, for each seam."""

from dataclasses import replace

import torch

from autoreg.engines.draws import Streams, Tape
from autoreg.engines.network import CROSS_ENTROPY
from autoreg.techniques import catalogue, technique
from autoreg.techniques.base import Facts, Moment, Picture, Seen

KEYS = [key for key, kind in catalogue().items() if "network" in kind.families and key != "none"]
HOOKS = ("batch", "weights", "hidden", "loss", "ascent", "gradients", "step", "prox", "average")
HOOKED = [(key, seam) for key in KEYS for seam in HOOKS if seam in technique(key).seams()]
ROWS, WIDTH, CLASSES = 500, 12, 3


def settings(key, lead=None):
    """A technique's dials as numbers, the first one changed."""
    dials = technique(key).dials
    numbers = {dial.name: dial.as_number(dial.default) for dial in dials}
    return numbers if lead is None else numbers | {dials[0].name: lead}


def stacked(*members):
    """Dials of M models as tensors (M, 1, 1)."""
    return {
        name: torch.tensor([one[name] for one in members], dtype=torch.float32)[:, None, None]
        for name in members[0]
    }


def facts(models=1, inputs=WIDTH):
    """Numeric columns, and behind them one category of three indicators."""
    groups = torch.tensor([*range(inputs - 3), *[inputs - 3] * 3]).repeat(models, 1)
    numeric = (groups < inputs - 3).float().unsqueeze(1)
    return Facts(groups, numeric, inputs - 2)


def pictures(models=1):
    """The inputs as images of 4 x 3 pixels, standardized each by its own mean and scale."""
    pixels, symmetries = torch.arange(WIDTH), ("shift", "rotate", "zoom", "flip", "erase")
    mean, scale = (one.float().expand(models, 1, WIDTH) for one in (pixels, pixels + 1))
    image = Picture(4, 3, 1, frozenset(symmetries), mean, scale)
    groups = pixels.repeat(models, 1)
    return Facts(groups, torch.ones(models, 1, WIDTH), WIDTH, picture=image)


def moment(progress=0.0, models=1, layer=1, depth=3, inputs=WIDTH):
    ones = torch.ones(models, 1, 1)
    return Moment(progress * ones, 1000.0 * ones, ones, facts(models, inputs), layer, depth)


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def one_hot(labels):
    return torch.nn.functional.one_hot(labels, CLASSES).float()


def scene(key, inputs, dials, streams, when):
    """A batch behind a small network, different for each of M models, that is rarely wrong."""
    first, second = numbers(len(inputs), WIDTH, 8, seed=5), numbers(len(inputs), 8, CLASSES, seed=6)
    tape, hook = Tape(), technique(key).hidden

    def answer(rows, draws=None):
        draws = tape.draws(key, "hidden", 0, streams) if draws is None else draws
        return 20.0 * hook((0.2 * rows @ first).tanh(), dials, draws, when) @ second

    outputs = answer(inputs)
    targets = one_hot(answer(inputs).argmax(dim=2))
    weights = torch.ones(*outputs.shape[:2], 1)
    return Seen(inputs, targets, outputs, weights, CROSS_ENTROPY, answer)


def arguments(models=1, rows=ROWS):
    """Something to act on for each hook, different for each of M models."""
    labels = torch.arange(models * rows) % CLASSES
    matrix = numbers(models, 40, WIDTH, seed=3)
    return {
        "batch": (numbers(models, rows, WIDTH), one_hot(labels).view(models, rows, CLASSES)),
        "hidden": (numbers(models, rows, WIDTH, seed=1).relu(),),
        "loss": (numbers(models, rows, WIDTH, seed=2),),
        "ascent": (matrix, numbers(models, 1, WIDTH, seed=7)),
        "gradients": (matrix, numbers(models, 1, WIDTH, seed=7)),
        "average": (matrix, numbers(models, 40, WIDTH, seed=4)),
        "weights": (matrix,),
        "step": (matrix,),
        "prox": (matrix,),
    }


def act(key, seam, given, dials, streams, when):
    """Call one hook; what it gives and what it would have given if it were off, as tuples."""
    hook = getattr(technique(key), seam)
    when = replace(when, layer=0) if seam == "prox" else when
    if seam == "prox":
        when = replace(when, facts=facts(len(given[0]), given[0].shape[1]))
    if technique(key).needs_symmetries:
        when = replace(when, facts=pictures(len(given[0])))
    if seam == "batch":
        return hook(*given, dials, streams, when), given
    if seam in ("weights", "hidden"):
        return (hook(*given, dials, streams, when),), given
    if seam == "loss":
        seen = scene(key, *given, dials, streams, when)
        losses = CROSS_ENTROPY(seen.outputs, seen.targets)
        return (hook(losses, seen, dials, streams, when),), (losses,)
    if seam in ("ascent", "gradients"):
        still = tuple(torch.zeros_like(one) for one in given)
        return tuple(hook(given, dials, when)), still if seam == "ascent" else given
    if seam == "average":
        return (hook(*given, dials, when),), given[1:]
    return (hook(*given, dials, when),), given


def effect(key, seam, lead, progress=0.0):
    """How far a hook moves what it acts on: the mean absolute change."""
    given, dials = arguments()[seam], stacked(settings(key, lead))
    changed, before = act(key, seam, given, dials, Streams([5]), moment(progress))
    return sum(float((a - b).detach().abs().mean()) for a, b in zip(changed, before, strict=True))
