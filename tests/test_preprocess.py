"""Preprocessing against a slow obvious one, and against scikit-learn."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from autoreg.data.dataset import Column
from autoreg.preprocess import Preprocessor

LAWS = settings(max_examples=50, deadline=None)
LEVELS = ("a", "b", "c", "d", "e")
COLUMNS = (Column("size", "numeric"), Column("kind", "categorical", LEVELS), Column("w", "numeric"))


def rows(n, seed, missing=0.15):
    """Random raw rows: two numeric columns around a categorical one with rare levels."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(5, n, p=[0.45, 0.3, 0.2, 0.04, 0.01])
    X = np.column_stack([rng.normal(5, 3, n), kinds, rng.exponential(size=n) * 1e6])
    X[rng.random(X.shape) < missing] = np.nan
    return X


def slow(train, new, weights):
    """The same by loops over rows, cells and repeated weights; for COLUMNS."""
    total = weights.sum()
    kinds = {}
    for cell, weight in zip(train[:, 1], weights, strict=True):
        name = "(missing)" if np.isnan(cell) else LEVELS[int(cell)]
        kinds[name] = kinds.get(name, 0.0) + weight
    frequent = [k for k in LEVELS if kinds.get(k, 0) >= max(3, 0.01 * total)]
    rare = [k for k in LEVELS if k in kinds and k not in frequent]
    names = (
        frequent + (["(rare)"] if rare else []) + (["(missing)"] if "(missing)" in kinds else [])
    )
    names = names[1:] if len(names) == 2 else names

    def expand(X):
        means = [np.average(train[s, j], weights=weights[s]) for j in (0, 2) for s in [seen(j)]]
        out = []
        for row in X:
            kind = "(missing)" if np.isnan(row[1]) else LEVELS[int(row[1])] if row[1] >= 0 else "?"
            if kind not in [*frequent, "(missing)"] or (kind == "(missing)" and kind not in kinds):
                kind = "(rare)"
            first = means[0] if np.isnan(row[0]) else row[0]
            last = means[1] if np.isnan(row[2]) else row[2]
            out.append([first, *(float(kind == name) for name in names), last])
        return np.array(out)

    def seen(j):
        return ~np.isnan(train[:, j])

    raw = expand(train)
    mean = np.average(raw, axis=0, weights=weights)
    deviation = np.sqrt(np.average((raw - mean) ** 2, axis=0, weights=weights))
    return [f"kind={name}" for name in names], (expand(new) - mean) / deviation


@given(st.integers(40, 400), st.integers(0, 999), st.booleans())
@LAWS
def test_it_equals_the_slow_obvious_one(n, seed, weighted):
    train, new = rows(n, seed), rows(30, seed + 1)
    new[:3, 1] = -1.0
    weights = (
        np.random.default_rng(seed).integers(1, 5, n).astype(float) if weighted else np.ones(n)
    )
    names, expected = slow(train, new, weights)
    scaler = Preprocessor.fit(train, COLUMNS, weights)
    assert scaler.names == ("size", *names, "w")
    assert scaler.groups.tolist() == [0, *[1] * len(names), 2]
    np.testing.assert_allclose(scaler.transform(new), expected, rtol=1e-9, atol=1e-9)


@given(st.integers(40, 200), st.integers(0, 999))
@LAWS
def test_weights_are_repeated_rows(n, seed):
    train = rows(n, seed)
    times = np.random.default_rng(seed).integers(1, 4, n)
    weighted = Preprocessor.fit(train, COLUMNS, times.astype(float))
    repeated = Preprocessor.fit(np.repeat(train, times, axis=0), COLUMNS)
    assert weighted.names == repeated.names
    # Standardized inputs are differences, so near zero only their absolute error is bounded.
    mine, theirs = weighted.transform(train), repeated.transform(train)
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)


def test_small_weights_do_not_make_levels_rare():
    train = rows(200, 0)
    plain = Preprocessor.fit(train, COLUMNS)
    assert Preprocessor.fit(train, COLUMNS, np.full(200, 1 / 200)).names == plain.names


def test_numeric_columns_agree_with_scikit_learn():
    train, new = rows(100, 3)[:, [0, 2]], rows(20, 4)[:, [0, 2]]
    columns = (COLUMNS[0], COLUMNS[2])
    pipeline = make_pipeline(SimpleImputer(), StandardScaler()).fit(train)
    mine = Preprocessor.fit(train, columns).transform(new)
    np.testing.assert_allclose(mine, pipeline.transform(new), rtol=1e-10, atol=1e-12)


def test_categorical_columns_agree_with_scikit_learn():
    train, new = rows(300, 3, missing=0)[:, [1]], rows(50, 4, missing=0)[:, [1]]
    encoder = OneHotEncoder(min_frequency=3, handle_unknown="infrequent_if_exist")
    pipeline = make_pipeline(encoder, StandardScaler(with_mean=False))
    scale = pipeline.fit(train).transform(new).toarray()
    mine = Preprocessor.fit(train, COLUMNS[1:2])
    np.testing.assert_allclose(mine.transform(new) + mine.mean / mine.scale, scale, atol=1e-12)


def test_training_inputs_have_mean_zero_and_deviation_one():
    train = rows(500, 1)
    weights = np.random.default_rng(0).random(500) + 0.1
    out = Preprocessor.fit(train, COLUMNS, weights).transform(train)
    np.testing.assert_allclose(np.average(out, axis=0, weights=weights), 0, atol=1e-12)
    np.testing.assert_allclose(np.average(out**2, axis=0, weights=weights), 1, rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-17, -7e99, 123456.789])
