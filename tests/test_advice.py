"""Which decisions mattered, and what to try next: against planted facts."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from findings_sample import sample as build

from autoreg.advice import MOST, advice
from autoreg.budget import Budget
from autoreg.candidate import ARCHITECTURE
from autoreg.certificate import Certificate, Check
from autoreg.importance import FEWEST, STRENGTH, importance
from autoreg.select import Contender
from autoreg.space import Space
from autoreg.spec import read_space
from autoreg.statistics import Interval
from autoreg.techniques import technique
from autoreg.verdict import Margin

sample = cache(build)


# ---- importance --------------------------------------------------------------------------------


def planted(loss_of, seed=0, count=60):
    """Trials of networks at random settings, whose loss is a known function of the settings."""
    space = Space.build(read_space("network"), "regression")
    draws = np.random.default_rng(seed)
    axes = space.axes("network")
    blank = next(t for t in sample().trials if t.candidate.family == "network" and not t.failure)
    trials = []
    for number in range(count):
        point = {axis.name: float(draws.uniform()) for axis in axes}
        losses = np.full((1, 4), loss_of(point))
        one = space.decode("network", point)
        trials.append(
            replace(
                blank,
                number=number,
                candidate=one,
                strengths=(),
                losses=losses,
                train_losses=losses,
                weights=np.ones(4),
                baseline=1.0,
            )  # fmt: skip
        )
    return space, trials


def test_the_decision_that_alone_moves_the_loss_gets_nearly_all():
    space, trials = planted(lambda point: 0.2 + 0.5 * point["network.width"])
    (found,) = importance(space, trials, 0)
    assert next(iter(found.shares)) == "network.width"
    assert found.shares["network.width"] > 0.8
    assert sum(found.shares.values()) == pytest.approx(1)


def test_shares_follow_the_variances_that_were_planted():
    """Two decisions, one of twice the slope, so of four times the variance."""
    space, trials = planted(
        lambda p: 0.1 + 0.4 * p["network.width"] + 0.2 * p["network.learning_rate"], count=140
    )
    (found,) = importance(space, trials, 0)
    ratio = found.shares["network.width"] / found.shares["network.learning_rate"]
    assert 2 < ratio < 9


def test_importance_is_a_function_of_trials_and_seed():
    found = sample()
    first, again = (importance(found.space, found.trials, 3) for _ in range(2))
    assert first == again
    assert [one.family for one in first] == ["linear", "network"]
    assert STRENGTH in first[0].shares


def test_one_diverged_fit_does_not_explain_everything():
    space, trials = planted(lambda point: 0.2 + 0.5 * point["network.width"])
    wild = replace(trials[7], losses=np.full((1, 4), 1e9))
    (found,) = importance(space, [*trials[:7], wild, *trials[8:]], 0)
    assert found.shares["network.width"] > 0.7


def test_too_few_settings_have_no_importance_and_nothing_gained_has_no_shares():
    space, trials = planted(lambda point: 0.5)
    assert importance(space, trials[: FEWEST - 1], 0) == ()
    assert importance(space, trials, 0)[0].shares == {}


# ---- advice ------------------------------------------------------------------------------------


def words(findings):
    return "\n".join(one.line for one in advice(findings))


def better(margin_label, low, high, where="outer"):
    return Margin("linear", margin_label, Interval((low + high) / 2, low, high), 5, where)


def with_verdict(**changes):
    return replace(sample(), verdict=replace(sample().verdict, **changes))


def at_the_edge():
    """The elastic net's mix at the upper end of a range that the space has narrowed."""
    findings = sample()
    offers = {
        "linear": tuple(
            replace(
                one,
                dials=tuple(d.narrowed([0.2, 0.5]) if d.name == "mix" else d for d in one.dials),
            )
            for one in findings.space.families["linear"]
        )
    }
    space = replace(findings.space, families=findings.space.families | offers)
    kind = technique("elastic_net")
    own = findings.final.chosen
    moved = replace(own.candidate, techniques=(kind(strength=0.01, mix=0.5),))
    chosen = Contender(moved, own.loss, own.trial, own.steps)
    final = replace(findings.final, chosen=chosen)
    return replace(findings, space=space, selections=findings.selections | {"final": final})


