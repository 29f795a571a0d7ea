"""The ledger of openings: what it remembers, what cannot be evaded, and what a reuse costs."""

import copy
import gc
import types

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_wine

from autoreg.data import load
from autoreg.data.dataset import Dataset
from autoreg.sealed import Openings, Sealed, row_hashes, seal, source_hashes
from autoreg.spec import DataSpec
from autoreg.statistics import Interval, mean_interval, widened
from autoreg.study import prepare


@pytest.fixture(scope="module")
def wine():
    return load(DataSpec(source="wine"))


# ---- what is remembered ------------------------------------------------------------------------


def test_what_a_selection_was_the_first_to_see_stays_first(wine, tmp_path):
    _, held_out = seal(wine, 0.2)
    openings = Openings(tmp_path)
    held_out.open(openings, "sel-a", "one", reopen=False)
    held_out.open(openings, "sel-b", "two", reopen=True)
    assert held_out.open(openings, "sel-a", "one", reopen=False).kind == "first"
    assert held_out.open(openings, "sel-b", "two", reopen=False).kind == "reused 1"
    assert len(openings.records()) == 2


def test_a_judged_selection_gets_its_recorded_verdict_and_no_rows(wine, tmp_path):
    _, held_out = seal(wine, 0.2)
    openings = Openings(tmp_path)
    cut_off = held_out.open(openings, "sel-a", "one", reopen=False)
    assert held_out.open(openings, "sel-a", "one", reopen=False).rows.n == cut_off.rows.n
    openings.judge("sel-a", {"score": 0.75})
    again = held_out.open(Openings(tmp_path), "sel-a", "one", reopen=True)
    assert (again.rows, again.verdict, again.kind) == (None, {"score": 0.75}, "first")


@pytest.mark.parametrize(
    "changes",
    [
        {"drop": ("hue",)},
        {"drop": ("alcohol", "hue", "proline")},
        {"target": "hue", "task": "regression"},
        {"weight": "proline"},
        {"categorical": ("magnesium",)},
    ],
)
def test_another_look_at_the_same_rows_evades_nothing(wine, tmp_path, changes):
    openings = Openings(tmp_path)
    Sealed(wine.rows(np.arange(40))).open(openings, "sel-a", "one", reopen=False)
    other = load(DataSpec(source="wine", **changes)).rows(np.arange(39, 60))
    assert other.columns != wine.columns
    assert Sealed(other).open(openings, "sel-b", "two", reopen=False).kind == "sealed"


def test_a_copy_of_the_data_under_another_name_evades_nothing(tmp_path):
    frame = load_wine(as_frame=True).frame
    openings = Openings(tmp_path)
    kinds = []
    for number, name in enumerate(("wine.csv", "copy.csv", "turned.parquet")):
        if name == "turned.parquet":
            frame[frame.columns[::-1]].to_parquet(tmp_path / name)
        else:
            frame.to_csv(tmp_path / name, index=False)
        spec = DataSpec(source=str(tmp_path / name), target="target", task="multiclass")
        _, held_out = seal(load(spec), 0.2)
        kinds.append(held_out.open(openings, f"sel-{number}", "s", reopen=False).kind)
    assert kinds == ["first", "sealed", "sealed"]


def test_the_hashes_tell_nothing_without_the_key(wine, tmp_path):
    openings = Openings(tmp_path)
    Sealed(wine.rows(np.arange(5))).open(openings, "sel-a", "one", reopen=False)
    (record,) = openings.records()
    known = {*row_hashes(wine, openings.key), *source_hashes(wine, openings.key)}
    guessed = {*row_hashes(wine, "other"), *source_hashes(wine, "other")}
    assert set(record["rows"]) <= known
    assert known.isdisjoint(guessed)
    assert len(set(record["rows"])) == 10


# ---- out of reach ------------------------------------------------------------------------------


def reachable(*roots):
    """Everything that can be reached from some objects by following references between data."""
    seen, todo = {}, list(roots)
    skipped = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
    while todo:
        one = todo.pop()
        if id(one) not in seen and not isinstance(one, skipped):
            seen[id(one)] = one
            todo += gc.get_referents(one)
    return list(seen.values())


