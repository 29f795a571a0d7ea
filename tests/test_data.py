"""Data in: every source gives the same Dataset, every fault is named with column and row."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from autoreg.data import bundled, describe, encode, files, load
from autoreg.data.constraints import check_linear
from autoreg.data.dataset import Column
from autoreg.data.dates import moments
from autoreg.data.groups import grouped
from autoreg.data.table import Table
from autoreg.errors import DataError, SpecError
from autoreg.spec import DataSpec, LinearSpec, read_space

CSV = """\
age,city,smoker,dose,outcome
31,Paris,True,1,0.5
45,Rome,False,2,1.5

,Paris,True,1,2.25
28,"Oslo, N",False,,3.0
"""


def frame(n=24, **columns):
    rng = np.random.default_rng(0)
    plain = {"a": rng.normal(size=n), "b": rng.integers(0, 9, n), "y": rng.normal(size=n)}
    return pd.DataFrame(plain | columns)


def cells_of(values, at=3, n=24):
    """A column of ones with one odd cell in row ``at`` (counted from 1)."""
    column = [1.0 + k for k in range(n)]
    column[at - 1] = values
    return column


def write(tmp_path, text, name="table.csv", encoding="utf-8"):
    path = tmp_path / name
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


# ---- sources ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "task", "classes"),
    [
        ("breast_cancer", "binary", ("benign", "malignant")),
        ("diabetes", "regression", ()),
        ("wine", "multiclass", ("class_0", "class_1", "class_2")),
        ("digits", "multiclass", tuple(range(10))),
        ("iris", "multiclass", ("setosa", "versicolor", "virginica")),
    ],
)
def test_bundled_sets_are_those_of_scikit_learn(name, task, classes):
    data = load(DataSpec(source=name))
    raw = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(**raw)
    assert (data.task, data.classes, data.name, data.source) == (task, classes, name, name)
    assert np.array_equal(data.X, bunch.data)
    assert all(type(label) in (str, int) for label in classes)
    labels = np.array(classes)[data.y] if classes else data.y
    names = bunch.target_names[bunch.target] if classes else bunch.target
    assert np.array_equal(labels, names)
    assert name in bundled.SETS


def test_another_column_of_a_bundled_set_can_be_the_target():
    data = load(DataSpec(source="wine", target="alcohol"))
    assert data.task == "regression"
    assert data.columns[-1] == Column("cultivar", "categorical", ("class_0", "class_1", "class_2"))


def test_a_csv_file_is_read(tmp_path):
    data = load(DataSpec(source=write(tmp_path, CSV), target="outcome", categorical=("dose",)))
    assert data.name == "table"
    assert data.columns == (
        Column("age", "numeric"),
        Column("city", "categorical", ("Oslo, N", "Paris", "Rome")),
        Column("smoker", "categorical", ("False", "True")),
        Column("dose", "categorical", ("1", "2")),
    )
    expected = [[31, 1, 1, 0], [45, 2, 0, 1], [np.nan, 1, 1, 0], [28, 0, 0, np.nan]]
    np.testing.assert_array_equal(data.X, expected)
    assert data.y.tolist() == [0.5, 1.5, 2.25, 3.0]


@pytest.mark.parametrize("name", ["t.csv.gz", "t.tsv", "t.tsv.gz", "t.CSV"])
def test_kinds_of_text_files_agree(tmp_path, name):
    text = CSV.replace('"Oslo, N"', "Oslo")
    spec = DataSpec(source=write(tmp_path, text), target="outcome")
    other = text.replace(",", "\t") if ".tsv" in name else text
    path = write(tmp_path, other, name)
    assert load(spec).digest == load(spec.model_copy(update={"source": path})).digest


def test_a_frame_a_parquet_file_and_a_csv_file_agree(tmp_path):
    table = frame(city=["Rome", "Oslo", None] * 8, flag=[True, False] * 12, day=[1, 2, 3, 4] * 6)
    table.loc[3, "a"] = np.nan
    spec = DataSpec(target="y", categorical=("day",), group="b")
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    digests = {load(spec, table).digest} | {
        load(spec.model_copy(update={"source": str(tmp_path / name)})).digest
        for name in ("t.csv", "t.parquet")
    }
    assert len(digests) == 1


def test_floats_of_a_file_are_exact(tmp_path):
    values = np.random.default_rng(0).normal(size=500) * 10.0 ** np.arange(-125, 125, 0.5)[::-1]
    values = values[np.abs(values) < 1e90]
    text = "a,y\n" + "\n".join(f"{v!r},{i}.5" for i, v in enumerate(values.tolist()))
    assert np.array_equal(load(DataSpec(source=write(tmp_path, text), target="y")).X[:, 0], values)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    path = write(tmp_path, CSV, encoding="utf-8-sig")
    assert load(DataSpec(source=path, target="outcome")).columns[0].name == "age"


def test_arrays_get_names_and_a_frame_keeps_its_own():
    X, y = datasets.load_diabetes(return_X_y=True)
    data = load(DataSpec(), (X, y), name="mine")
    assert (data.name, data.target, data.source) == ("mine", "target", "in memory")
    assert [column.name for column in data.columns] == [f"x{k}" for k in range(10)]
    assert np.array_equal(data.X, X)
    named = load(DataSpec(), (frame()[["a", "b"]], frame()["y"]))
    assert named.digest == load(DataSpec(target="y"), frame()).digest


def test_rows_are_paired_by_position_and_not_by_index():
    shuffled = frame().sample(frac=1, random_state=0)
    data = load(DataSpec(), (shuffled[["a"]], shuffled["y"].to_numpy()))
    assert np.array_equal(data.X[:, 0], shuffled["a"])
    assert np.array_equal(data.y, shuffled["y"])


def test_names_that_are_no_text_become_text():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)))
    data = load(DataSpec(target="2"), table)
    assert [column.name for column in data.columns] == ["0", "1"]


# ---- task and classes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        (np.arange(24) / 7, "regression", ()),
        (np.arange(24), "regression", ()),
        (np.arange(24) % 3, "multiclass", (0, 1, 2)),
        (np.arange(24) % 3 + 0.0, "regression", ()),
        (np.arange(24) % 2, "binary", (0, 1)),
        (np.arange(24) % 2 * 2.5, "binary", (0.0, 2.5)),
        (np.arange(24) % 2 == 0, "binary", (False, True)),
        (["no", "yes", "yes"] * 8, "binary", ("no", "yes")),
        (["10", "9", "8"] * 8, "multiclass", ("10", "8", "9")),
        (pd.Categorical([3, 1, 2] * 8), "multiclass", (1, 2, 3)),
        (pd.array([3, 1, 2] * 8, dtype="Int64"), "multiclass", (1, 2, 3)),
        (pd.Series(["b", 2, 1] * 8, dtype=object), "multiclass", (1, 2, "b")),
    ],
)
def test_the_task_is_inferred(target, task, classes):
    data = load(DataSpec(target="y"), frame(y=target))
    assert (data.task, data.classes) == (task, classes)
    assert [type(label) for label in data.classes] == [type(label) for label in classes]
    labels = [data.classes[k] for k in data.y] if classes else data.y.tolist()
    assert labels == pd.Series(target).to_list()


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        (["no", "yes"] * 12, "regression", r"row 1: task regression needs a numeric target, not"),
        (["no", "yes"] * 12, "count", r"row 1: task count needs a numeric target, not 'no'"),
        (cells_of(-2), "count", r"'y', row 3: -2 is no count, .*\(1 such .*task to regression"),
        (cells_of(2.5), "count", r"column 'y', row 3: 2.5 is no count, which is 0, 1, 2"),
        (cells_of(np.nan), "count", r"column 'y', row 3: the target is missing"),
        (cells_of(np.inf), "count", r"column 'y', row 3: inf is infinite"),
        (np.arange(24) % 3, "binary", "binary needs two values, the target 'y' has 3"),
        (np.arange(24) % 2, "multiclass", "two values; set data: task to binary"),
        (np.arange(24) / 7, "multiclass", "24 classes in 24 rows.*task to regression"),
        ([f"name {k}" for k in range(24)], None, "24 classes in 24 rows; is it the right column"),
        ([f"{k}.5" for k in range(23)] + ["12,5"], None, "row 24: most of the target reads as num"),
    ],
)
def test_a_task_that_does_not_fit_is_refused(target, task, message):
    with pytest.raises(DataError, match=message):
        load(DataSpec(target="y", task=task), frame(y=target))


def test_a_declared_task_is_taken():
    assert load(DataSpec(target="y", task="regression"), frame(y=np.arange(24) % 3)).task == (
        "regression"
    )
    assert load(DataSpec(target="b", task="multiclass"), frame()).task == "multiclass"
    text = load(DataSpec(target="y", task="regression"), frame(y=[f"{k}.5" for k in range(24)]))
    assert text.y.tolist() == [k + 0.5 for k in range(24)]


@pytest.mark.parametrize("values", [np.arange(24) % 3, [f"{k}" for k in range(24)], cells_of(0.0)])
def test_counts_are_read_where_they_are_asked_for(values):
    data = load(DataSpec(target="y", task="count"), frame(y=values))
    assert (data.task, data.classes, data.y.dtype) == ("count", (), np.float64)
    assert data.y.tolist() == [float(one) for one in values]


@pytest.mark.parametrize("values", [np.arange(24) % 3, np.arange(24), cells_of(0.0)])
def test_counts_are_never_inferred(values):
    assert load(DataSpec(target="y"), frame(y=values)).task in ("regression", "multiclass")


# ---- roles -----------------------------------------------------------------------------------


def test_roles_are_taken_out_of_the_features():
    table = frame(
        site=["x", "y", "z"] * 8,
        day=pd.date_range("2024-01-01", periods=12).repeat(2)[::-1],
        w=np.arange(24) + 0.5,
        junk="?",
    )
    spec = DataSpec(target="y", group="site", time="day", weight="w", drop=("junk",))
    data = load(spec, table)
    assert [column.name for column in data.columns] == ["a", "b"]
    assert data.group.tolist() == [0, 1, 2] * 8
    assert data.time.tolist() == [k for k in range(11, -1, -1) for _ in "ab"]
    assert data.weight.tolist() == (np.arange(24) + 0.5).tolist()
    assert data.group.dtype == data.time.dtype == np.int64
    assert data.roles == {"group": "site", "time": "day", "weight": "w"}
    some = data.rows(np.array([4, 0]))
    assert (some.group.tolist(), some.time.tolist(), some.roles) == ([1, 0], [9, 11], data.roles)


@pytest.mark.parametrize(
    "values",
    [
        [10, 2, 2, 300],
        [0.5, -1, -1, 7.25],
        ["10", "2", "2", "300"],
        ["2024-02-01", "2023-12-31", "2023-12-31", "2024-02-01 10:00"],
        ["13/01/2024", "02/01/2024", "02/01/2024", "01/02/2024"],
        ["01/13/2024", "01/02/2024", "01/02/2024", "02/01/2024"],
        ["13.01.2024 08:00", "13.01.2024 07:59", "13.01.2024 07:59", "01.02.2024 00:00"],
        ["2024-01-01T00:30+00:00", *["2024-01-01T01:00+02:00"] * 2, "2024-01-01T09:00+00:00"],
        pd.to_datetime(["2024-02-01", "2023-12-31", "2023-12-31", "2025-01-01"]),
        pd.to_timedelta(["2h", "1h", "1h", "1D"]),
        pd.period_range("2024-02", periods=4, freq="Q")[[1, 0, 0, 3]],
        pd.period_range("2024-02", periods=4, freq="M")[[1, 0, 0, 3]],
        [
            d.date()
            for d in pd.to_datetime(["2024-02-01", "2023-12-31", "2023-12-31", "2025-01-01"])
        ],
    ],
)
def test_moments_are_ranked_and_ties_share_a_rank(values):
    table = Table.build(pd.DataFrame({"t": values}), "here")
    assert moments(table, "t").tolist() == [1, 0, 0, 2]


@pytest.mark.parametrize(
    ("column", "spec", "message"),
    [
        ({"w": cells_of(0.0)}, {"weight": "w"}, "column 'w', row 3: the weight 0 is not above 0"),
        ({"w": cells_of(-1.0)}, {"weight": "w"}, "row 3: the weight -1 is not"),
        ({"w": cells_of(np.nan)}, {"weight": "w"}, "row 3: the weight nan is not"),
        ({"w": np.zeros(24)}, {"weight": "w"}, "row 1: the weight 0"),
        ({"w": cells_of("heavy")}, {"weight": "w"}, "row 3: 'heavy' is not a number"),
        ({"g": cells_of(None)}, {"group": "g"}, "column 'g', row 3: the group is missing"),
        ({"t": cells_of(None)}, {"time": "t"}, "column 't', row 3: the time is missing"),
        (
            {"t": cells_of("soon")},
            {"time": "t"},
            "column 't', row 3: 'soon' is neither a number nor a date",
        ),
        ({"t": cells_of(np.inf)}, {"time": "t"}, "row 3: inf is infinite"),
        (
            {"t": ["01/02/2024", "02/01/2024", "03/04/2024"] * 8},
            {"time": "t"},
            "day and month cannot be told apart.*YYYY-MM-DD",
        ),
        ({}, {"group": "aa"}, r"no column 'aa' \(data: group\); did you mean 'a'"),
        ({}, {"drop": ("zzz",)}, r"no column 'zzz' \(data: drop\); the columns are a, b, y"),
        ({"size": 1.0}, {"categorical": ("siz",)}, "did you mean 'size'"),
        ({}, {"group": "a", "time": "a"}, "'a' is both group and time; choose one"),
        ({}, {"group": "y"}, "'y' is both target and group"),
        ({}, {"drop": ("a",), "categorical": ("a",)}, "'a' is drop and so no feature"),
        ({}, {"drop": ("a", "b")}, "no feature column is left"),
    ],
)
def test_roles_that_do_not_fit_are_refused(column, spec, message):
    with pytest.raises(DataError, match=message):
        load(DataSpec(target="y", **spec), frame(**column))


# ---- columns ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ([1, 2, 3] * 8, Column("c", "numeric")),
        ([1, None, 3] * 8, Column("c", "numeric")),
        (["1", "2.5", None] * 8, Column("c", "numeric")),
        (pd.array([1, None, 3] * 8, dtype="Int64"), Column("c", "numeric")),
        ([7.0] * 24, Column("c", "numeric")),
        (["u", "v", None] * 8, Column("c", "categorical", ("u", "v"))),
        ([True, False] * 12, Column("c", "categorical", ("False", "True"))),
        ([True, None, False] * 8, Column("c", "categorical", ("False", "True"))),
        (pd.Categorical(["9", "10"] * 12), Column("c", "categorical", ("10", "9"))),
        (pd.Categorical([1.0, 2.0] * 12), Column("c", "categorical", ("1", "2"))),
        (["a", 1, 2.0] * 8, Column("c", "categorical", ("1", "2", "a"))),
    ],
)
def test_kinds_of_columns(values, column):
    assert load(DataSpec(target="y"), frame(c=values)).columns[-1] == column


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None] * 24, r"no row has a value in column 'c'; leave it out with data: drop: \[c\]"),
        (cells_of(np.inf), "column 'c', row 3: inf is infinite"),
        (cells_of(-np.inf), "column 'c', row 3: -inf is infinite"),
        (cells_of(1e200), "column 'c', row 3: 1e[+]200 is infinite or absurdly large"),
        (cells_of("?"), r"column 'c', row 3: '\?' is not a number \(1 such .*categorical"),
        ([str(c) for c in cells_of("n.d.")], "column 'c', row 3: 'n.d.' is not a number"),
        (pd.date_range("2024", periods=24), "'c' holds dates.*time: c .*dates: .c..*drop: .c."),
        ([f"2024-01-{k:02}" for k in range(1, 25)], "'c' holds dates"),
        (pd.period_range("2024", periods=24, freq="D"), "'c' holds dates"),
        ([1 + 2j] * 24, "'c' holds complex numbers"),
        ([[1, 2]] * 24, "'c' holds lists"),
    ],
)
def test_cells_that_cannot_be_used_are_named(values, message):
    with pytest.raises(DataError, match=message):
        load(DataSpec(target="y"), frame(c=values))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (cells_of(np.nan), r"column 'y', row 3: the target is missing \(1 such"),
        (cells_of(None), "column 'y', row 3: the target is missing"),
        (cells_of(np.inf), "column 'y', row 3: inf is infinite"),
        (np.ones(24), "'y' is .*1.0.* in every row"),
        (["yes"] * 24, "'y' is 'yes' in every row"),
        (pd.date_range("2024", periods=24), "'y' holds dates"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(target, message):
    with pytest.raises(DataError, match=message):
        load(DataSpec(target="y"), frame(y=target))


def test_a_constant_column_is_allowed():
    assert load(DataSpec(target="y"), frame(c=1)).X[:, -1].tolist() == [1.0] * 24


# ---- tables ----------------------------------------------------------------------------------

TWICE = pd.DataFrame(np.zeros((4, 3)), columns=["a", "a", "y"])


@pytest.mark.parametrize(
    ("spec", "data", "message"),
    [
        (DataSpec(), None, "there is no data"),
        (DataSpec(), frame(), "which column is to be predicted"),
        (DataSpec(target="yy"), frame(), "no column 'yy' .data: target.; did you mean 'y'"),
        (DataSpec(target="y"), frame().iloc[:0], "no rows"),
        (DataSpec(target="y"), TWICE, "two columns are named 'a'"),
        (DataSpec(target="1"), pd.DataFrame({1: [1.0], "1": [2.0]}), "two columns are named '1'"),
        (DataSpec(target="y"), {"a": [1]}, "expected a table .* or a pair"),
        (DataSpec(), (np.zeros((3, 2)), np.zeros(4)), "X has 3 rows and y has 4"),
        (DataSpec(), (np.zeros(3), np.zeros(3)), "X must be a table .* not 1-dim"),
        (DataSpec(), (np.zeros((3, 2)), np.zeros((3, 2))), "y must be one column"),
        (DataSpec(), (frame(), frame()["y"]), "X holds a column 'y', the name of y"),
        (DataSpec(source="iriss"), None, "did you mean iris"),
        (DataSpec(source="zzz"), None, "known are breast_cancer, .*ending, such as zzz.csv"),
    ],
)
def test_tables_that_cannot_answer_are_refused(spec, data, message):
    with pytest.raises(DataError, match=message):
        load(spec, data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("a,y\n", "a header and no rows"),
        ("a,y\n\n1,2\n1,2,3\n", r"table.csv:4: the line has 3 cells, the header names 2 .* quotes"),
        ("a,b,y\n1,2,3\n1,2\n", r"table.csv:3: the line has 2 cells"),
        ('a,y\n"1\n2",5\n3\n', r"table.csv:4: the line has 1 cells"),
        ("a,a,y\n1,2,3\n", "two columns are named 'a'"),
        ("a,,y\n1,2,3\n", "table.csv:1: column 2 has no name"),
        ("a;y\n1;2\n", "separated by ';'"),
        ('a,y\n1,2\n"3,4\n', "table.csv"),
        ("a,y\n1,2\n\n3,x\n4,5\n", r"column 'y', row 2 \(line 4\)"),
        ("a,y\n1,2\n\n3,\n4,5\n", r"column 'y', row 2 \(line 4\): the target is missing"),
    ],
)
def test_broken_files_are_refused_with_their_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=message):
        load(DataSpec(source=path, target="y", task="regression"))


def test_files_that_are_none_are_refused(tmp_path):
    write(tmp_path, CSV, "people.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(CSV.encode() * 50)[:-20])
    (tmp_path / "no.parquet").write_bytes(b"PAR1 no")
    write(tmp_path, CSV, "text.csv.gz"[:-3])
    (tmp_path / "plain.csv.gz").write_text(CSV)
    write(tmp_path, CSV.replace("Rome", "Málaga"), "latin.csv", encoding="latin-1")
    write(tmp_path, CSV, "table.xlsx")
    for name, message in {
        "peple.csv": "there is no such file; did you mean people.csv",
        "folder.csv": "is a folder",
        "cut.csv.gz": "cut.csv.gz: cannot be read",
        "plain.csv.gz": "plain.csv.gz: cannot be read",
        "no.parquet": "no.parquet: cannot be read",
        "latin.csv": "latin.csv:3: is not UTF-8 text",
        "table.xlsx": "unknown kind of file; known are .csv",
        "missing/table.csv": "no such file; check the path",
    }.items():
        with pytest.raises(DataError, match=message):
            load(DataSpec(source=str(tmp_path / name), target="outcome"))


# ---- tables to predict on --------------------------------------------------------------------


def test_the_training_table_encodes_to_itself():
    table = frame(city=["Rome", None, "Oslo"] * 8, flag=[True, False] * 12, day=[1, 2] * 12)
    data = load(DataSpec(target="y", categorical=("day",)), table)
    shuffled = table[["flag", "y", "day", "city", "b", "a"]]
    assert np.array_equal(encode(shuffled, data.columns), data.X, equal_nan=True)
    floats = shuffled.astype({"day": float, "b": float}).set_index("y")
    assert np.array_equal(encode(floats, data.columns), data.X, equal_nan=True)


COLUMNS = (Column("n", "numeric"), Column("c", "categorical", ("1", "u")))


def test_unseen_levels_and_missing_cells():
    X = encode(pd.DataFrame({"c": ["u", "w", None, "1"], "n": [1, None, "3", 4.5]}), COLUMNS)
    np.testing.assert_array_equal(X, [[1, 1], [np.nan, -1], [3, np.nan], [4.5, 0]])
    assert encode(pd.DataFrame({"n": [None], "c": [1.0]}), COLUMNS)[0, 1] == 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"x": [1]}), r"lacks 2 column\(s\).*: n, c; add them"),
        (pd.DataFrame({"n": [1, "two"], "c": "u"}), "column 'n', row 2: 'two' is not a number"),
        (pd.DataFrame({"n": [1, np.inf], "c": "u"}), "column 'n', row 2: inf is infinite"),
        (pd.DataFrame({"n": [], "c": []}), "no rows"),
    ],
)
def test_tables_that_cannot_be_predicted_are_refused(table, message):
    with pytest.raises(DataError, match=message):
        encode(table, COLUMNS)


def test_levels_keep_their_zeros_in_files_to_predict(tmp_path):
    text = "code,y\n" + "".join(f"{code},{k}.5\n" for k, code in enumerate(["01", "02", "1A"] * 3))
    data = load(DataSpec(source=write(tmp_path, text), target="y"))
    new = write(tmp_path, "code\n02\n01\n", "new.csv")
    assert encode(files.read_table(new, data.columns), data.columns)[:, 0].tolist() == [1, 0]
    assert encode(files.read_table(new), data.columns)[:, 0].tolist() == [-1, -1]


# ---- feature groups --------------------------------------------------------------------------

GENES = ("gene1_a", "gene1_b", "gene2_a", "gene2_b_x", "gene2_b_y", "age")


def groups_of(wanted, names=GENES, **spec):
    table = frame(**{name: np.arange(24.0) for name in names}).drop(columns=["a", "b"])
    data = load(DataSpec(target="y", feature_groups=wanted, **spec), table)
    assert [column.name for column in data.columns] == [
        name for name in names if name not in spec.values()
    ]
    return [column.group for column in data.columns], describe(data)["feature_groups"]


@pytest.mark.parametrize(
    ("wanted", "groups"),
    [
        (None, ["", "", "", "", "", ""]),
        ("_", ["gene1", "gene1", "", "gene2_b", "gene2_b", ""]),
        ({"g": ["gene1_*"]}, ["g", "g", "", "", "", ""]),
        ({"g": ["gene1_a", "gene1_*"], "h": ["age"]}, ["g", "g", "", "", "", "h"]),
        ({"g": ["*_a"], "h": ["gene?_b*"]}, ["g", "h", "g", "h", "h", ""]),
    ],
)
def test_groups_are_listed_or_read_off_the_names(wanted, groups):
    assert groups_of(wanted) == (groups, len(set(groups) - {""}))


def test_a_name_goes_before_the_glob_that_it_would_be():
    names = ("x[1]", "x1", "x2")
    assert groups_of({"g": ["x[1]"]}, names)[0] == ["g", "", ""]
    assert groups_of({"g": ["x[12]"]}, names)[0] == ["", "g", "g"]
    assert groups_of({"g": ["X*", "x1"]}, ("X1", "x1", "x2"))[0] == ["g", "g", ""]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"g": ["gene1_c"]}, "no feature column 'gene1_c' .*groups: g.; did you mean 'gene1_.'"),
        ({"g": ["gne1_*"]}, "no feature column matches 'gne1_.' .*did you mean 'gene1_.'"),
        ({"g": ["zzz"]}, "no feature column 'zzz' .*the features are gene1_a, .*, age"),
        ({"g": ["y"]}, "no feature column 'y'"),
        ({"g": ["gene1_*"], "h": ["*_a"]}, "column 'gene1_a' is in the feature groups 'g' and 'h'"),
        ("-", "no two feature columns agree before the last '-'"),
        ("gene", "no two feature columns agree before the last 'gene'"),
    ],
)
def test_groups_that_cannot_be_meant_are_refused(wanted, message):
    with pytest.raises(DataError, match=message):
        groups_of(wanted)


def test_groups_hold_features_only():
    with pytest.raises(DataError, match="no feature column 'age'"):
        groups_of({"g": ["age"]}, weight="age")


def test_groups_change_the_digest_and_a_table_without_keeps_its_own():
    columns = (Column("a_1", "numeric"), Column("a_2", "categorical", ("u",)))
    assert repr(columns[0]) == "Column(name='a_1', kind='numeric', levels=())"
    assert repr(grouped(columns, "_", "here")) != repr(columns)
    assert grouped(columns, None, "here") == columns


# ---- constraints of linear models ------------------------------------------------------------


def check_constraints(space="linear", target="y", columns=(), **linear):
    table = frame(city=["Rome", "Oslo"] * 12, rich=[True, False] * 12)
    if columns:
        table = table[[*columns, "y"]]
    check_linear(LinearSpec(**linear), read_space(space), load(DataSpec(target=target), table))


def test_constraints_that_can_hold_are_accepted():
    for linear in (
        {},
        {"loss": "huber"},
        {"non_negative": "all"},
        {"non_negative": ("a",), "unpenalized": ("city", "a"), "at_most": 2},
        {"at_most": 4},
    ):
        check_constraints(**linear)
    check_constraints("linear_and_network", at_most=1)
    check_constraints("network")
    assert LinearSpec().is_free


@pytest.mark.parametrize(
    ("linear", "kind", "message"),
    [
        ({"unpenalized": ("ctiy",)}, DataError, "unpenalized.; did you mean 'city'"),
        ({"non_negative": ("zzz",)}, DataError, "non_negative.; the features are a,"),
        ({"unpenalized": ("y",)}, DataError, "no feature column 'y'"),
        ({"non_negative": ("a", "city")}, DataError, "'city' is categorical, .*take it out"),
        ({"at_most": 5}, DataError, "at_most is 5, and the table has 4 feature"),
        ({"at_most": 1, "unpenalized": ("a", "b")}, SpecError, "2 columns .* at_most is 1"),
        ({"loss": "huber", "target": "rich"}, SpecError, "huber is for regression, .* is binary"),
        ({"loss": "huber", "space": "network"}, SpecError, "network has no linear family"),
        ({"at_most": 2, "space": "network"}, SpecError, "network has no linear family"),
        ({"non_negative": "all", "columns": ("city",)}, DataError, "no column is numeric"),
    ],
)
def test_constraints_that_cannot_hold_are_refused(linear, kind, message):
    with pytest.raises(kind, match=message):
        check_constraints(**linear)


# ---- facts -----------------------------------------------------------------------------------


def test_the_facts_are_plain():
    table = frame(city=["Rome", None, "Oslo"] * 8, y=[1, 0, 0] * 8)
    facts = describe(load(DataSpec(target="y", group="b"), table, name="trips"))
    assert json.loads(json.dumps(facts)) == facts
    assert facts | {"digest": ""} == {
        "name": "trips",
        "source": "in memory",
        "digest": "",
        "rows": 24,
        "columns": 2,
        "numeric": 1,
        "categorical": 1,
        "schema": ["a: numbers", "city: 2 categories (Oslo, Rome)"],
        "feature_groups": 0,
        "missing_cells": 8,
        "task": "binary",
        "target": "y",
        "classes": {"0": 16, "1": 8},
        "roles": {"group": "b"},
    }


def test_the_digest_tells_every_cell_and_role():
    data = load(DataSpec(source="iris"))
    X = data.X.copy()
    X[7, 2] += 1e-12
    others = [
        replace(data, X=X),
        replace(data, y=1 - data.y),
        replace(data, group=np.zeros(150, np.int64)),
        replace(data, columns=data.columns[::-1]),
        replace(data, columns=(replace(data.columns[0], group="petal"), *data.columns[1:])),
    ]
    assert len({data.digest, *(other.digest for other in others)}) == 6
    assert data.digest == load(DataSpec(source="iris")).digest


def test_a_table_and_a_source_at_once_are_refused():
    with pytest.raises(DataError, match="source wine and a table was handed over"):
        load(DataSpec(source="wine", target="y"), pd.DataFrame({"a": [1.0], "y": [2.0]}))
