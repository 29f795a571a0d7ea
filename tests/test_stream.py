"""A stream of rows, summed up in one pass, gives what all the rows give."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import Ridge

from autoreg.data import stream as streaming
from autoreg.data.stream import HELD_OUT, Sums, _Blocks, stream
from autoreg.errors import DataError, SpecError
from autoreg.spec import study_from
from autoreg.study import prepare, run_study

ROWS, COLUMNS = 4000, 5


def frame(seed=0, rows=ROWS):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, COLUMNS)) * 10.0 ** np.arange(COLUMNS) + 1e4
    y = X @ (0.3 / 10.0 ** np.arange(COLUMNS)) + rng.normal(size=rows)
    made = pd.DataFrame(X, columns=[f"x{j}" for j in range(COLUMNS)]).assign(y=y)
    return made.assign(w=rng.uniform(0.5, 2.0, rows), site=rng.integers(0, 200, rows).astype(str))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "big.parquet"
    pq.write_table(pa.Table.from_pandas(frame()), path, row_group_size=700)
    return path


def study(path, **data):
    roles = {"source": str(path), "target": "y", "stream": True, "drop": ["w", "site"]} | data
    return study_from(
        {"study": "streamed", "data": roles, "space": "linear", "trials": 16, "folds": {"outer": 4}}
    )


def blocks(spec, path):
    (whole,) = pq.read_table(path).combine_chunks().to_batches()
    return _Blocks(spec).of(whole)


@pytest.mark.parametrize("weighted", [False, True])
def test_every_block_has_the_sums_of_its_rows(file, weighted):
    roles = {"weight": "w", "drop": ["site"]} if weighted else {}
    spec = study(file, **roles)
    table, rows = stream(spec), pd.read_parquet(file)
    assert table.size == ROWS
    for block, inside in ((b, blocks(spec, file) == b) for b in (*range(4), HELD_OUT)):
        mine = rows[inside]
        Z = mine[[f"x{j}" for j in range(COLUMNS)] + ["y"]].to_numpy()
        w = mine["w"].to_numpy() if weighted else np.ones(len(mine))
        held = table.rows(np.flatnonzero(table.block == block))
        mean = w @ Z / w.sum()
        found = np.column_stack([held.X, held.y])
        assert held.weights.sum() == pytest.approx(w.sum(), rel=1e-12)
        np.testing.assert_allclose(held.weights @ found / held.weights.sum(), mean, rtol=1e-12)
        spread = (Z - mean).T * w @ (Z - mean)
        away = found - mean
        scale = np.sqrt(np.outer(np.diag(spread), np.diag(spread)))
        np.testing.assert_allclose(
            (away.T * held.weights @ away) / scale, spread / scale, atol=1e-10
        )
        assert held.size == len(mine)


def test_a_verdict_on_a_stream_is_that_on_the_rows(file, tmp_path):
    result = run_study(study(file), home=tmp_path, tracking=False, workers=1, progress=False)
    assert result.verdict.metric == "r2"
    rows, block = pd.read_parquet(file), blocks(study(file), file)
    names = [f"x{j}" for j in range(COLUMNS)]
    train, test = rows[block >= 0], rows[block == HELD_OUT]
    plain = Ridge(1e-6).fit(train[names] - train[names].mean(), train["y"])
    errors = test["y"] - plain.predict(test[names] - train[names].mean())
    reference = ((test["y"] - train["y"].mean()) ** 2).sum()
    assert result.verdict.held_out.score == pytest.approx(
        1 - (errors**2).sum() / reference, abs=1e-3
    )
    assert result.verdict.held_out.rows == len(test)
    predicted = result.model.predict(test[names])
    own = 1 - ((test["y"] - predicted) ** 2).sum() / reference
    assert result.verdict.held_out.score == pytest.approx(own, abs=1e-9)


def test_batches_and_row_groups_change_nothing(file, monkeypatch, tmp_path):
    whole = stream(study(file))
    monkeypatch.setattr(streaming, "BATCH", 333)
    other = tmp_path / "again" / "big.parquet"
    other.parent.mkdir()
    pq.write_table(pa.Table.from_pandas(frame()), other, row_group_size=4000)
    again = stream(study(other))
    np.testing.assert_array_equal(whole.block, again.block)
    first, second = (t.X.T * t.weights @ t.X for t in (whole, again))
    np.testing.assert_allclose(first, second, rtol=1e-9)


def test_rows_of_one_group_fall_into_one_block(file):
    spec = study(file, group="site", drop=["w"])
    found, sites = blocks(spec, file), pd.read_parquet(file)["site"].to_numpy()
    assert all(len(set(found[sites == site])) == 1 for site in set(sites))
    assert set(found) == {HELD_OUT, 0, 1, 2, 3}
    assert prepare(spec).bench.plan.splitter.endswith("groups kept apart")


def test_held_out_rows_do_not_depend_on_the_seed_of_the_study(file):
    spec = study(file)
    other = spec.model_copy(update={"seed": 5})
    one, two = blocks(spec, file), blocks(other, file)
    assert ((one == HELD_OUT) == (two == HELD_OUT)).all()
    assert (one != two).any()


def peak(path):
    """The most memory, in MiB, of a process that streams a file."""
    program = (
        "import json, pathlib, re, sys\n"
        "from autoreg.data.stream import stream\n"
        "from autoreg.spec import study_from\n"
        "stream(study_from(json.loads(sys.argv[1])))\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) / 1024)\n"
    )
    document = study(path).model_dump_json()
    command = [sys.executable, "-c", program, document]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks = []
    for rows in (200_000, 1_500_000):
        path = tmp_path / f"{rows}.parquet"
        narrow = frame(rows=rows).drop(columns=["w", "site"]).assign(w=1.0, site=0)
        pq.write_table(pa.Table.from_pandas(narrow), path, row_group_size=100_000)
        peaks.append(peak(path))
    grown = 1_300_000 * (COLUMNS + 1) * 8 / 2**20
    assert peaks[1] - peaks[0] < grown / 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x1": lambda rows: rows["x1"].mask(rows.index == 1234)},
            "column 'x1', row 1235.*missing",
        ),
        ({"x0": lambda rows: rows["x0"].where(rows.index != 7, np.inf)}, "column 'x0', row 8"),
        ({"x2": lambda rows: rows["site"]}, "column 'x2' holds .*string.*numbers only"),
    ],
)
def test_what_sums_cannot_hold_is_refused_with_its_place(tmp_path, change, message):
    path = tmp_path / "bad.parquet"
    frame().assign(**change).to_parquet(path)
    with pytest.raises(DataError, match=message):
        stream(study(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"linear": {"loss": "huber"}}, "loss must be squared"),
        ({"folds": {"inner": 3}}, "inner must be left out"),
        ({"space": "quick"}, "only linear models"),
        ({"metrics": ["mae"]}, "only mse, rmse and r2"),
    ],
)
def test_studies_that_need_the_rows_are_refused(file, change, message):
    document = study(file).model_dump(mode="json") | change
    with pytest.raises(SpecError, match=message):
        stream(study_from(document))


def test_too_few_rows_for_the_columns_are_refused(tmp_path):
    path = tmp_path / "few.parquet"
    frame(rows=20).to_parquet(path)
    with pytest.raises(DataError, match="too few to be streamed"):
        stream(study(path))


def test_sums_that_forget_a_batch_are_caught():
    rows, sums = np.random.default_rng(0).normal(size=(50, 3)), Sums()
    for part in np.split(rows, 5)[:-1]:
        sums.add(part, np.ones(len(part)))
    found, weights = sums.stand_ins()
    assert not np.allclose(found.T * weights @ found, rows.T @ rows)
