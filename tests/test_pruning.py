"""Pruning: what is given up follows from the search's own earlier trials, and never wins."""

import json
from dataclasses import replace

import numpy as np
import pytest

from autoreg.attempt import Attempt
from autoreg.deciding import PruneSpec
from autoreg.engines.base import Failure
from autoreg.engines.loop import LoopEngine
from autoreg.errors import SpecError
from autoreg.folds import FINAL
from autoreg.ledger import Ledger
from autoreg.pruning import LEAST, Bar, Heat, heats, rungs
from autoreg.search import run_searches
from autoreg.select import select
from autoreg.spec import study_from
from autoreg.study import prepare, run_study
from autoreg.trial import Pruned, Trial

BOTH = {"epochs": "halving", "folds": "forgiving"}
SPACE = {
    "space": "small",
    "families": {
        "network": {
            "techniques": ["early_stopping", "dropout", "weight_decay", "l1"],
            "architecture": {
                "width": [8, 16],
                "depth": [1, 1],
                "learning_rate": [0.0001, 0.03],
            },
        }
    },
    "incumbent": {"family": "network", "techniques": ["early_stopping"]},
}


def question(prune, **changes):
    return {
        "study": "pruned",
        "data": {"source": "wine"},
        "space": SPACE,
        "trials": 16,
        "folds": {"outer": 4},
        "training": {"epochs": 27},
        "sampler": "tpe",  # learns from trials as a Gaussian process does, and takes a tenth
        "prune": prune,
        **changes,
    }


def searched(prune, *, engine=None, workers=1, past=None, **changes):
    ready = prepare(question(prune, **changes), workers=workers)
    bench = replace(ready.bench, engine=engine or ready.bench.engine)
    return run_searches(bench, past or {}, record=lambda one: None, round_done=lambda number: True)


def essences(trials):
    return {name: [one.essence for one in some] for name, some in trials.items()}


@pytest.fixture(scope="module")
def pruned():
    return searched(BOTH)


def made(number, losses, rung=None, **changes):
    """A trial of one search, of losses in four folds."""
    from autoreg.candidate import candidate
    from autoreg.techniques import technique

    rate = {"width": 8, "depth": 1, "learning_rate": 1e-3 * (number + 1)}
    one = candidate("network", [technique("early_stopping")(patience=8)], rate)
    losses = np.array([losses])
    reached = np.empty(0) if rung is None else np.full((2, losses.shape[1]), rung)
    return Trial(
        FINAL, number, one, "sampler", (), losses, np.ones(4), losses, 1.0, rungs=reached, **changes
    )


# ---- the rules ---------------------------------------------------------------------------------


def test_halving_keeps_the_best_third_of_those_that_came_as_far():
    past = [made(n, [1.0] * 4, rung=0.1 * (n + 1)) for n in range(6)]
    bar = Bar.of(PruneSpec(epochs="halving"), 27, past)
    limit = np.quantile([0.1 * (n + 1) for n in range(6)], 1 / 3)
    assert bar.limits(range(4), np.ones(4)) == pytest.approx([limit, limit])
    good, bad = np.full((2, 4), limit - 0.01), np.full((2, 4), limit + 0.01)
    assert bar.lost_epochs(good, range(4), np.ones(4)) is None
    lost = bar.lost_epochs(bad, range(4), np.ones(4))
    assert (lost.by, lost.at, lost.limit) == ("epochs", 3, pytest.approx(limit))


def test_nothing_is_pruned_by_epochs_before_enough_trials_came_as_far():
    past = [made(n, [1.0] * 4, rung=0.1) for n in range(LEAST - 1)]
    bar = Bar.of(PruneSpec(epochs="median"), 27, past)
    assert np.isinf(bar.limits(range(4), np.ones(4))).all()


def test_one_bad_fold_does_not_prune_by_epochs_and_a_missing_one_neither():
    past = [made(n, [1.0] * 4, rung=0.5) for n in range(6)]
    bar = Bar.of(PruneSpec(epochs="halving"), 27, past)
    uneven = np.array([[0.9, 0.2, 0.2, 0.2]] * 2)
    assert bar.lost_epochs(uneven, range(4), np.ones(4)) is None
    uneven[0, 1] = np.nan
    assert bar.lost_epochs(uneven + 9.0, range(4), np.ones(4)).at == 9  # the second rung