@pytest.mark.parametrize("n", [3, 7, 10, 1000])
def test_constant_columns_are_exactly_zero(value, n):
    X = np.full((n, 1), value)
    X[0] = np.nan
    weights = np.random.default_rng(n).random(n) + 0.1
    scaler = Preprocessor.fit(X, COLUMNS[:1], weights)
    assert scaler.scale.tolist() == [0.0]
    assert not scaler.transform(np.array([[value], [value + 1], [np.nan], [5.0]])).any()


def test_differences_of_rounding_size_count_as_constant():
    X = np.array([[0.1 + 0.2], [0.3], [0.3], [0.1 + 0.2]])
    assert np.ptp(X) > 0
    assert not Preprocessor.fit(X, COLUMNS[:1]).transform(X).any()


def test_small_but_real_differences_do_not():
    X = np.array([[1e-30], [2e-30], [3e-30]])
    out = Preprocessor.fit(X, COLUMNS[:1]).transform(X)
    np.testing.assert_allclose(out[:, 0], [-(1.5**0.5), 0, 1.5**0.5], atol=1e-12)


def test_columns_without_a_value_in_training_give_zeros():
    X = np.full((6, 3), np.nan)
    scaler = Preprocessor.fit(X, COLUMNS)
    assert scaler.names == ("size", "kind=(missing)", "w")
    assert not scaler.transform(X).any()
    assert not scaler.transform(rows(10, 0)).any()


def kind_of(train, new):
    """Names, and which indicator each new cell sets."""
    scaler = Preprocessor.fit(np.array(train, float)[:, None], COLUMNS[1:2])
    raw = scaler.transform(np.array(new, float)[:, None]) * scaler.scale + scaler.mean
    names = [name.removeprefix("kind=") for name in scaler.names]
    return names, [[n for n, cell in zip(names, row, strict=True) if cell > 0.5] for row in raw]


NAN = np.nan


@pytest.mark.parametrize(
    ("train", "names", "new", "set_"),
    [
        # two levels: one indicator says it all
        ([0] * 4 + [1] * 4, ["b"], [0, 1, -1, NAN, 2], [[], ["b"], [], [], []]),
        # three levels, no rare one: an unseen level sets nothing
        ([0] * 4 + [1] * 4 + [2] * 4, ["a", "b", "c"], [2, 4, -1], [["c"], [], []]),
        # rare levels are pooled, and the unseen join them
        (
            [0] * 4 + [1] * 4 + [2, 3],
            ["a", "b", "(rare)"],
            [0, 2, 3, 4, -1, NAN],
            [["a"], *[["(rare)"]] * 5],
        ),
        # missing cells are a kind of their own, however few
        (
            [0] * 4 + [1] * 4 + [NAN],
            ["a", "b", "(missing)"],
            [NAN, 1, -1],
            [["(missing)"], ["b"], []],
        ),
        ([0] * 4 + [NAN], ["(missing)"], [0, NAN], [[], ["(missing)"]]),
        ([0] * 4 + [3], ["(rare)"], [0, 3, 1], [[], ["(rare)"], ["(rare)"]]),
        # at least 1% of the rows
        ([0] * 300 + [1] * 300 + [2] * 5, ["a", "b", "(rare)"], [2], [["(rare)"]]),
        ([0] * 300 + [1] * 300 + [2] * 7, ["a", "b", "c"], [2], [["c"]]),
    ],
)
def test_which_levels_get_an_indicator(train, names, new, set_):
    assert kind_of(train, new) == (names, set_)


def test_levels_of_other_rows_change_nothing():
    """A new level in the table moves all codes; fits that never saw it stay equal bit for bit."""
    train, new = rows(100, 5), rows(20, 6)
    longer = (COLUMNS[0], Column("kind", "categorical", ("A", *LEVELS)), COLUMNS[2])
    shifted, shifted_new = train.copy(), new.copy()
    shifted[:, 1] += 1
    shifted_new[:, 1] += 1
    mine = Preprocessor.fit(train, COLUMNS)
    other = Preprocessor.fit(shifted, longer)
    assert mine.names == other.names
    assert np.array_equal(mine.transform(new), other.transform(shifted_new))


def test_it_survives_json_and_arrays():
    scaler = Preprocessor.fit(rows(100, 7), COLUMNS)
    statistics, arrays = scaler.to_data()
    back = Preprocessor.from_data(json.loads(json.dumps(statistics)), arrays, COLUMNS)
    new = rows(20, 8)
    assert np.array_equal(back.transform(new), scaler.transform(new))
    assert (back.names, back.groups.tolist()) == (scaler.names, scaler.groups.tolist())


def test_statistics_of_other_columns_are_refused():
    statistics, arrays = Preprocessor.fit(rows(100, 7), COLUMNS).to_data()
    with pytest.raises(ValueError, match="do not fit"):
        Preprocessor.from_data(statistics, arrays, COLUMNS[:1])


def test_inputs_are_left_as_they_were():
    X = rows(50, 9)
    before = X.copy()
    Preprocessor.fit(X, COLUMNS).transform(X)
    assert np.array_equal(X, before, equal_nan=True)


# ---- planted fault ---------------------------------------------------------------------------


def test_a_scaler_that_saw_other_rows_is_caught():
    """The law that a fit depends on its training rows only has power here."""
    X = rows(100, 10)
    train, rest = X[:60], X[60:]
    honest = Preprocessor.fit(train, COLUMNS).transform(train)
    leaky = [
        Preprocessor.fit(np.vstack([train, other]), COLUMNS).transform(train)
        for other in (rest, rest * [100, 1, 1])
    ]
    assert np.array_equal(honest, Preprocessor.fit(train.copy(), COLUMNS).transform(train))
    assert not np.array_equal(*leaky)
