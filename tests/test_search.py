"""Asking ahead: a setting learns from trials that many before it, however the others come in."""

import random

import numpy as np
import pytest

from autoreg.search import search
from autoreg.space import Space
from autoreg.spec import read_space, study_from
from autoreg.trial import Trial
from autoreg.tuner import Tuner

TRIALS = 26


@pytest.fixture(scope="module")
def space():
    return Space.build(read_space("linear_and_network"), "binary")


def answered(ask, loss):
    """The trial of an ask, with a loss."""
    one = np.array([[loss]])
    return Trial(ask.search, ask.number, ask.candidate, ask.origin, (), one, np.ones(1), one, 1.0)


def losses(number, seed=0):
    return random.Random(seed * 1000 + number).random()


def searched(space, ahead, loss=losses, past=(), **options):
    """All trials of a search whose losses are made up, and how many it asked for at once."""
    tuner = Tuner(space, "tpe", TRIALS, 0, "final")
    running = search("final", tuner, past, ahead, **options)
    trials, together = list(past), []
    asks = next(running, [])
    while asks:
        together.append(len(asks))
        made = [answered(ask, loss(ask.number)) for ask in asks]
        trials += made
        try:
            asks = running.send(made)
        except StopIteration:
            asks = []
    return trials, together


def candidates(trials):
    return [trial.candidate for trial in trials]


@pytest.mark.parametrize("ahead", [1, 3, 4, 7])
def test_so_many_settings_are_asked_at_once_and_none_twice(space, ahead):
    trials, together = searched(space, ahead)
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert set(together[:-1]) <= {ahead}
    assert together[-1] == TRIALS % ahead or ahead
    assert len({trial.candidate.key for trial in trials}) == TRIALS
    design = space.design()
    assert candidates(trials)[: len(design)] == design[:TRIALS]


@pytest.mark.parametrize("ahead", [1, 4])
def test_a_setting_learns_from_trials_that_many_before_it_and_from_no_later_one(space, ahead):
    changed = len(space.design()) + 1
    plain, _ = searched(space, ahead)
    other, _ = searched(space, ahead, lambda number: losses(number) - 5.0 * (number == changed))
    same = [a == b for a, b in zip(candidates(plain), candidates(other), strict=True)]
    assert all(same[: changed + ahead])
    assert not all(same)


@pytest.mark.parametrize("ahead", [1, 4])
def test_a_setting_is_asked_as_soon_as_the_trials_that_it_learns_from_are_told(space, ahead):
    whole, _ = searched(space, ahead)
    running = search("final", Tuner(space, "tpe", TRIALS, 0, "final"), [], ahead)
    asks = list(next(running))
    for told in range(TRIALS - 1):
        assert len(asks) == min(told + ahead, TRIALS)
        asks += running.send([answered(asks[told], losses(told))])
    assert [ask.candidate for ask in asks] == candidates(whole)


@pytest.mark.parametrize("kept", [0, 3, 16, 17, 18, 19, 20, 23])
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(space, kept):
    whole, _ = searched(space, 4)
    again, together = searched(space, 4, past=whole[:kept])
    assert candidates(again) == candidates(whole)
    assert not together or together[0] == min(4, TRIALS - kept)


def test_spaces_with_networks_ask_ahead_unless_the_study_says_otherwise():
    for space, ahead in (("linear", 1), ("network", 4), ("linear_and_network", 4)):
        spec = study_from({"study": "s", "data": {"source": "wine"}, "space": space})
        assert spec.asks_ahead == ahead
        assert spec.model_copy(update={"ahead": 2}).asks_ahead == 2


def test_the_design_is_asked_in_longer_rounds_and_changes_nothing(space):
    plain, _ = searched(space, 4)
    trials, together = searched(space, 4, design_rounds=4)
    assert candidates(trials) == candidates(plain)
    assert together[0] == 16 <= len(space.design())
    assert max(together[1:]) == 4
