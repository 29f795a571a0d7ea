"""The box that the tuner sees: points and candidates belong together, whatever the point."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoreg.candidate import Candidate, candidate
from autoreg.errors import SpaceError
from autoreg.space import OFF_BELOW, Space, evenly
from autoreg.spec import SpaceSpec, read_space
from autoreg.techniques import technique

SPACES = {
    name: Space.build(read_space(name), "binary")
    for name in ("quick", "linear", "network", "linear_and_network", "cocktail")
}
SPACES["ratings"] = Space.build(read_space("ratings"), "regression")
unit = st.floats(0, 1)


@st.composite
def points(draw):
    space = SPACES[draw(st.sampled_from(sorted(SPACES)))]
    family = draw(st.sampled_from(sorted(space.families)))
    point = {
        axis.name: draw(st.sampled_from(axis.categories) if axis.categories else unit)
        for axis in space.axes(family)
    }
    return space, family, point


@given(points())
@settings(max_examples=300, deadline=None)
def test_a_candidate_survives_encoding(drawn):
    space, family, point = drawn
    one = space.decode(family, point)
    assert space.decode(family, space.encode(one)) == one
    assert Candidate.from_data(one.to_data()) == one
    assert set(space.encode(one)) == {axis.name for axis in space.axes(family)}


@given(points(), points())
@settings(max_examples=200, deadline=None)
def test_keys_tell_candidates_apart(one, other):
    first, second = (space.decode(family, point) for space, family, point in (one, other))
    assert (first.key == second.key) == (first == second)


@given(points())
@settings(max_examples=200, deadline=None)
def test_below_the_threshold_a_technique_is_off(drawn):
    space, family, point = drawn
    one = space.decode(family, point)
    if one.family != "linear":
        known = keys(space, family)
        on = {name for name, value in point.items() if name in known and value >= OFF_BELOW}
        assert {chosen.key for chosen in one.techniques} - {"none"} == on


def keys(space, family):
    return {offer.kind.key for offer in space.families[family]} - {"none"}


@given(points())
@settings(max_examples=200, deadline=None)
def test_every_dial_lies_in_the_range_that_the_space_narrowed(drawn):
    space, family, point = drawn
    one = space.decode(family, point)
    dials = {
        (offer.kind.key, dial.name): dial
        for offer in space.families[family]
        for dial in offer.dials
    }
    for chosen in one.techniques:
        for name, value in chosen.values.items():
            dial = dials[chosen.key, name]
            assert dial.contains(value)
    shape = {dial.name: dial for dial in space.architectures[family]}
    assert all(shape[name].contains(value) for name, value in one.architecture)


def test_the_threshold_itself_is_on_at_the_low_end():
    space = SPACES["network"]
    point = space.encode(space.design()[0])
    rates = [
        [
            one["rate"]
            for one in space.decode("network", point | {"dropout": u}).techniques
            if one.key == "dropout"
        ]
        for u in (0.39999, OFF_BELOW, 1.0)
    ]
    dial = technique("dropout").dials[0]
    assert rates == [[], [dial.low], [dial.high]]


@given(points(), unit)
@settings(max_examples=200, deadline=None)
def test_coordinates_of_what_is_off_do_not_matter(drawn, other):
    space, family, point = drawn
    one = space.decode(family, point)
    active = {chosen.key for chosen in one.techniques}
    idle = {
        axis.name: other
        for axis in space.axes(family)
        if not axis.categories
        and axis.name.partition(".")[0] not in active
        and (one.family == "linear" or not axis.name.startswith(f"{family}."))
        and not (one.family != "linear" and axis.name in keys(space, family))
    }
    assert space.decode(family, point | idle) == one


@pytest.mark.parametrize("name", sorted(SPACES))
def test_the_design_is_free_of_data_and_complete(name):
    space = SPACES[name]
    design = space.design()
    task = "regression" if name == "ratings" else "binary"
    assert design == Space.build(read_space(name), task).design()
    assert len({one.key for one in design}) == len(design)
    for family, offers in space.families.items():
        mine = [one for one in design if one.family == family]
        assert any(one.is_none for one in mine)
        for offer in offers:
            assert any(offer.kind.key in one.label.split("+") for one in mine)
    incumbent = [one for one in design if one.technique_set == space.incumbent]
    assert incumbent


def test_the_design_holds_a_grid_of_mixes():
    mixes = [
        one.techniques[0]["mix"] for one in SPACES["linear"].design() if one.label == "elastic_net"
    ]
    assert len(mixes) == 3
    assert min(mixes) < 0.2 < 0.8 < max(mixes)


def test_families_take_turns_in_the_design():
    first, *others = SPACES["linear_and_network"].design()
    lead = np.cumsum([1 if one.family == "linear" else -1 for one in others[:8]])
    assert abs(lead).max() == 1
    assert (first.family, first.label) == ("linear", "ridge")  # before all turns: the incumbent


def test_the_design_crosses_techniques_with_architectures_and_with_early_stopping():
    space = SPACES["network"]
    design = space.design()
    optional = space.optional("network")
    crossed = design[-len(optional) :]
    assert all(key in one.label for one, key in zip(crossed, optional, strict=True))
    assert len({one.architecture for one in crossed}) == len(crossed)
    with_it = ["early_stopping" in one.label for one in crossed]
    assert with_it == ["weight_decay" not in one.label for one in crossed]  # held in check somehow
    assert abs(sum(with_it) - len(crossed) / 2) <= 1
    for name in ("width", "learning_rate"):  # both halves of a range are tried with and without
        dial = next(one for one in space.architectures["network"] if one.name == name)
        units = [dial.unit(dict(one.architecture)[name]) for one in crossed]
        halves = {(unit > 0.5, held) for unit, held in zip(units, with_it, strict=True)}
        assert len(halves) == 4


def test_points_of_the_even_sequence_are_far_apart():
    points = np.array([evenly(k, 2) for k in range(64)])
    assert points.min() >= 0
    assert points.max() < 1
    cells = {tuple(cell) for cell in (points * 4).astype(int)}
    assert len(cells) == 16  # all of them, where random points leave some out
    gaps = np.abs(points[:, None] - points[None]).max(axis=2)[~np.eye(64, dtype=bool)]
    assert gaps.min() > 0.25 / np.sqrt(64)


# ---- candidates ------------------------------------------------------------------------------


def test_an_open_path_is_closed_at_a_strength():
    ridge = candidate("linear", [technique("ridge")()], {})
    assert ridge.path.name == "strength"
    closed = ridge.at(0.5)
    assert (closed.path, closed.techniques[0]["strength"]) == (None, 0.5)
    assert closed.at(0.1) == closed
    assert candidate("linear", [], {}).path is None


def test_the_path_has_the_spaces_points_and_range():
    space = SPACES["quick"]
    ridge = candidate("linear", [technique("ridge")()], {})
    path = space.strengths(ridge)
    assert len(path) == space.path_points == 9
    assert (path[0], path[-1]) == (1e-4, 1.0)
    assert list(path) == sorted(path)
    assert space.strengths(candidate("linear", [], {})) == ()


def test_order_of_strength_and_rank():
    dropout, stop = technique("dropout"), technique("early_stopping")
    weak, strong = (
        candidate("network", [dropout(rate=rate, schedule="constant")], {}) for rate in (0.1, 0.5)
    )
    assert weak.lead_strength < strong.lead_strength
    patient, hasty = (candidate("network", [stop(patience=p)], {}) for p in (32, 8))
    assert patient.strengths["early_stopping"] < hasty.strengths["early_stopping"]
    none, ridge = candidate("linear", [], {}), candidate("linear", [technique("ridge")()], {})
    assert none.rank < ridge.rank < candidate("network", [], {}).rank < weak.rank
    assert none.lead_strength == 0


def test_the_lead_is_what_was_added_to_the_default_recipe():
    both = candidate(
        "network",
        [technique("early_stopping")(patience=8), technique("weight_decay")(decay=1e-5)],
        {},
    )
    assert both.lead_strength == both.strengths["weight_decay"] == 0


# ---- meaning ---------------------------------------------------------------------------------


def build(techniques, family="linear", task="regression", **changes):
    document = {
        "space": "s",
        "families": {family: {"techniques": techniques}},
        "incumbent": {"family": family, "techniques": []},
    }
    return Space.build(SpaceSpec(**(document | changes)), task)


@pytest.mark.parametrize(
    ("techniques", "words"),
    [
        ({"rigde": {}}, ["search space s", "did you mean ridge"]),
        ({"dropout": {}}, ["dropout is for network, not for linear"]),
        ({"ridge": {"alpha": [0, 1]}}, ["ridge has no dial alpha", "strength"]),
        ({"ridge": {"strength": [1e-9, 1]}}, ["space s", "ridge.strength", "never widens"]),
        ({"ridge": {"strength": [1, 0.1]}}, ["ridge.strength", "rise"]),
        ({"ridge": {"strength": [1]}}, ["ridge.strength", "[low, high]"]),
    ],
)
def test_a_space_that_means_nothing_is_refused(techniques, words):
    with pytest.raises(SpaceError) as caught:
        build(techniques)
    for word in words:
        assert word in str(caught.value)


def test_options_can_be_left_out_but_not_invented():
    space = build({"dropout": {"schedule": ["flat_cos"]}}, "network")
    assert space.design()[-1].techniques[0]["schedule"] == "flat_cos"
    with pytest.raises(SpaceError, match="choose from"):
        build({"dropout": {"schedule": ["linear"]}}, "network")


def test_architecture_is_narrowed_and_unknown_dials_refused():
    families = {"network": {"techniques": ["none"], "architecture": {"width": [16, 32]}}}
    shape = dict(
        build([], families=families, incumbent={"family": "network"}).design()[0].architecture
    )
    assert shape["width"] == 32
    families["network"]["architecture"] = {"heads": [1, 2]}
    with pytest.raises(SpaceError, match="unknown architecture dial heads"):
        build([], families=families, incumbent={"family": "network"})


def test_a_technique_that_is_not_for_the_task_is_left_out_and_named():
    space = build(["label_smoothing", "dropout"], "network")
    assert space.left_out == {"label_smoothing": "not for regression targets"}
    assert "label_smoothing" not in keys(space, "network")


def test_none_is_in_every_space():
    assert build(["ridge"]).design()[0].is_none


@pytest.mark.parametrize(
    ("family", "techniques", "words"),
    [
        ("linear", ["elastic_net"], "incumbent linear: elastic_net .* offers lasso, none, ridge"),
        ("network", [], "incumbent network: none .* offers the families linear"),
        ("tree", [], "incumbent tree: none .* offers the families linear"),
        ("linear", ["ridge", "lasso"], "incumbent linear: lasso.ridge: .* carries one technique"),
    ],
)
def test_an_incumbent_that_no_search_can_try_is_refused(family, techniques, words):
    with pytest.raises(SpaceError, match=words):
        build(["ridge", "lasso"], incumbent={"family": family, "techniques": techniques})


def test_an_incumbent_that_is_not_for_the_task_is_refused():
    incumbent = {"family": "network", "techniques": ["label_smoothing"]}
    with pytest.raises(SpaceError, match="incumbent network: label_smoothing"):
        build(["label_smoothing", "dropout"], "network", incumbent=incumbent)
    assert build(["label_smoothing"], "network", "binary", incumbent=incumbent).design()


@pytest.mark.parametrize(
    ("family", "techniques", "label"),
    [
        ("network", ["dropout"], "dropout"),
        ("network", ["mixup", "dropout"], "dropout+mixup"),
        ("network", ["early_stopping"], "early_stopping"),
        ("network", [], "none"),
        ("linear", ["none", "ridge", "ridge"], "ridge"),
        ("linear", ["none"], "none"),
    ],
)
def test_every_search_meets_the_incumbent_whatever_it_is(family, techniques, label):
    known = {"linear": ["ridge"], "network": ["early_stopping", "dropout", "mixup"]}
    space = build(known[family], family, incumbent={"family": family, "techniques": techniques})
    assert space.incumbent == (family, label)
    assert [one.label for one in space.design()].count(label) == 1


def test_the_families_shares_add_up_to_one_at_most():
    part = {"techniques": ["none"], "share": 0.7}
    with pytest.raises(SpaceError, match="more than 1"):
        build([], families={"linear": part, "network": part})
