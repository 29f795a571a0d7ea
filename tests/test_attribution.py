"""What ingredients are worth: exact on a made-up engine, equal to single fits on the real one."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from findings_sample import sample
from typer.testing import CliRunner

from autoreg.ablation import ablate
from autoreg.attribution import (
    FILE_NAME,
    PAIRED,
    Attribution,
    Effect,
    attributed,
    extended,
    judged_share,
    kept_or_made,
    read_attribution,
    without,
    write_attribution,
)
from autoreg.candidate import candidate
from autoreg.cli import app
from autoreg.engines.base import Engine, Failure, Fit
from autoreg.errors import StudyError
from autoreg.progress import Silent
from autoreg.report import ingredient_lines, write_report
from autoreg.scoring import job_for
from autoreg.statistics import Interval, nadeau_bengio
from autoreg.study import prepare, run_study
from autoreg.techniques import technique

WORTH = {"early_stopping": 0.3, "dropout": 0.1, "weight_decay": -0.2, "mixup": 0.05, "ema": -0.04}
SPACE = {
    "space": "five",
    "families": {
        "network": {
            "techniques": list(WORTH),
            "architecture": {"width": [8, 8], "depth": [1, 1], "learning_rate": [0.01, 0.01]},
        }
    },
    "incumbent": {"family": "network", "techniques": ["early_stopping"]},
}
QUESTION = {
    "study": "parts",
    "data": {"source": "wine"},
    "space": SPACE,
    "trials": 7,
    "folds": {"outer": 3},
    "training": {"epochs": 4},
}
OPTIONS = {"tracking": False, "workers": 1, "progress": False}


class Sums(Engine):
    """A loss is a sum over techniques, and over pairs of them; which fold adds to it, too."""

    name = "sums"

    def __init__(self, bench, pair=0.0, failing=()):
        self.bench, self.pair, self.failing, self.calls = bench, pair, failing, []

    def refuses(self, candidate, task):
        return None

    def warm_up(self, candidates, task, linear):
        pass

    def run(self, jobs, table, *, cells=None, workers=1, on_done=None):
        self.calls.append(len(jobs))
        return [self._fit(job) for job in jobs]

    def _fit(self, job):
        keys = {one.key for one in job.candidate.techniques} - {"none"}
        if keys & set(self.failing):
            return Failure("the network diverged")
        fold = int(job.training.excluded[0].rpartition("-")[2])
        both = self.pair * ({"dropout", "early_stopping"} <= keys)
        loss = 1.0 + 0.1 * fold - sum(WORTH[key] * (1 + fold) for key in keys) - both
        nothing = np.zeros((1, len(job.predict), 3))
        return Fit(nothing, np.array([loss]), np.array([loss]))


def ready():
    return prepare(QUESTION, workers=1)


def network(*keys, bench=None):
    chosen = [technique(key) for key in keys]
    dials = [kind(**{d.name: d.default for d in kind.dials}) for kind in chosen]
    return candidate("network", dials, {"width": 8, "depth": 1, "learning_rate": 0.01})


def measured(winner, **planted):
    study = ready()
    engine = Sums(study.bench, **planted)
    bench = replace(study.bench, engine=engine)
    return attributed(bench, winner, study.header, Silent()), engine


# ---- what is measured --------------------------------------------------------------------------


def test_gains_are_what_a_sum_of_parts_gives():
    winner = network("early_stopping", "dropout", "weight_decay")
    found, engine = measured(winner)
    weights = np.array([len(fold.test) for fold in ready().bench.plan.outer])
    for one in (*found.of("left_out"), *found.of("added")):
        worth = sum(WORTH[key] for key in one.techniques) * np.arange(1, 4)
        np.testing.assert_allclose(one.folds, worth, atol=1e-12)
        assert one.gain.value == pytest.approx(np.average(worth, weights=weights))
    assert {one.techniques for one in found.of("added")} == {("mixup",), ("ema",)}
    together = [one for one in found.of("left_out") if len(one.techniques) > 1]
    assert [one.techniques for one in together] == [("dropout", "early_stopping", "weight_decay")]
    variants = 1 + 3 + 1 + 2
    assert engine.calls == [3 * variants, 3 * 3]  # one pack over the folds, then the pairs


def test_an_interval_is_that_of_the_paired_difference():
    found, _ = measured(network("dropout"))
    (one,) = found.of("left_out")
    bench = ready().bench
    weights = np.array([len(fold.test) for fold in bench.plan.outer], dtype=float)
    expected = nadeau_bengio(np.array(one.folds), judged_share(bench), weights=weights)
    assert one.gain == expected
    assert 0.4 < judged_share(bench) < 0.6  # a third against two thirds


def test_parts_that_only_add_do_not_interact_and_a_planted_interaction_is_found():
    winner = network("early_stopping", "dropout", "weight_decay")
    plain, _ = measured(winner)
    assert len(plain.of("pair")) == 3
    assert all(abs(one.gain.value) < 1e-12 for one in plain.of("pair"))
    planted, _ = measured(winner, pair=0.25)
    gains = {one.techniques: one.gain.value for one in planted.of("pair")}
    assert gains.pop(("dropout", "early_stopping")) == pytest.approx(0.25)
    assert all(abs(value) < 1e-12 for value in gains.values())


def test_a_variant_that_fails_has_a_reason_and_no_number():
    found, _ = measured(network("dropout"), failing=("ema",))
    (failed,) = [one for one in found.effects if one.gain is None]
    assert failed.techniques == ("ema",)
    assert "3 of 3 fits failed: the network diverged" in failed.failure
    assert "diverged" in "\n".join(ingredient_lines(found))
    assert measured(network("dropout"), failing=("dropout",))[0] is None


def test_pairs_are_those_of_the_ingredients_that_matter_most():
    assert len(list(combinations(range(PAIRED), 2))) == 15
    found, _ = measured(network(*WORTH))
    assert len(found.of("pair")) == 10


def test_nothing_regularized_can_only_gain_by_what_is_added():
    found, _ = measured(network())
    assert found.of("left_out") == found.of("pair") == ()
    assert len(found.of("added")) == 5


def test_on_the_real_engine_gains_are_those_of_fits_made_alone():
    study = ready()
    bench, winner = study.bench, network("early_stopping", "dropout")
    found = attributed(bench, winner, study.header, Silent())

    def losses(one):
        jobs = [job_for(bench, one, fold) for fold in bench.plan.outer]
        return np.array([bench.engine.run([job], bench.table)[0].losses[0] for job in jobs])

    own = losses(winner)
    assert found.losses == tuple(own)
    for one in found.effects:
        if one.kind == "left_out":
            expected = losses(without(winner, *one.techniques)) - own
        elif one.kind == "added":
            expected = own - losses(extended(bench, winner)[one.techniques[0]])
        else:
            a, b = (losses(without(winner, key)) for key in one.techniques)
            expected = a + b - own - losses(without(winner, *one.techniques))
        np.testing.assert_allclose(one.folds, expected, atol=1e-12)


def test_further_draws_are_other_random_numbers_and_a_loss_is_their_mean():
    study = ready()
    winner = network("dropout")
    one, two = (
        attributed(study.bench, winner, study.header, Silent(), repeats) for repeats in (1, 2)
    )
    assert one.losses != two.losses
    assert two.repeats == 2
    np.testing.assert_allclose(one.losses, two.losses, rtol=0.5)


# ---- on disk -----------------------------------------------------------------------------------


def test_an_attribution_survives_a_journey_and_belongs_to_one_winner(tmp_path):
    winner = network("early_stopping", "dropout")
    found, _ = measured(winner, failing=("ema",))
    header = ready().header
    write_attribution(found, tmp_path)
    assert read_attribution(tmp_path, header, winner) == found
    assert read_attribution(tmp_path, header, network("dropout")) is None
    assert read_attribution(tmp_path, {**header, "data": "other"}, winner) is None
    (tmp_path / FILE_NAME).write_text("{}")
    assert read_attribution(tmp_path, header, winner) is None
    assert read_attribution(tmp_path / "nowhere", header, winner) is None


def test_what_was_measured_once_is_not_measured_again(tmp_path):
    study, winner = ready(), network("dropout")
    bench = replace(study.bench, engine=Sums(study.bench))
    first, again = (kept_or_made(bench, winner, tmp_path, study.header, Silent()) for _ in range(2))
    assert first == again
    assert bench.engine.calls == [3 * 6]  # the winner, less one, four more; no pair
    unwanted = replace(bench, spec=bench.spec.model_copy(update={"attribution": False}))
    assert kept_or_made(unwanted, network("ema"), tmp_path, study.header, Silent()) is None


# ---- a whole study -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("home")
    run_study(QUESTION, home=place, **OPTIONS)
    return place


def test_a_network_that_wins_is_taken_apart_by_itself(home):
    folder = home / "studies" / "parts"
    document = json.loads((folder / FILE_NAME).read_text())
    assert document["repeats"] == 1
    page = (folder / "report.html").read_text()
    assert "What each ingredient is worth" in page
    assert 'id="ingredients"' in page


def test_the_command_measures_more_often_and_writes_the_report_again(home):
    folder = home / "studies" / "parts"
    arguments = ["ablate", "parts", "--home", str(home), "--repeats", "2", "--no-tracking"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "winner:" in done.stdout
    document = json.loads((folder / FILE_NAME).read_text())
    assert document["repeats"] == 2
    assert "2 times from other random numbers" in (folder / "report.html").read_text()
    as_json = CliRunner().invoke(app, [*arguments, "--json"])
    assert Attribution.from_data(json.loads(as_json.stdout)).repeats == 2


def test_only_a_finished_study_can_be_taken_apart(home, tmp_path):
    with pytest.raises(StudyError, match="autoreg run parts"):
        ablate(QUESTION, home=tmp_path, progress=False)


# ---- the report --------------------------------------------------------------------------------


def effect(kind, *keys, gain=0.0, half=0.01):
    return Effect(kind, keys, Interval(gain, gain - half, gain + half), 0.04, (gain, gain + 0.01))


def test_the_page_and_the_terminal_say_what_helps(tmp_path):
    effects = (
        effect("left_out", "dropout", gain=0.05),
        effect("left_out", "dropout", "mixup", gain=-0.05),
        *(effect("added", f"technique_{k}", gain=-0.1 * k) for k in range(15)),
        effect("pair", "dropout", "mixup", gain=-0.02),
        Effect("added", ("sam",), failure="<b>diverged</b>"),
    )
    found = Attribution(network("dropout", "mixup"), (0.1, 0.2), effects, 3, {})
    page = write_report(sample(winner="network", attribution=found), tmp_path).read_text()
    for words in (
        "it helps",
        "better without them",
        "they do the same work",
        "would hurt",
        "the folds cannot tell",
        "all 2 together",
        "The table has 3 techniques more.",
        "&lt;b&gt;diverged",
    ):
        assert words in page, words
    lines = "\n".join(ingredient_lines(found))
    assert "dropout with mixup" in lines
    assert "p 0.04" in lines


def test_without_an_attribution_there_is_no_such_section(tmp_path):
    assert 'id="ingredients"' not in write_report(sample(), tmp_path).read_text()
