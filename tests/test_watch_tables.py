"""Ticks on tables of every kind of column, from every kind of source; what differs is named."""

import numpy as np
import pandas as pd
import pytest
import sqlalchemy
from mixed_tables import DATA, MOVES, SOURCES, mixed

from autoreg.data import load
from autoreg.data.dataset import Column
from autoreg.data.view import viewed
from autoreg.errors import DataError
from autoreg.sealed import row_hashes
from autoreg.spec import DataSpec
from autoreg.watch import WatchSpec, tick
from autoreg.watch.agreement import kind_of
from autoreg.watch.change import changed
from autoreg.watch.drift import shifts
from autoreg.watch.fetch import fetch, frozen, windowed
from autoreg.watch.watching import DriftSpec, SourceSpec

AS_WRITTEN = {"code", "note"}
EXPECTED = {"gaps": "amount", "signed": "signed: earlier dates"}
EXPECTED |= {"length": "note: length", "words": "note: known words"}


def table_of(frame, **changes):
    return load(DataSpec(**{**DATA, **changes}), frame)


def later(move=None, rows=100, **changes):
    """The rows of then, and new ones below."""
    return pd.concat([mixed(), mixed(300, rows, move)], ignore_index=True).assign(**changes)


def moved(then, now, key="k"):
    return {one.column for one in changed(now, then, key, DriftSpec()).moved if one.moved}


@pytest.fixture(scope="module")
def then():
    return table_of(mixed())


# ---- every source ------------------------------------------------------------------------------


def snapshot(kind, frame, folder, place):
    """The rows as a tick reads them: fetched, frozen, loaded."""
    source = SourceSpec.model_validate(SOURCES[kind](frame, folder))
    rows = windowed(fetch(source, folder, AS_WRITTEN), "day", None)
    path = frozen(rows, folder / place / "demo.parquet")
    drop = ("month",) if kind == "partitions" else ()
    return load(DataSpec(source=str(path), drop=drop, **DATA))


@pytest.mark.parametrize("kind", SOURCES)
def test_from_every_source_old_rows_are_known_and_only_what_moved_is_named(kind, tmp_path):
    then = snapshot(kind, mixed(), tmp_path, "then")
    assert changed(then, then, "k", DriftSpec()).fresh == 0
    calm = changed(snapshot(kind, later(), tmp_path, "calm"), then, "k", DriftSpec())
    assert (calm.fresh, [one for one in calm.moved if one.moved], calm.columns) == (100, [], ())
    codes = next(one for one in then.columns if one.name == "code")
    assert codes.levels == ("01", "02", "A3")  # as they are written
    now = snapshot(kind, later("city"), tmp_path, "moved")
    assert moved(then, now) == {"city"}


# ---- every kind of column ----------------------------------------------------------------------


@pytest.mark.parametrize("move", MOVES)
def test_a_move_of_each_kind_of_column_is_seen_and_nothing_else(then, move):
    expected = {EXPECTED.get(move, move)} | ({"target"} if move == "amount" else set())
    assert moved(then, table_of(later(move))) == expected


def test_time_that_goes_on_is_no_drift_and_few_alarms_are_false(then):
    """A year later dates are all others, and words are drawn anew."""
    falls = 0
    for seed in range(12):
        frame = pd.concat([mixed(), mixed(700, 60, seed=seed)], ignore_index=True)
        change = changed(table_of(frame), then, "k", DriftSpec())
        assert change.fresh == 60
        falls += any(one.moved for one in change.moved)
    assert falls <= 1


def test_names_that_are_new_with_every_row_are_no_drift_and_one_for_all_is():
    """What was seen once foretells how much will be new (a planted fault would call it drift)."""
    draws = np.random.default_rng(0)

    def rows(start, names):
        return pd.DataFrame({"who": names, "y": draws.normal(size=200)}, index=range(200)).assign(
            x=np.arange(start, start + 200) % 7 + 0.5
        )

    spec = DataSpec(target="y", task="regression")
    then = load(spec, rows(0, [f"n{k}" for k in range(200)]))
    fresh = load(spec, rows(200, [f"n{k}" for k in range(200, 400)]))
    same = load(spec, rows(200, ["n5"] * 200))
    for now, expected in ((fresh, set()), (same, {"who"})):
        found = shifts(then, viewed(now, then.columns), DriftSpec())
        assert {one.column for one in found if one.moved} == expected


