"""The plan of a study: the symmetric nested scheme, and each search cutting its own rows."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_wine

from autoreg import folds
from autoreg.data.dataset import Column, Dataset
from autoreg.errors import DataError, SpecError
from autoreg.folds import Plan, plan
from autoreg.spec import FoldsSpec, OrderSpec
from autoreg.splitters import broken_laws

LAWS = settings(max_examples=40, deadline=None)


def table(n=60, classes=0, group=None, time=None, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % classes) if classes else rng.normal(size=n)
    labels = tuple(f"class {k}" for k in range(classes))
    task = {0: "regression", 2: "binary"}.get(classes, "multiclass")
    columns = (Column("a", "numeric"),)
    X = rng.normal(size=(n, 1))
    return Dataset("random", columns, X, y, task, "y", labels, group=group, time=time)


@st.composite
def tables(draw):
    n, role = draw(st.integers(60, 90)), draw(st.sampled_from(["none", "group", "time"]))
    codes = np.random.default_rng(draw(st.integers(0, 50))).permutation(np.arange(n) % 30)
    roles = {} if role == "none" else {role: codes.astype(np.int64)}
    return table(n, 0 if role == "time" else draw(st.sampled_from([0, 2, 3])), **roles)


specs = st.builds(FoldsSpec, outer=st.integers(3, 5), inner=st.one_of(st.none(), st.integers(2, 4)))


def outer_of(made, search):
    return next((fold for fold in made.outer if fold.name == search), None)


def violations(data, made):
    """Every law of a plan that does not hold; slow and obvious."""
    broken = broken_laws(data, [(fold.train, fold.test) for fold in made.folds])
    if data.time is None:
        tested = sorted(row for fold in made.outer for row in fold.test.tolist())
        broken += [] if tested == list(range(data.n)) else ["outer folds are not complete"]
    seen = {}
    for fold in made.folds:
        rows = seen.setdefault(fold.excluded, fold.train.tolist())
        broken += [] if rows == fold.train.tolist() else [f"{fold.excluded} names two sets"]
    for search, inner in made.inner.items():
        outer = outer_of(made, search)
        judged = set() if outer is None else set(outer.test.tolist())
        allowed = set(range(data.n)) if outer is None else set(outer.train.tolist())
        for fold in inner:
            used = set(fold.train.tolist()) | set(fold.test.tolist())
            broken += [f"{fold.name} meets its outer fold"] if used & judged else []
            broken += [] if used <= allowed else [f"{fold.name} leaves its training rows"]
    return broken


@given(tables(), specs, st.integers(0, 9), st.booleans())
@LAWS
def test_every_plan_keeps_the_laws(data, spec, seed, cheap):
    made = plan(data, spec, seed, cheap=cheap)
    assert violations(data, made) == []
    assert [fold.name for fold in made.outer] == [f"outer-{i}" for i in range(spec.outer)]
    assert list(made.inner) == [fold.name for fold in made.outer] + ["final"]


@given(tables(), specs)
@LAWS
def test_cells_do_not_move_a_plan_and_the_seed_does(data, spec):
    digest = plan(data, spec, 0).digest
    assert digest == plan(replace(data, X=data.X * np.nan), spec, 0).digest
    assert (digest == plan(data, spec, 1).digest) == (data.time is not None)


def test_the_symmetric_scheme_reuses_the_other_blocks():
    made = plan(table(classes=2), FoldsSpec(outer=4), 0)
    blocks = [fold.test for fold in made.outer]
    for i, outer in enumerate(made.outer):
        assert outer.excluded == (f"block-{i}",)
        for j, fold in zip([j for j in range(4) if j != i], made.inner[outer.name], strict=True):
            assert fold.excluded == tuple(sorted((f"block-{i}", f"block-{j}")))
            assert np.array_equal(fold.test, blocks[j])
            others = [blocks[b] for b in range(4) if b not in (i, j)]
            assert np.array_equal(fold.train, np.sort(np.concatenate(others)))
    for j, fold in enumerate(made.inner["final"]):
        assert fold.excluded == (f"block-{j}",)
        assert np.array_equal(fold.train, made.outer[j].train)
    # 4 searches of 3 fits and a final one of 4, but only 6 pairs and 4 single exclusions.
    assert len({fold.excluded for fold in made.folds}) == 10


def test_many_blocks_sort_their_names_in_one_way():
    made = plan(table(n=120), FoldsSpec(outer=12), 0)
    assert all(list(fold.excluded) == sorted(fold.excluded) for fold in made.folds)
    assert violations(table(n=120), made) == []


def test_searches_that_cut_their_own_rows_name_them_apart():
    made = plan(table(), FoldsSpec(outer=2, inner=3), 0)
    assert made.inner["outer-1"][0].excluded == ("block-1", "inner-0")
    assert made.inner["final"][2].excluded == ("inner-2",)
    own = plan(table(group=np.arange(60) // 3), FoldsSpec(outer=2, inner=3), 0)
    assert own.inner["outer-1"][0].excluded == ("block-1", "outer-1/inner-0")
    assert own.inner["final"][2].excluded == ("final/inner-2",)
    assert len({fold.excluded for fold in made.folds}) == 2 + 2 * 3 + 3


@pytest.mark.parametrize("inner", [None, 4])
def test_training_and_test_rows_are_unions_of_few_cells(inner):
    made = plan(table(n=120), FoldsSpec(outer=4, inner=inner), 0)
    assert made.cells.shape == (120,)
    assert made.cells.max() + 1 == (4 if inner is None else 16)
    for fold in made.folds:
        for rows in (fold.train, fold.test):
            assert np.isin(made.cells, made.cells[rows]).sum() == len(rows)


def test_time_plans_never_look_ahead():
    time = np.arange(60) // 2
    made = plan(table(time=time), FoldsSpec(outer=3), 0)
    for outer in made.outer:
        assert len(made.inner[outer.name]) == 3
        for fold in made.inner[outer.name]:
            assert time[fold.train].max() < time[fold.test].min() < time[outer.test].min()
    assert len(plan(table(time=time), FoldsSpec(outer=3, inner=2), 0).inner["final"]) == 2


def test_a_plan_survives_json():
    made = plan(table(classes=3), FoldsSpec(outer=3), 7)
    back = Plan.from_data(json.loads(json.dumps(made.to_data())))
    assert back.digest == made.digest
    assert back.describe() == made.describe()
    assert back.outer[0].train.dtype == np.int64


def test_the_facts_are_plain():
    wine = load_wine()
    data = Dataset("wine", (), wine.data, wine.target, "multiclass", "y", ("a", "b", "c"))
    facts = plan(data, FoldsSpec(outer=5), 0).describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts | {"digest": ""} == {
        "splitter": "stratified k-fold",
        "outer": 5,
        "inner": 4,
        "repeats": 1,
        "outer_repeats": 1,
        "development_rows": 178,
        "digest": "",
    }


@pytest.mark.parametrize("inner", [None, 3])
@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize("grouped", [False, True])
def test_each_further_cut_validates_every_row_once_more(inner, classes, grouped):
    group = np.arange(60) // 3 if grouped else None
    data = table(classes=classes, group=group)
    made = plan(data, FoldsSpec(outer=4, inner=inner, repeats=3), 0)
    once = plan(data, FoldsSpec(outer=4, inner=inner), 0)
    assert violations(data, made) == []
    assert made.describe()["inner"] == once.describe()["inner"]
    for search, folds_ in made.inner.items():
        first = once.inner[search]
        assert [fold.excluded for fold in folds_[: len(first)]] == [one.excluded for one in first]
        assert len(folds_) == 3 * len(first)
        outer = outer_of(made, search)
        rows = np.arange(60) if outer is None else outer.train
        cuts = [folds_[k : k + len(first)] for k in range(0, len(folds_), len(first))]
        for cut in cuts:
            tested = np.sort(np.concatenate([fold.test for fold in cut]))
            assert np.array_equal(tested, rows)
        assert len({cut[0].test.tobytes() for cut in cuts}) == 3


@pytest.mark.parametrize(("n", "repeats"), [(60, 4), (251, 4), (400, 3), (999, 2), (1000, 1)])
def test_few_rows_are_cut_again_where_fits_are_cheap(n, repeats):
    data = table(n=n)
    assert plan(data, FoldsSpec(), 0, cheap=True).repeats == repeats
    assert plan(data, FoldsSpec(), 0).repeats == 1
    assert plan(data, FoldsSpec(repeats=1), 0, cheap=True).repeats == 1
    assert plan(data, FoldsSpec(inner=5), 0, cheap=True).repeats == 1


def test_rows_with_a_role_are_cut_again_on_request_only():
    grouped = table(group=np.arange(60) // 3)
    assert plan(grouped, FoldsSpec(), 0, cheap=True).repeats == 1
    late = table(time=np.arange(60))
    assert plan(late, FoldsSpec(), 0, cheap=True).repeats == 1
    with pytest.raises(SpecError, match="one way only; leave repeats out"):
        plan(late, FoldsSpec(repeats=2), 0)


@given(st.integers(3, 6), st.integers(0, 3), st.integers(0, 9))
@LAWS
def test_the_smallest_tables_that_can_be_cut_once_can_be_cut_again(outer, more, seed):
    members = np.repeat([0, 1], [outer + more, outer])
    data = replace(table(n=len(members), classes=2), y=members)
    made = plan(data, FoldsSpec(outer=outer), seed, cheap=True)
    assert made.repeats == 4
    assert violations(data, made) == []


@pytest.mark.parametrize("inner", [None, 3])
@pytest.mark.parametrize("grouped", [False, True])
def test_outer_repeats_are_cuts_of_their_own_that_share_nothing_but_the_rows(inner, grouped):
    data = table(n=90, group=np.arange(90) // 3 if grouped else None)
    made = plan(data, FoldsSpec(outer=4, inner=inner, outer_repeats=3), 0)
    once = plan(data, FoldsSpec(outer=4, inner=inner), 0)
    assert violations(data, replace(made, outer=made.outer[:4])) == []
    assert len(made.outer) == 12
    for first in (0, 4, 8):
        cut = made.outer[first : first + 4]
        assert np.array_equal(np.sort(np.concatenate([f.test for f in cut])), np.arange(90))
    assert len({fold.test.tobytes() for fold in made.outer}) == 12
    for search in ("outer-0", "outer-3", "final"):
        pairs = zip(made.inner[search], once.inner[search], strict=True)
        assert all(np.array_equal(mine.train, theirs.train) for mine, theirs in pairs)
    for outer in made.outer:
        for fold in made.inner[outer.name]:
            assert not np.isin(np.union1d(fold.train, fold.test), outer.test).any()
    assert Plan.from_data(made.to_data()).outer_repeats == 3


def test_a_fold_column_makes_the_folds():
    data = replace(table(60), fold=np.arange(60) % 4, roles={"fold": "centre"})
    made = plan(data, FoldsSpec(), 0)
    assert violations(data, made) == []
    assert [fold.test.tolist() for fold in made.outer] == [list(range(k, 60, 4)) for k in range(4)]
    with pytest.raises(SpecError, match="fold column 'centre' has 4 values"):
        plan(data, FoldsSpec(outer=5), 0)
    with pytest.raises(SpecError, match="leave out folds: inner"):
        plan(data, FoldsSpec(inner=3), 0)


def test_what_can_be_cut_in_one_way_only_has_no_outer_repeats():
    with pytest.raises(SpecError, match="one way only"):
        plan(table(time=np.arange(60)), FoldsSpec(outer_repeats=2), 0)


@pytest.mark.parametrize("window", ["rolling", "both_sides"])
def test_other_windows_over_time_keep_their_distance_in_every_search(window):
    order = OrderSpec(window=window, gap=1, purge=1)
    data = replace(table(n=90, time=np.arange(90)), order=order)
    made = plan(data, FoldsSpec(outer=3), 0)
    assert violations(data, made) == []
    for fold in made.folds:
        between = fold.test.min() - fold.train[fold.train < fold.test.min()]
        assert between.min() > 2 if len(between) else window == "both_sides"


def test_two_outer_folds_need_a_number_of_inner_folds():
    with pytest.raises(SpecError, match="set folds: inner"):
        plan(table(), FoldsSpec(outer=2), 0)


@pytest.mark.parametrize(
    ("data", "spec", "message"),
    [
        (table(n=6), FoldsSpec(outer=7), "6 rows cannot"),
        (
            table(n=8),
            FoldsSpec(outer=4, inner=7),
            "inner folds of search outer-.: inner-. is empty",
        ),
        (table(n=8), FoldsSpec(outer=4, inner=9), "inner folds: 8 rows cannot"),
        (table(time=np.arange(60) // 10), FoldsSpec(outer=3), "inner folds of search outer-0"),
        (
            replace(
                table(classes=2, group=np.arange(60) // 6), y=(np.arange(60) < 12).astype(np.int64)
            ),
            FoldsSpec(outer=5),
            "class 'class 1' of 'y' has no training row in outer-",
        ),
    ],
)
def test_plans_that_cannot_be_are_refused(data, spec, message):
    with pytest.raises(DataError, match=message):
        plan(data, spec, 0)


# ---- planted faults --------------------------------------------------------------------------


def without_groups(honest):
    return lambda data, k, seed: honest(replace(data, group=None), k, seed)


def forgetting_a_row(honest):
    return lambda data, k, seed: [(train, test[1:]) for train, test in honest(data, k, seed)]


def training_on_all_rows(honest):
    return lambda data, k, seed: [(np.arange(data.n), test) for _, test in honest(data, k, seed)]


@pytest.mark.parametrize("fault", [without_groups, forgetting_a_row, training_on_all_rows])
@pytest.mark.parametrize("inner", [None, 2])
def test_no_study_starts_on_a_splitter_that_breaks_a_law(monkeypatch, fault, inner):
    monkeypatch.setattr(folds, "split", fault(folds.split))
    with pytest.raises(AssertionError, match="broke a law"):
        plan(table(group=np.arange(60) // 3), FoldsSpec(outer=3, inner=inner), 0)


def test_inner_folds_that_meet_their_outer_fold_are_caught(monkeypatch):
    monkeypatch.setattr(folds, "_validate_on", peeking(folds._validate_on))
    data = table()
    assert any(
        "meets its outer fold" in words for words in violations(data, plan(data, FoldsSpec(), 0))
    )


def test_a_further_cut_that_meets_its_outer_fold_is_caught(monkeypatch):
    honest = folds._inner
    monkeypatch.setattr(
        folds,
        "_inner",
        lambda data, search, rows, *rest: honest(data, search, np.arange(data.n), *rest),
    )
    data = table()
    made = plan(data, FoldsSpec(repeats=2), 0)
    assert any("meets its outer fold" in words for words in violations(data, made))


def peeking(honest):
    """Excludes the validated block only, not the outer one."""
    return lambda search, j, excluded, blocks, n: replace(
        honest(search, j, [j], blocks, n), excluded=tuple(sorted(f"block-{b}" for b in excluded))
    )
