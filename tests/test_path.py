"""The path engine: laws over every linear technique and loss, and against the plain engine.

Optimality is judged by ``linear_definition.py``, which shares nothing with an engine. Stated are
the engine's own promises: no condition is violated by more than 1e-4 of the penalty's pull, or
1e-7 where that is smaller. With the plain engine it shares no solver.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from linear_definition import (
    CLASSES,
    LOSSES,
    REAL,
    TEST,
    TRAIN,
    Problem,
    cases,
    fitted,
    job,
    strengths_of,
    table,
)

from autoreg.candidate import candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.engines import path
from autoreg.engines.base import Fit, Job, TrainingSet, mean_losses
from autoreg.engines.loop import LoopEngine
from autoreg.engines.path import PathEngine, walk
from autoreg.metrics import row_losses
from autoreg.preprocess import Preprocessor
from autoreg.techniques import technique

PATH, LOOP = PathEngine(), LoopEngine()


def penalty(one):
    return one.techniques[0].penalty()


def penalized(one):
    return one.path is not None and not one.techniques[0].components()


def minimizes(one):
    return one.techniques[0].prior() is None and not one.techniques[0].components()


def single_minded(one, loss):
    """Whether no two stationary points are to be feared.

    A concave penalty that reaches far is nearly convex; where it is flat, and classes are
    several, one number for each input is left open.
    """
    if not penalty(one).concave:
        return True
    return loss in ("regression", "count") or (penalty(one).gamma >= 20 and loss != "multiclass")


def every(wanted=lambda one: True, where=lambda one, loss: True):
    """A parametrization over techniques and losses."""
    found = [
        pytest.param(one, loss, id=name) for name, one, loss in cases(wanted) if where(one, loss)
    ]
    return pytest.mark.parametrize(("one", "loss"), found)


def middling(wanted=lambda one: True, losses=LOSSES, where=lambda one, loss: True):
    """One setting of each technique, by its name and the loss."""
    found = {}
    for _, one, loss in cases(wanted, losses):
        if where(one, loss):
            found.setdefault((one.label, loss), []).append((one, loss))
    return {f"{name}-{loss}": ones[len(ones) // 2] for (name, loss), ones in found.items()}


def defaults(wanted=lambda one: True, losses=LOSSES, where=lambda one, loss: True):
    """The same with one setting of each technique, where more would tell no more."""
    found = middling(wanted, losses, where)
    return pytest.mark.parametrize(("one", "loss"), list(found.values()), ids=list(found))


def allowed(problem, strength):
    """The violation that an engine may leave."""
    unit = np.sqrt(problem.v @ (problem.y - problem.v @ problem.y) ** 2)
    floor = 1e-7 * (unit if problem.loss_name == "count" else 1.0)
    pull = 0.0 if problem.penalty.is_null else problem.pull(strength)
    # Adaptive weights come from a fit that is as exact, and are its coefficients to some power.
    slack = 10.0 if problem.penalty.adapt else 1.01
    least = 1e-6 if problem.penalty.is_null else max(1e-7, floor)
    return slack * max(1e-4 * min(pull, 1.0), least)


def standardized(problem, fit):
    pairs = zip(fit.coefficients, fit.intercepts, strict=True)
    return [problem.standardized(W, b) for W, b in pairs]


def close(found, expected, tolerance):
    """Equal up to a tolerance relative to the largest number."""
    scale = np.abs(expected).max(initial=1e-12)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def centred(W):
    """Coefficients (..., k) that sum to zero over the classes: a softmax sees no more of them."""
    return W - W.mean(axis=-1, keepdims=True) if W.shape[-1] > 1 else W


# ---- right answers ---------------------------------------------------------------------------


@every(minimizes)
@pytest.mark.parametrize("engine", [PATH, LOOP], ids=["path", "loop"])
def test_solutions_are_optimal(engine, one, loss):
    data = table(loss)
    problem = Problem(one, data)
    relaxed = problem.penalty.relax < 1
    fit = fitted(engine, one, data)
    assert fit.flags == ()
    for strength, (W, b) in zip(
        strengths_of(one) or (1.0,), standardized(problem, fit), strict=True
    ):
        limit = allowed(problem, strength)
        assert problem.violation(strength, W, b, relaxed) <= limit
        shifted = W.copy()
        shifted[np.unravel_index(np.abs(W).argmax(), W.shape)] += 1e-2
        faulty = problem.violation(strength, shifted, b, relaxed)
        assert faulty > 2 * limit  # a planted fault is seen
        moved = b + 1e-2 * np.eye(len(b))[0]
        assert problem.violation(strength, W, moved, relaxed) > 2 * limit


@every(lambda one: penalty(one).relax < 1)
def test_a_relaxed_fit_keeps_the_inputs_of_the_lasso(one, loss):
    data = table(loss, p=12)
    lasso = candidate("linear", [technique("lasso")()], {})
    strengths = strengths_of(one)
    chosen = fitted(PATH, lasso, data, strengths).coefficients != 0
    relaxed = fitted(PATH, one, data).coefficients != 0
    assert (relaxed <= chosen).all()
    assert relaxed.sum() > 0.9 * chosen.sum()
    assert not chosen.all()


@every(where=single_minded)
def test_equal_to_the_plain_engine(one, loss):
    data = table(loss)
    problem = Problem(one, data)
    fast, plain = fitted(PATH, one, data), fitted(LOOP, one, data)
    assert fast.flags == plain.flags == ()
    np.testing.assert_allclose(fast.train_loss, plain.train_loss, rtol=1e-4)
    np.testing.assert_allclose(fast.losses, plain.losses, rtol=1e-3)
    for position in range(len(fast.losses)):
        close(fast.predictions[position], plain.predictions[position], 3e-4)
    ours, theirs = (np.stack([W for W, _ in standardized(problem, f)]) for f in (fast, plain))
    close(ours, theirs, 5e-4)
    assert (fast.selected == plain.selected).all()
    told = [fast.freedom[k] for k in range(len(plain.losses))]
    np.testing.assert_allclose(told, plain.freedom, rtol=1e-6, atol=1e-9)
    if minimizes(one) and penalty(one).is_convex:
        pairs = zip(standardized(problem, fast), standardized(problem, plain), strict=True)
        for strength, (a, b) in zip(strengths_of(one) or (1.0,), pairs, strict=True):
            assert problem.objective(strength, *a) == pytest.approx(
                problem.objective(strength, *b), rel=1e-6
            )


@defaults(penalized)
def test_more_inputs_than_rows(one, loss):
    data = table(loss, n=60, p=100, groups=[f"g{i}" for i in range(20)])
    train, test = np.arange(45), np.arange(45, 60)
    strengths = strengths_of(one, 5)[2:]
    fit = fitted(PATH, one, data, strengths, train=train, predict=test)
    problem = Problem(one, data, train)
    assert fit.flags == ()
    for strength, (W, b) in zip(strengths, standardized(problem, fit), strict=True):
        relaxed = problem.penalty.relax < 1
        assert problem.violation(strength, W, b, relaxed) <= allowed(problem, strength)


@every()
def test_what_a_fit_tells_belongs_together(one, loss):
    """Losses, predictions, model and coefficients in original units are of one solution."""
    data = table(loss, rich=True)
    fit = fitted(PATH, one, data, keep=True)
    lazy = [fit.predictions[k] for k in range(len(fit.predictions))]
    columns = {"binary": 2, "multiclass": 3}.get(loss, 1)
    assert all(one.shape == (len(TEST), columns) for one in lazy)
    np.testing.assert_allclose(fit.losses, mean_losses(data, TEST, lazy), rtol=1e-9)
    strengths = strengths_of(one)
    single = fitted(PATH, one.at(strengths[3]) if strengths else one, data, (), keep=True)
    model = single.model
    np.testing.assert_allclose(
        model.predictions(data.X[TEST], data.task), single.predictions[0], rtol=1e-10
    )
    share = data.weights[TRAIN] / data.weights[TRAIN].sum()
    own = row_losses(data.task, data.y[TRAIN], model.predictions(data.X[TRAIN], data.task))
    assert single.train_loss[0] == pytest.approx(share @ own, rel=1e-9)
    used = np.zeros(len(data.columns), dtype=bool)
    np.logical_or.at(used, model.preprocessor.groups, (single.coefficients[0] != 0).any(axis=1))
    assert (single.selected[0] == used).all()


# ---- along a path ----------------------------------------------------------------------------


@every(lambda one: penalized(one) and penalty(one).is_convex)
def test_a_stronger_penalty_shrinks_and_fits_worse(one, loss):
    data = table(loss)
    problem = Problem(one, data)
    found = standardized(problem, fitted(PATH, one, data))
    sizes = np.array([problem.size(W) for W, _ in found])
    losses = np.array([problem.loss(W, b) for W, b in found])
    assert (np.diff(sizes) <= 1e-5 * sizes[0]).all()
    assert (np.diff(losses) >= -1e-6 * np.abs(losses).max()).all()
    assert sizes[-1] < sizes[0]
    assert losses[-1] > losses[0]


@every(lambda one: penalty(one).zeroes)
@pytest.mark.parametrize("p", [5, 100])
def test_full_strength_is_the_null_model_and_a_little_less_is_not(one, loss, p):
    data = table(loss, p=p)
    fit = fitted(PATH, one, data, (1.0, 0.98))
    assert (fit.coefficients[0] == 0).all()
    assert (fit.coefficients[1] != 0).any()
    problem = Problem(one, data)
    _, b = problem.standardized(fit.coefficients[0], fit.intercepts[0])
    np.testing.assert_allclose(centred(b), centred(problem.null[1]), atol=1e-7)


@every(lambda one: one.path is not None)
def test_a_vanishing_strength_approaches_none(one, loss):
    data = table(loss)
    none = fitted(PATH, candidate("linear", [], {}), data)
    ends = fitted(PATH, one, data, strengths_of(one))
    weakest = -1 if one.path.stronger == "down" else 0
    near = 1e-2 if penalty(one).adapt else 1e-3  # some weights are large
    assert ends.train_loss[weakest] == pytest.approx(none.train_loss[0], rel=near)
    if loss != "huber":
        assert none.train_loss[0] <= ends.train_loss[weakest] * (1 + 1e-9)


@every(lambda one: one.path is not None and not penalty(one).concave)
def test_the_path_equals_fits_at_single_strengths(one, loss):
    data = table(loss)
    strengths = strengths_of(one)
    whole = fitted(PATH, one, data)
    for position in (0, 2, 5):
        single = fitted(PATH, one.at(strengths[position]), data, ())
        close(single.predictions[0], whole.predictions[position], 3e-4)
        assert single.train_loss[0] == pytest.approx(whole.train_loss[position], rel=2e-4)


@defaults(lambda one: one.path is not None)
def test_strengths_keep_their_order_and_may_come_twice(one, loss):
    data = table(loss)
    strengths = strengths_of(one)
    mixed = (*strengths[::-1], strengths[2])
    straight, other = fitted(PATH, one, data), fitted(PATH, one, data, mixed)
    expected = [*straight.coefficients[::-1], straight.coefficients[2]]
    assert np.array(expected).tobytes() == other.coefficients.tobytes()


# ---- what must not matter --------------------------------------------------------------------


@every()
def test_a_weight_is_a_number_of_equal_rows(one, loss):
    data = table(loss, rich=True)
    times = np.random.default_rng(3).integers(1, 4, data.n)
    weighted = fitted(PATH, one, replace(data, weight=times.astype(float)))
    rows = np.repeat(np.arange(data.n), times)
    repeated = replace(data, weight=None).rows(rows)
    train, test = np.flatnonzero(rows < 90), np.searchsorted(rows, TEST)
    other = fitted(PATH, one, repeated, train=train, predict=test)
    np.testing.assert_allclose(other.train_loss, weighted.train_loss, rtol=1e-6)
    for position in range(len(weighted.losses)):
        close(other.predictions[position], weighted.predictions[position], 3e-4)


@defaults(where=single_minded)
def test_units_and_order_of_the_columns_do_not_matter(one, loss):
    data = table(loss)
    order, units = np.array([3, 0, 4, 2, 1]), np.array([1e-3, 7.0, -2.0, 1e4, 0.5])
    X, columns = data.X[:, order] * units - 3, tuple(data.columns[j] for j in order)
    plain, changed = fitted(PATH, one, data), fitted(PATH, one, replace(data, X=X, columns=columns))
    np.testing.assert_allclose(changed.train_loss, plain.train_loss, rtol=1e-4)
    for position in range(len(plain.losses)):
        close(changed.predictions[position], plain.predictions[position], 3e-4)
    scale = data.X[TRAIN].std(axis=0)
    expected = plain.coefficients[:, order] * scale[order, None]
    back = changed.coefficients * units[:, None] * scale[order, None]
    close(back, expected, 3e-4)


@defaults()
def test_a_constant_column_changes_nothing(one, loss):
    data = table(loss)
    X = np.column_stack([data.X, np.full(data.n, 7.0)])
    wider = replace(data, X=X, columns=(*data.columns, Column("c", "numeric")))
    plain, other = fitted(PATH, one, data), fitted(PATH, one, wider)
    close(other.coefficients[:, :-1], plain.coefficients, 1e-4)
    assert (other.coefficients[:, -1] == 0).all()
    assert not other.selected[:, -1].any()


@defaults()
@pytest.mark.parametrize("poor", ["target", "inputs"])
def test_nothing_to_learn_gives_the_featureless_model(one, loss, poor):
    data = table(loss)
    if poor == "target":
        data = replace(data, y=np.full_like(data.y, 1))
    else:
        data = replace(data, X=np.full_like(data.X, 3.0))
    fit = fitted(PATH, one, data)
    weights, y = data.weights[TRAIN], data.y[TRAIN]
    if data.classes:
        expected = np.bincount(y, weights, minlength=len(data.classes)) / weights.sum()
    elif loss == "huber" and poor == "inputs" and one.techniques[0].prior() is None:
        problem = Problem(one, data)
        expected = problem.null[1] * problem.unit + problem.shift
    else:
        expected = np.array([np.average(y, weights=weights)])
    for position in range(len(fit.predictions)):
        found = fit.predictions[position]
        expected = np.broadcast_to(expected, found.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


KINDS = st.sampled_from(["own", "constant", "duplicate", "sum"])


@st.composite
def poor_tables(draw):
    """Few rows; columns that are constant, duplicated or sums of others."""
    n, kinds = draw(st.integers(2, 12)), draw(st.lists(KINDS, min_size=1, max_size=4))
    loss = draw(st.sampled_from(("regression", "count", "binary", "multiclass")[: min(n + 1, 4)]))
    whole = st.lists(st.integers(-3, 3), min_size=n, max_size=n)
    X = []
    for kind in kinds:
        own = np.array(draw(whole), dtype=float)
        base = X[-1] if X else own
        X.append({"own": own, "constant": own * 0 + 2, "duplicate": base, "sum": base + own}[kind])
    y = {
        "regression": np.array(draw(whole), dtype=float),
        "count": np.append(np.abs(np.array(draw(whole), dtype=float))[:-1], 1.0),
        "binary": np.arange(n) % 2,
        "multiclass": np.arange(n) % 3,
    }[loss]
    columns = tuple(Column(f"x{j}", "numeric", group="g" * (j % 2)) for j in range(len(X)))
    labels = tuple(range(int(y.max()) + 1)) if loss in CLASSES else ()
    weight = np.array(draw(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=n, max_size=n)))
    return Dataset(loss, columns, np.column_stack(X), y, loss, "y", labels, weight=weight)


def told_apart():
    """Three rows of three classes, each with its own place: larger scores are always better."""
    X = np.zeros((3, 4))
    X[1, 2] = X[2, 3] = 1.0
    columns = tuple(Column(f"x{j}", "numeric", group="g" * (j % 2)) for j in range(4))
    labels = (0, 1, 2)
    return Dataset("multiclass", columns, X, np.arange(3), "multiclass", "y", labels)


@given(data=poor_tables(), which=st.integers(0, 10**6), seed=st.integers(0, 3))
@example(data=told_apart(), which=65535, seed=0)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_degenerate_tables_are_fitted_all_the_same(data, which, seed):
    fitting = [one for _, one, _ in cases(losses=(data.name,))]
    one = fitting[which % len(fitting)]
    rows = np.arange(data.n)
    strengths = strengths_of(one, 3)[1:]
    fit = fitted(PATH, one, data, strengths, train=rows, predict=rows)
    assert np.isfinite(fit.coefficients).all()
    assert np.isfinite(fit.losses).all()
    np.testing.assert_allclose(fit.losses, fit.train_loss, rtol=1e-9, atol=1e-12)
    if penalized(one) and np.ptp(data.y):
        problem = Problem(one, data, rows)
        if problem.scale < 1e-9:
            return  # there is nothing to learn
        solutions = standardized(problem, fit)
        # A concave penalty does not hold what has outgrown it: where scores tell all classes
        # apart, larger ones are better without end, and the flag may say so.
        endless = [bool(problem.penalty.concave) and problem.tells_apart(*one) for one in solutions]
        assert any(endless) or fit.flags == ()
        for strength, (W, b), ends in zip(strengths, solutions, endless, strict=True):
            relaxed = problem.penalty.relax < 1
            if not ends:
                assert problem.violation(strength, W, b, relaxed) <= allowed(problem, strength)


# ---- cells -----------------------------------------------------------------------------------


def cells_of(data, seed=0):
    """Numbers that part the training rows into six cells and the others into three."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 6, data.n)
    numbers[TEST] = rng.integers(6, 9, len(TEST))
    return numbers


