"""Predicting files piece by piece says what predicting them whole says."""

import io

import numpy as np
import pandas as pd
import pytest
from model_samples import FOLDER, frame
from typer.testing import CliRunner

import autoreg
from autoreg.batch import predict_file
from autoreg.cli import app
from autoreg.errors import DataError

SAMPLE = FOLDER / "format_2" / "classes"


class Told:
    """A listener that remembers."""

    def __init__(self):
        self.seen = []

    def begin(self, phase, steps, done=0):
        self.seen.append((phase, steps))

    def advance(self, done, note=""):
        self.seen.append(done)

    def end(self):
        self.seen.append("end")


@pytest.fixture
def table(tmp_path):
    rows = frame().drop(columns=["regression", "count", "binary", "multiclass"])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.to_parquet(tmp_path / "rows.parquet")
    return rows


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("rows", [1, 7, 60, 1000])
def test_pieces_say_what_the_whole_says(table, tmp_path, ending, rows):
    model, out, listener = autoreg.load(SAMPLE), io.StringIO(), Told()
    count = predict_file(
        model, tmp_path / f"rows.{ending}", out, proba=True, rows=rows, progress=listener
    )
    told = pd.read_csv(io.StringIO(out.getvalue()))
    assert count == len(told) == len(table)
    assert told["prediction"].tolist() == model.predict(table).tolist()
    # Products over other numbers of rows may end in another last bit.
    np.testing.assert_allclose(told.iloc[:, 1:], model.predict_proba(table), rtol=1e-13)
    assert listener.seen[0] == ("predict", 60)
    assert listener.seen[1] == min(rows, 60)
    assert listener.seen[-2:] == [60, "end"]


def test_a_parquet_file_of_answers_is_whole_or_not_there(table, tmp_path):
    model, out = autoreg.load(SAMPLE), tmp_path / "answers.parquet"
    predict_file(model, tmp_path / "rows.csv", out, proba=True, rows=7)
    told = pd.read_parquet(out)
    assert told["prediction"].tolist() == model.predict(table).tolist()
    out.unlink()
    broken = table.astype({"age": object})
    broken.loc[33, "age"] = "old"
    broken.to_csv(tmp_path / "broken.csv", index=False)
    with pytest.raises(DataError, match=r"broken.csv: column 'age', row 34 \(line 35\): 'old'"):
        predict_file(model, tmp_path / "broken.csv", out, rows=7)
    assert sorted(path.name for path in tmp_path.glob("answers*")) == []


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("rows.csv", "answers.xlsx", "known are .csv and .parquet"),
        ("rows.xlsx", "a.csv", "unknown kind of file"),
        ("ragged.csv", "a.csv", "ragged.csv:3: the line has 2 cells"),
        ("empty.parquet", "a.csv", "the table has no rows"),
        ("bare.csv", "a.csv", "lacks 4 column"),
    ],
)
def test_what_cannot_be_predicted_is_said_before_anything_is_written(
    table, tmp_path, source, out, message
):
    (tmp_path / "rows.xlsx").write_bytes(b"x")
    (tmp_path / "ragged.csv").write_text("a,b,c\n1,2,3\n1,2\n")
    (tmp_path / "bare.csv").write_text("age\n1\n")
    table.head(0).to_parquet(tmp_path / "empty.parquet")
    with pytest.raises(DataError, match=message):
        predict_file(autoreg.load(SAMPLE), tmp_path / source, tmp_path / out)
    assert not (tmp_path / out).exists()


def test_means_have_no_probabilities(table, tmp_path):
    with pytest.raises(DataError, match="a regression model predicts means"):
        predict_file(
            autoreg.load(SAMPLE.parent / "line"), tmp_path / "rows.csv", io.StringIO(), proba=True
        )


def test_the_command_tells_its_progress_and_finds_studies_by_name(table, tmp_path):
    home = tmp_path / "home" / "studies" / "mine" / "model"
    autoreg.load(SAMPLE).save(home)
    answers = tmp_path / "answers.csv"
    words = ["predict", "mine", str(tmp_path / "rows.csv"), "--out", str(answers), "--rows", "20"]
    done = CliRunner().invoke(app, [*words, "--home", str(tmp_path / "home")])
    assert done.exit_code == 0, done.stderr
    assert "predict 60/60" in done.stderr
    assert "60 rows predicted" in done.stderr
    assert len(pd.read_csv(answers)) == 60
