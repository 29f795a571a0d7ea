"""Text, dates, mean targets, marked gaps and fences: by the book, and deaf to other rows."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import autoreg
from autoreg.data import load
from autoreg.data.dataset import Column
from autoreg.data.encoding import encode
from autoreg.engines import engine_for
from autoreg.engines.base import Job, TrainingSet
from autoreg.errors import DataError
from autoreg.garbage import KINDS
from autoreg.learned import Known
from autoreg.learned.fences import Fences, quantiles
from autoreg.learned.target import PARTS, SHRINK, Means
from autoreg.learned.words import BUCKETS, Words, counts_of
from autoreg.model import Model
from autoreg.preprocess import Preprocessor
from autoreg.space import Space
from autoreg.spec import DataSpec, Training, read_space

SPEC = DataSpec(
    target="y",
    text=("note",),
    dates=("day",),
    mean_target=("street",),
    gaps="mark",
    outliers="pull_in",
)
GOOD, BAD = ("fine swift glad", "broken late torn")


def table(n=120, seed=0):
    """A note whose words tell, a street whose level tells, a day whose season tells."""
    draws = np.random.default_rng(seed)
    street = draws.integers(30, size=n)
    happy = draws.random(n) < 0.5
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(draws.integers(700, size=n), unit="D")
    fill = [" ".join(draws.choice(["box", "was", "the", "a", "it"], 4)) for _ in range(n)]
    words = [draws.choice((GOOD if h else BAD).split()) for h in happy]
    frame = pd.DataFrame(
        {
            "note": [f"{a} {b}" for a, b in zip(fill, words, strict=True)],
            "street": [f"s{k}" for k in street],
            "day": day.strftime("%Y-%m-%d"),
            "size": draws.normal(size=n),
        }
    )
    season = np.sin(2 * np.pi * day.day_of_year / 365.25)
    effect = draws.normal(size=30)
    frame["y"] = 2.0 * happy + effect[street] + season + 0.1 * draws.normal(size=n)
    frame.loc[3, "size"] = np.nan
    frame.loc[5, "size"] = 1e6
    frame.loc[7, "note"] = None
    return frame


@pytest.fixture(scope="module")
def rows():
    return load(SPEC, table())


def test_the_schema_is_inferred_and_told(rows):
    kinds = {column.name: (column.kind, column.treated) for column in rows.columns}
    assert kinds["note"] == ("text", "")
    assert kinds["street"] == ("categorical", "target")
    assert kinds["size"] == ("numeric", "fences")
    assert kinds["size (missing)"] == ("numeric", "")
    assert kinds["day: weekday"] == ("categorical", "")
    from autoreg.data.schema import schema_lines

    told = list(schema_lines(rows.columns))
    assert told[0] == "note: text, as directions of meaning"
    assert told[1].startswith("street: 30 categories (s0, s1, s10, s11, ...), as mean target")
    assert told[2] == "day: dates, as year, season_sin, season_cos, weekday"
    assert told[3] == "size: numbers, outliers pulled in, gaps marked"


# ---- by the book -------------------------------------------------------------------------------


def test_dates_become_parts_and_gaps_a_column():
    frame = pd.DataFrame(
        {
            "at": ["2026-02-02 06:00", "2026-08-03 18:30", None],
            "a": [1.0, None, 2.0],
            "y": [1, 2, 4],
        }
    )
    found = load(DataSpec(target="y", dates=("at",), gaps="mark", task="regression"), frame)
    values = dict(zip((c.name for c in found.columns), found.X.T.tolist(), strict=True))
    assert values["at: year"][:2] == [2026.0, 2026.0]
    assert values["at: weekday"][:2] == [0.0, 0.0]
    assert values["at: hour_sin"][0] == pytest.approx(1.0)
    assert values["at: hour_sin"][1] == pytest.approx(np.sin(2 * np.pi * 18.5 / 24))
    assert values["at: season_cos"][0] == pytest.approx(np.cos(2 * np.pi * 33 / 365.25))
    assert np.isnan(values["at: year"][2])
    assert values["a (missing)"] == [0.0, 1.0, 0.0]
    again = frame.assign(at=pd.to_datetime(frame["at"]))
    assert np.array_equal(encode(again, found.columns), found.X, equal_nan=True)


def test_fences_are_three_quartile_ranges_beyond_the_quartiles():
    cells = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 500.0, np.nan, -500.0])
    weights = np.ones(len(cells))
    made, own = Fences.fit(cells, Column("a", "numeric"), Known(np.empty((11, 0)), weights))
    first, third = quantiles(cells, weights, (0.25, 0.75))
    assert (made.low, made.high) == (first - 3 * (third - first), third + 3 * (third - first))
    assert own.ravel()[8] == made.high
    assert own.ravel()[10] == made.low
    assert np.isnan(own.ravel()[9])
    assert (own.ravel()[:8] == cells[:8]).all()
    flat, same = Fences.fit(np.ones(5), Column("a", "numeric"), None)
    assert (same == 1).all()
    assert flat.high == np.inf


def test_weights_of_quantiles_are_repeated_rows():
    draws = np.random.default_rng(0)
    cells, counts = draws.normal(size=20), draws.integers(1, 4, size=20)
    repeated = np.repeat(cells, counts)
    for share in (0.1, 0.25, 0.5, 0.75):
        weighted = quantiles(cells, counts.astype(float), (share,))
        assert weighted == quantiles(repeated, np.ones(len(repeated)), (share,))


def test_mean_targets_are_shrunken_and_a_row_never_meets_its_own():
    draws = np.random.default_rng(0)
    cells = draws.integers(6, size=100).astype(float)
    cells[0] = np.nan
    y = draws.normal(size=(100, 1))
    column = Column("street", "categorical", tuple("abcdef"))
    made, own = Means.fit(cells, column, Known(y, np.ones(100)))
    for level in range(6):
        mine = y[cells == level]
        shrunken = (mine.sum() + SHRINK * y.mean()) / (len(mine) + SHRINK)
        assert made.values(np.array([float(level)]), ())[0, 0] == pytest.approx(shrunken)
    assert made.values(np.array([-1.0]), ())[0, 0] == pytest.approx(y.mean())
    for row in range(100):
        wild = y.copy()
        wild[row] = 1e6
        _, changed = Means.fit(cells, column, Known(wild, np.ones(100)))
        assert changed[row] == own[row]
    assert (changed != own).sum() > 100 * (1 - 2 / PARTS) - 5


def test_a_column_of_ids_tells_nothing_of_its_rows():
    """Without parts it would tell every target: the mean of one row is the row."""
    y = np.random.default_rng(0).normal(size=(200, 1))
    column = Column("id", "categorical", tuple(f"{k:03}" for k in range(200)))
    made, own = Means.fit(np.arange(200.0), column, Known(y, np.ones(200)))
    assert abs(np.corrcoef(own.ravel(), y.ravel())[0, 1]) < 0.4
    naive = made.values(np.arange(200.0), ())
    assert np.corrcoef(naive.ravel(), y.ravel())[0, 1] > 0.99


def test_groups_stay_in_one_part():
    y = np.random.default_rng(0).normal(size=(60, 1))
    group = np.arange(60) // 6
    column = Column("c", "categorical", ("a",))
    _, own = Means.fit(np.zeros(60), column, Known(y, np.ones(60), group))
    for one in range(10):
        assert len(np.unique(own[group == one])) == 1


def test_words_are_counted_weighed_and_projected_as_scikit_learn_does():
    from sklearn.decomposition import TruncatedSVD

    draws = np.random.default_rng(0)
    words = ["red", "green", "blue", "fast", "slow", "old"]
    documents = tuple(sorted({" ".join(draws.choice(words, 5)) for _ in range(60)}))
    column, cells = Column("note", "text", documents), np.arange(float(len(documents)))
    made, own = Words.fit(cells, column, None)
    counts = np.array(
        [[Counter(_tokens(doc))[t] for t in sorted({t for d in documents for t in _tokens(d)})]
         for doc in documents]
    )  # fmt: skip
    assert counts_of(documents).sum() == counts.sum()
    n = len(documents)
    hashed = counts_of(documents)
    idf = np.log((1 + n) / (1 + (hashed > 0).sum(axis=0))) + 1
    weighed = np.log1p(hashed) * idf
    weighed /= np.linalg.norm(weighed, axis=1, keepdims=True)
    k = own.shape[1]
    other = TruncatedSVD(k, algorithm="arpack", random_state=0).fit(weighed)
    np.testing.assert_allclose(np.abs(own), np.abs(other.transform(weighed)), atol=1e-8)
    gone = made.values(np.array([np.nan, -1.0]), documents)
    assert (gone == 0).all()
    assert made.directions.shape == (BUCKETS, k)


def _tokens(document):
    words = re.findall(r"\w+", document)
    return [*words, *(" ".join(pair) for pair in zip(words, words[1:], strict=False))]


# ---- deaf to other rows ------------------------------------------------------------------------


def fits(data, family, train, test):
    space = Space.build(read_space("quick"), data.task)
    one = next(c for c in space.design() if c.family == family and not c.is_none)
    job = Job(
        one, TrainingSet(train, ("block-0",)), test, 0, space.strengths(one)[:3],
        Training(epochs=2),
    )  # fmt: skip
    (outcome,) = engine_for([one], data.task).run([job], data)
    return [outcome.predictions[k] for k in range(len(outcome.losses))]


@pytest.mark.parametrize("family", ["linear", "network"])
@pytest.mark.parametrize("kind", KINDS)
def test_garbage_in_other_rows_changes_no_bit_of_a_fit(rows, family, kind):
    train, other, test = np.arange(70), np.arange(70, 95), np.arange(95, 120)
    clean = fits(rows, family, train, test)
    spoilt = KINDS[kind].on(rows, other)
    assert all(
        np.array_equal(a, b) for a, b in zip(clean, fits(spoilt, family, train, test), strict=True)
    )
    touched = KINDS[kind].on(rows, np.arange(20))
    assert not np.array_equal(clean[0], fits(touched, family, train, test)[0]), "the test is blind"


def test_every_learned_column_alone_is_deaf_and_hears_its_own_rows(rows):
    """One column at a time, so that no other hides it."""
    train = np.arange(70)
    for position, column in enumerate(rows.columns):
        if not column.is_learned:
            continue
        part = np.arange(len(rows.columns)) == position

        def inputs(data, part=part):
            scaler = Preprocessor.of(data, train)
            return scaler.inputs(data.X[train])[:, part[scaler.groups]]

        kind = KINDS["huge"] if column.kind == "numeric" else KINDS["permuted"]
        clean = inputs(rows)
        assert np.array_equal(clean, inputs(kind.on(rows, np.arange(70, 120)))), column.name
        assert not np.array_equal(clean, inputs(kind.on(rows, np.arange(40)))), column.name


@pytest.mark.parametrize("name", ["note", "street", "size"])
def test_a_column_learned_from_all_rows_is_caught(rows, name, monkeypatch):
    """A planted leak in each kind of learned column alone: the test above must see it."""
    honest = Preprocessor.of.__func__
    position = [column.name for column in rows.columns].index(name)

    def leaky(cls, table, ids):
        mine, whole = honest(cls, table, ids), honest(cls, table, np.arange(table.n))
        if name == "note":  # more documents have more directions
            return replace(whole, own={})
        learned = {**mine.learned, position: whole.learned[position]}
        own = {k: v for k, v in mine.own.items() if k != position}
        return replace(mine, learned=learned, own=own)

    monkeypatch.setattr(Preprocessor, "of", classmethod(leaky))
    train, other, test = np.arange(70), np.arange(70, 110), np.arange(110, 120)
    spoilt = KINDS["huge" if name == "size" else "permuted"].on(rows, other)
    inputs = [Preprocessor.of(one, train).inputs(one.X[train]) for one in (rows, spoilt)]
    assert inputs[0].shape != inputs[1].shape or not np.array_equal(*inputs)
    if name == "street":
        clean = fits(rows, "linear", train, test)
        assert not np.array_equal(clean[0], fits(spoilt, "linear", train, test)[0])


def test_a_whole_study_of_such_columns_is_proven(tmp_path):
    table().to_csv(tmp_path / "mixed.csv", index=False)
    question = {
        "study": "mixed", "space": "ridge_to_lasso", "trials": 2, "folds": {"outer": 3},
        "data": SPEC.model_dump(exclude_unset=True)
        | {"task": "regression", "source": str(tmp_path / "mixed.csv")},
    }  # fmt: skip
    proof = autoreg.verify(question, home=tmp_path, tracking=False, workers=1, progress=False)
    assert proof.outcome == "clean", proof.words


# ---- a study, its model, its complaints --------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    question = {
        "study": "mixed", "space": "ridge_to_lasso", "trials": 2, "folds": {"outer": 3},
        "data": SPEC.model_dump(exclude_unset=True) | {"task": "regression"},
    }  # fmt: skip
    return autoreg.run_study(
        question, table(n=300), home=tmp_path_factory.mktemp("home"), tracking=False, progress=False
    )


def test_such_tables_are_searched_and_what_tells_is_found(study):
    assert study.verdict.nested.value > 0.5
    inputs = set(study.coefficients["input"])
    assert {"note~1", "street (mean target)", "day: season_sin", "size (missing)"} <= inputs


def test_a_stored_model_reads_new_words_and_holds_no_document(study, tmp_path):
    study.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    new = table(n=40, seed=5)
    assert np.array_equal(loaded.predict(new), study.predict(new))
    assert np.corrcoef(loaded.predict(new), new["y"])[0, 1] > 0.5
    stored = (tmp_path / "model" / "model.json").read_text()
    assert not any(note in stored for note in table(n=300)["note"].dropna())
    assert loaded.predict(loaded.example()).shape == (1,)
    assert loaded.schema == study.model.schema


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"day": "soon"}, r"column 'day', row 1: 'soon' is no date"),
        ({"size": "big"}, r"column 'size', row 1: 'big' is not a number"),
    ],
)
def test_the_schema_is_enforced_and_names_the_column(study, change, message):
    new = table().head(3).astype(object)
    for name, cell in change.items():
        new.loc[0, name] = cell
    with pytest.raises(DataError, match=message):
        study.predict(new)
    with pytest.raises(DataError, match="note"):
        study.predict(table().drop(columns="note"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": ("nte",)}, "did you mean 'note'"),
        ({"text": ("note",), "dates": ("note",)}, "is text and so cannot be dates"),
        ({"dates": ("size",), "drop": ("day",)}, "is no date"),
        ({"text": ("y",)}, "is target and so no feature"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        load(DataSpec(target="y", **changes), table())


def test_undeclared_dates_are_refused_with_both_remedies():
    with pytest.raises(DataError, match=r"data: time: day .* data: dates: \[day\]"):
        load(DataSpec(target="y"), table())