@defaults()
def test_any_partition_into_cells_gives_the_same_fit(one, loss, monkeypatch):
    # Rounding may turn what a group's inner steps decide, then the solver's tolerance is left: so
    # it is asked for a hundredth of what it leaves elsewhere.
    monkeypatch.setattr(walk, "TARGET", walk.TARGET / 100)
    data = table(loss, rich=True)
    plain, cut = fitted(PATH, one, data), fitted(PATH, one, data, cells=cells_of(data))
    exact = 1e-6 if penalty(one).group else 1e-9
    np.testing.assert_allclose(cut.train_loss, plain.train_loss, rtol=exact)
    np.testing.assert_allclose(cut.losses, plain.losses, rtol=exact)
    for position in range(len(cut.losses)):
        close(cut.predictions[position], plain.predictions[position], exact)
    if penalized(one) and not penalty(one).concave:
        # Else indicators that sum to 1 leave it to rounding how an effect is shared.
        close(cut.coefficients, plain.coefficients, exact)
    assert (cut.selected == plain.selected).all()


def test_cells_learn_what_rows_tell():
    """Indicators, fillings, means and scales from sums equal those from the rows."""
    from autoreg.engines.path.cells import Cells

    data = table("regression", rich=True)
    cells = Cells(data, cells_of(data))
    from_sums, _, moments = cells.preprocessor(cells.of(TRAIN))
    weights = data.weights[TRAIN]
    from_rows = Preprocessor.fit(data.X[TRAIN], data.columns, weights)
    assert from_sums.names == from_rows.names
    assert (from_sums.groups == from_rows.groups).all()
    assert all((from_sums.lookups[j] == from_rows.lookups[j]).all() for j in from_rows.lookups)
    np.testing.assert_allclose(from_sums.mean, from_rows.mean, rtol=1e-12)
    np.testing.assert_allclose(from_sums.scale, from_rows.scale, rtol=1e-12)
    inputs = from_rows.transform(data.X[TRAIN])
    gram = inputs.T @ (weights[:, None] * inputs)
    scale = np.outer(from_rows.scale, from_rows.scale)
    ours = moments.cross[:-1, :-1] / scale
    np.testing.assert_allclose(ours, gram, atol=1e-10 * gram.max())


