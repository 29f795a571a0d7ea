"""The scikit-learn face: inside scikit-learn's own tools, with tables of every library."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import autoreg
from autoreg.estimators import AutoRegClassifier, AutoRegRegressor, UnjudgedWarning

QUICK = {"trials": 2, "folds": 3}


def wine():
    bunch = load_wine(as_frame=True)
    names = np.array(["barolo", "grignolino", "barbera"])
    return bunch.data.iloc[:, :5], pd.Series(names[bunch.target], name="cultivar")


def people(n=90):
    """Numbers with a gap, text with a gap, booleans; a target in pounds; families."""
    draws = np.random.default_rng(0)
    frame = pd.DataFrame({"age": draws.normal(40, 9, n), "dose": draws.normal(size=n)})
    frame["city"] = draws.choice(["Bonn", "Rome", "Oslo"], n)
    frame["smokes"] = draws.random(n) < 0.4
    y = 0.1 * frame["age"] + 2.0 * (frame["city"] == "Rome") + 0.3 * draws.normal(size=n)
    frame.loc[4, "dose"] = np.nan
    frame.loc[7, "city"] = None
    return frame, y.rename("weight"), np.arange(n) // 3


@pytest.fixture(scope="module")
def fitted():
    X, y = wine()
    return AutoRegClassifier(**QUICK).fit(X, y), X, y


def test_a_fit_is_a_whole_study(fitted):
    one, X, y = fitted
    assert one.classes_.tolist() == ["barbera", "barolo", "grignolino"]
    assert one.n_features_in_ == 5
    assert one.feature_names_in_.tolist() == list(X.columns)
    assert one.best_params_["family"] == "linear"
    assert f"{one.best_technique_}.strength" in one.best_params_
    nested = one.study_result_.verdict.nested
    assert nested.low < nested.value < nested.high
    assert one.score(X, y) > 0.85
    chances = one.predict_proba(X)
    assert chances.shape == (178, 3)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (one.classes_[chances.argmax(axis=1)] == one.predict(X)).all()


def test_cv_results_have_scikit_learns_shape(fitted):
    found = fitted[0].cv_results_
    many = len(found["params"])
    assert many == 2
    assert all(len(column) == many for column in found.values())
    splits = [name for name in found if name.startswith("split")]
    assert splits == [f"split{k}_test_score" for k in range(len(splits))]
    scores = np.array([found[name] for name in splits])
    assert (scores < 0).all()
    # Every fold validates a third of the rows.
    np.testing.assert_allclose(found["mean_test_score"], scores.mean(axis=0), rtol=0.01)
    np.testing.assert_allclose(found["std_test_score"], scores.std(axis=0))
    assert sorted(found["rank_test_score"]) == [1, 2]
    best = fitted[0].best_index_
    assert found["mean_test_score"][best] == found["mean_test_score"].max()
    names = {name for one in found["params"] for name in one}
    assert {f"param_{name}" for name in names} == {n for n in found if n.startswith("param_")}
    strengths = found["param_ridge.strength"]
    told = [one.get("ridge.strength") for one in found["params"]]
    assert [None if gone else value for value, gone in zip(
        strengths.data, strengths.mask, strict=True)] == told  # fmt: skip


def test_it_says_what_run_study_says(fitted, tmp_path):
    """Not another search: the same question asked by other means has the same answer."""
    one, X, y = fitted
    question = {
        "study": "same", "space": "ridge_to_lasso", "trials": 2, "held_out": "none",
        "folds": {"outer": 3}, "data": {"target": "cultivar"},
    }  # fmt: skip
    result = autoreg.run_study(
        question, X.assign(cultivar=y), home=tmp_path, tracking=False, progress=False
    )
    assert np.array_equal(result.predict_proba(X), one.predict_proba(X))
    assert result.verdict.nested == one.study_result_.verdict.nested


def test_clones_pickles_and_pictures(fitted):
    one, X, _ = fitted
    assert clone(one).get_params() == one.get_params()
    assert not hasattr(clone(one), "model_")
    again = pickle.loads(pickle.dumps(one))
    assert np.array_equal(again.predict_proba(X), one.predict_proba(X))
    assert "AutoRegClassifier" in one._repr_html_()


def test_the_model_inside_is_stored_without_scikit_learn(fitted, tmp_path):
    one, X, _ = fitted
    one.study_result_.save(tmp_path / "model")
    assert np.array_equal(autoreg.load(tmp_path / "model").predict_proba(X), one.predict_proba(X))


# ---- inside scikit-learn's tools ---------------------------------------------------------------


def test_pipelines_stacks_calibration_and_cross_validation():
    X, y = wine()
    pipe = make_pipeline(StandardScaler(), AutoRegClassifier(**QUICK)).set_output(
        transform="pandas"
    )
    scores = cross_validate(pipe, X, y, cv=3)["test_score"]
    plain = make_pipeline(StandardScaler(), LogisticRegression())
    known = cross_validate(plain, X, y, cv=3)["test_score"]
    assert scores.mean() > known.mean() - 0.03
    stack = StackingClassifier(
        [("auto", AutoRegClassifier(**QUICK)), ("plain", LogisticRegression(max_iter=5000))], cv=3
    ).fit(X, y)
    assert stack.score(X, y) > 0.8
    calibrated = CalibratedClassifierCV(AutoRegClassifier(**QUICK), cv=3).fit(X, y)
    assert calibrated.predict_proba(X).shape == (178, 3)


def test_groups_and_weights_are_routed():
    X, y, groups = people()
    seen = []

    class Watched(AutoRegRegressor):
        def fit(self, X, y, groups=None, sample_weight=None):
            seen.append((set(groups), len(sample_weight)))
            return super().fit(X, y, groups, sample_weight)

    with sklearn.config_context(enable_metadata_routing=True):
        one = Watched(**QUICK).set_fit_request(groups=True, sample_weight=True)
        one.set_score_request(sample_weight=True)
        found = cross_validate(
            one,
            X,
            y,
            cv=GroupKFold(3),
            params={"groups": groups, "sample_weight": np.ones(len(y))},
            return_estimator=True,
        )
    assert [rows for _, rows in seen] == [60, 60, 60]
    assert set.union(*(own for own, _ in seen)) == set(groups)
    facts = found["estimator"][0].study_result_.findings.data
    assert set(facts["roles"]) == {"group", "weight"}
    assert facts["columns"] == 4


def test_rows_of_weight_zero_are_not_there():
    X, y, _ = people()
    weights = np.where(np.arange(len(y)) < 60, 2.0, 0.0)
    some = AutoRegRegressor(**QUICK).fit(X[:60], y[:60], sample_weight=weights[:60])
    all_of_them = AutoRegRegressor(**QUICK).fit(X, y, sample_weight=weights)
    assert np.array_equal(some.predict(X), all_of_them.predict(X))


# ---- tables ------------------------------------------------------------------------------------


def polars(frame):
    import polars as pl

    return pl.from_pandas(frame)


TABLES = {"pandas": lambda frame: frame, "polars": polars, "arrow": pa.Table.from_pandas}


def test_tables_of_every_library_say_the_same():
    X, y, _ = people()
    told = {}
    for name, made in TABLES.items():
        table = made(X)
        one = AutoRegRegressor(**QUICK).fit(table, y)
        assert one.feature_names_in_.tolist() == list(X.columns)
        told[name] = one.predict(table)
        assert np.array_equal(one.predict(X), told[name])
    assert np.array_equal(told["pandas"], told["polars"])
    assert np.array_equal(told["pandas"], told["arrow"])


@pytest.mark.parametrize("name", TABLES)
def test_studies_and_models_take_them_too(name, tmp_path):
    X, y, _ = people()
    question = {"study": "t", "space": "ridge_to_lasso", "trials": 1, "data": {"target": "weight"}}
    table = TABLES[name](X.assign(weight=y))
    result = autoreg.run_study(question, table, home=tmp_path, tracking=False, progress=False)
    assert np.array_equal(result.predict(table), result.predict(X))


def test_arrays_and_sparse_matrices_say_the_same():
    X, y = load_diabetes(return_X_y=True)
    X = np.where(abs(X) < 0.02, 0.0, X)
    dense = AutoRegRegressor(**QUICK).fit(X, y)
    thin = AutoRegRegressor(**QUICK).fit(sparse.csr_matrix(X), y)
    assert np.array_equal(dense.predict(X), thin.predict(sparse.csc_array(X)))


def test_a_sparse_matrix_that_memory_cannot_hold_is_refused_in_time():
    wide = sparse.csr_matrix((100_000, 100_000))
    with pytest.raises(ValueError, match="10,000,000,000 cells"):
        AutoRegRegressor(**QUICK).fit(wide, np.zeros(100_000))


def test_columns_are_found_by_name_and_missing_ones_are_named():
    X, y, _ = people()
    one = AutoRegRegressor(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
        one.predict(X.drop(columns="dose"))
    with pytest.raises(ValueError, match=r"column 'age', row 3: 'old' is not a number"):
        one.predict(X.astype({"age": object}).replace({"age": {X["age"][2]: "old"}}))


def test_a_class_of_one_row_is_fitted_unsearched_and_said_so():
    X, y = wine()
    y[0] = "unique"
    with pytest.warns(UnjudgedWarning, match="1 part"):
        one = AutoRegClassifier(**QUICK).fit(X, y)
    assert one.study_result_ is None
    assert one.best_technique_ == "ridge"
    assert one.score(X, y) > 0.8


def test_a_home_keeps_the_study_and_its_report(tmp_path):
    X, y, _ = people()
    one = AutoRegRegressor(**QUICK, home=tmp_path).fit(X, y)
    assert one.study_result_.report.exists()
    again = AutoRegRegressor(**QUICK, home=tmp_path).fit(X, y)
    assert np.array_equal(one.predict(X), again.predict(X))


def test_what_a_study_can_say_more_is_passed_on():
    X, y, _ = people()
    one = AutoRegRegressor(
        **QUICK, study={"linear": {"non_negative": ["age"]}, "data": {"categorical": ["smokes"]}}
    ).fit(X, y)
    assert one.study_result_.findings.spec.linear.non_negative == ("age",)
    with pytest.raises(ValueError, match="did you mean"):
        AutoRegRegressor(**QUICK, study={"trails": 3}).fit(X, y)
    with pytest.raises(ValueError, match="no shipped search space"):
        AutoRegRegressor(space="liner").fit(X, y)


def test_minutes_are_those_of_the_whole_fit():
    X, y = load_wine(return_X_y=True)
    with pytest.raises(ValueError, match="minutes must be above 0"):
        AutoRegClassifier(minutes=0).fit(X, y)
    with pytest.raises(ValueError, match="each search had a trial; .*, or an estimator"):
        AutoRegClassifier(minutes=1e-6).fit(X, y)
    rich = AutoRegClassifier("linear_and_network", trials=10_000, folds=3, minutes=0.15).fit(X, y)
    assert "the time of the run ended the search" in rich.study_result_.findings.remarks
    assert rich.study_result_.verdict.nested.value > 0.9
