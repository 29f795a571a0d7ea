"""Own estimators in a search: the same folds and inputs as all others, and no surprise."""

import json
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_circles
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer
from sklearn.svm import SVC
from torch.nn import Module

from autoreg import AutoRegClassifier, AutoRegRegressor, Between, Family, run_study, verify
from autoreg.candidate import Candidate, candidate
from autoreg.dials import Choice, Range
from autoreg.errors import ModelError, SpaceError, SpecError, StudyError
from autoreg.export import export_optuna
from autoreg.own import built, identity, imported, path_of, plain
from autoreg.own_spec import DialSpec, EstimatorSpec
from autoreg.programs import export
from autoreg.report.facts import chosen, how_strong
from autoreg.spec import check_own, read_study, study_from
from autoreg.study import prepare

QUIET = {"tracking": False, "progress": False}
FOREST = Family(
    RandomForestClassifier(n_estimators=5),
    {"max_depth": Between(1, 6), "max_features": ["sqrt", None]},
)


def circles(n=150):
    X, y = make_circles(n, noise=0.1, factor=0.5, random_state=0)
    return pd.DataFrame(X, columns=["east", "north"]).assign(ring=np.array(["out", "in"])[y])


def svm(low=1e-2):
    machine = CalibratedClassifierCV(SVC(), ensemble=False, cv=3)
    wide = Between(low, 1e2, log=True)
    return Family(machine, {"estimator__C": wide, "estimator__gamma": wide})


def question(**changes):
    asked = {
        "study": "rings", "space": "ridge_to_lasso", "trials": 6, "held_out": 0.2,
        "folds": {"outer": 3}, "data": {"target": "ring"},
    }  # fmt: skip
    return asked | changes


def essences(result):
    return [trial.essence for trial in result.findings.trials]