def test_dates_are_compared_to_the_day_and_the_last_day_of_a_leap_year_is_no_step_back():
    days = pd.Series(pd.date_range("2028-06-01", "2028-12-30", freq="D"))
    last = pd.Series([pd.Timestamp("2028-12-31")] * 60)
    tables = [
        load(
            DataSpec(target="y", task="regression", dates=("at",)),
            pd.DataFrame({"at": one, "y": np.random.default_rng(0).normal(size=len(one))}),
        )
        for one in (days, last)
    ]
    found = {one.column: one for one in shifts(*tables, DriftSpec())}
    assert not found["at: earlier dates"].moved
    back = {one.column: one for one in shifts(*reversed(tables), DriftSpec())}
    assert back["at: earlier dates"].moved


# ---- rows under the columns of then ------------------------------------------------------------


def test_without_a_clock_or_a_gap_today_rows_are_what_they_would_have_been():
    frame = mixed(rows=40)
    then = table_of(frame)
    whole = frame.fillna({"amount": 0.0})
    whole["seen"] = whole["seen"].str[:10]
    now = table_of(whole)
    assert "seen: hour_sin" not in {one.name for one in now.columns}
    view = viewed(now, then.columns)
    place = {one.name: k for k, one in enumerate(view.columns)}
    assert set(view.X[:, place["seen: hour_cos"]]) == {1.0}
    assert set(view.X[:, place["seen: hour_sin"]]) == {0.0}
    assert set(view.X[:, place["amount (missing)"]]) == {0.0}
    again = viewed(then, then.columns)
    np.testing.assert_array_equal(again.X, then.X)
    assert row_hashes(again, "k") == row_hashes(then, "k")


def test_a_view_agrees_with_what_a_model_reads_from_the_table_itself():
    """The judge: encoding the table by the columns of then."""
    from autoreg.data.encoding import encode_open

    then, frame = table_of(mixed()), later("city")
    now = table_of(frame)
    X, own = encode_open(frame, then.columns)
    view = viewed(now, then.columns)
    assert view.columns == own
    np.testing.assert_array_equal(view.X, X)


def test_numbers_and_levels_of_the_same_cells_are_read_as_either():
    frame = pd.DataFrame({"k": [1.0, 2.0, np.nan, 3.0], "y": [0.5, 1.5, 2.0, 0.1]})
    numbers, levels = (
        load(DataSpec(target="y", task="regression", categorical=names), frame)
        for names in ((), ("k",))
    )
    np.testing.assert_array_equal(viewed(numbers, levels.columns).X, levels.X)
    np.testing.assert_array_equal(viewed(levels, numbers.columns).X, numbers.X)
    text = load(DataSpec(target="y", task="regression"), frame.assign(k=["a", "b", None, "c"]))
    with pytest.raises(DataError, match=r"'k' was numeric and holds 'a' now"):
        viewed(text, numbers.columns)
    with pytest.raises(DataError, match=r"lacks 1 column\(s\).*: gone;"):
        viewed(text, [Column("gone", "numeric")])


# ---- a source that has changed -----------------------------------------------------------------


def test_all_that_differs_is_named_in_one_message(then):
    frame = later().drop(columns="city").assign(items="many", amount=True)
    with pytest.raises(DataError) as caught:
        changed(table_of(frame), then, "k", DriftSpec())
    for words in (
        "column 'city' is gone",
        "column 'items' was numeric and is categorical now",
        "column 'amount' was numeric and is categorical now",
        "data: categorical",
    ):
        assert words in str(caught.value)


def test_a_clock_or_a_gap_that_is_no_more_is_no_change(then):
    frame = later().fillna({"amount": 0.0})
    frame["seen"] = frame["seen"].str[:10]
    assert changed(table_of(frame), then, "k", DriftSpec()).columns == ()


