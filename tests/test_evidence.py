"""Corrections and tests of whole studies: BBC, Bates, permutations, rehearsals."""

from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import autoreg
from autoreg import rehearsal
from autoreg.calibration import ranges
from autoreg.cli import app
from autoreg.errors import DataError
from autoreg.evidence import bates_of, bbc_of, gathered, out_of_fold, row_loss_matrix
from autoreg.folds import FINAL
from autoreg.metrics.base import row_losses
from autoreg.rehearsal import permuted_losses, rehearsed, with_permuted_target
from autoreg.search import run_searches
from autoreg.select import select
from autoreg.study import prepare

SPACE = {
    "space": "two",
    "families": {"linear": {"techniques": ["ridge", "lasso"]}},
    "incumbent": {"family": "linear", "techniques": ["ridge"]},
    "path_points": 6,
}


def table(n=60, p=8, seed=0, signal=1.0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, p)), columns=[f"x{j}" for j in range(p)])
    frame["target"] = signal * frame["x0"] + rng.normal(size=n)
    return frame


def study(**changes):
    document = {
        "study": "s",
        "data": {"target": "target"},
        "space": SPACE,
        "trials": 2,
        "folds": {"outer": 4, "repeats": 1},
    }
    return document | changes


@pytest.fixture(scope="module")
def bench():
    return prepare(study(held_out="none"), table(), workers=1).bench


@pytest.fixture(scope="module")
def trials(bench):
    return run_searches(bench, {}, record=lambda one: None, round_done=lambda number: True)


@pytest.fixture(scope="module")
def selections(bench, trials):
    rule, incumbent = bench.spec.select, bench.space.incumbent
    return {name: select(found, rule, incumbent) for name, found in trials.items()}


@pytest.mark.parametrize("repeats", [1, 2])
def test_row_losses_add_up_to_what_the_search_saw(repeats):
    ready = prepare(study(held_out="none", folds={"outer": 4, "repeats": repeats}), table())
    found = run_searches(ready.bench, {}, record=lambda one: None, round_done=lambda n: True)
    raw, smooth = row_loss_matrix(ready.bench, found[FINAL])
    means = np.concatenate([trial.losses @ trial.weights for trial in found[FINAL]])
    smoothed = np.concatenate([trial.means for trial in found[FINAL]])
    np.testing.assert_allclose(raw.mean(axis=0), means / (60 * repeats), rtol=1e-10)
    np.testing.assert_allclose(smooth.mean(axis=0), smoothed, rtol=1e-10)


def test_bbc_is_worse_than_the_best_inner_loss(bench, trials, selections):
    corrected = bbc_of(bench, trials[FINAL])
    assert corrected.value > selections[FINAL].best.loss
    assert bbc_of(bench, trials[FINAL]) == corrected
    assert corrected.value < 2 * selections[FINAL].best.loss


def test_out_of_fold_predictions_are_those_of_the_judged_refits(bench, trials, selections):
    found = out_of_fold(bench, selections)
    assert np.array_equal(np.sort(found.rows), np.arange(60))
    losses = row_losses("regression", found.target(bench.table), found.predictions)
    judged = rehearsed(bench)
    for k, fold in enumerate(judged.folds):
        assert losses[found.fold == k].mean() == pytest.approx(fold.loss, rel=1e-10)


def test_the_interval_of_measured_width_lies_around_the_nested_loss(bench, selections):
    interval = bates_of(bench, out_of_fold(bench, selections))
    nested = rehearsed(bench).nested_loss
    assert interval.method == "bates"
    assert interval.low < nested.value < interval.high


def test_pairs_of_blocks_are_never_seen(bench, selections, monkeypatch):
    """Garbling block 0 must not move a search that spares blocks 0 and 1."""
    from autoreg import evidence

    seen = {}

    def remember(key):
        def run(wider, *rest, **options):
            seen[key] = run_searches(wider, *rest, **options)
            return seen[key]

        return run

    found = out_of_fold(bench, selections)
    X = bench.table.X.copy()
    X[bench.plan.outer[0].test] *= 1e6
    garbled = replace(bench, table=replace(bench.table, X=X))
    for key, one in (("clean", bench), ("garbled", garbled)):
        monkeypatch.setattr(evidence, "run_searches", remember(key))
        bates_of(one, found)
    same = {
        name: [a.essence == b.essence for a, b in zip(mine, seen["garbled"][name], strict=True)]
        for name, mine in seen["clean"].items()
    }
    assert all(all(equal) for name, equal in same.items() if "-0-" in name)
    assert not any(any(equal) for name, equal in same.items() if "-0-" not in name)


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({"select": {"rule": "one_se"}}, "bbc", "only the rule min"),
        ({"select": {"metric": "mae"}}, "bbc", "by a metric"),
        ({"interval": "bates", "folds": {"outer": 3}}, "bates", "at least 4"),
        ({"interval": "bates", "folds": {"outer": 4, "inner": 3}}, "bates", "serve as inner"),
    ],
)
def test_what_cannot_be_said_has_a_reason(trials, selections, changes, name, reason):
    ready = prepare(study(held_out="none", **changes), table())
    found = run_searches(ready.bench, {}, record=lambda one: None, round_done=lambda n: True)
    rule, incumbent = ready.spec.select, ready.bench.space.incumbent
    chosen = {name: select(one, rule, incumbent) for name, one in found.items()}
    evidence = gathered(ready.bench, found, chosen, (), ())
    assert reason in evidence.reasons[name]
    assert getattr(evidence, name) is None