@pytest.fixture(scope="module")
def rings(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    asked = question(estimators={"svm": svm()})
    return run_study(asked, circles(), home=home, workers=1, **QUIET), home


# ---- a family like others -----------------------------------------------------------------------


def test_an_own_estimator_wins_where_no_line_can_separate(rings):
    result, _ = rings
    winner = result.selection.chosen.candidate
    assert (winner.family, winner.label) == ("svm", "svm")
    assert result.verdict.nested.value > 0.95
    assert result.verdict.none["linear"].value < 0.7
    assert result.verdict.held_out.score > 0.9
    table = circles()
    assert (result.predict(table) == table["ring"]).mean() > 0.95
    # What it says of itself.
    settings = dict(winner.architecture)
    assert set(settings) == {"estimator__C", "estimator__gamma"}
    assert chosen(result.findings) == "svm"
    assert how_strong(result.findings).startswith("estimator__C ")
    assert "svm [estimator__C" in winner.describe()
    assert "sklearn.calibration.CalibratedClassifierCV" in result.report.read_text()
    # It has no ingredients: nothing is left out of it, and nothing added.
    assert not (result.folder / "attribution.json").exists()
    # It can be made again from what was chosen.
    again = clone(svm().maker).set_params(**settings).get_params()
    own = result.fitted.get_params()
    assert all(again[name] == own[name] for name in settings)


def test_own_families_stand_beside_factorizations(tmp_path):
    draws = np.random.default_rng(0)
    who, what = draws.integers(12, size=300), draws.integers(8, size=300)
    stars = draws.normal(size=12)[who] + draws.normal(size=8)[what] + draws.normal(0, 0.3, 300)
    table = pd.DataFrame({"who": who.astype(str), "what": what.astype(str), "stars": stars})
    near = Family(KNeighborsRegressor(), {"n_neighbors": Between(1, 30)}, share=0.2)
    asked = {
        "study": "both", "space": "ratings", "trials": 6, "folds": {"outer": 3},
        "data": {"target": "stars", "user": "who", "item": "what"}, "training": {"epochs": 10},
        "estimators": {"near": near},
    }  # fmt: skip
    result = run_study(asked, table, home=tmp_path, workers=1, **QUIET)
    final = [one.candidate for one in result.findings.trials if one.search == "final"]
    assert {one.family for one in final} == {"linear", "factorization", "near"}
    assert {name for one in final for name, _ in one.architecture} == {"factors", "n_neighbors"}
    assert "at most 10 epochs" in result.report.read_text()


def test_an_own_family_takes_its_turn_and_its_first_trial_is_what_was_handed_over(rings):
    trials = [one for one in rings[0].findings.trials if one.search == "final"]
    turn = next(k for k, one in enumerate(trials) if one.candidate.family == "svm")
    assert turn == 2  # after the incumbent, and after the linear family
    assert dict(trials[turn].candidate.architecture)["estimator__C"] == 1.0  # the default of SVC


def test_the_winner_predicts_through_its_preprocessing_and_its_classes(rings):
    result, _ = rings
    table = circles().drop(columns="ring").iloc[:7]
    inputs = result.model.inputs(table)
    chances = result.predict_proba(table)
    assert np.array_equal(chances, result.fitted.predict_proba(inputs))
    assert result.model.classes == ("in", "out")
    assert result.fitted.classes_.tolist() == ["in", "out"]


def test_two_workers_find_what_one_finds(rings, tmp_path):
    asked = question(estimators={"svm": svm()})
    other = run_study(asked, circles(), home=tmp_path, workers=2, **QUIET)
    assert essences(other) == essences(rings[0])
    assert other.verdict.nested == rings[0].verdict.nested
    table = circles()
    assert np.array_equal(other.predict_proba(table), rings[0].predict_proba(table))


class Interrupted(BaseEstimator, ClassifierMixin):
    """A nearest neighbour that is interrupted in one of its fits."""

    left = 10**9

    def __init__(self, n_neighbors=3):
        self.n_neighbors = n_neighbors

    def fit(self, X, y):
        Interrupted.left -= 1
        if Interrupted.left == 0:
            raise KeyboardInterrupt
        self.inner_ = KNeighborsClassifier(self.n_neighbors).fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


def test_a_study_that_was_cut_off_goes_on_to_the_same_result(tmp_path):
    near = {"near": Family(Interrupted(), {"n_neighbors": Between(1, 40, log=True)})}
    asked = question(estimators=near, trials=11)
    run = partial(run_study, asked, circles(), workers=1, **QUIET)
    whole = run(home=tmp_path / "whole")
    Interrupted.left = 22
    with pytest.raises(KeyboardInterrupt):
        run(home=tmp_path / "cut")
    done = (tmp_path / "cut" / "studies" / "rings" / "ledger.jsonl").read_text().count('"trial"')
    assert 0 < done < len(whole.findings.trials)
    resumed = run(home=tmp_path / "cut")
    assert essences(resumed) == essences(whole)
    assert resumed.verdict.nested == whole.verdict.nested


@pytest.mark.parametrize(
    "other",
    [
        svm(low=1e-1),
        Family(CalibratedClassifierCV(SVC(kernel="poly"), ensemble=False, cv=3), svm().dials),
        Family(KNeighborsClassifier(), {}),
    ],
    ids=["other dials", "other parameters", "another class"],
)
def test_a_study_is_continued_with_the_same_family_only(rings, other):
    with pytest.raises(StudyError, match="another configuration"):
        run_study(question(estimators={"svm": other}), circles(), home=rings[1], **QUIET)


def test_the_same_family_asked_again_is_answered_from_the_ledger(rings):
    again = run_study(question(estimators={"svm": svm()}), circles(), home=rings[1], **QUIET)
    assert essences(again) == essences(rings[0])


def test_without_own_families_a_study_is_known_by_the_digest_that_it_had():
    plain_study = study_from(question())
    assert "estimators" in plain_study.model_dump()
    assert plain_study.digest == study_from(question(estimators={}, network=None)).digest
    assert plain_study.digest != study_from(question(estimators={"svm": svm()})).digest


# ---- nothing leaks ------------------------------------------------------------------------------


class Spy(BaseEstimator, RegressorMixin):
    """A regression that writes down which rows it was fitted on: targets are numbers of rows."""

    seen = []

    def fit(self, X, y):
        Spy.seen.append((frozenset(y.astype(int).tolist()), X.copy()))
        self.inner_ = LinearRegression().fit(X, y)
        return self

    def predict(self, X):
        return self.inner_.predict(X)


def test_an_estimator_is_fitted_on_training_rows_only_with_inputs_learned_from_them(tmp_path):
    rows = np.random.default_rng(0).permutation(90)
    table = pd.DataFrame({"a": rows + 5.0 * np.sin(rows), "b": rows % 7, "row": rows * 1.0})
    asked = question(data={"target": "row"}, estimators={"spy": Family(Spy())})
    ready = prepare(asked, table)
    known = ready.bench.table.y.astype(int)
    plan = ready.bench.plan
    folds = [fold for own in plan.inner.values() for fold in own] + list(plan.outer)
    allowed = {frozenset(known[fold.train].tolist()) for fold in folds}
    allowed.add(frozenset(known.tolist()))  # the final refit
    Spy.seen = []
    result = run_study(asked, table, home=tmp_path, workers=1, **QUIET)
    assert {seen for seen, _ in Spy.seen} | {frozenset(known.tolist())} == allowed
    for _, inputs in Spy.seen:
        np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(inputs.std(axis=0), 1)
    assert not any(seen - set(known.tolist()) for seen, _ in Spy.seen)
    assert result.verdict.held_out is not None


def test_verify_finds_own_families_clean(tmp_path):
    near = Family(KNeighborsClassifier(), {"n_neighbors": Between(1, 9)})
    asked = question(estimators={"near": near}, trials=3, space="quick")
    proof = verify(asked, circles(90), home=tmp_path, trials=3, workers=1, progress=False)
    assert proof.outcome == "clean"


# ---- saved, exported, tracked -------------------------------------------------------------------


def test_an_own_model_is_not_saved_and_the_error_says_what_to_do(rings, tmp_path):
    result, _ = rings
    with pytest.raises(ModelError, match="fit its best parameters again"):
        result.save(tmp_path / "model")
    with pytest.raises(StudyError, match="result.fitted"):
        export(result.model, "script", tmp_path / "own.py")
    assert not (result.folder / "model").exists()
    assert result.report.is_file()
    document = json.loads((result.folder / "result.json").read_text())
    assert document["model"] is None
    assert document["selection"]["family"] == "svm"
    # Users may pickle what is theirs.
    again = pickle.loads(pickle.dumps(result.model))
    assert np.array_equal(again.predict_proba(circles()), result.predict_proba(circles()))


def test_trials_of_own_families_are_runs_of_mlflow(tmp_path):
    from mlflow import MlflowClient
    from optuna import load_study

    near = Family(KNeighborsClassifier(), {"n_neighbors": Between(1, 30, default=3)})
    asked = question(estimators={"near": near}, trials=4)
    result = run_study(asked, circles(), home=tmp_path, workers=1, progress=False)
    assert result.tracking_problem is None
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_run(result.mlflow_run).info.experiment_id
    runs = client.search_runs([experiment], "params.family = 'near'", max_results=500)
    assert len(runs) >= 4
    assert "near.n_neighbors" in runs[0].data.params
    assert {run.data.params["technique"] for run in runs} == {"near"}
    parent = client.get_run(result.mlflow_run)
    assert parent.data.tags["autoreg.family"] == "near"
    assert "autoreg.model" not in parent.data.tags
    url, names = export_optuna("rings", tmp_path)
    told = load_study(study_name=names[0], storage=url).trials
    assert any("near.n_neighbors" in one.params for one in told)


# ---- mistakes are named before any work ---------------------------------------------------------


def problem(family, table=None, **changes):
    table = circles() if table is None else table
    with pytest.raises((SpecError, SpaceError)) as found:
        prepare(question(estimators={"own": family}, **changes), table)
    return str(found.value)


def test_a_wrong_dial_is_named_with_the_nearest_one():
    assert problem(Family(SVC(), {"gama": Between(0.1, 1.0)})) == (
        "estimators.own.dials.gama: SVC has no parameter 'gama'; did you mean gamma?"
    )


@pytest.mark.parametrize(
    ("dial", "words"),
    [
        (Between(1.0, 0.1), "must rise"),
        (Between(0.0, 1.0, log=True), "above 0"),
        (Between("a", 2), "must be a number"),
        (Between(1, 9, default=12), "not between 1 and 9"),
        ([], "as a list of options"),
        (["rbf", "rbf"], "given twice"),
        ([SVC()], "an option must be"),
        ({"low": 1}, "low: 1, high: 10"),
        ({"low": 1, "hihg": 2}, "did you mean high"),
    ],
)
def test_a_dial_that_makes_no_sense_is_an_error_with_its_place(dial, words):
    message = problem(Family(SVC(), {"C": dial}))
    assert "estimators.own.dials.C" in message
    assert words in message


def test_an_estimator_must_give_probabilities_take_weights_and_fit_the_task():
    assert "CalibratedClassifierCV" in problem(Family(SVC(), {}))
    assert "is a regressor" in problem(Family(KNeighborsRegressor(), {}))
    numbers = circles().assign(ring=np.arange(150.0) ** 1.1)
    assert "is a classifier" in problem(Family(KNeighborsClassifier(), {}), numbers)
    weighted = circles().assign(w=1.5)
    data = {"target": "ring", "weight": "w"}
    message = problem(Family(KNeighborsClassifier(), {}), weighted, data=data)
    assert "takes no sample_weight" in message


def test_names_of_other_families_and_of_techniques_are_taken():
    for name, words in (("linear", "another family"), ("ridge", "name of a technique")):
        with pytest.raises((SpecError, SpaceError), match=words):
            prepare(question(estimators={name: Family(KNeighborsClassifier())}), circles())
    with pytest.raises(SpecError, match="pattern"):
        study_from(question(estimators={"My SVM": Family(SVC())}))


def test_what_is_no_estimator_is_refused():
    assert "it lacks get_params" in problem(Family(object()))
    assert "lambda" in problem(Family(lambda: 3))
    assert "techniques" in problem(Family(SVC(), {}, techniques=["ridge"]))


def test_a_study_of_a_stream_takes_no_own_families(tmp_path):
    circles().assign(ring=1.0).to_parquet(tmp_path / "rows.parquet")
    data = {"source": str(tmp_path / "rows.parquet"), "target": "ring", "stream": True}
    with pytest.raises(SpecError, match="only linear models"):
        prepare(question(data=data, estimators={"own": Family(LinearRegression())}, space="linear"))


def test_an_error_in_a_fit_is_a_failed_trial_with_its_reason(tmp_path):
    broken = Family(KNeighborsClassifier(metric="nonsense"), {})
    result = run_study(question(estimators={"broken": broken}), circles(), home=tmp_path, **QUIET)
    failed = [one for one in result.findings.trials if one.candidate.family == "broken"]
    assert len(failed) >= 4
    assert all("InvalidParameterError" in one.failure for one in failed)
    assert result.selection.chosen.candidate.family == "linear"


def test_warnings_of_a_fit_become_its_flags(tmp_path):
    lazy = Family(LogisticRegression(max_iter=1), {})
    result = run_study(question(estimators={"lazy": lazy}), circles(), home=tmp_path, **QUIET)
    own = [one for one in result.findings.trials if one.candidate.family == "lazy"]
    assert all(one.flags and one.flags[0].startswith("ConvergenceWarning: lbfgs") for one in own)


# ---- in a file ----------------------------------------------------------------------------------

FILE = """\
study: rings
space: ridge_to_lasso
trials: 4
folds: {outer: 3}
data: {target: ring}
estimators:
  near:
    path: sklearn.neighbors.KNeighborsClassifier
    params: {weights: distance}
    dials:
      n_neighbors: {low: 1, high: 30, log: true}
      p: [1, 2]
"""


def written(tmp_path, *changes):
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "rings.yaml"
    path.write_text(text)
    return path


def test_a_file_names_an_installed_class_and_means_what_python_means(tmp_path):
    spec = read_study(written(tmp_path))
    known = KNeighborsClassifier(weights="distance")
    dials = {"n_neighbors": Between(1, 30, log=True), "p": [1, 2]}
    asked = {
        "study": "rings", "space": "ridge_to_lasso", "trials": 4, "folds": {"outer": 3},
        "data": {"target": "ring"}, "estimators": {"near": Family(known, dials)},
    }  # fmt: skip
    assert spec.digest == study_from(asked).digest
    result = run_study(written(tmp_path), circles(), home=tmp_path, workers=1, **QUIET)
    assert result.selection.chosen.candidate.family == "near"
    # By its name, from what the study wrote down.
    proof = verify("rings", circles(), home=tmp_path, trials=2, workers=1, progress=False,
                   tracking=False)  # fmt: skip
    assert proof.outcome == "clean"


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("KNeighborsClassifier", "KNeighborsClasifier"), 8, "did you mean KNeighborsClassifier"),
        (("sklearn.neighbors", "sklearn.neighbours"), 8, "cannot be imported"),
        (("sklearn.neighbors.KN", "os.KN"), 8, "no installed package"),
        (("sklearn.neighbors.KN", "rings_of_mine.KN"), 8, "no installed package"),
        (("path: sklearn.neighbors.KNeighborsClassifier", "path: pandas.DataFrame"), 8, "lacks"),
        (("n_neighbors", "n_neighbours"), 11, "did you mean n_neighbors"),
        (("weights:", "wieghts:"), 8, "unexpected keyword"),
        (("log: true", "logg: true"), 11, "did you mean log"),
        (("low: 1, ", ""), 11, "low: 1, high: 10"),
        (("    path:", "    pth:"), 8, "did you mean path"),
    ],
)
def test_mistakes_in_a_file_have_their_line(tmp_path, change, line, words):
    path = written(tmp_path, change)
    with pytest.raises(SpecError) as found:
        read_study(path)
    (first, *_) = [one for one in str(found.value).splitlines() if words in one]
    assert first.startswith(f"{path}:{line}: ")
    assert "estimators.near" in first