def test_no_object_of_the_search_leads_to_a_held_out_row():
    ready = prepare("wine")
    rows = ready.held_out._Sealed__rows
    found = reachable(ready.bench, ready.facts, ready.spec)
    tables = [one for one in found if isinstance(one, Dataset)]
    assert [one.digest for one in tables] == [ready.bench.table.digest]
    assert set(row_hashes(rows, "k")).isdisjoint(row_hashes(tables[0], "k"))
    arrays = [one for one in found if isinstance(one, np.ndarray)]
    assert not any(np.shares_memory(one, rows.X) for one in arrays)
    # The walk is able to find them: from the seal itself it does.
    assert any(one is rows for one in reachable(ready.held_out))


def test_sealed_rows_cannot_be_copied_or_looked_into(wine):
    _, held_out = seal(wine, 0.2)
    for way in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            way(held_out)
    with pytest.raises(TypeError, match="__dict__"):
        vars(held_out)
    assert repr(held_out) == f"Sealed({held_out.n} rows)"


PUBLIC = sorted(one for one in dir(Sealed) if not one.startswith("_Sealed") and one != "open")
ARGUMENTS = st.lists(st.sampled_from([0, -1, "a", "n", None, slice(None), 0.5]), max_size=3)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(PUBLIC), arguments=ARGUMENTS)
def test_no_use_of_the_public_interface_reads_rows_before_the_opening(name, arguments):
    _, held_out = seal(load(DataSpec(source="wine")), 0.2)
    member = getattr(held_out, name)
    try:
        answer = member(*arguments) if callable(member) else member
    except (TypeError, AttributeError, ValueError):
        answer = None
    # A bound method knows its object, which is the only way left.
    found = [one for one in reachable(answer) if isinstance(one, Dataset | np.ndarray)]
    assert found == [] or answer is held_out


def test_a_refused_opening_hands_out_nothing(wine, tmp_path):
    _, held_out = seal(wine, 0.2)
    openings = Openings(tmp_path)
    held_out.open(openings, "sel-a", "one", reopen=False)
    refused = held_out.open(openings, "sel-b", "two", reopen=False)
    assert not any(isinstance(one, Dataset | np.ndarray) for one in reachable(refused))


# ---- the interval of reused rows -----------------------------------------------------------------


def test_each_reuse_widens_the_interval_and_moves_no_number():
    widths = []
    for reused in range(5):
        one = widened(Interval(0.5, 0.4, 0.65), reused)
        assert (one.value, one.level) == (0.5, 0.9)
        assert (one.high - 0.5) == pytest.approx(1.5 * (0.5 - one.low))
        widths.append(one.high - one.low)
    assert widths[0] == pytest.approx(0.25)
    assert np.all(np.diff(widths) > 0)
    factor = stats.norm.isf(0.05 / 100) / stats.norm.isf(0.05)
    assert widths[1] / widths[0] == pytest.approx(factor)


def test_the_widened_interval_holds_for_what_an_adaptive_analyst_makes_of_it():
    """Take, by their held-out losses, the best of 100 worthless models: the interval must hold."""
    rng = np.random.default_rng(0)
    plain = wide = 0
    for _ in range(200):
        losses = rng.integers(0, 2, (100, 200)).astype(float)
        interval = mean_interval(losses[losses.mean(axis=1).argmin()], np.ones(200))
        plain += interval.low <= 0.5 <= interval.high
        reused = widened(interval, 1)
        wide += reused.low <= 0.5 <= reused.high
    assert plain < 60  # the interval of a first look fails here, or this would show nothing
    assert wide >= 180


def test_the_interval_of_a_mean_is_the_t_interval_and_groups_are_units():
    values = np.random.default_rng(0).normal(size=50)
    interval = mean_interval(values, np.ones(50))
    ends = stats.t.interval(0.9, 49, loc=values.mean(), scale=stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(ends)
    again = mean_interval(np.repeat(values, 4), np.ones(200), np.repeat(np.arange(50), 4))
    assert (again.low, again.high) == pytest.approx(ends)
    weights = np.where(np.arange(50) < 10, 3.0, 1.0)
    assert mean_interval(values, weights).value == pytest.approx(
        np.average(values, weights=weights)
    )
    assert mean_interval(values[:1], np.ones(1)).high == np.inf