def test_the_forgiving_rule_compares_with_the_worst_fold_of_the_best():
    past = [made(0, [0.2, 0.9, 0.3, 0.2]), made(1, [5.0] * 4)]
    bar = Bar.of(PruneSpec(folds="forgiving"), 27, past)
    assert bar.worst == 0.9
    assert bar.lost_folds(np.array([0.89]), np.ones(1)) is None
    lost = bar.lost_folds(np.array([0.8, 1.2]), np.ones(2))
    assert (lost.by, lost.at) == ("folds", 2)
    assert lost.loss == pytest.approx(1.0)


def test_what_is_pruned_is_told_as_no_better_than_the_typical_trial():
    past = [made(n, [float(n)] * 4, rung=0.0) for n in range(7)]
    bar = Bar.of(PruneSpec(epochs="halving"), 27, past)
    lost = bar.lost_epochs(np.full((2, 4), 0.5), range(4), np.ones(4))
    assert lost.loss == 0.5 < lost.told == 3.0


def test_heats_and_rungs():
    assert [list(one) for one in heats(4)] == [[0], [1], [2, 3]]
    assert rungs(PruneSpec(epochs="median"), 3) == (1, 2)
    assert sorted(f for one in heats(9) for f in one) == list(range(9))


def test_a_race_is_lost_whoever_reports_last():
    past = [made(n, [1.0] * 4, rung=0.5) for n in range(6)]
    bar = Bar.of(PruneSpec(epochs="halving"), 27, past)
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        race = Heat(bar, range(4), np.ones(4))
        for runner in order:
            assert not race.is_lost
            race.lane(runner).report(0, 0.8)
        assert race.lane(0).is_lost


# ---- whole searches ----------------------------------------------------------------------------


def test_trials_are_pruned_by_both_rules_and_the_budget_counts_them(pruned):
    trials = [one for some in pruned.values() for one in some]
    assert {one.pruned.by for one in trials if one.pruned} == {"epochs", "folds"}
    assert all(len(some) == 16 for some in pruned.values())
    for one in trials:
        assert (one.pruned is None) == one.is_valid
        assert np.isnan(one.loss) == (not one.is_valid)
    shared = [one for one in trials if one.candidate.is_none and one.origin == "design"]
    assert shared
    assert all(one.is_valid for one in shared)


def test_workers_and_the_company_in_a_stack_change_nothing(pruned):
    assert essences(searched(BOTH, workers=2)) == essences(pruned)


def test_an_engine_that_never_gives_up_leads_to_the_same_decisions():
    """The pack engine ends fits whose race is lost; the loop engine fits all to their end.

    Both round differently, so the sampler is one that looks at the order of losses alone.
    """
    by_pack = searched(BOTH, sampler="tpe")
    by_loop = searched(BOTH, engine=LoopEngine(), sampler="tpe")
    for name, some in by_pack.items():
        for one, other in zip(some, by_loop[name], strict=True):
            assert one.candidate == other.candidate
            assert (one.pruned is None) == (other.pruned is None)
            if one.pruned:
                assert (one.pruned.by, one.pruned.at) == (other.pruned.by, other.pruned.at)
                assert one.pruned.loss == pytest.approx(other.pruned.loss, rel=1e-3)
            assert np.allclose(one.rungs, other.rungs, rtol=1e-3, equal_nan=True)


def test_giving_up_saves_steps(monkeypatch):
    from autoreg.engines.pack.stack import Stack

    taken = []
    advance = Stack.advance

    def counted(self, steps):
        taken.append(steps * len(self.crowd))
        advance(self, steps)

    monkeypatch.setattr(Stack, "advance", counted)
    searched(BOTH, sampler="random", trials=28)  # which asks for poor settings again and again
    with_pruning = sum(taken)
    monkeypatch.setattr("autoreg.engines.pack.training._report", lambda job, each: None)
    taken.clear()
    searched(BOTH, sampler="random", trials=28)  # the races hear nothing, so that no fit ends early
    assert with_pruning < 0.97 * sum(taken)