def test_signal_is_not_found_in_permuted_targets(bench):
    observed = rehearsal.loss_ratio(rehearsed(bench))
    permuted = permuted_losses(bench, range(4))
    assert observed < min(permuted)
    assert permuted_losses(bench, range(2, 4)) == permuted[2:]


def test_permuted_groups_stay_together():
    frame = table(n=60)
    frame["g"] = np.arange(60) // 3
    frame["target"] = frame["g"].map(dict(enumerate(np.random.default_rng(0).normal(size=20))))
    grouped = prepare(
        study(data={"target": "target", "group": "g"}, held_out="none"), frame
    ).bench.table
    dealt = with_permuted_target(grouped, np.random.default_rng(1))
    assert sorted(dealt.y) == sorted(grouped.y)
    assert not np.array_equal(dealt.y, grouped.y)
    spread = [np.ptp(dealt.y[grouped.group == k]) for k in range(20)]
    assert max(spread) == 0


def test_a_study_tells_all_of_it(tmp_path):
    spec = study(interval="bates", permutations=2, ignore=["ordered_rows"])
    once = autoreg.run_study(spec, table(n=80), home=tmp_path, tracking=False, progress=False)
    text = "\n".join(once.summary)
    for words in ("luck of being the best", "measured width", "p = 0.333", "out-of-fold rows"):
        assert words in text
    judged = once.verdict.held_out
    assert judged.score_interval.low <= judged.score <= judged.score_interval.high
    assert 0.5 < judged.coverage.value <= 1
    document = once.to_data()
    assert document["evidence"]["permutation"] == {"p_value": 1 / 3, "draws": 2}
    assert len(document["sheet"]) == 8
    assert (tmp_path / "studies" / "s" / "info_sheet.md").read_text().count("**L") == 8
    rows = table(n=5, seed=9)
    held = ranges(once.model, once.model.raw(rows))
    assert [
        low < mean < high
        for low, mean, high in zip(held["low"], once.predict(rows), held["high"], strict=True)
    ] == [True] * 5
    again = autoreg.run_study(spec, table(n=80), home=tmp_path, tracking=False, progress=False)
    assert again.to_data()["evidence"] == document["evidence"]


def test_new_rows_come_with_sets_of_classes(tmp_path):
    frame = table(n=90)
    frame["target"] = np.where(frame["target"] > 0, "up", "down")
    done = autoreg.run_study(study(), frame, home=tmp_path, tracking=False, progress=False)
    folder, rows = tmp_path / "studies" / "s" / "model", tmp_path / "rows.csv"
    frame.to_csv(rows, index=False)
    run = CliRunner().invoke(app, ["predict", str(folder), str(rows), "--ranges"])
    sets = pd.read_csv(StringIO(run.stdout))
    assert list(sets.columns) == ["prediction", "set"]
    assert set(sets["set"]) <= {"up", "down", "up | down", "down | up"}
    assert all(
        one.split(" | ")[0] == first
        for first, one in zip(sets["prediction"], sets["set"], strict=True)
    )
    bare = replace(done.model, about={})
    with pytest.raises(DataError, match="holds no calibration"):
        ranges(bare, bare.raw(frame))


def test_all_intervals_of_reused_rows_are_widened(tmp_path):
    options = {"home": tmp_path, "tracking": False, "progress": False}
    rows = table(n=80)
    first = autoreg.run_study(study(), rows, **options).verdict.held_out
    # The same rows are held out, and another rule chooses another strength.
    other = study(study="again", select={"rule": "one_se"})
    again = autoreg.run_study(other, rows, reopen=True, **options).verdict.held_out
    assert first.score_interval.method == "bootstrap"
    assert again.opening == "reused 1"
    for one in (again.interval, again.score_interval, again.coverage):
        assert one.method.endswith("reused 1")
    assert 0 <= again.coverage.low <= again.coverage.high <= 1
