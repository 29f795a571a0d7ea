"""Nothing leaks: rows that a search must not see are garbled, and the search must not notice.

The laws compare bit for bit. Each has a planted fault that it must catch, or it would prove
nothing.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

import autoreg
from autoreg.data import load
from autoreg.engines.base import TrainingSet
from autoreg.engines.loop import LoopEngine
from autoreg.judge import refit_job
from autoreg.scoring import job_for
from autoreg.sealed import seal
from autoreg.search import run_searches
from autoreg.select import select
from autoreg.spec import DataSpec, seed_for
from autoreg.splitters import holdout
from autoreg.study import prepare

SPACE = {
    "space": "both",
    "families": {
        "linear": {"techniques": ["none", "ridge", "elastic_net"]},
        "network": {
            "techniques": ["early_stopping", "dropout", "mixup"],
            "architecture": {"width": [8, 16], "depth": [1, 1]},
        },
    },
    "incumbent": {"family": "linear", "techniques": ["ridge"]},
    "path_points": 5,
}
TRIALS = 11  # the fixed design has 9


def study(source=None, **changes):
    document = {
        "study": "honest",
        "data": {"source": source} if source else {"target": "target"},
        "space": SPACE,
        "trials": TRIALS,
        "folds": {"outer": 3},
        "training": {"epochs": 4},
    }
    return document | changes


def searched(bench):
    trials = run_searches(bench, {}, record=lambda trial: None, round_done=lambda number: True)
    return {name: [one.essence for one in found] for name, found in trials.items()}, trials


# ---- held-out rows ---------------------------------------------------------------------------


def test_garbling_the_held_out_rows_at_the_source_moves_the_verdict_and_nothing_else(tmp_path):
    frame = load_diabetes(as_frame=True).frame
    data = load(DataSpec(target="target"), frame)
    _, held = holdout(data, 0.2, seed_for("held-out", data.name))
    garbled = frame.copy()
    rng = np.random.default_rng(1)
    garbled.iloc[held] = rng.normal(size=(len(held), frame.shape[1])) * 50
    clean, poisoned = (
        autoreg.run_study(study(), table, home=tmp_path / name, tracking=False, workers=1)
        for name, table in (("clean", frame), ("garbled", garbled))
    )
    pairs = zip(clean.findings.trials, poisoned.findings.trials, strict=True)
    assert all(mine.essence == theirs.essence for mine, theirs in pairs)
    assert clean.selection == poisoned.selection
    assert clean.verdict.nested == poisoned.verdict.nested
    assert clean.verdict.held_out.score > 0.3
    assert poisoned.verdict.held_out.score < 0


def test_labels_of_held_out_rows_are_as_far_away():
    data = load(DataSpec(source="wine"))
    development, held_out = seal(data, 0.2)
    ready = prepare(study("wine"))
    assert ready.bench.table.digest == development.digest
    assert held_out.n + development.n == data.n


def test_no_trial_and_no_search_object_holds_held_out_rows():
    ready = prepare(study("wine"))
    assert ready.bench.table.n == ready.facts["rows"] - ready.held_out.n
    for fold in (*ready.bench.plan.outer, *ready.bench.plan.inner["final"]):
        assert max(fold.train.max(), fold.test.max()) < ready.bench.table.n


# ---- an outer block --------------------------------------------------------------------------


def garble(table, rows, kind):
    """The same table with the cells and targets of some rows replaced by garbage."""
    rng = np.random.default_rng(5)
    X, y = table.X.copy(), table.y.copy()
    y[rows] = rng.permutation(y[rows])
    numeric = [j for j, column in enumerate(table.columns) if not column.is_categorical]
    if kind == "noise":
        X[np.ix_(rows, numeric)] = rng.normal(size=(len(rows), len(numeric)))
    elif kind == "huge":
        X[np.ix_(rows, numeric)] *= 1e9
    elif kind == "missing":
        X[rows] = np.where(rng.random(X[rows].shape) < 0.5, np.nan, X[rows])
    return replace(table, X=X, y=y)


def outer_interference(bench, kind, block=1):
    """What garbling one outer block changes: (own search, other searches), as booleans."""
    name = f"outer-{block}"
    rows = bench.plan.outer[block].test
    poisoned = replace(bench, table=garble(bench.table, rows, kind))
    mine, clean = searched(bench)
    theirs, dirty = searched(poisoned)
    own = mine[name] != theirs[name] or refitted(bench, clean[name], block) != refitted(
        poisoned, dirty[name], block
    )
    others = [mine[other] != theirs[other] for other in bench.searches if other != name]
    return own, others


def refitted(bench, trials, block):
    """Everything that the refit of a fold's selection learned, as bytes."""
    chosen = select(trials, bench.spec.select, bench.space.incumbent).chosen
    job = replace(refit_job(bench, chosen, bench.plan.outer[block]), keep_model=True)
    (fit,) = bench.engine.run([job], bench.table)
    return chosen, {name: array.tobytes() for name, array in fit.model.arrays.items()}


