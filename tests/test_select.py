"""Selection rules on ledgers written by hand, where the right answer is plain to see."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from autoreg.candidate import candidate
from autoreg.deciding import SelectSpec
from autoreg.engines.loop import LoopEngine
from autoreg.errors import DataError, NoValidTrialError
from autoreg.scoring import Ask
from autoreg.search import evaluate
from autoreg.select import select
from autoreg.study import prepare
from autoreg.techniques import technique
from autoreg.trial import Trial

RIDGE = ("linear", "ridge")


def trial(number, key, losses, *, strengths=(), failure=None, family="linear", repeats=1, **dials):
    """A trial whose (S, F) validation losses are given."""
    chosen = [] if key == "none" else [technique(key)(**dials)]
    shape = {"width": 32, "depth": 1, "learning_rate": 1e-3} if family == "network" else {}
    losses = np.array(losses, dtype=float)
    return Trial(
        "final",
        number,
        candidate(family, chosen, shape),
        "design",
        tuple(strengths),
        losses,
        np.ones(losses.shape[1]),
        losses,
        baseline=9.0,
        failure=failure,
        repeats=repeats,
    )


def pick(trials, rule="min", guard="off", incumbent=RIDGE):
    return select(trials, SelectSpec(rule=rule, guard=guard), incumbent)


NOISY = [[1.0, 2.0, 3.0, 4.0, 5.0]]


def test_min_takes_the_lowest_mean_loss_on_the_whole_path():
    ridge = trial(0, "ridge", [[3, 3], [1, 1], [2, 2]], strengths=(0.01, 0.1, 1.0))
    chosen = pick([ridge, trial(1, "none", [[2, 2]])]).chosen
    assert (chosen.candidate.label, chosen.candidate.techniques[0]["strength"]) == ("ridge", 0.1)
    assert chosen.loss == 1.0


def test_a_lucky_dip_of_a_ragged_path_does_not_win():
    # One strength of the lasso dips below ridge, its neighbours on either side do not.
    path = tuple(np.geomspace(0.08, 0.12, 5))
    ragged = trial(0, "lasso", [[2, 2], [2, 2], [0.9, 0.9], [2, 2], [2, 2]], strengths=path)
    smooth = trial(1, "ridge", [[1, 1]] * 5, strengths=path)
    assert ragged.losses.min() < smooth.losses.min()
    assert pick([ragged, smooth]).chosen.candidate.label == "ridge"


def test_smoothing_leaves_alone_what_has_no_neighbours():
    alone = trial(0, "bayesian_ridge", [[1.0, 2.0]])
    assert np.array_equal(alone.smoothed, alone.losses)
    far = trial(1, "lasso", [[1.0, 5.0], [2.0, 3.0]], strengths=(0.001, 1.0))
    assert np.array_equal(far.smoothed, far.losses)


def test_smoothed_folds_have_the_smoothed_means():
    rng = np.random.default_rng(0)
    one = trial(0, "ridge", rng.random((30, 5)), strengths=tuple(np.geomspace(1e-6, 10, 30)))
    assert one.means == pytest.approx(one.smoothed.mean(axis=1))
    assert one.loss == one.means.min() > one.losses.mean(axis=1).min()
    assert pick([one]).chosen.loss == pytest.approx(one.loss)


def test_further_cuts_bring_no_false_certainty():
    base = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    wobble = np.array([0.5, -0.5, 0.4, -0.3, 0.1])
    once, thrice = (
        pick(
            [
                trial(0, "ridge", [np.tile(base + wobble, r)], strengths=(0.1,), repeats=r),
                trial(1, "lasso", [np.tile(base, r)], strengths=(0.1,), repeats=r),
            ]
        ).difference
        for r in (1, 3)
    )
    # (1/K + n_test/n_train) s**2 with n_test/n_train = 1/4 whatever the number of cuts.
    spread = np.tile(wobble, 3).std(ddof=1) * np.sqrt(1 / 15 + 1 / 4)
    assert thrice.high - thrice.value == pytest.approx(t.ppf(0.95, 14) * spread)
    assert 0.5 < (thrice.high - thrice.low) / (once.high - once.low) < 1


def test_losses_are_weighted_by_the_rows_of_the_folds():
    one = trial(0, "none", [[1.0, 4.0]])
    heavy = Trial(**{**vars(one), "weights": np.array([3.0, 1.0])})
    assert heavy.loss == pytest.approx(1.75)


def test_none_never_wins_by_a_tie():
    tie = [trial(0, "none", [[1, 2]]), trial(1, "lasso", [[1, 2]], strengths=(0.5,))]
    assert pick(tie).chosen.candidate.label == "lasso"
    assert pick(tie[::-1]).chosen.candidate.label == "lasso"


def test_one_se_moves_to_the_strongest_within_one_error_of_the_paired_difference():
    # The second strength is worse by 0.1 +- 0.2 (error 0.09 > 0.05?), the third clearly worse.
    base = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    wobble = np.array([0.3, -0.3, 0.3, -0.3, 0.1])
    path = [base, base + wobble, base + 1.0 + 0.01 * wobble]
    ridge = trial(0, "ridge", path, strengths=(0.01, 0.1, 1.0))
    assert pick([ridge]).chosen.candidate.techniques[0]["strength"] == 0.01
    assert pick([ridge], "one_se").chosen.candidate.techniques[0]["strength"] == 0.1


def test_one_se_uses_the_paired_error_not_the_spread_over_folds():
    # Folds differ by 4, but the stronger candidate is worse by exactly 0.1 in every fold.
    base = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    ridge = trial(0, "ridge", [base, base + 0.1], strengths=(0.01, 0.1))
    assert pick([ridge], "one_se").chosen.candidate.techniques[0]["strength"] == 0.01


def test_one_se_stays_in_the_technique_set_and_parsimonious_may_leave_it():
    base = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    wobble = np.array([0.3, -0.3, 0.3, -0.3, 0.05])
    trials = [
        trial(0, "lasso", [base], strengths=(0.1,)),
        trial(1, "ridge", [base + wobble], strengths=(0.1,)),
    ]
    assert pick(trials, "one_se").chosen.candidate.label == "lasso"
    assert pick(trials, "parsimonious").chosen.candidate.label == "ridge"


def test_parsimony_is_no_reason_to_choose_none():
    base = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    wobble = np.array([0.3, -0.3, 0.3, -0.3, 0.05])
    trials = [
        trial(0, "none", [base + wobble]),
        trial(1, "lasso", [base], strengths=(0.1,)),
    ]
    assert pick(trials, "parsimonious").chosen.candidate.label == "lasso"
    best = [trial(0, "none", [base - 1]), trials[1]]
    assert pick(best, "parsimonious").chosen.candidate.label == "none"


@given(st.integers(0, 10_000))
def test_one_se_is_componentwise_stronger_than_the_best(seed):
    rng = np.random.default_rng(seed)
    trials = [
        trial(k, "elastic_net", rng.random((4, 5)), strengths=(1e-3, 1e-2, 0.1, 1), mix=0.1 + k / 9)
        for k in range(5)
    ]
    best, moved = (pick(trials, rule).chosen.candidate for rule in ("min", "one_se"))
    assert moved.technique_set == best.technique_set
    assert all(moved.strengths[key] >= low for key, low in best.strengths.items())


def test_the_guard_reports_or_keeps_the_incumbent_when_the_lead_is_not_clear():
    base = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    wobble = np.array([0.5, -0.5, 0.4, -0.3, 0.1])
    trials = [
        trial(0, "ridge", [base + wobble], strengths=(0.1,)),
        trial(1, "lasso", [base], strengths=(0.1,)),
    ]
    assert pick(trials, guard="report").chosen.candidate.label == "lasso"
    assert "not clearly better" in pick(trials, guard="report").note
    kept = pick(trials, guard="strict")
    assert kept.chosen.candidate.label == "ridge"
    assert kept.best.candidate.label == "lasso"
    assert not kept.difference.excludes_zero


def test_the_guard_lets_a_clear_winner_through():
    base = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    trials = [
        trial(0, "ridge", [base + 1], strengths=(0.1,)),
        trial(1, "lasso", [base + [0, 0.01, 0, 0.01, 0]], strengths=(0.1,)),
    ]
    assert pick(trials, guard="strict").chosen.candidate.label == "lasso"
    assert pick(trials, guard="strict").difference.low > 0


def test_failed_trials_are_never_selected_and_all_failed_raises():
    bad = trial(0, "lasso", [[0, 0]], strengths=(0.1,), failure="1 of 2 folds failed: diverged")
    good = trial(1, "ridge", [[5, 5]], strengths=(0.1,))
    assert pick([bad, good]).chosen.candidate.label == "ridge"
    assert bad.told == 9.0
    with pytest.raises(NoValidTrialError, match="diverged"):
        pick([bad])


def test_contenders_hold_the_best_of_each_set_and_the_runner_up_is_another_set():
    trials = [
        trial(0, "ridge", [[3, 3], [2, 2]], strengths=(0.1, 1.0)),
        trial(1, "elastic_net", [[1, 1]], strengths=(0.1,), mix=0.5),
        trial(2, "elastic_net", [[1.5, 1.5]], strengths=(0.1,), mix=0.9),
    ]
    selection = pick(trials)
    assert [one.candidate.label for one in selection.contenders] == ["elastic_net", "ridge"]
    assert selection.runner_up.loss == 2.0


def test_the_digest_names_decision_and_rows():
    trials = [trial(0, "ridge", [[3, 3], [2, 2]], strengths=(0.1, 1.0))]
    one = pick(trials)
    assert one.digest("a") == pick(trials).digest("a") != one.digest("b")


# ---- chosen by a metric ------------------------------------------------------------------------


def with_costs(one, costs):
    return replace(one, costs=np.array(costs, dtype=float))


def test_a_metric_chooses_and_the_loss_is_still_told():
    sharp = with_costs(trial(0, "ridge", [[1, 1]], strengths=(0.1,)), [[-0.7, -0.7]])
    ranked = with_costs(trial(1, "lasso", [[2, 2]], strengths=(0.1,)), [[-0.9, -0.9]])
    assert pick([sharp, ranked]).chosen.candidate.label == "lasso"
    assert pick([sharp, ranked]).chosen.loss == 2.0
    spec = SelectSpec(metric="auc", guard="off")
    assert "best mean inner auc" in select([sharp, ranked], spec, RIDGE).note


def test_the_strength_of_a_trial_is_the_one_that_is_best_by_the_metric():
    losses, costs = [[1, 1], [3, 3]], [[-0.5, -0.5], [-0.8, -0.8]]
    one = with_costs(trial(0, "ridge", losses, strengths=(0.001, 1.0)), costs)
    assert (one.best, one.loss, one.told) == (1, 3.0, 1.0)
    assert Trial.from_data(one.to_data()).best == 1
    assert pick([one]).chosen.candidate.techniques[0]["strength"] == 1.0


def test_one_se_compares_the_metric_and_not_the_loss():
    base = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    wobble = np.array([0.3, -0.3, 0.3, -0.3, 0.1])
    far = trial(0, "ridge", [base, base + 9], strengths=(0.01, 0.1))
    assert pick([far], "one_se").chosen.candidate.techniques[0]["strength"] == 0.01
    near = with_costs(far, [base, base + wobble])
    assert pick([near], "one_se").chosen.candidate.techniques[0]["strength"] == 0.1


@pytest.mark.parametrize(("source", "metric"), [("diabetes", "mse"), ("wine", "log_loss")])
def test_choosing_by_the_metric_that_is_the_loss_is_choosing_by_the_loss(source, metric):
    document = {
        "study": "s",
        "data": {"source": source},
        "space": {
            "space": "two",
            "families": {"linear": {"techniques": ["none", "ridge"]}},
            "incumbent": {"family": "linear", "techniques": ["ridge"]},
            "path_points": 4,
        },
        "folds": {"outer": 3, "repeats": 1},
        "select": {"metric": metric},
    }
    bench = replace(prepare(document, workers=1).bench, engine=LoopEngine())
    assert metric in bench.metrics
    asks = [Ask("final", k, one, "design") for k, one in enumerate(bench.space.design())]
    for one in evaluate(bench, asks, lambda done, total: None):
        np.testing.assert_allclose(one.costs, one.losses, rtol=1e-10)


def test_a_metric_that_an_inner_fold_cannot_define_is_refused_before_the_search():
    frame = pd.DataFrame({"a": np.arange(60.0), "t": np.arange(60)})
    frame["target"] = np.where((frame.t % 2 == 0) | ((frame.t > 20) & (frame.t < 30)), "x", "y")
    document = {
        "study": "s",
        "data": {"target": "target", "time": "t"},
        "space": "linear",
        "held_out": "none",
        "folds": {"outer": 3},
        "select": {"metric": "auc"},
    }
    with pytest.raises(DataError, match="auc is undefined on fold .*leave auc out"):
        prepare(document, frame)
