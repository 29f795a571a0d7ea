"""The door to the engines, with the loop engine behind it."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from autoreg.candidate import FAMILY_TASKS, candidate
from autoreg.data.dataset import Column, Dataset
from autoreg.engines import engine_for, loop, loop_linear, refusals
from autoreg.engines.base import Failure, Fit, Job, TrainingSet
from autoreg.engines.loop import LoopEngine
from autoreg.errors import DataError, SpaceError
from autoreg.space import Space
from autoreg.spec import LinearSpec, Training, read_space, shipped
from autoreg.techniques import catalogue, technique
from autoreg.techniques.base import TASKS, Architecture, Technique

SHAPE = {"width": 8, "depth": 1, "learning_rate": 1e-2}


def data(task="binary"):
    source = load_breast_cancer if task == "binary" else load_diabetes
    X, y = (part[::4] for part in source(return_X_y=True))
    y = np.floor(y / 50) if task == "count" else y
    columns = tuple(Column(f"x{i}", "numeric") for i in range(X.shape[1]))
    return Dataset("some", columns, X, y, task, "y", (0, 1) if task == "binary" else ())


def job(one, fold=0, strengths=(), **changes):
    ids = np.arange(110)
    train, test = ids[ids % 3 != fold], ids[ids % 3 == fold]
    settings = Training(epochs=3, batch_size=16)
    made = Job(one, TrainingSet(train, (f"fold {fold}",)), test, 7, strengths, settings)
    return replace(made, **changes)


def linear(key="ridge", **dials):
    return candidate("linear", [technique(key)(**dials)] if key != "none" else [], {})


def network(*keys):
    chosen = [
        technique(key)(**{dial.name: dial.default for dial in technique(key).dials}) for key in keys
    ]
    return candidate("network", chosen, SHAPE)


def mixed_jobs():
    path = (1e-3, 1e-2, 1e-1, 1.0)
    return [
        job(one, fold, strengths)
        for fold in range(2)
        for one, strengths in [
            (linear("lasso"), path),
            (network("dropout"), ()),
            (linear("none"), ()),
            (linear("ridge"), path),
            (network("weight_decay", "early_stopping"), ()),
        ]
    ]


def bits(outcome):
    assert isinstance(outcome, Fit)
    return outcome.predictions.tobytes(), outcome.train_loss.tobytes(), outcome.steps


# ---- running ---------------------------------------------------------------------------------


def test_workers_and_company_change_no_bit():
    jobs, table = mixed_jobs(), data()
    alone = [bits(LoopEngine().run([one], table)[0]) for one in jobs]
    counted = []
    one_worker = LoopEngine().run(jobs, table, workers=1, on_done=counted.append)
    assert counted == list(range(1, len(jobs) + 1))
    counted.clear()
    two_workers = LoopEngine().run(jobs, table, workers=2, on_done=counted.append)
    assert counted == list(range(1, len(jobs) + 1))
    assert [bits(one) for one in one_worker] == alone
    assert [bits(one) for one in two_workers] == alone
    assert len(set(alone)) == len(jobs)


def test_outcomes_come_in_the_order_of_the_jobs():
    jobs, table = mixed_jobs(), data()
    straight = LoopEngine().run(jobs, table)
    backwards = LoopEngine().run(jobs[::-1], table)
    assert [bits(one) for one in straight] == [bits(one) for one in backwards[::-1]]


def test_nothing_to_do_is_done_at_once():
    assert LoopEngine().run([], data(), workers=2) == []


def test_equal_jobs_are_fitted_once_and_counted_each(monkeypatch):
    fits, counted = [], []
    original = loop_linear.fit_linear

    def counting(one, table):
        fits.append(one)
        return original(one, table)

    monkeypatch.setattr(loop_linear, "fit_linear", counting)
    base = job(linear(strength=0.1))
    different = [
        job(linear(strength=0.2)),
        job(linear(strength=0.1), fold=1),
        replace(base, predict=base.predict[:5]),
        replace(base, keep_model=True),
        replace(base, seed=8),
    ]
    jobs = [base, *different, job(linear(strength=0.1))]
    outcomes = LoopEngine().run(jobs, data(), on_done=counted.append)
    assert len(fits) == 6
    assert outcomes[0] is outcomes[-1]
    assert counted == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad value"),
        np.linalg.LinAlgError("singular"),
        FloatingPointError("overflow"),
        ZeroDivisionError("nothing"),
        RuntimeError("no luck"),
    ],
)
def test_a_fit_that_breaks_is_a_failure_with_its_reason(monkeypatch, error):
    original = loop_linear.fit_linear

    def breaking(one, table):
        if one.candidate.label == "ridge":
            raise error
        return original(one, table)

    monkeypatch.setattr(loop_linear, "fit_linear", breaking)
    broken, fine = LoopEngine().run([job(linear(strength=0.1)), job(linear("none"))], data())
    assert isinstance(broken, Failure)
    assert broken.reason == f"{type(error).__name__}: {error}"
    assert isinstance(fine, Fit)


@pytest.mark.parametrize("error", [DataError("wrong data"), KeyboardInterrupt(), MemoryError()])
def test_what_is_no_failed_fit_is_raised(monkeypatch, error):
    def breaking(one, table):
        raise error

    monkeypatch.setattr(loop_linear, "fit_linear", breaking)
    with pytest.raises(type(error)):
        LoopEngine().run([job(linear("none"))], data())


def test_predictions_that_are_not_finite_are_a_failure():
    table = data("regression")
    y = table.y.copy()
    y[1] = 1e308
    y[2] = -1e308
    (outcome,) = LoopEngine().run([job(linear("none"))], replace(table, y=y))
    assert isinstance(outcome, Failure)


@pytest.mark.parametrize("task", ["regression", "count"])
def test_workers_change_no_bit_of_counts_and_of_hubers_loss(task):
    huber = {"linear": LinearSpec(loss="huber")} if task == "regression" else {}
    jobs = [
        replace(one, **(huber if one.candidate.family == "linear" else {})) for one in mixed_jobs()
    ]
    table = data(task)
    table.y[::9] += 900  # outliers
    alone = [bits(LoopEngine().run([one], table)[0]) for one in jobs]
    assert [bits(one) for one in LoopEngine().run(jobs, table, workers=2)] == alone
    if huber:
        plain = [bits(one) for one in LoopEngine().run(mixed_jobs(), table)]
        differ = [one != other for one, other in zip(alone, plain, strict=True)]
        assert differ == [one.candidate.family == "linear" for one in jobs]


@pytest.mark.parametrize("one", [linear("none"), linear(strength=1e-4), network("batch_norm")])
def test_a_score_of_counts_that_runs_away_is_a_failure_and_no_warning(one):
    """A row far away from all that was fitted, whose mean would be no number."""
    table = data("count")
    X = table.X.copy()
    X[0] = 1e9
    asked = job(one, predict=np.array([0]))
    assert isinstance(LoopEngine().run([asked], table)[0], Fit)
    outcome = LoopEngine().run([asked], replace(table, X=X))[0]
    assert isinstance(outcome, Failure)
    assert "diverged" in outcome.reason


@pytest.mark.parametrize("one", [linear("none"), linear(strength=0.1), network("dropout")])
def test_counts_that_are_all_zero_are_predicted_as_next_to_nothing(one):
    table = data("count")
    fit = LoopEngine().run([job(one)], replace(table, y=np.zeros(table.n)))[0]
    assert isinstance(fit, Fit)
    assert (fit.predictions[0] < 0.5).all()
    assert np.isfinite(fit.losses).all()


def test_failures_come_back_from_workers():
    open_path = job(linear("lasso"))
    outcomes = LoopEngine().run([open_path, job(linear("none"))], data(), workers=2)
    assert isinstance(outcomes[0], Failure)
    assert "no path is given" in outcomes[0].reason
    assert isinstance(outcomes[1], Fit)


def test_a_blas_that_may_use_more_threads_changes_no_bit():
    """Fits are limited to one thread, whatever the process is allowed."""
    from threadpoolctl import threadpool_limits

    jobs, table = mixed_jobs()[:5], data()
    with threadpool_limits(limits=2):
        many = LoopEngine().run(jobs, table)
    with threadpool_limits(limits=1):
        one = LoopEngine().run(jobs, table)
    assert [bits(each) for each in many] == [bits(each) for each in one]


def test_linear_fits_import_no_torch():
    program = (
        "import sys, numpy as np\n"
        "sys.path.insert(0, 'tests')\n"
        "from test_engine_door import *\n"
        "engine = engine_for([linear('ridge')], 'binary')\n"
        "(fit,) = engine.run([job(linear(strength=0.1))], data())\n"
        "assert isinstance(fit, Fit)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)


# ---- refusing --------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("space", shipped("search_spaces"))
def test_everything_that_a_shipped_space_starts_with_is_accepted(space, task):
    design = Space.build(read_space(space), task).design()
    assert refusals(design, task) is None
    chosen = engine_for(design, task)
    assert all(chosen.refuses(one, task) is None for one in design)
    assert ("path" in chosen.name) == any(one.family == "linear" for one in design)


@pytest.mark.parametrize("key", catalogue())
def test_each_claimed_family_is_accepted_by_some_engine(key):
    kind = technique(key)
    dials = {dial.name: dial.default for dial in kind.dials}
    for family in kind.families:
        one = candidate(family, [kind(**dials)], SHAPE if family == "network" else {})
        tasks = set(kind.tasks) & set(FAMILY_TASKS.get(family, TASKS))
        assert all(refusals([one], task) is None for task in tasks)


class Stranger(Technique):
    """Claims the linear family but acts where no linear engine lets it."""

    families = ("linear", "network")
    rank = 1
    references = ()
    tasks = ("binary",)

    @staticmethod
    def hidden(activations, dials, draws, moment):
        return activations

    def net(self, architecture: Architecture) -> Architecture:
        return architecture


def test_refusals_say_what_does_not_fit():
    refuses = LoopEngine().refuses
    assert refuses(candidate("forest", [], {}), "binary") == (
        "the loop engine fits linear, factorization and network models, not forest"
    )
    assert refuses(candidate("linear", [technique("dropout")()], {}), "binary") == (
        "dropout is for network models, not linear"
    )
    stranger = candidate("linear", [Stranger()], {})
    assert "acts through hidden, net, which the loop engine does not open" in refuses(
        stranger, "binary"
    )
    assert "is for binary targets, not regression" in refuses(stranger, "regression")
    assert refuses(linear(), "regression") is None


def test_a_space_that_no_engine_fits_is_refused_with_the_reasons():
    wanted = [linear(), candidate("linear", [Stranger()], {})]
    with pytest.raises(SpaceError, match=r"no engine fits all candidates.*loop: .*hidden"):
        engine_for(wanted, "binary")
    assert "hidden" in refusals(wanted, "binary")


def test_the_families_of_the_loop_engine_are_those_of_the_techniques():
    claimed = {family for kind in catalogue().values() for family in kind.families}
    assert claimed == set(loop.FAMILIES)