@pytest.fixture(scope="module")
def wine_bench():
    return prepare(study("wine"), workers=1).bench


@pytest.mark.parametrize("kind", ["noise", "huge", "missing"])
def test_a_search_never_notices_its_outer_block_and_the_others_do(wine_bench, kind):
    own, others = outer_interference(wine_bench, kind)
    assert not own
    assert all(others)


@pytest.mark.parametrize("kind", ["noise", "huge", "missing"])
@pytest.mark.parametrize("source", ["wine", "diabetes"])
def test_rows_that_are_cut_again_keep_their_distance(source, kind):
    space = {**SPACE, "families": {"linear": SPACE["families"]["linear"]}}
    bench = prepare(study(source, space=space, trials=5), workers=1).bench
    assert bench.plan.repeats > 1
    own, others = outer_interference(bench, kind)
    assert not own
    assert all(others)


def test_new_categories_in_the_outer_block_change_nothing_either():
    rng = np.random.default_rng(2)
    colour = rng.choice(["green", "red", "white"], 150)
    frame = pd.DataFrame({"size": rng.normal(size=150), "colour": colour})
    frame["target"] = 2.0 * (colour == "red") + frame["size"] + rng.normal(size=150)
    clean = prepare(study(held_out=None), frame, workers=1).bench
    rows = clean.plan.outer[1].test
    frame.loc[rows, "colour"] = "azure"  # sorts first: all level codes move
    dirty = replace(clean, table=load(DataSpec(target="target"), frame))
    assert dirty.table.columns[1].levels != clean.table.columns[1].levels
    mine, theirs = searched(clean)[0], searched(dirty)[0]
    assert mine["outer-1"] == theirs["outer-1"]
    assert mine["outer-0"] != theirs["outer-0"]


@pytest.mark.parametrize("family", ["linear", "network"])
def test_a_fit_depends_on_its_training_rows_only(wine_bench, family):
    """One level down: garble an inner validation block, every fit that excludes it stays."""
    one = next(c for c in wine_bench.space.design() if c.family == family and not c.is_none)
    fold = wine_bench.plan.inner["outer-0"][0]
    excluded = np.setdiff1d(np.arange(wine_bench.table.n), fold.train)
    table = garble(wine_bench.table, excluded, "huge")
    for steps in (None, 12):
        jobs = [replace(job_for(wine_bench, one, fold, steps=steps), predict=fold.train[:20])]
        clean, dirty = (wine_bench.engine.run(jobs, data)[0] for data in (wine_bench.table, table))
        assert np.array_equal(clean.predictions, dirty.predictions)
        assert clean.steps == dirty.steps


# ---- searches do not talk --------------------------------------------------------------------


def test_a_search_alone_does_what_it_does_in_company(wine_bench):
    together, _ = searched(wine_bench)
    for name in ("outer-1", "final"):
        plan = replace(wine_bench.plan, inner={name: wine_bench.plan.inner[name]})
        alone, _ = searched(replace(wine_bench, plan=plan))
        assert alone[name] == together[name]


# ---- planted faults --------------------------------------------------------------------------


class FitsOnEverything(LoopEngine):
    """Plants a leak: all rows of the table are training rows."""

    def run(self, jobs, table, **options):
        everything = np.arange(table.n)
        leaky = [
            replace(job, training=TrainingSet(everything, job.training.excluded)) for job in jobs
        ]
        return super().run(leaky, table, **options)


def test_an_engine_that_fits_on_all_rows_is_caught(wine_bench):
    own, _ = outer_interference(replace(wine_bench, engine=FitsOnEverything()), "noise")
    assert own


def test_sums_over_all_rows_are_caught(wine_bench, monkeypatch):
    from autoreg.engines.path.cells import Cells

    bench = replace(wine_bench, spec=wine_bench.spec.model_copy(update={"trials": 2}))
    honest = Cells.preprocessor

    def over_all_cells(self, cells):
        return honest(self, np.arange(len(self.cells)))

    monkeypatch.setattr(Cells, "preprocessor", over_all_cells)
    rows = bench.plan.outer[1].test
    garbled = replace(bench, table=garble(bench.table, rows, "huge"))
    assert searched(bench)[0]["outer-1"] != searched(garbled)[0]["outer-1"]


def test_a_candidate_passed_between_searches_is_caught(wine_bench, monkeypatch):
    from autoreg import tuner

    honest = tuner.Tuner.ask
    shared = []

    def gossip(self, history, pending=()):
        tried = {one.key for one in (*(one for one, _ in history), *pending)}
        heard = [one for one in shared if one.key not in tried]
        shared.append(heard[0] if heard else honest(self, history, pending))
        return shared[-1]

    monkeypatch.setattr(tuner.Tuner, "ask", gossip)
    together, _ = searched(wine_bench)
    shared.clear()
    plan = replace(wine_bench.plan, inner={"final": wine_bench.plan.inner["final"]})
    alone, _ = searched(replace(wine_bench, plan=plan))
    assert alone["final"] != together["final"]