def test_a_path_in_a_file_makes_nothing_but_estimators():
    for path in ("subprocess.Popen", "builtins.eval", "posix.system"):
        with pytest.raises(SpecError, match="no installed package"):
            imported(path)
    with pytest.raises(SpecError, match="no estimator"):
        built({"path": "pandas.DataFrame", "params": {}})
    with pytest.raises(SpecError, match="has no class joblib"):
        imported("joblib.joblib")


def test_what_only_python_can_make_is_known_by_its_hash_and_cannot_be_read_again():
    def double(X):
        return 2 * X

    one = SplineTransformer(knots=np.array([[0.0], [1.0]]))
    other = SplineTransformer(knots=np.array([[0.0], [2.0]]))
    assert plain(one) == plain(clone(one)) != plain(other)
    with pytest.raises(SpecError, match="hand the family over again"):
        built(plain(one))
    assert plain(double)["object"].endswith("<locals>.double")
    spec = study_from(question(estimators={"own": Family(Interrupted())}))
    again = study_from(json.loads(json.dumps(spec.model_dump(mode="json"))))
    assert again.digest == spec.digest
    with pytest.raises(SpecError, match="hand the family over in Python"):
        check_own(again)


def test_nested_estimators_survive_a_journey_as_plain_data():
    pipe = make_pipeline(PolynomialFeatures(3, include_bias=False), LogisticRegression(C=0.5))
    again = built(json.loads(json.dumps(plain(pipe))))
    assert repr(again) == repr(pipe)
    assert identity(SVC) == ("sklearn.svm.SVC", {})
    assert path_of(Path).startswith("pathlib")