def essence(fit):
    """Everything that a fit learned, to the last bit."""
    assert isinstance(fit, Fit)
    told = np.array([fit.freedom[k] for k in range(len(fit.losses))])
    parts = (fit.coefficients, fit.intercepts, fit.train_loss, fit.selected, told)
    return (*(part.tobytes() for part in parts), fit.flags)


def garbled(data, rows, how, seed=1):
    """The rows of a cell with other contents."""
    rng = np.random.default_rng(seed)
    X, y, weight = data.X.copy(), data.y.copy(), data.weight.copy()
    numeric = [j for j, column in enumerate(data.columns) if not column.is_categorical]
    if how == "huge":
        X[np.ix_(rows, numeric)] = rng.choice([1e300, -1e300, 0.0], (len(rows), len(numeric)))
        weight[rows] = 1e9
        y[rows] = 1e200 if not data.classes and data.task == "regression" else y[rows]
    elif how == "missing":
        X[rows] = np.nan
    elif how == "levels":
        X[rows, -1] = rng.integers(0, 4, len(rows))
    y[rows] = rng.permutation(y[rows])
    return replace(data, X=X, y=y, weight=weight)


@defaults()
@pytest.mark.parametrize("how", ["huge", "missing", "levels", "targets"])
@pytest.mark.parametrize("known", [True, False], ids=["cells", "no-cells"])
def test_rows_that_are_not_trained_on_change_no_bit(one, loss, how, known):
    data = table(loss, rich=True)
    cells = cells_of(data)
    outside, inside = np.flatnonzero(cells != 2), np.flatnonzero(cells == 2)
    poisoned = garbled(data, inside, how)
    train = np.intersect1d(TRAIN, outside)
    cut = cells if known else None
    without = [fitted(PATH, one, each, cells=cut, train=train) for each in (data, poisoned)]
    assert essence(without[0]) == essence(without[1])
    assert without[0].losses.tobytes() == without[1].losses.tobytes()
    if how != "huge":  # which no loss survives
        within = [fitted(PATH, one, each, cells=cut) for each in (data, poisoned)]
        assert essence(within[0]) != essence(within[1])  # else the test is blind


