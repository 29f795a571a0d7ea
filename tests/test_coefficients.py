"""Linear models to be read: coefficients in raw units, columns used, freedom, the path."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import ElasticNet

import autoreg
from autoreg.candidate import candidate
from autoreg.coefficients import CoefficientPath, coefficient_path, final_jobs, opened
from autoreg.data.dataset import Column, Dataset
from autoreg.engines.base import Failure, Job, TrainingSet
from autoreg.engines.linear import strength_max
from autoreg.engines.linear_objective import Sample
from autoreg.engines.loop_linear import fit_linear, null_curvature
from autoreg.engines.reading import freedom, selected_columns, spectrum_of
from autoreg.preprocess import Preprocessor
from autoreg.space import Space
from autoreg.spec import SpaceSpec
from autoreg.study import prepare
from autoreg.techniques import catalogue, technique
from autoreg.trial import Trial

TASKS = ("regression", "binary", "multiclass")
LINEAR = [
    candidate("linear", [technique(key)(**dials)] if key != "none" else [], {})
    for key, dials in [("none", {}), ("ridge", {}), ("lasso", {}), ("elastic_net", {"mix": 0.5})]
]
NAMES = [one.label for one in LINEAR]
STRENGTHS = (0.01, 0.1, 0.5, 1.0)
COLUMNS = (
    Column("a", "numeric"),
    Column("kind", "categorical", ("blue", "green", "red")),
    Column("b", "numeric"),
    Column("same", "numeric"),
)


def table(task, n=80, weighted=True):
    """Numeric columns with missing cells, a categorical one and a constant one."""
    draws = np.random.default_rng(7)
    kind = draws.integers(0, 3, n).astype(float)
    a, b = 100 + 20 * draws.normal(size=n), 0.01 * draws.normal(size=n)
    signal = a / 20 - 60 * b + (kind == 2) + draws.normal(size=n)
    kind[5] = a[3] = np.nan
    X = np.column_stack([a, kind, b, np.full(n, 4.2)])
    cuts = {"binary": 2, "multiclass": 3}.get(task)
    y = signal * 50 if cuts is None else np.argsort(np.argsort(signal)) * cuts // n
    weight = draws.uniform(0.5, 2, n) if weighted else None
    classes = tuple(range(cuts or 0))
    return Dataset("made", COLUMNS, X, y, task, "y", classes, weight=weight)


def fitted(one, data, strengths=STRENGTHS, rows=None, keep=True):
    rows = np.arange(data.n) if rows is None else rows
    walked = strengths if one.path else ()
    return fit_linear(
        Job(one, TrainingSet(rows, ()), np.arange(data.n), 0, walked, keep_model=keep), data
    )


def numbers(A, y, task="regression", weights=None):
    columns = tuple(Column(f"x{k}", "numeric") for k in range(A.shape[1]))
    classes = () if task == "regression" else tuple(range(int(y.max()) + 1))
    return Dataset("made", columns, A, y, task, "y", classes, weight=weights)


# ---- raw units -----------------------------------------------------------------------------------


def raw_inputs(scaler, X):
    """The inputs before they are standardized, cell by cell; missing cells as the mean."""
    out = np.zeros((len(X), len(scaler.names)))
    for row, cells in enumerate(X):
        for k, (name, column) in enumerate(zip(scaler.names, scaler.groups, strict=True)):
            kind = COLUMNS[column]
            cell = cells[column]
            if kind.is_categorical:
                level = "(missing)" if np.isnan(cell) else kind.levels[int(cell)]
                out[row, k] = name == f"{kind.name}={level}"
            else:
                out[row, k] = scaler.mean[k] if np.isnan(cell) else cell
    return out


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("one", LINEAR, ids=NAMES)
def test_predictions_in_raw_units_are_those_of_the_model(one, task):
    data = table(task)
    closed = one.at(0.1)
    fit = fitted(closed, data, ())
    scaler = fit.model.preprocessor
    raw = raw_inputs(scaler, data.X)
    expected = fit.model.outputs(data.X)
    scores = raw @ fit.coefficients[0] + fit.intercepts[0]
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    forgotten = raw @ fit.coefficients[0] + fit.model.arrays["intercept"]
    assert np.abs(forgotten - expected).max() > 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("one", LINEAR, ids=NAMES)
def test_a_path_keeps_the_coefficients_of_every_strength(one, task):
    data = table(task)
    fit = fitted(one, data)
    count = len(STRENGTHS) if one.path else 1
    outputs = 3 if task == "multiclass" else 1
    assert fit.coefficients.shape == (count, 7, outputs)
    assert fit.intercepts.shape == (count, outputs)
    assert (fit.model is None) == (count > 1)
    bare = fitted(one, data, keep=False)
    assert bare.coefficients is bare.intercepts is bare.model is None
    if one.path:
        alone = fitted(one.at(0.1), data, ())
        largest = np.abs(alone.coefficients[0]).max()
        np.testing.assert_allclose(
            fit.coefficients[1], alone.coefficients[0], atol=2e-3 * largest, rtol=2e-3
        )


def test_a_constant_input_has_the_coefficient_zero_whatever_the_model_says():
    scaler = Preprocessor.fit(np.array([[1.0, 3.0], [1.0, 5.0]]), [COLUMNS[3], COLUMNS[0]])
    slopes, intercept = scaler.original_units(np.array([[9.0], [2.0]]), np.array([1.0]))
    assert slopes.tolist() == [[0.0], [2.0]]
    assert intercept.tolist() == [1.0 - 2.0 * 4.0]


def test_the_scale_of_a_column_divides_its_coefficient():
    data = table("regression")
    metres = replace(data, X=data.X * [1, 1, 1000, 1])
    before, after = (fitted(LINEAR[2], one).coefficients[:, :, 0] for one in (data, metres))
    place = before.shape[1] - 2
    np.testing.assert_allclose(after[:, place], before[:, place] / 1000, rtol=1e-8)
    np.testing.assert_allclose(np.delete(after, place, 1), np.delete(before, place, 1), rtol=1e-8)


# ---- the columns used ----------------------------------------------------------------------------


def test_selected_columns_are_those_with_any_coefficient():
    draws = np.random.default_rng(0)
    groups = np.array([0, 0, 2, 3, 3, 3])
    W = draws.normal(size=(9, 6, 2)) * (draws.uniform(size=(9, 6, 2)) < 0.3)
    slow = [
        [any(W[s, k, c] != 0 for k in range(6) for c in range(2) if groups[k] == j)
         for j in range(5)] for s in range(9)
    ]  # fmt: skip
    assert selected_columns(W, groups, 5).tolist() == slow


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("one", LINEAR, ids=NAMES)
def test_every_fit_tells_the_raw_columns_that_it_uses(one, task):
    fit = fitted(one, table(task), keep=False)
    assert fit.selected.shape == (len(fit.losses), 4)
    assert fit.freedom.shape == (len(fit.losses),)
    assert not fit.selected[:, 3].any()  # the constant one
    if one.techniques[0].penalty().zeroes:
        assert not fit.selected[-1].any()  # the null model
        assert fit.freedom[-1] == 0
        assert fit.selected[0].sum() >= fit.selected[2].sum()
    else:
        assert fit.selected[:, :3].all()


# ---- degrees of freedom --------------------------------------------------------------------------


def hat_trace(one, data):
    """The trace of the matrix that turns targets into fitted values, one target at a time."""
    fits = [
        fitted(one, replace(data, y=row), (), keep=False).predictions[0][:, 0]
        for row in np.eye(data.n)
    ]
    return np.trace(np.array(fits))


@pytest.mark.parametrize("shape", [(25, 4), (12, 20)], ids=["tall", "wide"])
@pytest.mark.parametrize("key", ["ridge", "none"])
def test_freedom_is_the_trace_of_the_hat_matrix(key, shape):
    draws = np.random.default_rng(1)
    A = draws.normal(size=shape)
    A[:, 1] = 2 * A[:, 0]  # the rank is one less
    data = numbers(A, draws.normal(size=shape[0]), weights=draws.uniform(0.5, 2, shape[0]))
    one = candidate("linear", [technique(key)()] if key != "none" else [], {}).at(0.05)
    own = fitted(one, data, (), keep=False).freedom[0]
    assert own == pytest.approx(hat_trace(one, data) - 1, abs=1e-6)  # the intercept is one
    if key == "none":
        assert own == (3 if shape == (25, 4) else 11)


@pytest.mark.parametrize("mix", [1.0, 0.5])
def test_freedom_with_l1_is_how_fitted_values_follow_the_targets(mix):
    draws = np.random.default_rng(2)
    A = draws.normal(size=(40, 6))
    A = (A - A.mean(axis=0)) / A.std(axis=0)
    y = A[:, :3] @ [2.0, -1.0, 0.3] + draws.normal(size=40)
    y = (y - y.mean()) / y.std()
    key, dials = ("elastic_net", {"mix": mix}) if mix < 1 else ("lasso", {})
    one = candidate("linear", [technique(key)(**dials)], {})
    data = numbers(A, y)
    fit = fitted(one, data)
    penalty = one.techniques[0].penalty()
    unit = strength_max(Sample.of(A, data, np.arange(40)), penalty)
    for place, strength in enumerate(STRENGTHS[:3]):
        both = penalty.l1 + penalty.l2
        solver = ElasticNet(
            alpha=strength * unit * both, l1_ratio=penalty.l1 / both, tol=1e-14, max_iter=100_000
        )
        slopes = [
            (solver.fit(A, y + step).predict(A) - solver.fit(A, y - step).predict(A))[i] / 2e-5
            for i, step in enumerate(1e-5 * np.eye(40))
        ]
        assert fit.freedom[place] == pytest.approx(sum(slopes) - 1, abs=1e-4)


def test_weights_equal_repeated_rows():
    draws = np.random.default_rng(3)
    A, y = draws.normal(size=(20, 3)), draws.normal(size=20)
    twice = np.repeat(np.arange(20), np.where(np.arange(20) < 8, 2, 1))
    weights = np.where(np.arange(20) < 8, 2.0, 1.0)
    for one in LINEAR[1:]:
        own = fitted(one, numbers(A, y, weights=weights), keep=False)
        other = fitted(one, numbers(A[twice], y[twice]), keep=False)
        np.testing.assert_allclose(own.freedom, other.freedom, rtol=1e-7)
        assert (own.selected == other.selected).all()


@pytest.mark.parametrize("task", TASKS)
def test_the_curvature_at_the_null_model_has_its_known_form(task):
    data = table(task)
    X = Preprocessor.fit(data.X, COLUMNS, data.weights).transform(data.X)
    sample = Sample.of(X, data, np.arange(data.n))
    shares = sample.v @ np.eye(3)[data.y.astype(int) % 3]
    known = {
        "regression": np.eye(1),
        "binary": np.array([[shares[1] * (1 - shares[1])]]),
        "multiclass": np.diag(shares) - np.outer(shares, shares),
    }[task]
    np.testing.assert_allclose(null_curvature(sample), known, atol=1e-7)


def hessian(A, curvature, used):
    """The second derivatives of the loss in the coefficients in use, classes one by one."""
    whole = np.kron(curvature, A.T @ A)
    kept = used.T.ravel()
    return whole[np.ix_(kept, kept)]


@pytest.mark.parametrize("full", [True, False])
def test_freedom_with_classes_against_the_whole_matrix(full):
    draws = np.random.default_rng(4)
    A, shares = draws.normal(size=(30, 5)), np.array([0.2, 0.3, 0.5])
    curvature = np.diag(shares) - np.outer(shares, shares)
    W = draws.normal(size=(4, 5, 3))
    if not full:
        W *= draws.uniform(size=W.shape) < 0.5
    l2 = np.array([0.0, 0.1, 3.0, 1e4]) if full else np.array([0.5, 1.0, 30.0, 1e4])
    own = freedom(spectrum_of(A), W, l2, curvature)
    for place, ridge in enumerate(l2):
        H = hessian(A, curvature, W[place] != 0)
        exact = np.trace(np.linalg.pinv(H + ridge * np.eye(len(H)), hermitian=True) @ H)
        if full:
            assert own[place] == pytest.approx(exact, rel=1e-9)
        else:
            assert exact * (1 - 1e-9) <= own[place] <= min(1.5 * exact, 10)


def test_with_l1_alone_and_classes_the_coefficients_are_counted():
    fit = fitted(LINEAR[2], table("multiclass"))
    counts = (fit.coefficients != 0).sum(axis=(1, 2))
    assert (fit.freedom <= counts).all()
    assert (fit.freedom[1:] == counts[1:]).all()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("one", [LINEAR[1], LINEAR[3]], ids=[NAMES[1], NAMES[3]])
def test_freedom_falls_as_the_strength_grows(one, task):
    own = fitted(one, table(task), tuple(np.geomspace(1e-4, 1, 12)), keep=False).freedom
    assert (np.diff(own) <= 1e-9).all()
    assert own[0] > own[-1] >= 0


def test_inputs_of_which_none_varies_leave_no_freedom():
    data = numbers(np.full((10, 2), 3.0), np.arange(10.0))
    for one in LINEAR:
        fit = fitted(one, data)
        assert not fit.selected.any()
        assert not fit.freedom.any()
        assert not fit.coefficients.any()


# ---- trials --------------------------------------------------------------------------------------

SPACE = {
    "space": "tiny",
    "families": {"linear": {"techniques": ["lasso", "ridge"]}},
    "incumbent": {"family": "linear", "techniques": ["ridge"]},
    "path_points": 9,
}


def question(task, **changes):
    data = table(task, weighted=False)
    frame = pd.DataFrame(data.X, columns=[column.name for column in COLUMNS])
    levels = dict(enumerate(COLUMNS[1].levels))
    frame = frame.assign(kind=frame["kind"].map(levels), y=data.y)
    document = {
        "study": f"read_{task}",
        "data": {"target": "y", "task": task},
        "space": SPACE,
        "trials": 3,
        "folds": {"outer": 3},
        "select": {"guard": "off"},
    }
    return document | changes, frame


@pytest.fixture(scope="module", params=["regression", "multiclass"])
def study(request, tmp_path_factory):
    document, frame = question(request.param)
    home = tmp_path_factory.mktemp(request.param)
    options = {"home": home, "tracking": False, "workers": 1, "progress": False}
    return autoreg.run_study(document, frame, **options), document, frame


def test_a_trial_tells_the_means_over_its_folds(study):
    result, document, frame = study
    bench = prepare(document, frame).bench
    for trial in result.findings.trials:
        if trial.search != "outer-1":
            continue
        used = []
        for fold in bench.plan.inner["outer-1"]:
            job = Job(trial.candidate, TrainingSet(fold.train, ()), fold.test, 0, trial.strengths)
            used.append(fit_linear(job, bench.table))
        folds = len(used)
        for place in range(len(trial.losses)):
            columns = [int(fit.selected[place].sum()) for fit in used]
            assert trial.sparsity[place] == pytest.approx(sum(columns) / folds)
        expected = {
            column.name: sum(fit.selected[trial.best][j] for fit in used) / folds
            for j, column in enumerate(COLUMNS)
        }
        assert trial.stability == (
            {name: share for name, share in expected.items() if share}
            if trial.candidate.label == "lasso"
            else {}
        )
        assert trial.row["n_columns"] == trial.sparsity[trial.best]
        free = [fit.freedom[trial.best] for fit in used]
        assert trial.row["freedom"] == trial.freedom == pytest.approx(sum(free) / folds)


def test_a_trial_survives_the_ledger_and_older_ledgers_are_read(study):
    for trial in study[0].findings.trials:
        data = json.loads(json.dumps(trial.to_data()))
        assert Trial.from_data(data).to_data() == trial.to_data()
        old = {k: v for k, v in data.items() if k not in ("sparsity", "freedom", "stability")}
        read = Trial.from_data(old)
        assert read.losses.tolist() == trial.losses.tolist()
        assert (read.n_columns, read.freedom, dict(read.stability)) == (None, None, {})


def test_constraints_that_can_leave_columns_out_tell_of_stability_too():
    from autoreg.scoring import leaves_out

    document, frame = question("regression")
    ridge = LINEAR[1]
    for linear, expected in [({}, False), ({"at_most": 2}, True), ({"non_negative": "all"}, True)]:
        bench = prepare(document, frame).bench
        known = bench.spec.linear.model_copy(update=linear)
        bench = replace(bench, spec=bench.spec.model_copy(update={"linear": known}))
        assert leaves_out(bench, ridge) == expected
        assert leaves_out(bench, LINEAR[2])


# ---- the path of the choice ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", catalogue().values(), ids=list(catalogue()))
def test_an_opened_candidate_closes_to_itself(kind):
    dials = {dial.name: dial.default for dial in kind.dials}
    for family in kind.families:
        one = candidate(family, [kind(**dials)] if kind.key != "none" else [], {})
        walked = [dial for dial in kind.dials if dial.path]
        assert (opened(one).path is None) == (not walked)
        assert one.path is None
        assert opened(one).at(walked[0].default if walked else 0.0) == one


def test_the_path_of_the_final_choice_is_in_the_findings(study):
    result, document, frame = study
    path = result.findings.coefficients
    space, chosen = result.findings.space, result.selection.chosen.candidate
    assert chosen.label != "none"
    assert path.strengths == space.strengths(opened(chosen))
    assert opened(chosen).at(path.strengths[path.chosen]) == chosen
    assert path.coefficients.shape == (9, len(path.names), len(path.outputs))
    assert path.intercepts.shape == (9, len(path.outputs))
    assert path.outputs == (("y",) if document["data"]["task"] == "regression" else ("0", "1", "2"))
    assert set(path.groups) == {column.name for column in COLUMNS}
    assert path.remark == ""
    assert path.freedom == pytest.approx(
        fitted(chosen, prepare(document, frame).bench.table, ()).freedom[0]
    )


def test_the_coefficients_shown_are_those_of_the_final_model_to_the_last_bit(study):
    result, _, frame = study
    path = result.findings.coefficients
    scaler = result.model.parameters.preprocessor
    arrays = result.model.parameters.arrays
    slopes, intercept = scaler.original_units(arrays["coefficients"], arrays["intercept"])
    assert np.array_equal(path.coefficients[path.chosen], slopes)
    assert np.array_equal(path.intercepts[path.chosen], intercept)
    if result.findings.data["task"] == "regression":
        cells = frame[["a", "kind", "b", "same"]].dropna()
        codes = cells.assign(kind=cells["kind"].map({"blue": 0.0, "green": 1.0, "red": 2.0}))
        raw = raw_inputs(scaler, codes.to_numpy(float))
        by_hand = raw @ path.coefficients[path.chosen][:, 0] + path.intercepts[path.chosen][0]
        np.testing.assert_allclose(by_hand, result.predict(cells), rtol=1e-9)


def test_neighbours_on_the_path_belong_together(study):
    path = study[0].findings.coefficients
    assert (np.diff(path.sizes.max(axis=1)) <= 1e-3 * path.sizes.max()).all()


def test_the_shares_of_the_folds_are_counted(study):
    findings = study[0].findings
    path, final = findings.coefficients, findings.final.chosen
    trial = next(t for t in findings.trials if (t.search, t.number) == ("final", final.trial))
    drops = final.candidate.label == "lasso"
    assert drops or path.inner is None
    assert path.inner == (dict(trial.stability) if drops else None)
    told = [f for f in findings.verdict.folds if f.chosen.label == "lasso"]
    assert [f.used is not None for f in findings.verdict.folds] == [
        f.chosen.label == "lasso" for f in findings.verdict.folds
    ]
    assert path.outer_folds == len(told)
    for k, column in enumerate(path.groups):
        expected = sum(column in f.used for f in told) / len(told) if told else None
        assert path.share(path.outer, k) == expected


def test_a_finished_study_reads_the_columns_used_from_its_ledger(study):
    result, document, frame = study
    home = result.folder.parents[1]
    again = autoreg.run_study(document, frame, home=home, tracking=False, workers=1, progress=False)
    own, other = (one.findings.coefficients for one in (result, again))
    assert (own.inner, own.outer, own.outer_folds) == (other.inner, other.outer, other.outer_folds)
    assert np.array_equal(own.coefficients, other.coefficients)


def test_a_strength_that_is_not_on_the_path_is_put_in(study):
    result, document, frame = study
    bench = prepare(document, frame).bench
    chosen = result.selection.chosen
    between = replace(chosen, candidate=opened(chosen.candidate).at(0.0123))
    jobs = final_jobs(bench, between)
    assert len(jobs[1].strengths) == 10
    assert list(jobs[1].strengths) == sorted(jobs[1].strengths)
    outcomes = bench.engine.run(jobs, bench.table, cells=bench.plan.cells)
    trial, folds = result.findings.trials[0], result.verdict.folds
    path = coefficient_path(bench, between, outcomes, trial, folds)
    assert path.strengths[path.chosen] == 0.0123
    assert np.array_equal(path.coefficients[path.chosen], outcomes[0].coefficients[0])


def test_a_path_starts_where_the_dial_is_weakest(study):
    result, document, frame = study
    bench = prepare(document, frame).bench
    offered = SPACE | {"families": {"linear": {"techniques": ["ridge", "principal_components"]}}}
    bench = replace(bench, space=Space.build(SpaceSpec(**offered), "regression"))
    share = technique("principal_components")(components=0.3)
    chosen = replace(result.selection.chosen, candidate=candidate("linear", [share], {}))
    _, walked = final_jobs(bench, chosen)
    assert walked.strengths[0] == 1.0 > 0.3 > walked.strengths[-1] == 0.01
    assert list(walked.strengths) == sorted(walked.strengths, reverse=True)


def test_without_a_path_the_final_model_stands_alone_and_says_why(study):
    result, document, frame = study
    bench = prepare(document, frame).bench
    chosen, trial = result.selection.chosen, result.findings.trials[0]
    final, walked = bench.engine.run(final_jobs(bench, chosen), bench.table, cells=bench.plan.cells)
    path = coefficient_path(bench, chosen, [final, Failure("no way")], trial, ())
    assert "no way" in path.remark
    assert (path.strengths, len(path.coefficients), path.outer) == ((), 1, None)
    assert walked.coefficients.shape[0] == 9
    none = replace(chosen, candidate=candidate("linear", [], {}))
    (alone,) = bench.engine.run(final_jobs(bench, none), bench.table, cells=bench.plan.cells)
    path = coefficient_path(bench, none, [alone], trial, ())
    assert (path.remark, path.strengths, path.inner) == ("", (), None)


def test_outer_folds_that_could_leave_nothing_out_are_not_counted(study):
    result, document, frame = study
    bench = prepare(document, frame).bench
    chosen, trial = result.selection.chosen, result.findings.trials[0]
    final = bench.engine.run(final_jobs(bench, chosen), bench.table, cells=bench.plan.cells)
    told = [("a", "kind"), None, ("a",), ()]
    folds = [replace(result.verdict.folds[0], used=used) for used in told]
    path = coefficient_path(bench, chosen, final, trial, folds)
    assert path.outer == pytest.approx({"a": 2 / 3, "kind": 1 / 3})
    assert path.outer_folds == 3
    assert path.share(path.outer, path.groups.index("b")) == 0


def test_other_models_have_no_coefficients_to_read(study):
    result, document, frame = study
    bench = prepare(document, frame).bench
    chosen, trial = result.selection.chosen, result.findings.trials[0]
    (final, _) = bench.engine.run(final_jobs(bench, chosen), bench.table, cells=bench.plan.cells)
    network = replace(final, coefficients=None, intercepts=None, selected=None, freedom=None)
    assert coefficient_path(bench, chosen, [network], trial, ()) is None


def test_the_table_has_intercepts_first_and_then_the_largest(study):
    result = study[0]
    path, read = result.findings.coefficients, result.coefficients
    outputs = len(path.outputs)
    assert read["input"].tolist()[:outputs] == ["(intercept)"] * outputs
    assert len(read) == (1 + len(path.names)) * outputs
    sizes = read["standardized"].to_numpy()[outputs:].reshape(-1, outputs)
    norms = np.linalg.norm(sizes, axis=1)
    assert (np.diff(norms) <= 1e-12).all()
    assert path.used_columns == len({path.groups[k] for k in path.used})


def test_sizes_are_per_standard_deviation_and_a_norm_over_classes():
    path = CoefficientPath(
        names=("a", "b"), groups=("a", "b"), strengths=(0.1, 1.0), outputs=("x", "y"), chosen=0,
        coefficients=np.array([[[3.0, 4.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]),
        intercepts=np.zeros((2, 2)), scales=np.array([2.0, 100.0]), freedom=2.0,
    )  # fmt: skip
    assert path.sizes.tolist() == [[10.0, 100.0], [0.0, 0.0]]
    assert path.order.tolist() == path.used.tolist() == [1, 0]
    assert len(replace(path, chosen=1).used) == 0