# ---- dials --------------------------------------------------------------------------------------


def test_dials_begin_with_what_the_estimator_has():
    spec = EstimatorSpec.model_validate(FOREST)
    depth, features = spec.box
    assert depth == Range("max_depth", 1, 6, 4, integer=True)  # None is no number
    assert features == Choice("max_features", ("sqrt", None), "sqrt")
    assert DialSpec(low=1, high=9).dial("k", 3).default == 3
    assert DialSpec(low=1, high=9, default=2).dial("k", 3).default == 2
    assert DialSpec(low=0.5, high=9).dial("k", 100).default == 4.75
    assert DialSpec(options=(1, True, None)).dial("k", True).default is True
    assert DialSpec(options=("a", "b"), default="b").dial("k", "a").default == "b"


def test_a_candidate_of_an_own_family_survives_a_journey():
    one = candidate("forest", [], {"max_features": None, "max_depth": 3})
    assert Candidate.from_data(json.loads(json.dumps(one.to_data()))) == one
    assert one.describe() == "forest [max_depth 3, max_features None]"
    assert not one.is_none


def test_randomness_depends_on_the_fit_alone(tmp_path):
    asked = question(estimators={"forest": FOREST}, trials=4)
    np.random.seed(3)  # noqa: NPY002
    first = run_study(asked, circles(), home=tmp_path / "a", workers=1, **QUIET)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    second = run_study(asked, circles(), home=tmp_path / "b", workers=1, **QUIET)
    assert essences(first) == essences(second)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert isinstance(first.fitted.random_state, int) or first.fitted is None


