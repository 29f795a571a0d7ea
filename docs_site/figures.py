"""Pictures of the site, drawn when it is built: schemes of explanation, effects of techniques.

An effect is measured and not imagined: real fits of the package's own engines on a small table,
with the technique off, at its default, and strong.
"""

import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from autoreg.candidate import ARCHITECTURE, candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.dials import Range
from autoreg.engines import engine_for
from autoreg.engines.base import Fit, Job, TrainingSet
from autoreg.spec import Training
from autoreg.techniques import technique

SHAPE = {dial.name: dial.default for dial in ARCHITECTURE} | {"width": 32, "depth": 2}
CAPTIONS = {
    "linear": "Coefficients, per standard deviation, of eight columns along the strength, "
    "weakest left. Three of them tell (solid), two of which are nearly twins.",
    "network": "What a small network makes of 40 noisy rows of a wave (grey), with the technique "
    "off, at its default, and at its strongest; everything else is equal.",
    "factorization": "Errors of a small factorization along the strength, on the ratings that it "
    "was fitted to (pale) and on new ones (dark); everything else is equal.",
}
INK, PALE = "#1f3a5f", "#b8c4d6"


def svg(figure):
    """A figure as SVG text; the same each time."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "autoreg"}):
        figure.savefig(out, format="svg", metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
    return out.getvalue()


# ---- schemes -----------------------------------------------------------------------------------


def blocks(ax, row, marks, label):
    """A row of blocks, each in the colour of what it is used for."""
    colours = {"train": PALE, "judge": "#c8553d", "validate": "#e9b44c"}
    for place, mark in enumerate(marks):
        ax.add_patch(plt.Rectangle((place, -row), 0.94, 0.8, color=colours[mark]))
    ax.text(-0.2, -row + 0.4, label, ha="right", va="center", fontsize=9)


def scheme(rows, title):
    """Rows of blocks under each other, with a legend."""
    figure, ax = plt.subplots(figsize=(6.4, 0.42 * len(rows) + 1.0))
    for row, (label, marks) in enumerate(rows):
        blocks(ax, row, marks, label)
    ax.set_xlim(-2.4, 5.2)
    ax.set_ylim(-len(rows) + 0.1, 1.0)
    ax.set_title(title, fontsize=10)
    ax.axis("off")
    return svg(figure)


def nested():
    """Each outer block judges one search."""
    rows = [(f"search {i}", ["judge" if b == i else "train" for b in range(5)]) for i in range(5)]
    return scheme([*rows, ("final search", ["train"] * 5)], "red: judges; blue: the search's own")


def symmetric():
    """The fit without blocks 0 and 1 serves the searches 0 and 1."""
    rows = []
    for i, j in ((0, 1), (1, 0), (0, 2), (2, 0)):
        marks = ["train"] * 5
        marks[i], marks[j] = "judge", "validate"
        rows.append((f"search {i}, fold {j}", marks))
    return scheme(rows, "red: must not be seen; yellow: validates; blue: trains")


def one_se():
    """A path of losses with its best and the strongest within one error."""
    strength = np.linspace(-4, 1, 26)
    loss = 0.55 + 0.03 * (strength + 1.6) ** 2 * np.where(strength > -1.6, 1.6, 0.35)
    best = int(loss.argmin())
    error = 0.02
    chosen = int(np.flatnonzero(loss <= loss[best] + error).max())
    figure, ax = plt.subplots(figsize=(6.4, 2.8))
    ax.plot(strength, loss, ".-", color=INK)
    ax.axhspan(loss[best], loss[best] + error, color=PALE, alpha=0.5)
    for place, words in ((best, "best"), (chosen, "chosen")):
        ax.annotate(words, (strength[place], loss[place]), (strength[place], loss[place] + 0.09),
                    ha="center", arrowprops={"arrowstyle": "->"})  # fmt: skip
    ax.set_xlabel("log10 strength")
    ax.set_ylabel("loss")
    return svg(figure)


SCHEMES = {"nested": nested, "symmetric": symmetric, "one_se": one_se}


# ---- effects -----------------------------------------------------------------------------------


def effect(kind):
    """What a technique does, as SVG; None for one that needs images or groups to do anything."""
    try:
        return EFFECTS[drawn_as(kind)](kind)
    except Unseen:
        return None


class Unseen(Exception):
    """The technique does nothing to the small table, or has nothing that could be turned."""


def linear_effect(kind):
    """Coefficients along the strength, or of one fit."""
    draws = np.random.default_rng(1)
    X = draws.normal(size=(60, 8))
    X[:, 1] = X[:, 0] + 0.15 * draws.normal(size=60)
    y = X[:, 0] + X[:, 1] - 1.5 * X[:, 4] + draws.normal(size=60)
    columns = tuple(Column(f"x{j}", "numeric", group=f"g{j // 2}") for j in range(8))
    table = Dataset("effect", columns, X, y, "regression", "y")
    dials = {d.name: d.default for d in kind.dials if not d.path}
    one = candidate("linear", [kind(**dials)], {})
    strengths = ()
    if one.path is not None:
        strengths = tuple(
            sorted(map(float, np.geomspace(max(one.path.low, 1e-3), one.path.high, 30)))
        )
    rows = np.arange(60)
    job = Job(one, TrainingSet(rows, ()), rows, 0, strengths, keep_model=True)
    (fit,) = engine_for([one], "regression").run([job], table)
    if not isinstance(fit, Fit):
        raise Unseen
    sizes = fit.coefficients[:, :, 0] * X.std(axis=0)
    figure, ax = plt.subplots(figsize=(6.4, 2.8))
    for j in range(8):
        told = j in (0, 1, 4)
        colour, width = (INK, 1.8) if told else (PALE, 1.2)
        if strengths:
            ax.plot(np.log10(strengths), sizes[:, j], color=colour, lw=width)
        else:
            ax.bar(j, sizes[0, j], color=colour)
    ax.axhline(0, color="grey", lw=0.6)
    ax.set_xlabel(f"log10 {one.path.name}" if strengths else "column")
    ax.set_ylabel("coefficient")
    return svg(figure)


def network_effect(kind):
    """Fits of one wave with the technique off, at its default, and strongest."""
    task = "regression" if "regression" in kind.tasks else "binary"
    draws = np.random.default_rng(2)
    x = np.sort(draws.uniform(-2, 2, 40))
    wave = np.sin(2.2 * x)
    y = wave + 0.4 * draws.normal(size=40)
    grid = np.linspace(-2.2, 2.2, 120)
    X = np.concatenate([x, grid])[:, None]
    targets = np.concatenate([y, np.zeros(120)])
    classes = ()
    if task == "binary":
        targets, classes = (targets > 0).astype(np.int64), ("low", "high")
    table = Dataset("wave", (Column("x", "numeric"),), X, targets, task, "y", classes)
    train, ahead = np.arange(40), np.arange(40, 160)
    figure, ax = plt.subplots(figsize=(6.4, 2.8))
    shown = (targets[:40], -1) if task == "binary" else (y, 0)
    ax.plot(x, shown[0], ".", color="grey")
    settings = [("off", [technique("none")()]), ("default", [kind(**defaults(kind))])]
    if isinstance(kind.dials[0] if kind.dials else None, Range):
        lead = kind.dials[0]
        strong = lead.high if lead.stronger == "up" else lead.low
        settings.append(("strongest", [kind(**defaults(kind) | {lead.name: strong})]))
    for (words, parts), colour in zip(settings, (PALE, INK, "#c8553d"), strict=False):
        one = candidate("network", parts, SHAPE)
        job = Job(
            one, TrainingSet(train, ()), ahead, 0, settings=Training(epochs=250, batch_size=20)
        )
        (fit,) = engine_for([one], task).run([job], table)
        if not isinstance(fit, Fit):
            raise Unseen
        ax.plot(grid, fit.predictions[0][:, -1], color=colour, lw=1.8, label=words)
    ax.legend(frameon=False, fontsize=8)
    ax.set_xlabel("x")
    return svg(figure)


def rating_effect(kind):
    """Errors of old and of new ratings along the strength."""
    draws = np.random.default_rng(3)
    who, what = np.divmod(draws.choice(60 * 40, 900, replace=False), 40)
    tastes = (draws.normal(size=(60, 2))[who] * draws.normal(size=(40, 2))[what]).sum(axis=1)
    levels = 0.5 * draws.normal(size=60)[who] + 0.5 * draws.normal(size=40)[what]
    y = 3 + levels + 0.4 * tastes + 0.7 * draws.normal(size=900)
    columns = tuple(
        Column(name, "categorical", tuple(f"{k:02}" for k in range(count)))
        for name, count in (("who", 60), ("what", 40))
    )
    X, roles = np.column_stack([who, what]).astype(float), {"user": "who", "item": "what"}
    table = Dataset("ratings", columns, X, y, "regression", "y", roles=roles)
    train, ahead = np.arange(600), np.arange(600, 900)
    strengths = np.geomspace(kind.dials[0].low, kind.dials[0].high, 25)
    errors = []
    for strength in strengths:
        one = candidate("factorization", [kind(strength=float(strength))], {"factors": 2})
        (fit,) = engine_for([one], "regression").run(
            [Job(one, TrainingSet(train, ()), ahead, 0)], table
        )
        errors.append((fit.train_loss[0] ** 0.5, fit.losses[0] ** 0.5))
    figure, ax = plt.subplots(figsize=(6.4, 2.8))
    old, new = zip(*errors, strict=True)
    ax.plot(np.log10(strengths), old, color=PALE, lw=1.8, label="fitted ratings")
    ax.plot(np.log10(strengths), new, color=INK, lw=1.8, label="new ratings")
    ax.legend(frameon=False, fontsize=8)
    ax.set_xlabel("log10 strength")
    ax.set_ylabel("root mean squared error")
    return svg(figure)


EFFECTS = {"linear": linear_effect, "network": network_effect, "factorization": rating_effect}


def drawn_as(kind):
    """The family by which the effect of a technique is shown."""
    return next(family for family in EFFECTS if family in kind.families)


def defaults(kind):
    """Every dial at its default."""
    return {dial.name: dial.default for dial in kind.dials if not dial.path}
