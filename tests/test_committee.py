"""Refits that average several networks: each is a network of its own, and the model keeps all."""

from dataclasses import replace

import numpy as np
import pytest
from test_network import TEST, chosen, job, table

from autoreg.engines import committee
from autoreg.engines.base import Failure
from autoreg.engines.committee import Committee
from autoreg.engines.loop import LoopEngine
from autoreg.engines.pack import PackEngine
from autoreg.metrics.base import row_losses
from autoreg.model import Model
from autoreg.spec import Training

ENGINES = [PackEngine(), LoopEngine()]


def refit(members, *techniques, **changes):
    asked = job(*techniques, epochs=3)
    settings = asked.settings.model_copy(update={"members": members})
    return replace(asked, settings=settings, steps=6, **changes)


@pytest.mark.parametrize("task", ["regression", "multiclass", "count"])
@pytest.mark.parametrize("engine", ENGINES, ids=lambda one: one.name)
def test_the_mean_of_networks_that_began_elsewhere(engine, task):
    data = table(task)
    whole = refit(3, chosen("dropout", rate=0.2))
    (fit,) = engine.run([whole], data)
    alone = engine.run([replace(whole, member=k) for k in range(3)], data)
    each = np.array([one.predictions[0] for one in alone])
    assert all(np.abs(each[k] - each[k - 1]).max() > 1e-3 for k in range(3))
    assert np.allclose(fit.predictions[0], each.mean(axis=0), rtol=1e-12)
    losses = row_losses(data.task, data.y[TEST], fit.predictions[0])
    assert fit.losses[0] == pytest.approx(losses.mean())


def test_the_first_member_is_the_network_that_would_be_alone():
    data = table("binary")
    alone, first = PackEngine().run([refit(1), refit(3, member=0)], data)
    assert np.array_equal(alone.predictions, first.predictions)


def test_only_refits_average():
    asked = replace(refit(4), steps=None)
    assert Committee([asked]).jobs == [asked]
    assert [one.networks for one in (asked, refit(1), refit(4), refit(4, member=2))] == [1, 1, 4, 1]


def test_the_model_predicts_what_the_fit_did(tmp_path):
    data = table("multiclass")
    (fit,) = PackEngine().run([refit(3, keep_model=True)], data)
    model = Model(data.columns, data.task, data.target, data.classes, fit.model)
    model.save(tmp_path)
    for one in (model, Model.load(tmp_path)):
        predicted = one.parameters.predictions(data.X[TEST], data.task)
        assert np.abs(predicted - fit.predictions[0]).max() < 1e-5


def test_a_member_that_fails_fails_the_fit():
    data = table("binary")
    whole = Committee([refit(2)])
    good, _ = PackEngine().run(whole.jobs, data)
    (outcome,) = whole.outcomes([good, Failure("planted")], data)
    assert outcome == Failure("planted")


def test_members_must_be_told_apart(monkeypatch):
    """The planted fault: all members are the same network, so their mean is that network."""
    data = table("regression")
    monkeypatch.setattr(committee, "_members", lambda one: [replace(one, member=0)] * one.networks)
    (fit,) = PackEngine().run([refit(3)], data)
    (alone,) = PackEngine().run([refit(1)], data)
    assert np.array_equal(fit.predictions[0], alone.predictions[0])


@pytest.mark.parametrize("engine", ENGINES, ids=lambda one: one.name)
def test_progress_counts_jobs_and_not_their_networks(engine):
    seen, twice = [], refit(3)
    engine.run([twice, job("dropout", epochs=3), refit(2), twice], table(), on_done=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 4


def test_a_study_says_how_many():
    assert Training(members=2).members == 2
    assert Training().members == 5