def test_a_column_that_is_new_is_a_reason_to_tune(then):
    change = changed(table_of(later(colour=["red", "blue"] * 200)), then, "k", DriftSpec())
    spec = WatchSpec.model_validate({"watch": "w", "study": {}, "source": {"file": "f"}})
    assert (change.fresh, change.columns) == (100, ("colour",))
    assert change.reason(spec, 0) == "columns are new: colour"


def test_a_target_that_became_another_task_is_named_and_a_class_more_is_drift():
    frame = mixed()
    kinds = np.where(frame["y"] > 0, "good", "bad")
    several = np.where(frame["y"] > 1, "best", kinds)
    two, three = (table_of(frame.assign(y=one)) for one in (kinds, several))
    with pytest.raises(DataError, match="target 'y' was binary and is multiclass now"):
        changed(three, two, "k", DriftSpec())
    rest = mixed(300, 100)
    more = np.append(several, ["new"] * 100)
    now = table_of(pd.concat([frame, rest], ignore_index=True).assign(y=more))
    assert moved(three, now) == {"target"}


# ---- files that do not agree -------------------------------------------------------------------


def test_kinds_in_words():
    assert kind_of(pd.Series([None, None])) is None
    assert kind_of(pd.Series([True, None], dtype=object)) == "yes or no"
    assert kind_of(pd.Series([1.5, None])) == "numbers"
    assert kind_of(pd.Series(pd.to_datetime(["2026-01-01"]))) == "dates"
    assert kind_of(pd.Series(pd.to_datetime(["2026-01-01"], utc=True))) == "dates with a time zone"
    assert kind_of(pd.Series(["a", None])) == "text"


def globbed(folder, *frames):
    for number, frame in enumerate(frames):
        frame.to_csv(folder / f"{number}.csv", index=False)
    return fetch(SourceSpec(glob="*.csv"), folder, AS_WRITTEN)


def test_a_column_of_another_kind_in_one_file_is_named_with_both_files(tmp_path):
    other = mixed(300, 50).assign(items="many")
    with pytest.raises(DataError, match=r"1\.csv: column 'items' is text here and numbers in .*0"):
        globbed(tmp_path, mixed(rows=50), other)


def test_a_column_without_a_cell_in_one_file_spoils_nothing(tmp_path):
    empty = mixed(300, 50).assign(paid=None, city=None, amount=None)
    found = globbed(tmp_path, mixed(rows=50), empty)
    assert found["paid"].isna().sum() == 50
    kinds = [
        [(one.name, one.kind) for one in table_of(rows).columns if not one.part]
        for rows in (found, found.iloc[:50])
    ]
    assert kinds[0] == kinds[1]


def test_declared_codes_may_look_like_numbers_in_one_file(tmp_path):
    found = globbed(tmp_path, mixed(rows=50).assign(code="01"), mixed(300, 50).assign(code="A3"))
    assert set(found["code"]) == {"01", "A3"}


def parts(folder, *frames):
    for number, frame in enumerate(frames):
        place = folder / "parts" / f"part={number}"
        place.mkdir(parents=True)
        frame.to_parquet(place / "rows.parquet", index=False)
    return fetch(SourceSpec.model_validate({"parquet": {"folder": "parts"}}), folder)


def test_parts_of_a_folder_must_agree_and_whole_numbers_may_become_fractions(tmp_path):
    found = parts(tmp_path, mixed(rows=20), mixed(30, 20).assign(items=0.5))
    assert found["items"].dtype == float
    assert set(found["part"]) == {0, 1}
    for change, words in (
        ({"items": "many"}, "column 'items' is text here and numbers in"),
        ({"more": 1}, "column 'more' is in this file or in"),
    ):
        folder = tmp_path / "".join(change)
        folder.mkdir()
        with pytest.raises(DataError, match=words):
            parts(folder, mixed(rows=20), mixed(30, 20).assign(**change))


def test_a_part_without_a_cell_or_a_name_is_read(tmp_path):
    found = parts(tmp_path, mixed(rows=20).assign(city=None), mixed(30, 20))
    assert found["city"].notna().sum() > 10
    (tmp_path / "parts" / "part=1").rename(tmp_path / "parts" / "part=__HIVE_DEFAULT_PARTITION__")
    again = fetch(SourceSpec.model_validate({"parquet": {"folder": "parts"}}), tmp_path)
    assert again["part"].isna().sum() == 20


