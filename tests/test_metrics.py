"""Every metric file, found by walking, against scikit-learn and the laws of metrics."""

import numpy as np
import pytest
import sklearn.metrics as reference

from autoreg.errors import SpecError
from autoreg.metrics import (
    baseline_predictions,
    default_metrics,
    metric,
    metrics,
    row_losses,
    undefined,
)
from autoreg.metrics.base import CLIP, Metric

TASKS = {"regression": 1, "count": 1, "binary": 2, "multiclass": 4}
CASES = [
    pytest.param(one, task, id=f"{one.name}-{task}")
    for one in metrics().values()
    for task in one.tasks
]


def sample(task, n=60, seed=0):
    """Targets, predictions, whole weights, and the baseline of other targets."""
    rng = np.random.default_rng(seed)
    classes = TASKS[task]
    weights = rng.integers(1, 4, n).astype(float)
    if task == "regression":
        y = rng.normal(size=n)
        predictions = (y + rng.normal(size=n))[:, None]
        return y, predictions, weights, np.full((n, 1), 0.3)
    if task == "count":
        means = rng.gamma(2.0, 2.0, size=n)
        return rng.poisson(means).astype(float), means[:, None], weights, np.full((n, 1), 4.1)
    y = rng.integers(0, classes, n)
    y[:classes] = np.arange(classes)
    scores = np.eye(classes)[y] + rng.gumbel(size=(n, classes)).round(1)
    predictions = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return y, predictions, weights, np.full((n, classes), 1 / classes)


def by_scikit_learn(name, y, p, w):
    labels = p.argmax(axis=1)
    two = p.shape[1] == 2
    one_hot = (y[:, None] == np.arange(p.shape[1])).astype(float)
    return {
        "accuracy": lambda: reference.accuracy_score(y, labels, sample_weight=w),
        # Its predictions are those under attack already.
        "adversarial_accuracy": lambda: reference.accuracy_score(y, labels, sample_weight=w),
        "balanced_accuracy": lambda: reference.balanced_accuracy_score(y, labels, sample_weight=w),
        "log_loss": lambda: reference.log_loss(one_hot, p, sample_weight=w),
        "brier": lambda: reference.brier_score_loss(
            y if two else one_hot, p[:, 1] if two else p, sample_weight=w
        ),
        "auc": lambda: (
            reference.roc_auc_score(y, p[:, 1], sample_weight=w)
            if two
            else reference.roc_auc_score(y, p, multi_class="ovr", sample_weight=w)
        ),
        "f1": lambda: reference.f1_score(
            y, labels, sample_weight=w, average="binary" if two else "macro"
        ),
        "mcc": lambda: reference.matthews_corrcoef(y, labels, sample_weight=w),
        "pinball": lambda: reference.mean_pinball_loss(y, p[:, 0], sample_weight=w),
        "mse": lambda: reference.mean_squared_error(y, p[:, 0], sample_weight=w),
        "rmse": lambda: reference.root_mean_squared_error(y, p[:, 0], sample_weight=w),
        "mae": lambda: reference.mean_absolute_error(y, p[:, 0], sample_weight=w),
        "poisson_deviance": lambda: reference.mean_poisson_deviance(y, p[:, 0], sample_weight=w),
        "r2": lambda: reference.r2_score(y, p[:, 0], sample_weight=w),
    }[name]()


