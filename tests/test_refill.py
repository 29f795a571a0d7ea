"""Searches side by side: an ask begins when the trials that it learns from are told."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.tree import DecisionTreeClassifier
from test_network import bits, chosen, job, table
from test_pruning import BOTH, SPACE, essences, question

from autoreg import Between, Family
from autoreg.engines import Crew
from autoreg.engines.base import Engine, Failure
from autoreg.engines.loop import LoopEngine
from autoreg.engines.pack import PackEngine
from autoreg.engines.pack.occupancy import counted
from autoreg.engines.path import PathEngine
from autoreg.search import run_searches
from autoreg.spec import study_from
from autoreg.study import prepare
from autoreg.trial import Trial

OFF = {"epochs": "off"}
MIXED = SPACE | {
    "families": SPACE["families"] | {"linear": {"techniques": ["ridge", "lasso"]}},
    "path_points": 5,
}
RULES = [OFF, BOTH]


class InRounds(PackEngine):
    """Nothing is refilled: all that is known is fitted, then all that follows."""

    is_steady = False
    stream = Engine.stream


class AtRandom(PackEngine):
    """Fits a third of the jobs that are known, any of them, whichever search they are of."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def stream(self, jobs, table, after, **options):
        waiting = list(jobs)
        while waiting:
            self.random.shuffle(waiting)
            cut = 1 + len(waiting) // 3
            some, waiting = waiting[:cut], waiting[cut:]
            for one, outcome in zip(some, self.run(some, table), strict=True):
                waiting += after(one, outcome)


class NewestFirst(PackEngine):
    """Fits what was asked last, so that a search that is told something runs ahead."""

    def stream(self, jobs, table, after, **options):
        waiting = list(jobs)
        while waiting:
            one = waiting.pop()
            waiting += after(one, self.run([one], table)[0])


def searched(prune, engine=None, workers=1, past=None, record=lambda one: None, **changes):
    bench = prepare(question(prune, **changes), workers=workers).bench
    bench = replace(bench, engine=engine or bench.engine)
    return run_searches(bench, past or {}, record=record, round_done=lambda number: True)


@pytest.fixture(scope="module", params=RULES, ids=["all", "pruned"])
def refilled(request):
    """A pruning rule, and the searches by it in one stream, on one thread."""
    return request.param, searched(request.param)


# ---- the same result, whoever ends first -------------------------------------------------------


def test_refilling_changes_nothing_but_the_time(refilled):
    prune, trials = refilled
    assert essences(searched(prune, InRounds())) == essences(trials)


@pytest.mark.parametrize("seed", [1, 2])
def test_whichever_fit_ends_first_the_trials_are_the_same(refilled, seed):
    prune, trials = refilled
    assert essences(searched(prune, AtRandom(seed))) == essences(trials)


def test_trials_are_told_in_the_order_of_their_numbers(refilled):
    prune, trials = refilled
    told = []
    searched(prune, AtRandom(3), record=told.append)
    for name, own in trials.items():
        assert [one.number for one in told if one.search == name] == list(range(len(own)))
    assert [one.search for one in told] != sorted(one.search for one in told)


@pytest.mark.parametrize("kept", [(3, 9), (0, 13)])
def test_searches_that_were_cut_off_at_other_trials_go_on_as_if_they_had_not_been(refilled, kept):
    """From what lies in a ledger, where some searches are ahead of others."""
    prune, trials = refilled
    past = {
        name: [Trial.from_data(json.loads(json.dumps(one.to_data()))) for one in own[: kept[k % 2]]]
        for k, (name, own) in enumerate(trials.items())
    }
    assert essences(searched(prune, past=past)) == essences(trials)


def test_linear_models_are_fitted_between_the_epochs_of_networks():
    trials = searched(OFF, space=MIXED)
    assert {one.candidate.family for own in trials.values() for one in own} == {"linear", "network"}
    by_rounds = Crew({"linear": PathEngine(), "network": InRounds()})
    assert essences(searched(OFF, by_rounds, space=MIXED)) == essences(trials)


def test_own_families_take_part_in_the_stream_of_the_others():
    own = {
        "estimators": {"tree": Family(DecisionTreeClassifier(), {"max_depth": Between(1, 6)})},
        "network": Family(torch.nn.Linear, techniques=["weight_decay"]),
    }
    trials = searched(OFF, space=MIXED, **own)
    families = {one.candidate.family for some in trials.values() for one in some}
    assert families == {"linear", "network", "tree", "module"}
    loop = LoopEngine(study_from(question(OFF, space=MIXED, **own)).own)
    by_rounds = Crew({"linear": PathEngine(), "network": InRounds(), "tree": loop, "module": loop})
    assert essences(searched(OFF, by_rounds, space=MIXED, **own)) == essences(trials)