def rising(*nested):
    points = [Budget(n, 0.01, loss) for n, loss in zip((1, 5, 24), nested, strict=True)]
    return replace(sample(), budget=tuple(points))


def no_signal(nested):
    found = sample(signal=False)
    return replace(found, verdict=replace(found.verdict, nested=nested))


CHECK = Check("outer", "huge", "outer-0", 30, 9, 72, seen=3)
PROOF = Certificate("s", "a", "b", "c", "2026-01-01", {}, 8, 4, (CHECK,))


def alone():
    """A network that wins, where each refit is one network."""
    found = build(winner="network")
    training = found.spec.training.model_copy(update={"members": 1})
    return replace(found, spec=found.spec.model_copy(update={"training": training}))


def nearly_all_explained(*dials):
    """A network that wins on a target without noise, and what is searched beside its techniques."""
    found = build(winner="network")
    nothing = replace(found.verdict.nested_loss, value=0.01)
    verdict = replace(found.verdict, nested_loss=nothing)
    known = {dial.name: dial for dial in ARCHITECTURE}
    own = (*found.space.architectures["network"], *(known[name] for name in dials))
    space = replace(found.space, architectures=found.space.architectures | {"network": own})
    data = found.data | {"task": "regression"}
    return replace(found, verdict=verdict, data=data, space=space)


CASES = {
    "no signal": (no_signal(Interval(0.6, 0.4, 0.8)), "autoreg check"),
    "folds differ": (no_signal(Interval(0.9, 0.8, 1.0)), "The folds differ too much"),
    "incumbent better": (with_verdict(incumbent=better("ridge", -0.2, -0.1)), "guard: strict"),
    "edge": (at_the_edge(), "elastic_net: {mix: [0.2, "),
    "still falling": (rising(0.5, 0.3, 0.1), "--trials 48"),
    "overtuned": (rising(0.5, 0.1, 0.4), "--trials 5"),
    "unstable": (with_verdict(agreement=1), "rule: parsimonious"),
    "none as good": (with_verdict(incumbent=better("none", -0.1, 0.1)), "better columns"),
    "wide": (with_verdict(nested_loss=Interval(0.3, 0.0, 0.6)), "four times as many"),
    "no noise": (nearly_all_explained(), "training_length: [0.25, 4]"),
    "alone": (alone(), "members: 5"),
    "networks": (sample(), "space: linear"),
    "unverified": (sample(), "autoreg verify breast_cancer"),
    "unsealed": (build(held_out=False), "held_out: 0.2"),
    "model": (sample(), "autoreg promote breast_cancer"),
}
OPPOSITES = {
    "no signal": sample(),
    "folds differ": no_signal(Interval(0.6, 0.4, 0.8)),
    "incumbent better": with_verdict(incumbent=better("ridge", -0.2, 0.1)),
    "edge": sample(),
    "still falling": rising(0.5, 0.1, 0.1),
    "overtuned": rising(0.5, 0.3, 0.1),
    "unstable": with_verdict(agreement=5),
    "none as good": with_verdict(incumbent=better("none", 0.1, 0.2)),
    "wide": sample(),
    "no noise": nearly_all_explained("training_length"),
    "alone": build(winner="network"),
    "networks": build(winner="network"),
    "unverified": replace(sample(), certificate=PROOF),
    "unsealed": sample(),
    "model": build(signal=False),
}


@pytest.mark.parametrize("case", CASES)
def test_each_rule_speaks_where_it_should(case):
    findings, part = CASES[case]
    assert part in words(findings)
    assert part not in words(OPPOSITES[case])


@pytest.mark.parametrize("case", CASES)
def test_advice_is_short_and_says_nothing_twice(case):
    found = advice(CASES[case][0])
    assert 1 <= len(found) <= MOST
    assert len({one.line for one in found}) == len(found)


def test_a_range_that_cannot_reach_further_is_no_advice():
    findings = at_the_edge()
    whole = replace(findings, space=sample().space)
    assert "elastic net: mix" not in words(whole)


def test_outer_folds_in_time_are_not_to_be_repeated():
    for case in ("folds differ", "wide", "unstable"):
        findings = CASES[case][0]
        data = findings.spec.data.model_copy(update={"time": "day"})
        timed = replace(findings, spec=findings.spec.model_copy(update={"data": data}))
        assert "outer_repeats" in words(findings)
        assert "repeat" not in words(timed)
