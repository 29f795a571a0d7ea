"""The tuner is a pure function of history and seed; it keeps the budget's promises."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from autoreg.space import Space
from autoreg.spec import FAMILY_NAMES, SpaceSpec, read_space
from autoreg.tuner import NEWCOMERS, PARENTS, Tuner


@pytest.fixture(scope="module")
def space():
    return Space.build(read_space("linear_and_network"), "binary")


def filled(tuner, count, losses=None):
    """A history of so many asks, each answered by a loss."""
    rng = random.Random(7)
    history = []
    for _ in range(count):
        history.append((tuner.ask(history), losses or rng.random()))
    return history


@pytest.mark.parametrize("sampler", ["auto", "tpe", "random"])
def test_asking_twice_gives_the_same_answer(space, sampler):
    tuner = Tuner(space, sampler, 24, 3, "outer-1")
    history = filled(tuner, 22)
    for n in (0, 5, 18, 22):
        again = Tuner(space, sampler, 24, 3, "outer-1")
        expected = history[n][0] if n < len(history) else tuner.ask(history)
        assert again.ask(history[:n]) == expected


def test_the_gaussian_process_is_as_pure_on_a_small_box():
    space = Space.build(read_space("linear"), "regression")
    tuner = Tuner(space, "gp", 9, 0, "final")
    history = filled(tuner, 8)
    assert tuner.ask(history) == Tuner(space, "gp", 9, 0, "final").ask(list(history))


def test_the_sampler_of_a_family_is_fixed_before_the_first_trial(space):
    short, long = (Tuner(space, "auto", trials, 0, "final") for trials in (100, 101))
    assert [short.sampler_of(one) for one in FAMILY_NAMES] == ["tpe", "tpe", "gp"]
    assert {long.sampler_of(one) for one in FAMILY_NAMES} == {"tpe"}
    assert Tuner(space, "random", 5, 0, "final").sampler_of("network") == "random"


def test_the_gaussian_process_knows_what_is_under_way():
    spec = SpaceSpec(
        space="n",
        families={"network": {"techniques": ["none"], "architecture": {"width": [16, 256]}}},
        incumbent={"family": "network", "techniques": []},
    )
    tuner = Tuner(Space.build(spec, "binary"), "gp", 30, 0, "final")
    first, *history = filled(tuner, 8)
    others = [tuner.ask(history, [one]) for one in (first[0], tuner.ask(history))]
    assert others[0] != others[1]
    assert others[0] == tuner.ask(history, [first[0]])


def test_the_gaussian_process_asks_the_same_on_any_number_of_threads():
    space = Space.build(read_space("network"), "binary")
    history = filled(Tuner(space, "random", 90, 0, "final"), 90)

    def asked(threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return Tuner(space, "gp", 91, 0, "final").ask(history)
        finally:
            torch.set_num_threads(before)

    with ThreadPoolExecutor(1) as elsewhere:
        assert asked(1) == asked(2) == elsewhere.submit(asked, 2).result()


def test_what_follows_depends_on_seed_search_and_losses(space):
    base = Tuner(space, "tpe", 24, 3, "outer-1")
    history = filled(base, 20)
    asked = base.ask(history)
    assert Tuner(space, "tpe", 24, 4, "outer-1").ask(history) != asked
    assert Tuner(space, "tpe", 24, 3, "outer-2").ask(history) != asked
    flipped = [(one, 1 - loss) for one, loss in history]
    answers = {base.ask(h).key for h in (history, flipped)}
    assert len(answers) == 2


def test_the_fixed_design_comes_first_and_is_the_same_for_all(space):
    design = space.design()
    for search, seed in (("outer-0", 0), ("final", 9)):
        asked = [one for one, _ in filled(Tuner(space, "tpe", 24, seed, search), len(design))]
        assert asked == design


def test_nothing_is_asked_twice(space):
    history = filled(Tuner(space, "tpe", 40, 0, "final"), 40)
    keys = [one.key for one, _ in history]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("favourite", ["linear", "network"])
def test_every_family_gets_its_share_whatever_the_losses(space, favourite):
    tuner = Tuner(space, "tpe", 30, 0, "final")
    history = []
    for _ in range(30):
        one = tuner.ask(history)
        history.append((one, 0.1 if one.family == favourite else 1.0))
    families = [one.family for one, _ in history]
    for family, share in space.shares.items():
        assert families.count(family) >= share * 30


def test_an_exhausted_space_ends_the_search():
    spec = SpaceSpec(
        space="three",
        families={"linear": {"techniques": ["ridge", "lasso"]}},
        incumbent={"family": "linear", "techniques": ["ridge"]},
    )
    tuner = Tuner(Space.build(spec, "regression"), "tpe", 10, 0, "final")
    history = filled(tuner, 3)
    assert {one.label for one, _ in history} == {"none", "ridge", "lasso"}
    assert tuner.ask(history) is None


def test_a_family_that_is_searched_out_leaves_its_turns_to_the_others():
    spec = SpaceSpec(
        space="uneven",
        families={
            "linear": {"techniques": ["ridge", "lasso"], "share": 0.5},
            "network": {"techniques": ["early_stopping", "dropout"]},
        },
        incumbent={"family": "linear", "techniques": ["ridge"]},
    )
    tuner = Tuner(Space.build(spec, "regression"), "tpe", 20, 0, "final")
    families = [one.family for one, _ in filled(tuner, 20)]
    assert (families.count("linear"), families.count("network")) == (3, 17)


def test_an_ask_for_a_network_opens_few_techniques():
    space = Space.build(read_space("cocktail"), "binary")
    optional = set(space.optional("network"))
    assert len(optional) > 25
    tuner = Tuner(space, "tpe", 60, 0, "final")
    history = filled(tuner, len(space.design()) + 8)
    best = sorted(history, key=lambda pair: pair[1])[: len(history) // PARENTS]
    most = max(len(optional & {one.key for one in each.techniques}) for each, _ in best)
    for seed in range(20):
        opened = {axis.name.partition(".")[0] for axis in tuner.opened(history, "network", seed)}
        assert len(opened & optional) <= most + NEWCOMERS
        assert {"network", "early_stopping", "weight_decay"} <= opened
    asked = [one for one, _ in history[len(space.design()) :]]
    assert max(len(one.techniques) for one in asked) < 8


def test_techniques_that_did_well_are_opened_more_often():
    space = Space.build(read_space("cocktail"), "binary")
    history = []
    for one in space.design():
        keys = {each.key for each in one.techniques}
        history.append((one, 0.1 if "ema" in keys else 0.5 if "sam" in keys else 1.0))
    tuner = Tuner(space, "tpe", 60, 0, "final")
    counts = dict.fromkeys(("ema", "sam", "cutmix"), 0)
    for seed in range(200):
        opened = {axis.name for axis in tuner.opened(history, "network", seed)}
        for key in counts:
            counts[key] += key in opened
    assert counts["ema"] > counts["sam"] > counts["cutmix"]