@pytest.mark.parametrize(("one", "task"), CASES)
class TestEveryMetric:
    def test_is_documented_and_referenced(self, one, task):
        assert len(type(one).__doc__.splitlines()[0]) > 30
        assert one.title
        assert all(any(mark.isdigit() for mark in source) for source in one.references)
        assert one.references
        assert task in TASKS
        assert metric(one.name, task) is one

    def test_equals_scikit_learn(self, one, task):
        y, p, w, _ = sample(task)
        own_mean = baseline_predictions(task, y, w, TASKS[task], len(y))
        assert one.score(y, p, w, own_mean) == pytest.approx(by_scikit_learn(one.name, y, p, w))

    def test_a_weight_is_a_number_of_equal_rows(self, one, task):
        y, p, w, base = sample(task)
        times = w.astype(int)
        repeated = (np.repeat(part, times, axis=0) for part in (y, p, np.ones(len(y)), base))
        assert one.score(y, p, w, base) == pytest.approx(one.score(*repeated), rel=1e-12)

    def test_no_score_lies_beyond_its_bounds(self, one, task):
        y, predictions, weights, baseline = sample(task)
        low, high = one.bounds
        for guess in (predictions, predictions[::-1], baseline):
            assert low <= one.score(y, guess, weights, baseline) <= high

    def test_the_scale_of_the_weights_does_not_matter(self, one, task):
        y, p, w, base = sample(task)
        assert one.score(y, p, 7 * w, base) == pytest.approx(one.score(y, p, w, base), rel=1e-12)

    def test_the_order_of_the_rows_does_not_matter(self, one, task):
        parts = sample(task)
        order = np.random.default_rng(1).permutation(len(parts[0]))
        shuffled = (part[order] for part in parts)
        assert one.score(*shuffled) == pytest.approx(one.score(*parts), rel=1e-12)

    def test_truth_beats_the_model_and_the_model_beats_nonsense(self, one, task):
        y, p, w, base = sample(task)
        truth = y[:, None] if TASKS[task] == 1 else np.eye(TASKS[task])[y]
        nonsense = {"regression": lambda: -p, "count": lambda: p + 30.0}.get(
            task, lambda: np.roll(truth, 1, axis=1)
        )()
        sign = 1 if one.greater_is_better else -1
        best, real, worst = (sign * one.score(y, each, w, base) for each in (truth, p, nonsense))
        assert best > real > worst
        # A mean of 0 counts as 1e-7, where a count of 0 has a deviance of twice that.
        off = 2 * CLIP if one.name == "poisson_deviance" else 1e-12
        assert best == pytest.approx(1.0 if one.greater_is_better else 0.0, abs=off)

    def test_folds_are_pooled_by_adding_parts(self, one, task):
        first, second = sample(task), sample(task, n=40, seed=2)
        pooled = one.pooled([one.parts(*first), one.parts(*second)])
        values = sorted(one.score(*rows) for rows in (first, second))
        assert values[0] - 1e-12 <= pooled <= values[1] + 1e-12
        together = tuple(np.concatenate(pair) for pair in zip(first, second, strict=True))
        if one.needs(np.zeros(1), 2) is None:  # sums over rows know no folds
            assert pooled == pytest.approx(one.score(*together))

    def test_full_sets_of_classes_are_accepted(self, one, task):
        y = sample(task)[0]
        assert undefined(one, [y, y], TASKS[task]) is None


def test_r2_is_pooled_and_never_a_mean_of_folds():
    base = np.zeros((2, 1))
    easy = (np.array([10.0, -10.0]), np.array([[9.0], [-9.0]]), np.ones(2), base)
    hard = (np.array([1.0, -1.0]), np.array([[-1.0], [1.0]]), np.ones(2), base)
    r2 = metric("r2")
    assert r2.pooled([r2.parts(*easy), r2.parts(*hard)]) == pytest.approx(1 - 10 / 202)
    assert np.mean([r2.score(*easy), r2.score(*hard)]) < -1  # the mean of folds tells another tale


def test_r2_of_a_target_without_variation_is_undefined_and_says_so():
    y = np.ones(3)
    assert np.isnan(metric("r2").score(y, y[:, None], y, y[:, None]))


@pytest.mark.parametrize("percent", [1, 10, 90, 99])
def test_pinball_loss_of_any_quantile(percent):
    one = metric(f"pinball_{percent}", "regression")
    y, p, w, base = sample("regression")
    expected = reference.mean_pinball_loss(y, p[:, 0], sample_weight=w, alpha=percent / 100)
    assert one.score(y, p, w, base) == pytest.approx(expected)
    assert (one.name, metric("pinball").name) == (f"pinball_{percent}", "pinball")


@pytest.mark.parametrize("name", ["pinball_0", "pinball_100", "pinball_x", "mae_90"])
def test_there_are_no_other_variants(name):
    with pytest.raises(SpecError, match="unknown metric"):
        metric(name)


def test_guessing_has_no_correlation_and_inverting_it_the_opposite():
    y = np.array([0, 0, 1, 1])
    one, w = metric("mcc"), np.ones(4)
    always = np.tile([0.9, 0.1], (4, 1))
    wrong = np.eye(2)[1 - y]
    assert one.score(y, always, w, always) == 0.0
    assert one.score(y, wrong, w, always) == -1.0


