"""Stacks count how full they are: what models leave empty, and what takes their places."""

from test_network import chosen, job, table

from autoreg.engines import pack
from autoreg.engines.pack import PackEngine
from autoreg.engines.pack.occupancy import counted


def run(jobs, data):
    with counted() as found:
        PackEngine().run(jobs, data)
    return found


def rates(number):
    return {"width": 8, "depth": 1, "learning_rate": 1e-3 * (number + 1)}


def test_models_of_one_length_fill_their_stack():
    data = table("binary")
    found = run([job(epochs=3, shape=rates(n)) for n in range(5)], data)
    assert (found.share, found.models) == (1.0, 5.0)


def test_a_model_that_stops_leaves_its_place_empty():
    data = table("binary")
    short = job(chosen("early_stopping", patience=8), epochs=60, shape=rates(40))
    found = run([short, job(epochs=60, shape=rates(0))], data)
    assert 0.5 < found.share < 1.0


def test_those_who_wait_take_the_places(monkeypatch):
    data = table("binary")
    jobs = [job(epochs=2, shape=rates(n)) for n in range(12)]
    monkeypatch.setattr(pack, "PLACES", 4)
    found = run(jobs, data)
    assert (found.share, found.models) == (1.0, 4.0)
    assert found.steps * found.models == found.used


def test_nobody_counts_outside_of_the_block():
    data = table("binary")
    before = run([job(epochs=1)], data)
    used = before.used
    PackEngine().run([job(epochs=1)], data)
    assert before.used == used > 0