def test_a_partition_that_fits_no_training_set_costs_no_honesty():
    """Rows of a cell that is only half in the training set must not be summed with it."""
    data = table("regression", rich=True)
    one = candidate("linear", [technique("ridge")()], {})
    wrong = np.arange(data.n) % 7  # every cell has rows on both sides
    found, plain = fitted(PATH, one, data, cells=wrong), fitted(PATH, one, data)
    close(found.coefficients, plain.coefficients, 1e-9)
    np.testing.assert_allclose(found.losses, plain.losses, rtol=1e-9)


# ---- company, workers, widths ----------------------------------------------------------------


def crowd(loss):
    """Jobs of all techniques on several training sets, and their table and cells."""
    data = table(loss, rich=True)
    cells = cells_of(data)
    sets = [np.flatnonzero(~np.isin(cells, away)) for away in ((0,), (0, 7), (3, 8))]
    predict = [np.flatnonzero(np.isin(cells, away)) for away in ((0,), (7,), (3,))]
    jobs = [
        job(one, data, train=train, predict=test)
        for one, _ in middling(losses=(loss,)).values()
        for train, test in zip(sets, predict, strict=True)
    ]
    return jobs, data, cells


@pytest.mark.parametrize("loss", LOSSES)
def test_workers_company_and_order_change_no_bit(loss):
    jobs, data, cells = crowd(loss)
    alone = [essence(PathEngine().run([one], data, cells=cells)[0]) for one in jobs]
    counted = []
    together = PathEngine().run(jobs, data, cells=cells, on_done=counted.append)
    assert counted == list(range(1, len(jobs) + 1))
    assert [essence(one) for one in together] == alone
    engine = PathEngine()
    backwards = engine.run(jobs[::-1], data, cells=cells, workers=2)
    assert [essence(one) for one in backwards[::-1]] == alone
    again = engine.run(jobs, data, cells=cells, workers=2)  # with what it remembers
    assert [essence(one) for one in again] == alone
    assert len(set(alone)) == len(jobs)