@pytest.mark.parametrize("name", ["auc", "balanced_accuracy", "f1", "mcc"])
def test_metrics_that_need_every_class_refuse_a_fold_without_one(name):
    reason = undefined(metric(name), [np.array([0, 1, 2]), np.array([0, 2, 2])], 3)
    assert reason == f"{name} is undefined on fold 1: no row of class 1"


@pytest.mark.parametrize("task", TASKS)
def test_default_metrics_are_defined_on_any_rows(task):
    one_class = np.zeros(3)
    for name in default_metrics(task):
        assert undefined(metric(name, task), [one_class], TASKS[task]) is None


def test_auc_counts_pairs():
    """Against the definition: all pairs of a positive and a negative row, weighted."""
    y, p, w, base = sample("binary")
    p = p.round(1)
    pairs = [
        (w[i] * w[j], 1.0 if p[i, 1] > p[j, 1] else 0.5 if p[i, 1] == p[j, 1] else 0.0)
        for i in np.flatnonzero(y == 1)
        for j in np.flatnonzero(y == 0)
    ]
    weights, wins = np.array(pairs).T
    assert metric("auc").score(y, p, w, base) == pytest.approx(np.average(wins, weights=weights))


def test_names_are_checked():
    with pytest.raises(SpecError, match="did you mean log_loss"):
        metric("logloss")
    with pytest.raises(SpecError, match="known are accuracy, adversarial_accuracy, auc"):
        metric("zzz")
    with pytest.raises(SpecError, match="rmse is not for binary targets; choose from accuracy"):
        metric("rmse", "binary")


def test_a_metric_takes_its_name_from_its_file():
    assert all(one.name == type(one).__module__.rpartition(".")[2] for one in metrics().values())
    assert all(isinstance(one, Metric) for one in metrics().values())


def test_row_losses_are_clipped_and_average_to_the_loss_metrics():
    sure_and_wrong = row_losses("binary", np.array([1]), np.array([[1.0, 0.0]]))
    assert sure_and_wrong == pytest.approx(-np.log(1e-7))
    named = {"regression": "mse", "count": "poisson_deviance"}
    for task in TASKS:
        name = named.get(task, "log_loss")
        y, p, w, base = sample(task)
        mean = np.average(row_losses(task, y, p), weights=w)
        assert metric(name).score(y, p, w, base) == pytest.approx(mean)


def test_the_baseline_is_the_best_constant():
    for task in TASKS:
        y, _, w, _ = sample(task)
        base = baseline_predictions(task, y, w, TASKS[task], len(y))

        def loss(p, task=task, y=y, w=w):
            return np.average(row_losses(task, y, p), weights=w)

        nudge = np.zeros(base.shape)
        nudge[:, 0] = 0.01
        if TASKS[task] > 1:
            nudge[:, 1] = -0.01
        assert loss(base) < min(loss(base + nudge), loss(base - nudge))


def test_a_class_without_training_rows_has_share_zero():
    base = baseline_predictions("multiclass", np.array([0, 0, 1]), np.ones(3), 3, 2)
    assert base == pytest.approx(np.array([[2 / 3, 1 / 3, 0.0]] * 2))


def test_the_deviance_is_twice_the_log_likelihood_that_is_lost():
    from scipy.stats import poisson

    y, p, _, _ = sample("count")
    lost = poisson.logpmf(y, np.maximum(y, 1e-300)) - poisson.logpmf(y, p[:, 0])
    np.testing.assert_allclose(row_losses("count", y, p), 2 * lost, atol=1e-10)


def test_means_of_counts_that_are_no_numbers_cost_everything_and_warn_nobody():
    y = np.array([0.0, 3.0, 0.0, 3.0, 3.0])
    p = np.array([np.inf, np.inf, 0.0, 0.0, np.nan])[:, None]
    losses = row_losses("count", y, p)
    assert np.isinf(losses[[0, 1, 4]]).all()
    assert losses[2] == pytest.approx(2 * CLIP)
    assert losses[3] == pytest.approx(2 * (3 * np.log(3 / CLIP) - 3))


def test_the_search_of_counts_minimizes_the_first_default_metric():
    assert default_metrics("count")[0] == "poisson_deviance"
    with pytest.raises(SpecError, match="poisson_deviance is not for regression targets"):
        metric("poisson_deviance", "regression")
