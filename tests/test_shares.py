"""The chance of the class shares, which stratified folds hide: against slow, obvious ways."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from autoreg import judge
from autoreg.evidence import out_of_fold
from autoreg.metrics import metric, metrics
from autoreg.metrics.base import row_losses
from autoreg.rehearsal import rehearsed
from autoreg.search import run_searches
from autoreg.select import select
from autoreg.statistics import Strata, mean_variance, nadeau_bengio
from autoreg.study import prepare

K = 5


# ---- the variance between classes ------------------------------------------------------------


def by_drawing_again(strata, totals, draws=4000):
    """The variance of the ratio over samples of units: a class adds the same wherever it comes."""
    rng = np.random.default_rng(0)
    own = np.bincount(strata.classes, strata.weights)
    each = (totals / own[:, None])[strata.classes] * strata.weights[:, None]  # (n, 2)
    units = np.arange(len(each)) if strata.groups is None else strata.groups
    sums = np.array([each[units == one].sum(axis=0) for one in np.unique(units)])
    ratios = []
    for _ in range(draws):
        again = sums[rng.integers(0, len(sums), len(sums))].sum(axis=0)
        ratios.append(again[0] / again[1])
    return np.var(ratios) * len(sums) / (len(sums) - 1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("kind", ["mean", "ratio"])
def test_it_is_that_of_drawing_rows_again(weighted, grouped, kind):
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 4) if grouped else None
    classes = rng.integers(0, 3, 60).repeat(4) if grouped else rng.integers(0, 3, 240)
    weights = rng.gamma(2.0, size=240) if weighted else np.ones(240)
    strata = Strata(classes, weights, groups)
    own = np.bincount(classes, weights)
    denominators = own if kind == "mean" else own * [0.6, 1.0, 1.5]
    totals = np.column_stack([own * [0.1, 0.5, 0.7], denominators])
    assert strata.variance(totals) == pytest.approx(by_drawing_again(strata, totals), rel=0.1)


def test_classes_that_lose_the_same_add_nothing():
    strata = Strata(np.array([0, 0, 1, 1, 1]), np.ones(5))
    assert strata.variance(np.array([[0.6, 2.0], [0.9, 3.0]])) == pytest.approx(0.0, abs=1e-30)


def test_the_variance_of_a_mean_over_one_unit_is_not_known():
    assert np.isinf(mean_variance(np.array([1.0, 2.0]), np.ones(2), np.zeros(2)))


def judged_by_the_larger_class(rng, n=60):
    """A model that knows one class: its interval over stratified folds, and that of folds alone."""
    classes = rng.integers(0, 2, n)
    losses = np.where(classes == 1, 0.1, 0.9) + 0.2 * rng.normal(size=n)
    fold = np.empty(n, dtype=int)
    fold[np.argsort(classes, kind="stable")] = np.arange(n) % K
    means = np.array([losses[fold == k].mean() for k in range(K)])
    sizes = np.bincount(fold).astype(float)
    totals = np.column_stack([np.bincount(classes, losses), np.bincount(classes)])
    between = Strata(classes, np.ones(n)).variance(totals)
    return (
        nadeau_bengio(means, 0.0, weights=sizes, between=between),
        nadeau_bengio(means, 0.0, weights=sizes),
    )


def test_the_interval_covers_and_that_of_the_folds_alone_does_not():
    rng = np.random.default_rng(0)
    pairs = [judged_by_the_larger_class(rng) for _ in range(400)]
    sides = zip(*pairs, strict=True)
    whole, alone = (np.mean([one.low <= 0.5 <= one.high for one in side]) for side in sides)
    assert 0.87 < whole < 0.99
    assert alone < 0.75  # the planted fault: without the part between classes


# ---- what each class adds to a metric --------------------------------------------------------

OF_CLASSES = [
    pytest.param(one, count, id=f"{one.name}-{count}")
    for one in metrics().values()
    if "binary" in one.tasks
    for count in (2, 4)
]


def sample(count, n=80):
    rng = np.random.default_rng(3)
    y = np.r_[np.arange(count), rng.choice(count, n - count, p=np.arange(1, count + 1) / (
        count * (count + 1) / 2))]  # fmt: skip
    scores = np.eye(count)[y] + rng.gumbel(size=(n, count))
    predictions = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return y, predictions, rng.gamma(2.0, size=n), np.full((n, count), 1 / count)


@pytest.mark.parametrize(("one", "count"), OF_CLASSES)
def test_classes_add_up_to_the_parts_and_tell_what_their_weight_does(one, count):
    y, predictions, weights, baseline = sample(count)
    added = one.by_class(y, predictions, weights, baseline)
    assert added.shape == (count, 2)
    assert added.sum(axis=0) == pytest.approx(one.parts(y, predictions, weights, baseline))
    if one.name == "auc" and count > 2:
        return  # taken for one that shares do not move, see its docstring
    for own in range(count):
        moved, told = [], []
        for step in (1e-3, -1e-3):
            moved.append(one.score(y, predictions, weights * (1 + step * (y == own)), baseline))
            told.append(one.finish(np.divide(*(added.sum(axis=0) + step * added[own]))))
        assert np.subtract(*told) == pytest.approx(np.subtract(*moved), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("name", ["auc", "balanced_accuracy"])
def test_shares_of_classes_do_not_move_what_is_averaged_over_classes(name):
    y, predictions, weights, baseline = sample(2)
    totals = metric(name).by_class(y, predictions, weights, baseline)
    assert Strata(y, weights).variance(totals) == pytest.approx(0.0, abs=1e-12)


# ---- in a verdict ----------------------------------------------------------------------------


def bench_of(**roles):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(75, 4)), columns=list("abcd"))
    frame["unit"] = np.arange(75) // 3
    frame["heavy"] = rng.gamma(3.0, size=75)
    frame["target"] = np.where(frame["a"] + rng.logistic(size=75) > 0.7, "yes", "no")
    document = {
        "study": "shares",
        "data": {"target": "target", **roles},
        "held_out": "none",
        "folds": {"outer": K, "repeats": 1} if "fold" not in roles else {},
        "trials": 2,
        "metrics": ["accuracy", "brier", "auc"],
        "space": {
            "space": "shares",
            "families": {"linear": {"techniques": ["ridge", "lasso"]}},
            "incumbent": {"family": "linear", "techniques": ["ridge"]},
            "path_points": 5,
        },
    }
    return prepare(document, frame, workers=1).bench


def by_hand(bench, values, sums=None):
    """Half of the interval of a mean over rows (n,), from rows alone."""
    table, folds = bench.table, [fold.test for fold in bench.plan.outer]
    w, y = table.weights, table.y.astype(int)
    ratio = np.average(values, weights=w)
    size = sums or np.mean([w[rows].sum() for rows in folds])
    means = [w[rows] @ (values[rows] - ratio) / size for rows in folds]
    share = np.mean([table.units(fold.test) / table.units(fold.train) for fold in bench.plan.outer])
    of_class = np.array([np.average(values[y == c], weights=w[y == c]) for c in (0, 1)])
    parts = w / w.sum() * (of_class[y] - ratio)
    if table.group is not None:
        parts = np.array([parts[table.group == one].sum() for one in np.unique(table.group)])
    between = len(parts) / (len(parts) - 1) * (parts**2).sum()
    return t.ppf(0.95, K - 1) * np.sqrt((1 / K + share) * np.var(means, ddof=1) + between)


def values_of(bench):
    """Whether each row is right, its loss, and that of the featureless model."""
    trials = run_searches(bench, {}, record=lambda one: None, round_done=lambda number: True)
    rule, incumbent = bench.spec.select, bench.space.incumbent
    selections = {name: select(own, rule, incumbent) for name, own in trials.items()}
    found = out_of_fold(bench, selections)
    y = bench.table.y[found.rows]
    right, losses, featureless = np.empty((3, bench.table.n))
    right[found.rows] = found.predictions.argmax(axis=1) == y
    losses[found.rows] = row_losses("binary", y, found.predictions)
    for fold in bench.plan.outer:
        shares = np.bincount(bench.table.y[fold.train], bench.table.weights[fold.train])
        featureless[fold.test] = -np.log((shares / shares.sum())[bench.table.y[fold.test]])
    return right, losses, featureless


@pytest.mark.parametrize("roles", [{}, {"group": "unit"}, {"weight": "heavy"}], ids=str)
def test_the_verdict_knows_that_shares_are_a_matter_of_chance(roles):
    bench = bench_of(**roles)
    found = rehearsed(bench)
    right, losses, _ = values_of(bench)
    assert found.nested.high - found.nested.value == pytest.approx(by_hand(bench, right))
    if "weight" in roles or "group" in roles:
        return  # folds of unequal weight: the mean loss is no linearized ratio
    loss = found.nested_loss
    assert loss.high - loss.value == pytest.approx(by_hand(bench, losses))


def test_differences_know_it_too():
    bench = bench_of()
    found = rehearsed(bench)
    _, losses, featureless = values_of(bench)
    signal = found.signal
    assert signal.value == pytest.approx(np.mean(featureless - losses))
    assert signal.high - signal.value == pytest.approx(by_hand(bench, featureless - losses))


def test_without_it_intervals_would_be_narrower(monkeypatch):
    bench = bench_of()
    whole = rehearsed(bench)
    monkeypatch.setattr(judge, "is_stratified", lambda table: False)
    alone = rehearsed(bench)
    for name in ("accuracy", "brier"):
        assert alone.scores[name].value == whole.scores[name].value
        assert alone.scores[name].low > whole.scores[name].low
    assert alone.scores["auc"].low == pytest.approx(whole.scores["auc"].low, abs=1e-5)
    assert alone.nested_loss.high < whole.nested_loss.high
    assert alone.standings[0].loss.high < whole.standings[0].loss.high


@pytest.mark.parametrize("roles", [{"time": "a"}, {"fold": "place"}], ids=str)
def test_folds_that_are_not_stratified_show_it_by_themselves(roles):
    bench = bench_of(**({"time": "unit"} if "time" in roles else {}))
    if "fold" in roles:
        bench = replace(bench, table=replace(bench.table, fold=np.arange(75) % K))
    judged = rehearsed(bench)
    scores = np.array([one.score for one in judged.folds])
    sizes = np.array([one.rows for one in judged.folds])
    pairs = [(bench.table.units(f.test), bench.table.units(f.train)) for f in bench.plan.outer]
    share = float(np.mean([test / train for test, train in pairs]))
    linear = sizes / sizes.mean() * (scores - judged.nested.value)
    plain = nadeau_bengio(linear, share)
    assert judged.nested.high - judged.nested.value == pytest.approx(plain.high - plain.value)