def test_another_table_is_not_taken_for_a_remembered_one():
    engine = PathEngine()
    one = candidate("linear", [technique("lasso")(strength=0.1)], {})
    data = table("regression")
    other = replace(data, y=data.y[::-1].copy())
    cells = cells_of(data)
    for each in (data, other, data):
        assert essence(fitted(engine, one, each, cells=cells)) == essence(
            fitted(PathEngine(), one, each, cells=cells)
        )


@defaults(where=single_minded)
def test_a_table_that_is_too_wide_for_sums_gives_the_same(one, loss, monkeypatch):
    data = table(loss, rich=True)
    narrow = fitted(PathEngine(), one, data)
    monkeypatch.setattr(path, "WIDEST", 3)
    wide = fitted(PathEngine(), one, data)
    np.testing.assert_allclose(wide.train_loss, narrow.train_loss, rtol=1e-4)
    np.testing.assert_allclose(wide.losses, narrow.losses, rtol=1e-4)
    for position in range(len(wide.losses)):
        close(wide.predictions[position], narrow.predictions[position], 2e-4)


@defaults(lambda one: not penalty(one).concave and one.label != "ard", losses=("regression",))
def test_a_wide_table_equals_itself_by_sums(one, loss, monkeypatch):
    data = table("regression", n=50, p=1600, groups=[f"g{i}" for i in range(400)])
    train, test = np.arange(40), np.arange(40, 50)
    strengths = strengths_of(one, 5)[2:]
    wide = fitted(PathEngine(), one, data, strengths, train=train, predict=test)
    monkeypatch.setattr(path, "WIDEST", 10**6)
    sums = fitted(PathEngine(), one, data, strengths, train=train, predict=test)
    scale = np.abs(sums.predictions[0]).max()
    for position in range(len(wide.losses)):
        expected = sums.predictions[position]
        np.testing.assert_allclose(wide.predictions[position], expected, atol=1e-3 * scale)
    np.testing.assert_allclose(wide.losses, sums.losses, rtol=1e-2)


