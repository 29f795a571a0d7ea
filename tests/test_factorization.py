"""Biased matrix factorization: held against loops, against ridge, and asked as a user would."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest

import autoreg
from autoreg.candidate import candidate
from autoreg.data import load
from autoreg.engines import engine_for, factorization
from autoreg.engines.base import Failure, Job, TrainingSet
from autoreg.engines.factorization import FIRST, Side, sweeps, told
from autoreg.errors import DataError, SpaceError
from autoreg.programs import export
from autoreg.space import Space
from autoreg.spec import DataSpec, Training, read_space, study_from
from autoreg.techniques import technique
from autoreg.techniques.base import Shrinkage

BIAS, FACTOR, STOP = (
    technique(key) for key in ("bias_shrinkage", "factor_shrinkage", "early_stopping")
)


def planted(n=1_200, users=40, items=30, rank=2, noise=0.3, seed=0):
    """Ratings whose matrix is levels plus a product of low rank, and noise."""
    draws = np.random.default_rng(seed)
    u, i = np.divmod(draws.choice(users * items, n, replace=n > users * items), items)
    levels = draws.normal(0, 0.4, users)[u] + draws.normal(0, 0.4, items)[i]
    tastes = (draws.normal(size=(users, rank))[u] * draws.normal(size=(items, rank))[i]).sum(1)
    stars = 3.0 + levels + 0.6 * tastes + noise * draws.normal(size=n)
    return pd.DataFrame({"who": u, "what": i, "stars": stars})


def table_of(frame, **spec):
    return load(DataSpec(target="stars", user="who", item="what", **spec), frame)


def fitted(table, parts, factors=2, train=None, ahead=None, **changes):
    train = np.arange(table.n) if train is None else train
    one = candidate("factorization", parts, {"factors": factors})
    settings = Training(epochs=changes.pop("epochs", 40))
    job = Job(one, TrainingSet(train, ()), train if ahead is None else ahead, 0, settings=settings)
    (fit,) = engine_for([one], table.task).run([replace(job, **changes)], table)
    return fit


# ---- the arithmetic ----------------------------------------------------------------------------


def side_by_loops(who, other, y, weights, strengths):
    """Each user or item alone: the normal equations of its own ridge regression."""
    found = np.zeros((who.max() + 1, 1 + other.factors.shape[1]))
    for one in range(len(found)):
        G = np.diag([strengths.biases, *[strengths.factors] * other.factors.shape[1]])
        c = np.zeros(len(G))
        for row in np.flatnonzero(who == one):
            x = np.array([1.0, *other.factors[other.who[row]]])
            G = G + weights[row] * np.outer(x, x)
            c = c + weights[row] * x * (y[row] - other.bias[other.who[row]])
        found[one] = np.linalg.solve(G, c)
    return found[:, 0], found[:, 1:]


def sides(n=300, users=12, items=9, width=3, seed=1):
    draws = np.random.default_rng(seed)
    u, i = draws.integers(users, size=n), draws.integers(items, size=n)
    both = [
        Side.first(who, count, draws.normal(0, FIRST, (count, width)))
        for who, count in ((u, users), (i, items))
    ]
    return (*both, draws.normal(size=n), draws.uniform(0.5, 2.0, n))


@pytest.mark.parametrize("cells", [2**22, 1, 400])
def test_sweeps_are_those_of_plain_loops(cells, monkeypatch):
    monkeypatch.setattr(factorization, "MOST_CELLS", cells)
    strengths = Shrinkage(1.5, 0.7)
    users, items, y, v = sides()
    walk = sweeps(users, items, y, v, strengths)
    for _ in range(4):
        bias, factors = side_by_loops(users.who, items, y, v, strengths)
        users = Side(users.who, np.append(bias, 0), np.vstack([factors, np.zeros(3)]))
        bias, factors = side_by_loops(items.who, users, y, v, strengths)
        items = Side(items.who, np.append(bias, 0), np.vstack([factors, np.zeros(3)]))
        for mine, theirs in zip((users, items), next(walk), strict=True):
            np.testing.assert_allclose(theirs.bias, mine.bias, rtol=1e-8, atol=1e-11)
            np.testing.assert_allclose(theirs.factors, mine.factors, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("strengths", [Shrinkage(), Shrinkage(0, 2.0), Shrinkage(3.0, 0.1)])
def test_the_objective_never_rises(strengths):
    users, items, y, v = sides()
    objectives = []
    for u, i in islice(sweeps(users, items, y, v, strengths), 30):
        penalty = strengths.biases * ((u.bias**2).sum() + (i.bias**2).sum())
        penalty += strengths.factors * ((u.factors**2).sum() + (i.factors**2).sum())
        objectives.append(float(v @ (y - told(u, i)) ** 2) + penalty)
    assert (np.diff(objectives) <= 1e-9 * objectives[0]).all()
    assert objectives[-1] < objectives[0]


def test_without_factors_it_is_the_ridge_of_users_and_items():
    frame, strength = planted(noise=1.0), 2.5
    table = table_of(frame)
    fit = fitted(table, [BIAS(strength=strength)], factors=0, epochs=160)
    Z = pd.get_dummies(frame[["who", "what"]].astype(str)).to_numpy(float)
    y = frame["stars"] - frame["stars"].mean()
    w = np.linalg.solve(Z.T @ Z + strength * np.eye(Z.shape[1]), Z.T @ y)
    np.testing.assert_allclose(fit.predictions[0][:, 0], frame["stars"].mean() + Z @ w, rtol=1e-6)


def test_a_level_is_believed_as_far_as_its_ratings_reach():
    """With strength s and n ratings a mean deviation is multiplied by n / (n + s)."""
    frame = pd.DataFrame(
        {"who": [0, 0, 0, 1, 1, 1], "what": range(6), "stars": [1.0] * 3 + [3.0] * 3}
    )
    users = Side.first(np.array(frame["who"]), 2, np.zeros((2, 0)))
    items = Side.first(np.array(frame["what"]), 6, np.zeros((6, 0)))
    once = users.solved(items, np.array(frame["stars"]) - 2.0, np.ones(6), Shrinkage(1.5))
    np.testing.assert_allclose(once.bias, [-3 / 4.5, 3 / 4.5, 0])


def test_weights_are_repeated_rows():
    frame = planted(400).assign(weight=np.tile([1.0, 3.0], 200))
    repeated = frame.loc[frame.index.repeat(frame["weight"].astype(int))].reset_index(drop=True)
    parts = [BIAS(strength=1.0), FACTOR(strength=2.0)]
    weighted = fitted(table_of(frame, weight="weight"), parts, keep_model=True).model
    longer = fitted(table_of(repeated.drop(columns="weight")), parts, keep_model=True).model
    for name, values in weighted.arrays.items():
        np.testing.assert_allclose(values, longer.arrays[name], rtol=1e-6, atol=1e-9)


def test_a_scale_of_the_target_changes_nothing_but_the_unit():
    frame = planted()
    parts = [BIAS(strength=1.0), FACTOR(strength=2.0)]
    stars = fitted(table_of(frame), parts).predictions[0]
    percent = fitted(table_of(frame.assign(stars=20 * frame["stars"] - 7)), parts).predictions[0]
    np.testing.assert_allclose(percent, 20 * stars - 7, rtol=1e-9)


# ---- what it is good for -----------------------------------------------------------------------


def rmse(fit, table, rows):
    return float(np.sqrt(np.mean((fit.predictions[0][:, 0] - table.y[rows]) ** 2)))


def test_planted_tastes_are_found_where_ridge_sees_levels_only():
    """The noise is 0.3; ridge on indicators of users and items cannot see what they make of each
    other."""
    frame = planted(1_000)
    table, order = table_of(frame), np.random.default_rng(3).permutation(1_000)
    train, ahead = np.sort(order[:800]), np.sort(order[800:])
    ridge = candidate("linear", [technique("ridge")(strength=0.01)], {})
    (line,) = engine_for([ridge], "regression").run(
        [Job(ridge, TrainingSet(train, ()), ahead, 0)], table
    )
    parts = [BIAS(strength=1.0), FACTOR(strength=1.0)]
    tastes = fitted(table, parts, train=train, ahead=ahead)
    assert rmse(line, table, ahead) > 0.6
    assert rmse(tastes, table, ahead) < 0.45


def test_both_strengths_shrink_what_they_say():
    table = table_of(planted(noise=1.0))
    lengths = {}
    for b, f in ((0.1, 0.1), (30.0, 0.1), (0.1, 30.0)):
        model = fitted(table, [BIAS(strength=b), FACTOR(strength=f)], keep_model=True).model
        lengths[b, f] = [
            sum(np.linalg.norm(model.arrays[f"{role}_{kind}"]) for role in ("user", "item"))
            for kind in ("bias", "factors")
        ]
    assert lengths[30.0, 0.1][0] < 0.6 * lengths[0.1, 0.1][0]
    assert lengths[0.1, 30.0][1] < 0.6 * lengths[0.1, 0.1][1]


def test_early_stopping_goes_back_to_the_best_sweep_and_refits_take_its_number():
    frame = planted(500, noise=1.2)
    table = table_of(frame)
    parts = [BIAS(strength=1.0), STOP(patience=8)]
    stopped = fitted(table, parts, factors=8)
    stop = stopped.curve["stop"]
    assert stopped.steps == 1 + int(np.argmin(stop))
    assert len(stop) == stopped.steps + 8  # patience, and not a sweep more
    again = fitted(table, parts, factors=8, steps=stopped.steps)
    assert (again.steps, len(again.curve["train"])) == (stopped.steps, stopped.steps)
    assert "stop" not in again.curve
    endless = fitted(table, parts[:1], factors=8)
    assert (endless.steps, len(endless.curve["train"])) == (40, 40)


def test_without_any_penalty_the_shortest_of_equally_good_fits_is_taken():
    few = planted(60)
    fit = fitted(table_of(few), [], factors=4)
    assert fit.train_loss[0] < 1e-6
    assert np.abs(fit.predictions[0]).max() < 100


# ---- rows that it must not know, and names that it does not --------------------------------------


def test_users_and_items_that_training_did_not_have_get_the_mean():
    frame = planted(600)
    table = table_of(frame)
    train = np.flatnonzero((frame["who"] != 3) & (frame["what"] != 5))
    fit = fitted(table, [BIAS(strength=1.0)], train=train, keep_model=True)
    model = fit.model
    ask = pd.DataFrame({"who": [3, 3, 1, 99, None], "what": [5, 2, 5, 77, None]})
    X = autoreg.data.encode(ask, table.columns)
    said = model.predictions(X, "regression")[:, 0]
    mean = frame["stars"][train].mean()
    who, what = (list(one.levels) for one in table.columns)
    assert who.index("3") not in model.info["users"]
    alone = model.arrays["item_bias"][model.info["items"].index(what.index("2"))]
    own = model.arrays["user_bias"][model.info["users"].index(who.index("1"))]
    np.testing.assert_allclose(said, [mean, mean + alone, mean + own, mean, mean], rtol=1e-12)


def test_gaps_teach_the_other_side_only():
    frame = planted(600)
    gaps = frame.astype({"who": object})
    gaps.loc[:99, "who"] = None
    parts = [BIAS(strength=1.0), FACTOR(strength=1.0)]
    fit = fitted(table_of(gaps), parts, keep_model=True)
    assert np.isfinite(fit.predictions[0]).all()
    nobody = fit.predictions[0][:100, 0] - fit.model.arrays["mean"]
    expected = fit.model.arrays["item_bias"][table_of(gaps).X[:100, 1].astype(int)]
    np.testing.assert_allclose(nobody, expected, rtol=1e-12)


def test_levels_that_other_rows_bring_move_no_bit():
    frame = planted(600)
    more = pd.concat([frame, pd.DataFrame({"who": [-1, 7], "what": [12, -5], "stars": [9.0, 0.0]})])
    train, ahead = np.arange(500), np.arange(500, 600)
    parts = [BIAS(strength=1.0), FACTOR(strength=1.0), STOP(patience=8)]
    mine, theirs = (
        fitted(table_of(one.reset_index(drop=True)), parts, train=train, ahead=ahead)
        for one in (frame, more)
    )
    assert (mine.predictions[0] == theirs.predictions[0]).all()


def test_a_fit_is_the_same_in_another_process():
    program = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_factorization import *\n"
        "fit = fitted(table_of(planted()), [FACTOR(strength=1.0), STOP(patience=8)])\n"
        "assert 'torch' not in sys.modules\n"
        "print(fit.predictions[0].tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    here = fitted(table_of(planted()), [FACTOR(strength=1.0), STOP(patience=8)])
    assert done.stdout.strip() == here.predictions[0].tobytes().hex(), done.stderr


# ---- in a study ----------------------------------------------------------------------------------


def test_a_space_leaves_it_out_and_says_why():
    spec = read_space("ratings")
    space = Space.build(spec, "regression", rated=False)
    assert set(space.families) == {"linear"}
    assert "data: user and data: item" in space.left_out["factorization"]
    assert "not for binary targets" in Space.build(spec, "binary").left_out["factorization"]
    only = spec.model_copy(update={"families": {"factorization": spec.families["factorization"]}})
    with pytest.raises(SpaceError, match=r"no family of models is left \(factorization"):
        Space.build(only, "binary")
    beaten = {"family": "factorization", "techniques": ("bias_shrinkage",)}
    moved = spec.model_copy(update={"incumbent": spec.incumbent.model_copy(update=beaten)})
    with pytest.raises(
        SpaceError, match="the incumbent factorization: bias_shrinkage is left out: not for"
    ):
        Space.build(moved, "count")
    table = load(DataSpec(target="stars"), planted(60))
    assert isinstance(fitted(table, []), Failure)


@pytest.mark.parametrize(
    ("roles", "fault"),
    [
        ({"user": "who"}, "belong together"),
        ({"item": "what"}, "belong together"),
        ({"user": "who", "item": "wat"}, "did you mean 'what'"),
        ({"user": "who", "item": "who"}, "is user and so cannot be item"),
        ({"user": "who", "item": "stars"}, "is target and so no feature"),
        ({"user": "who", "item": "what", "group": "who"}, "is group and so no feature"),
        ({"user": "who", "item": "what", "drop": ("who",)}, "is drop and so no feature"),
        ({"user": "who", "item": "what", "text": ("what",)}, "is text and so cannot be item"),
    ],
)
def test_roles_that_make_no_sense_are_refused(roles, fault):
    with pytest.raises(DataError, match=fault):
        load(DataSpec(target="stars", **roles), planted(60))


def test_users_and_items_are_features_and_may_be_mean_targets_or_categories_too():
    table = table_of(planted(200), mean_target=("who",), categorical=("what",))
    assert table.rated == (0, 1)
    assert [column.is_categorical for column in table.columns] == [True, True]
    assert table.roles == {"user": "who", "item": "what"}


def test_ids_in_a_file_stay_as_they_are_written(tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text("who,what,stars\n007,1,3\n7,01,4\n007,01,5\n")
    table = load(DataSpec(source=str(path), target="stars", user="who", item="what"))
    assert [column.levels for column in table.columns] == [("007", "7"), ("01", "1")]


STUDY = {
    "study": "tastes",
    "question": "do tastes tell?",
    "data": {"target": "stars", "user": "who", "item": "what"},
    "space": {
        "space": "small",
        "families": {
            "linear": {"techniques": ["none", "ridge"]},
            "factorization": {
                "techniques": ["none", "bias_shrinkage", "factor_shrinkage", "early_stopping"],
                "architecture": {"factors": [0, 2]},
            },
        },
        "incumbent": {"family": "linear", "techniques": ["ridge"]},
        "path_points": 5,
    },
    "trials": 12,
    "folds": {"outer": 3},
    "training": {"epochs": 25},
    "metrics": ["rmse", "mae"],
    "ignore": ["repeated_measures"],
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    home = tmp_path_factory.mktemp("tastes")
    return autoreg.run_study(
        STUDY, planted(1_000), home=home, tracking=False, workers=1, progress=False
    )


def test_a_study_chooses_it_says_so_and_what_its_ingredients_are_worth(ran):
    chosen = ran.selection.chosen.candidate
    assert chosen.family == "factorization"
    assert dict(chosen.architecture) == {"factors": 2}
    assert "factor_shrinkage" in chosen.label
    assert ran.verdict.nested.value < 0.75 * ran.verdict.none["linear"].value
    text = ran.report.with_name("report.md").read_text()
    assert "matrix factorization" in text
    assert "factors 2" in text
    assert set(ran.findings.attribution.winner.label.split("+")) == set(chosen.label.split("+"))


def test_its_model_is_saved_loaded_and_asked_without_unpickling(ran, tmp_path):
    ran.save(tmp_path / "model")
    document = json.loads((tmp_path / "model" / "model.json").read_text())
    assert document["family"] == "factorization"
    rows = planted(50, seed=0)[["who", "what"]]
    again = autoreg.load(tmp_path / "model")
    assert (again.predict(rows) == ran.model.predict(rows)).all()
    with np.load(tmp_path / "model" / "arrays.npz", allow_pickle=False) as arrays:
        assert {"parameters.user_factors", "parameters.item_bias"} <= set(arrays.files)


def test_its_program_without_autoreg_says_the_same(ran, tmp_path):
    export(ran.model, "script", tmp_path / "winner.py")
    rows = pd.concat([planted(50)[["who", "what"]], pd.DataFrame({"who": [999], "what": [3]})])
    rows.to_csv(tmp_path / "new.csv", index=False)
    done = subprocess.run(
        [sys.executable, tmp_path / "winner.py", tmp_path / "new.csv"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "autoreg" not in [*sys.modules] or "import autoreg" not in done.stdout
    said = np.array(done.stdout.split()[1:], dtype=float)
    np.testing.assert_allclose(said, ran.model.predict(rows), rtol=1e-12)


def test_no_row_leaks(tmp_path):
    short = STUDY | {"trials": 6, "held_out": 0.2}
    spec = study_from(short)
    proof = autoreg.verify(spec, planted(400), home=tmp_path, workers=1, progress=False)
    assert proof.outcome == "clean", proof.words
