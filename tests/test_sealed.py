"""Held-out rows: out of reach, opened once, remembered row by row."""

import pickle

import numpy as np
import pytest

from autoreg.data import load
from autoreg.sealed import Openings, Sealed, row_hashes, seal
from autoreg.spec import DataSpec


@pytest.fixture
def wine():
    return load(DataSpec(source="wine"))


def test_the_parts_are_disjoint_and_complete(wine):
    development, held_out = seal(wine, 0.2)
    opened = held_out._Sealed__rows
    hashes = row_hashes(development, "k") + row_hashes(opened, "k")
    assert sorted(hashes) == sorted(row_hashes(wine, "k"))


def test_development_rows_hold_no_reference_to_the_others(wine):
    development, _ = seal(wine, 0.2)
    assert development.X.base is None
    assert not np.shares_memory(development.X, wine.X)


def test_sealed_rows_cannot_be_pickled(wine):
    _, held_out = seal(wine, 0.2)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(held_out)


def test_the_seal_does_not_depend_on_the_seed_or_the_cells(wine):
    garbled = type(wine)(**{**vars(wine), "X": wine.X[::-1] * 7})
    first, second = (seal(one, 0.2)[0] for one in (wine, garbled))
    assert np.array_equal(first.y, second.y)
    assert not np.array_equal(first.X, second.X)


def test_no_share_means_no_held_out_rows(wine):
    assert seal(wine, None) == (wine, None)


def test_the_first_opening_counts_and_another_selection_stays_out(wine, tmp_path):
    _, held_out = seal(wine, 0.2)
    openings = Openings(tmp_path)
    assert held_out.open(openings, "sel-a", "one", reopen=False).kind == "first"
    assert held_out.open(openings, "sel-a", "one", reopen=False).kind == "first"
    closed = held_out.open(openings, "sel-b", "renamed", reopen=False)
    assert (closed.kind, closed.rows) == ("sealed", None)
    assert len(openings.records()) == 1
    again = held_out.open(openings, "sel-b", "renamed", reopen=True)
    assert again.kind == "reused 1"
    assert again.rows.n == held_out.n
    assert len(openings.records()) == 2
    third = held_out.open(openings, "sel-c", "renamed", reopen=True)
    assert third.kind == "reused 2"


def test_dropping_or_reordering_rows_evades_nothing(wine, tmp_path):
    _, held_out = seal(wine, 0.2)
    openings = Openings(tmp_path)
    held_out.open(openings, "sel-a", "one", reopen=False)
    rows = held_out._Sealed__rows
    smaller = Sealed(rows.rows(np.arange(rows.n - 1)[::-1]))
    assert smaller.open(openings, "sel-b", "two", reopen=False).kind == "sealed"


def test_rows_that_nobody_saw_open_freely(wine, tmp_path):
    openings = Openings(tmp_path)
    halves = [Sealed(wine.rows(ids)) for ids in np.array_split(np.arange(wine.n), 2)]
    for number, half in enumerate(halves):
        assert half.open(openings, f"sel-{number}", "s", reopen=False).kind == "first"


def test_a_torn_line_is_no_opening_and_does_not_swallow_the_next(wine, tmp_path):
    _, held_out = seal(wine, 0.2)
    openings = Openings(tmp_path)
    openings.path.write_text('{"when": "2026')
    assert held_out.open(openings, "sel-a", "one", reopen=False).kind == "first"
    assert [record["selection"] for record in openings.records()] == ["sel-a"]


def test_hashes_are_keyed_and_tell_rows_apart(wine):
    assert row_hashes(wine, "a") != row_hashes(wine, "b")
    assert len(set(row_hashes(wine, "a"))) == wine.n
    changed = type(wine)(**{**vars(wine), "y": np.roll(wine.y, 60)})
    assert row_hashes(changed, "a") != row_hashes(wine, "a")


def test_the_key_is_private_and_kept(tmp_path):
    first = Openings(tmp_path)
    assert Openings(tmp_path).key == first.key
    assert (tmp_path / "openings.key").stat().st_mode & 0o077 == 0