# ---- refusals and remarks --------------------------------------------------------------------


def test_what_does_not_fit_is_refused_in_words():
    refuses = PATH.refuses
    several = candidate("linear", [technique("lasso")(), technique("ridge")()], {})
    assert refuses(several, "binary") == "the path engine fits one technique at a time"
    told = LOOP.refuses(several, "binary")
    assert told == "the loop engine fits one technique of linear models at a time"
    dropout = candidate("linear", [technique("dropout")()], {})
    assert refuses(dropout, "binary") == "dropout is for network models, not linear"
    evidence = candidate("linear", [technique("ard")()], {})
    assert refuses(evidence, "binary") == "ard is for regression targets, not binary"
    assert refuses(evidence, "regression") is None


@pytest.mark.parametrize("engine", [PATH, LOOP], ids=["path", "loop"])
@pytest.mark.parametrize("loss", ["count", "binary", "multiclass"])
def test_separable_rows_are_told_where_nothing_is_penalized(engine, loss):
    data = table(loss, p=100)
    none = candidate("linear", [], {})
    whole = candidate("linear", [technique("principal_components")(components=1.0)], {})
    some = candidate("linear", [technique("principal_components")(components=0.02)], {})
    ridge = candidate("linear", [technique("ridge")(strength=0.1)], {})
    flags = [fitted(engine, one, data, ()).flags for one in (none, whole, some, ridge)]
    assert flags == [("separable",), ("separable",), (), ()]


def test_an_open_strength_needs_a_path():
    one = candidate("linear", [technique("lasso")()], {})
    (outcome,) = PATH.run([job(one, table("binary"), ())], table("binary"))
    assert "the strength of lasso is open" in outcome.reason


def test_real_and_class_losses_are_all_there():
    assert set(REAL) | set(CLASSES) | {"count"} == set(LOSSES)


def test_gaps_in_other_rows_change_no_bit():
    one = candidate("linear", [technique("elastic_net")(mix=0.5)], {})
    data = table("regression")
    cells = np.arange(data.n) // (data.n // 8)
    rows, others = np.flatnonzero(cells < 6), np.flatnonzero(cells >= 6)
    job = Job(one, TrainingSet(rows, ("others",)), rows, 0, (1.0, 0.1, 0.01), keep_model=True)
    gaps = data.X.copy()
    gaps[others[::3]] = np.nan
    whole = PathEngine().run([job], data, cells=cells)[0]
    other = PathEngine().run([job], replace(data, X=gaps), cells=cells)[0]
    assert (whole.coefficients == other.coefficients).all()
    assert (whole.losses == other.losses).all()
