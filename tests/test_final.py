"""The final model by its policies, and the budget curve with overtuning."""

import json
from dataclasses import replace

import numpy as np
import pytest

import autoreg
from autoreg.budget import Budget, budgets, choices, overtuning
from autoreg.candidate import candidate
from autoreg.deciding import SelectSpec
from autoreg.errors import SpecError, StudyError
from autoreg.final import median_candidate, voted
from autoreg.folds import FINAL
from autoreg.select import Contender, Selection, select
from autoreg.spec import study_from
from autoreg.techniques import technique

SPACE = {
    "space": "small",
    "families": {"linear": {"techniques": ["ridge", "elastic_net"]}},
    "incumbent": {"family": "linear", "techniques": ["ridge"]},
    "path_points": 5,
}


def study(final="search", **changes):
    document = {
        "study": "small",
        "data": {"source": "diabetes"},
        "space": SPACE,
        "trials": 7,
        "folds": {"outer": 3},
        "select": {"final": final},
    }
    return document | changes


def run(home, document, **options):
    return autoreg.run_study(
        document, home=home, tracking=False, workers=1, progress=False, **options
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The same study under each policy, each in a home of its own."""
    return {
        policy: run(tmp_path_factory.mktemp(policy), study(policy))
        for policy in ("search", "vote", "skip")
    }


# ---- policies ----------------------------------------------------------------------------------


def test_only_one_policy_searches_again_and_all_have_the_same_nested_estimate(results):
    searches = {name: set(one.trials["search"]) for name, one in results.items()}
    outer = {"outer-0", "outer-1", "outer-2"}
    assert searches == {"search": {*outer, FINAL}, "vote": outer, "skip": outer}
    nested = [one.verdict.nested_loss for one in results.values()]
    assert nested[0] == nested[1] == nested[2]


def test_vote_takes_the_set_of_most_searches_at_the_median_of_its_dials(results):
    result = results["vote"]
    outer = [one for name, one in result.findings.selections.items() if name != FINAL]
    sets = [one.chosen.candidate.technique_set for one in outer]
    final = result.selection.chosen.candidate
    assert sets.count(final.technique_set) == max(map(sets.count, sets))
    same = [one.chosen.candidate for one in outer if one.chosen.candidate.label == final.label]
    strengths = [one.strengths for one in same]
    for key, value in final.strengths.items():
        middle = np.median([one[key] for one in strengths])
        assert value == pytest.approx(middle, abs=1e-5)
    assert result.verdict.held_out.score > 0.3
    assert result.model is not None
    assert "outer searches chose this set" in " ".join(result.summary)


def test_skip_makes_no_model_and_leaves_the_held_out_rows_sealed(results):
    result = results["skip"]
    assert result.model is None
    assert not (result.folder / "model").exists()
    assert not (result.folder.parents[1] / "openings.jsonl").exists()
    assert (result.verdict.held_out.opening, result.verdict.held_out.score) == ("kept", None)
    assert any("no final model to judge" in line for line in result.summary)
    assert not any("not fresh" in line for line in result.summary)
    with pytest.raises(StudyError, match="final: skip"):
        result.predict(None)
    assert json.loads(json.dumps(result.to_data()))["model"] is None


@pytest.mark.parametrize("policy", ["search", "vote", "skip"])
def test_a_finished_study_of_any_policy_runs_again_to_the_same_result(results, policy):
    first = results[policy]
    again = run(first.folder.parents[1], study(policy))
    assert again.to_data() == first.to_data()
    assert (
        again.report.read_text().split("Time taken")[0]
        == (first.report.read_text().split("Time taken")[0])
    )


def test_an_unknown_policy_is_refused():
    with pytest.raises(SpecError, match="final"):
        study_from(study("guess"))


def choice(search, label, strength, loss, steps=0):
    one = candidate("linear", [technique(label)(strength=strength)], {})
    contender = Contender(one, loss, 3, steps)
    return Selection(search, "min", contender, contender, (contender,), None, None, None, "lowest")


def test_a_tied_vote_goes_to_the_lower_inner_loss():
    found = voted(
        [choice("outer-0", "ridge", 0.1, 3.0), choice("outer-1", "lasso", 0.1, 2.0)], "vote"
    )
    assert found.chosen.candidate.label == "lasso"
    assert (found.search, found.source) == (FINAL, "outer-1")


def test_the_vote_is_led_by_the_best_of_its_searches_and_the_median_of_steps():
    found = voted(
        [
            choice("outer-0", "ridge", 0.01, 3.0, steps=10),
            choice("outer-1", "lasso", 0.1, 0.5, steps=99),
            choice("outer-2", "ridge", 0.1, 2.0, steps=40),
            choice("outer-3", "ridge", 1.0, 4.0, steps=20),
        ],
        "vote",
    )
    assert found.source == "outer-2"
    assert found.chosen.steps == 20
    assert found.chosen.candidate.techniques == (technique("ridge")(strength=0.1),)


def test_the_median_of_options_is_the_most_frequent_and_networks_keep_their_shape():
    shapes = [
        {"width": w, "depth": d, "learning_rate": 0.01} for w, d in ((8, 1), (64, 2), (512, 2))
    ]
    nets = [
        candidate("network", [technique("dropout")(rate=rate)], shape)
        for rate, shape in zip((0.1, 0.2, 0.5), shapes, strict=True)
    ]
    middle = median_candidate(nets)
    assert dict(middle.architecture) == {"width": 64, "depth": 2, "learning_rate": 0.01}
    assert middle.techniques[0].values["rate"] == pytest.approx(0.2)
    assert median_candidate(nets[:1]) == nets[0]


# ---- the budget curve --------------------------------------------------------------------------


def test_budgets_rise_to_the_last_trial():
    for trials in (1, 2, 7, 24, 100, 200):
        found = budgets(trials)
        assert found[0] == 1
        assert found[-1] == trials
        assert found == sorted(set(found))
        assert len(found) <= 14


def test_the_curve_ends_at_the_numbers_of_the_verdict(results):
    for result in results.values():
        last, verdict = result.findings.budget[-1], result.verdict
        assert last.trials == 7
        assert last.nested == pytest.approx(verdict.nested_loss.value, rel=1e-12)
        folds = verdict.folds
        inner = np.average([f.inner_loss for f in folds], weights=[f.rows for f in folds])
        assert last.inner == pytest.approx(inner, rel=1e-12)
        assert last.gap == pytest.approx(last.nested - last.inner)


def test_the_inner_loss_never_rises_with_the_budget(results):
    inner = [point.inner for point in results["search"].findings.budget]
    assert np.all(np.diff(inner) <= 0)
    assert inner[0] > inner[-1]


def test_each_point_is_what_a_study_of_that_budget_finds(results, tmp_path):
    """The slow obvious way: the same study, with fewer trials."""
    for trials in (2, 5):
        short = run(tmp_path / str(trials), study("skip", trials=trials))
        (point,) = [one for one in results["skip"].findings.budget if one.trials == trials]
        assert point.nested == pytest.approx(short.verdict.nested_loss.value, rel=1e-9)


def test_overtuning_is_what_the_last_choice_loses_against_the_best_on_the_way():
    falling = [Budget(n, 1.0, loss) for n, loss in ((1, 3.0), (2, 2.0), (5, 1.0))]
    assert overtuning(falling) == (0.0, 0.0)
    rising = [Budget(n, 1.0, loss) for n, loss in ((1, 2.0), (2, 1.0), (5, 1.5))]
    assert overtuning(rising) == (0.5, 0.5)
    worse = [Budget(n, 1.0, loss) for n, loss in ((1, 2.0), (2, 1.0), (5, 4.0))]
    assert overtuning(worse) == (3.0, 3.0)  # above 1: worse than the first trial
    assert overtuning(falling[:1]) == (0.0, None)


def mean_overtuning(noise):
    """Over 100 searches whose trials' true losses are known, seen through noise."""
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=200)
        seen = truth + noise * rng.normal(size=200)
        picks = {n: int(np.argmin(seen[:n])) for n in budgets(200)}
        points = [Budget(n, float(seen[p]), float(truth[p])) for n, p in picks.items()]
        found.append(overtuning(points)[0])
    return float(np.mean(found))


def test_overtuning_grows_with_the_noise_of_the_inner_losses():
    clear, noisy, blind = map(mean_overtuning, (0.0, 1.0, 50.0))
    assert clear == 0.0
    assert 0 < noisy < blind


def test_budgets_without_a_valid_trial_are_left_out(results):
    trials = {}
    for trial in results["search"].findings.trials:
        trials.setdefault(trial.search, []).append(trial)
    broken = {name: [replace(own[0], failure="planted"), *own[1:]] for name, own in trials.items()}
    found = choices(broken, ["outer-0", "outer-1"], SelectSpec(), ("linear", "ridge"))
    assert 1 not in found
    assert set(found) == {2, 3, 5, 7}
    last = select(broken["outer-0"], SelectSpec(), ("linear", "ridge")).chosen
    assert found[7]["outer-0"] == last


def test_report_and_terminal_tell_of_the_budget(results):
    result = results["search"]
    assert any(line.startswith("overtuning") for line in result.summary)
    page = result.report.read_text()
    assert "What the outer searches would have chosen after fewer trials" in page
    for policy in ("vote", "skip"):
        assert "the search outer-" in results[policy].report.read_text()
