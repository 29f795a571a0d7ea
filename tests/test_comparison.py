"""Studies side by side, and as Optuna studies: against the ledger and against plain arithmetic."""

import json

import numpy as np
import optuna
import pytest
from tracked import LINEAR, QUICK, run
from typer.testing import CliRunner

from autoreg.cli import app
from autoreg.comparison import compare
from autoreg.errors import StudyError
from autoreg.export import export_optuna
from autoreg.statistics import nadeau_bengio

RIDGE = LINEAR | {"families": {"linear": {"techniques": ["ridge"]}}}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Three studies: two on the same folds, one on other rows."""
    home = tmp_path_factory.mktemp("compared")
    for name, space, data in (
        ("both", LINEAR, "wine"),
        ("ridge_only", RIDGE, "wine"),
        ("other", RIDGE, "iris"),
    ):
        document = QUICK | {"study": name, "space": space, "data": {"source": data}}
        run(home, document, tracking=False)
    return home


def document(home, name):
    return json.loads((home / "studies" / name / "report.json").read_text())


# ---- side by side ------------------------------------------------------------------------------


def test_studies_on_the_same_folds_are_paired(home):
    first, second, other = compare(["both", "ridge_only", "other"], home)
    assert (first.gain, first.why) == (None, "the first one")
    own, theirs = (document(home, name)["verdict"]["folds"] for name in ("ridge_only", "both"))
    losses = np.array([b["loss"] - a["loss"] for a, b in zip(own, theirs, strict=True)])
    rows = np.array([fold["rows"] for fold in own], dtype=float)
    total = document(home, "both")["splits"]["development_rows"]
    plain = nadeau_bengio(losses, float(np.mean(rows / (total - rows))), weights=rows)
    assert second.gain == plain
    assert second.gain.value == pytest.approx(np.average(losses, weights=rows))
    assert other.gain is None
    assert other.why == "not paired: other rows, other outer folds"


def test_the_order_only_turns_the_sign(home):
    (_, one), (_, other) = (
        compare(names, home) for names in (["both", "ridge_only"], ["ridge_only", "both"])
    )
    assert one.gain.value == pytest.approx(-other.gain.value)
    assert one.gain.low == pytest.approx(-other.gain.high)


def test_a_study_that_was_not_run_is_named(home):
    with pytest.raises(StudyError, match="did you mean ridge_only"):
        compare(["both", "ridge_onyl"], home)


def test_a_study_without_its_document_says_how_to_get_it(home):
    path = home / "studies" / "other" / "report.json"
    text = path.read_text()
    path.unlink()
    try:
        with pytest.raises(StudyError, match="autoreg run other"):
            compare(["other"], home)
    finally:
        path.write_text(text)


def test_the_command_prints_a_line_for_each_study_or_one_document(home):
    names = ["both", "ridge_only"]
    lines = CliRunner().invoke(app, ["compare", *names, "--home", str(home)]).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == names
    shown = CliRunner().invoke(app, ["compare", *names, "--home", str(home), "--json"]).stdout
    assert [one["study"] for one in json.loads(shown)] == names


# ---- Optuna ------------------------------------------------------------------------------------


def test_optuna_reads_every_trial_of_every_search(tracked):
    result, home, _ = tracked
    url, names = export_optuna("tracked", home)
    assert sorted(one.study_name for one in optuna.get_all_study_summaries(url)) == sorted(names)
    for name in names:
        own = [t for t in result.findings.trials if f"tracked/{t.search}" == name]
        found = optuna.load_study(study_name=name, storage=url)
        assert len(found.trials) == len(own)
        for mine, theirs in zip(own, found.trials, strict=True):
            assert theirs.value == mine.loss
            best = mine.best_candidate
            assert theirs.params["technique"] == best.label
            for chosen in best.techniques:
                for dial, value in chosen.values.items():
                    assert theirs.params[f"{chosen.key}.{dial}"] == value
            seconds = (theirs.datetime_complete - theirs.datetime_start).total_seconds()
            assert seconds == pytest.approx(mine.seconds, abs=1e-3)
        assert found.best_value == min(t.loss for t in own)
    again, _ = export_optuna("tracked", home)
    assert [len(optuna.load_study(study_name=n, storage=again).trials) for n in names] == [6] * 4


def test_a_storage_with_another_run_of_that_name_is_refused(home, tmp_path):
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    taken = optuna.create_study(study_name="both/final", storage=url)
    taken.set_user_attr("autoreg.key", "both:another")
    with pytest.raises(StudyError, match="another run"):
        export_optuna("both", home, url)


def test_the_command_names_the_studies(home, tmp_path):
    url = f"sqlite:///{tmp_path / 'mine.db'}"
    done = CliRunner().invoke(
        app, ["export-optuna", "other", "--home", str(home), "--storage", url]
    )
    assert done.exit_code == 0, done.output
    assert "other/final" in done.stdout