# ---- behind fit and predict ---------------------------------------------------------------------


def test_the_estimators_take_families_and_can_be_cloned_and_pickled():
    table = circles()
    one = AutoRegClassifier(trials=4, folds=3, estimators={"forest": FOREST})
    one = clone(one).fit(table[["east", "north"]], table["ring"])
    assert one.best_params_["family"] == "forest"
    assert set(one.best_params_) == {"family", "max_depth", "max_features"}
    assert one.score(table[["east", "north"]], table["ring"]) > 0.9
    again = pickle.loads(pickle.dumps(one))
    assert np.array_equal(again.predict_proba(table[["east", "north"]]),
                          one.predict_proba(table[["east", "north"]]))  # fmt: skip
    assert "param_max_depth" in one.cv_results_


def test_a_regression_predicts_in_the_units_of_the_target():
    draws = np.random.default_rng(0)
    X = draws.uniform(-3, 3, (150, 2))
    y = 1000 + 100 * np.sin(2 * X[:, 0]) * np.cos(X[:, 1])
    near = Family(KNeighborsRegressor(), {"n_neighbors": Between(1, 20)})
    found = AutoRegRegressor(trials=4, folds=3, estimators={"near": near}).fit(X, y)
    assert found.best_params_["family"] == "near"
    assert found.score(X, y) > 0.8


def test_what_has_no_dials_needs_no_family():
    near, net = KNeighborsClassifier(5), study_from(question(network=Module)).network
    spec = study_from(question(estimators={"near": near, "other": KNeighborsClassifier})).own
    assert spec["near"].fresh().n_neighbors == spec["other"].fresh().n_neighbors == 5
    assert spec["near"].fresh() is not near
    assert net.path == "torch.nn.Module"
    with pytest.raises(SpecError, match="a mapping"):
        study_from(question(estimators={"near": "sklearn.neighbors.KNeighborsClassifier"}))


def test_mistakes_come_as_value_errors_there():
    table = circles()
    wrong = AutoRegClassifier(estimators={"svm": Family(SVC(), {"gama": Between(0.1, 1.0)})})
    with pytest.raises(ValueError, match="did you mean gamma"):
        wrong.fit(table[["east", "north"]], table["ring"])