@pytest.mark.parametrize("kept", [5, 9, 13])
def test_a_search_that_was_cut_off_prunes_as_if_it_had_not_been(pruned, kept):
    """From what lies in a ledger."""
    past = {
        name: [Trial.from_data(json.loads(json.dumps(one.to_data()))) for one in some[:kept]]
        for name, some in pruned.items()
    }
    assert essences(searched(BOTH, past=past)) == essences(pruned)


def test_searches_do_not_prune_each_other(pruned):
    """A search asked alone, beside others that know nothing, decides as in their company."""
    ready = prepare(question(BOTH), workers=1)
    bench = replace(
        ready.bench, plan=replace(ready.bench.plan, inner={FINAL: ready.bench.plan.inner[FINAL]})
    )
    alone = run_searches(bench, {}, record=lambda one: None, round_done=lambda number: True)
    assert essences(alone)[FINAL] == essences(pruned)[FINAL]


def test_a_decision_that_knew_later_trials_would_be_seen(pruned, monkeypatch):
    """The planted fault: bars made of trials that came later, too."""
    honest = Bar.of

    def cheating(spec, epochs, past):
        later = pruned[past[0].search][len(past) :] if past else []
        return honest(spec, epochs, [*past, *later])

    monkeypatch.setattr(Bar, "of", cheating)
    assert essences(searched(BOTH)) != essences(pruned)


# ---- what is pruned never wins -----------------------------------------------------------------


def test_a_pruned_trial_is_never_chosen_however_good_it_looked():
    spec = study_from(question(BOTH)).select
    lucky = Pruned("folds", 1, 0.001, 0.0001, 0.5)
    trials = [made(0, [0.5] * 4), made(1, [0.0] * 4, pruned=lucky), made(2, [0.6] * 4)]
    chosen = select(trials, spec, ("network", "early_stopping"))
    assert chosen.best.trial == chosen.chosen.trial == 0
    assert all(one.trial != 1 for one in chosen.contenders)
    freed = [*trials[:1], replace(trials[1], pruned=None), *trials[2:]]  # or the test is blind
    assert select(freed, spec, ("network", "early_stopping")).best.trial == 1


def test_a_fold_that_fails_ends_the_trial_as_failed():
    ready = prepare(question(BOTH), workers=1)
    past = [made(n, [0.2] * 4, rung=0.2) for n in range(6)]
    bar = Bar.of(ready.spec.prune, 27, past)
    from autoreg.scoring import Ask

    one = Attempt(ready.bench, Ask(FINAL, 6, past[0].candidate, "sampler", bar))
    (job,) = one.next_jobs()
    assert one.take(job, Failure("planted"))
    assert not one.is_open
    assert "planted" in one.trial().failure


def test_a_study_says_what_it_pruned(tmp_path):
    result = run_study(
        question(BOTH, folds={"outer": 3}, trials=12),
        home=tmp_path,
        tracking=False,
        progress=False,
    )
    ledger = Ledger.open(result.folder / "ledger.jsonl", {})
    kept = [one for some in ledger.trials().values() for one in some]
    number = sum(one.pruned is not None for one in kept)
    assert number > 0
    assert result.trials["pruned"].notna().sum() == number
    page = (result.folder / "report.html").read_text()
    assert f"{number} pruned" in page
    assert "Pruned trials" in page
    data = json.loads((result.folder / "report.json").read_text())
    assert "pruned" in data["evidence"]["reasons"]["bbc"]
    again = run_study(
        question(BOTH, folds={"outer": 3}, trials=12),
        home=tmp_path,
        tracking=False,
        progress=False,
    )
    assert again.selection.to_data() == result.selection.to_data()


def test_choosing_by_a_metric_and_pruning_by_losses_is_refused():
    with pytest.raises(SpecError, match=r"select\.metric chooses by auc"):
        study_from(question(BOTH, select={"metric": "auc"}))


def test_without_pruning_nothing_changes():
    trials = searched({"epochs": "off"}, trials=6)
    assert all(one.is_valid and not one.rungs.size for some in trials.values() for one in some)