def test_an_ask_that_saw_later_trials_would_be_seen(refilled, monkeypatch):
    """The planted fault: trials are told as they end."""
    prune, trials = refilled

    def hasty(drive, job, outcome):
        jobs, trial = drive._attempts.take(job, outcome)
        if trial is None:
            return jobs
        drive.trials[trial.search].append(trial)
        return drive._fits(drive._asks(trial.search, [trial]))

    monkeypatch.setattr("autoreg.search._Drive.after", hasty)
    assert essences(searched(prune, AtRandom(1))) != essences(trials)


# ---- ends --------------------------------------------------------------------------------------


def test_searches_end_at_a_common_round_whatever_a_later_one_had_begun(refilled):
    prune, trials = refilled
    bench, recorded = prepare(question(prune), workers=1).bench, []
    found = run_searches(
        bench, {}, record=recorded.append, round_done=lambda number: number + 1 < 8
    )
    assert essences(found) == {name: own[:8] for name, own in essences(trials).items()}
    assert len(recorded) >= 8 * len(trials)


@pytest.mark.parametrize("hurried", [False, True])
def test_in_a_hurry_no_search_runs_ahead_by_more_than_a_round(refilled, hurried):
    prune, trials = refilled
    bench = replace(prepare(question(prune), workers=1).bench, engine=NewestFirst())
    counts, leads = dict.fromkeys(bench.searches, 0), []

    def record(trial):
        counts[trial.search] += 1
        leads.append(max(counts.values()) - min(counts.values()))

    found = run_searches(bench, {}, record=record, round_done=lambda number: True, hurried=hurried)
    assert essences(found) == essences(trials)
    # A round is told, and another one was asked for before.
    in_line = hurried or prune is not OFF
    assert (max(leads) <= 2 * bench.spec.asks_ahead) == in_line


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_listener_raises_ends_the_stream(workers):
    def full(trial):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        searched(OFF, workers=workers, record=full)


def test_what_breaks_the_training_is_raised(monkeypatch):
    def planted(*_):
        raise KeyError("planted")

    monkeypatch.setattr("autoreg.engines.pack.scheduler.advance", planted)
    with pytest.raises(KeyError, match="planted"):
        searched(OFF)


# ---- the stream itself -------------------------------------------------------------------------


def streamed(first, follow, data, workers=1):
    """The outcomes of jobs, and of those that follow from them."""
    found, done = {}, []

    def after(one, outcome):
        found[one] = outcome
        return follow.get(one, ())

    PackEngine().stream(first, data, after, workers=workers, on_done=done.append)
    assert done == list(range(1, len(found) + 1))
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_that_follow_are_the_same_as_alone(workers):
    data = table("binary")
    jobs = [
        job("early_stopping", epochs=9 + r, shape={"width": 8, "depth": d, "learning_rate": r / 99})
        for r in range(1, 7)
        for d in (1, 2)
    ]
    follow = dict(zip(jobs[:8], ([one] for one in jobs[4:]), strict=True))
    found = streamed(jobs[:4], follow, data, workers)
    assert set(found) == set(jobs)
    alone = PackEngine().run(jobs, data)
    assert [bits(found[one]) for one in jobs] == [bits(one) for one in alone]


def test_jobs_that_cannot_be_trained_are_followed_too():
    data = table(group=np.zeros(90, dtype=np.int64))
    broken, last = job("early_stopping"), job("dropout")
    found = streamed([broken], {broken: [last]}, data)
    assert isinstance(found[broken], Failure)
    assert bits(found[last]) == bits(PackEngine().run([last], data)[0])


def test_a_place_that_is_left_is_taken_by_what_follows():
    """Each model that ends brings another one: the stack stays full until none is left."""
    data = table("binary")
    jobs = [job(chosen("dropout", rate=0.1 + r / 100), epochs=2) for r in range(1, 41)]
    with counted() as found:
        streamed(jobs[:8], dict(zip(jobs[:32], ([one] for one in jobs[8:]), strict=True)), data)
    assert (found.share, found.models) == (1.0, 8.0)


def test_stacks_of_a_study_stay_full_until_its_budget_ends():
    """All kinds of networks, in all searches, until the first search has nothing left to ask."""
    changes = {"space": "network", "trials": 20, "training": {"epochs": 12}}
    bench = prepare(question(OFF, **changes), workers=1).bench
    full = []

    with counted() as found:

        def round_done(number):
            if number + bench.spec.asks_ahead < 20:
                full[:] = [found.used, found.available, found.models]
            return True

        run_searches(bench, {}, record=lambda one: None, round_done=round_done)
    assert full[0] >= 0.9 * full[1]
    # Kinds are many: depths, norms and three embeddings do not share a stack. The hundred asks are
    # spread as evenly as over 5.3 kinds.
    assert full[2] > 4