@pytest.mark.parametrize(
    ("filters", "words"),
    [([["part", "=", 7]], "no row passes"), ([["nothing", "=", 1]], "cannot be read")],
)
def test_filters_that_leave_nothing_say_so(tmp_path, filters, words):
    parts(tmp_path, mixed(rows=20))
    source = SourceSpec.model_validate({"parquet": {"folder": "parts", "filters": filters}})
    with pytest.raises(DataError, match=words):
        fetch(source, tmp_path)


def queried(folder, rows, query="SELECT * FROM rows"):
    url = f"sqlite:///{folder / 'rows.db'}"
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE rows (code, other, y)"))
        connection.execute(sqlalchemy.text("INSERT INTO rows VALUES (:a, :b, :c)"), rows)
    engine.dispose()
    return fetch(SourceSpec.model_validate({"sql": {"url": url, "query": query}}), folder, ["code"])


def test_a_database_that_mixes_kinds_in_a_column_is_told_or_taken_as_written(tmp_path):
    rows = [{"a": k if k % 2 else f"A{k}", "b": 1, "c": k} for k in range(4)]
    assert queried(tmp_path, rows)["code"].tolist() == ["A0", "1", "A2", "3"]
    (tmp_path / "rows.db").unlink()
    rows = [{"a": "x", "b": "many" if k == 2 else k, "c": k} for k in range(4)]
    with pytest.raises(DataError, match=r"column 'other', row 3: 'many'.*data: categorical"):
        queried(tmp_path, rows)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT y, y FROM rows", "two columns are named 'y'"),
        ("SELECT * FROM rows WHERE y > 9", "the table has no rows"),
    ],
)
def test_a_query_of_no_use_says_why(tmp_path, query, words):
    with pytest.raises(DataError, match=words):
        queried(tmp_path, [{"a": "x", "b": 1, "c": 2}], query)


def test_a_column_that_no_snapshot_can_hold_is_named(tmp_path):
    frame = mixed(rows=5).assign(strange=1j)
    with pytest.raises(DataError, match="column 'strange' holds complex128 objects"):
        frozen(frame, tmp_path / "rows.parquet")
    assert not (tmp_path / "rows.parquet").exists()


# ---- ticks on such a table ---------------------------------------------------------------------


def at(folder, kind, frame, name, **changes):
    study = {
        "data": DATA,
        "space": {
            "space": "tiny",
            "families": {"linear": {"techniques": ["ridge", "lasso"]}},
            "incumbent": {"family": "linear", "techniques": ["ridge"]},
            "path_points": 5,
        },
        "trials": 4,
        "folds": {"outer": 5},
        "ignore": ["strength_at_edge", "ordered_rows"],
    }
    source = SOURCES[kind](frame, folder)
    document = {"watch": "demo", "study": study, "source": source, **changes}
    asked = WatchSpec.model_validate(document), folder
    return tick(asked, name, home=folder / "home", dry=False, workers=1, progress=False)


@pytest.mark.parametrize("kind", ["csv", "sql"])
def test_a_life_of_ticks_on_dates_text_gaps_and_categories(kind, tmp_path):
    first = at(tmp_path, kind, mixed(), "t1")
    assert (first.decision, first.promoted) == ("tuned", True), first.gate
    calm = at(tmp_path, kind, later(), "t2")
    assert (calm.decision, calm.fresh) == ("skipped", 100), calm.reason
    with pytest.raises(DataError, match=r"rows of this tick\): there is no column 'note'"):
        at(tmp_path, kind, later().drop(columns="note"), "t3")
    # Once the source is mended, the same tick goes on.
    third = at(tmp_path, kind, later("target", rows=300), "t3", window=300)
    assert third.decision == "tuned"
    assert {one.column for one in third.drift if one.moved} == {"target"}
    assert third.promoted, third.gate
    assert "on 150 rows (20 blocks of time) that neither model was trained on" in third.gate
    assert "asking 1 of this champion" in third.gate
