"""MLflow's pages of a study as a reviewer sees them: a real server, a real browser.

The pictures are kept beside pytest's other temporary files, or in the folder that PICTURES names.
"""

import os
from pathlib import Path

import pytest
from browser import CHROMIUM, browsing
from mlflow import MlflowClient
from tracked import TRIALS, projected

from autoreg.tracking import views
from autoreg.tracking.spool import Spool
from autoreg.tracking.store import Store

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")

# What MLflow's own pages say, whatever they show: who is logged in (nobody can), and a remark on
# the layout that browsers make themselves.
OF_MLFLOW = ("/users/current", "ResizeObserver loop")


@pytest.fixture(scope="module")
def shown(tracked, hostile, server):
    """The address of a server that holds two studies, the experiment and their parent runs."""
    store = Store(server[0], "pages")
    parents = {}
    for name, folder in (("plain", tracked[0].folder), ("hostile", hostile[0].folder)):
        state = projected(Spool(folder), store=store)
        assert (state.reason, state.refused) == (None, ())
        parents[name] = state.run
    return f"{server[0]}/", state.experiment, parents


@pytest.fixture(scope="module")
def page():
    with browsing() as page:
        yield page


@pytest.fixture(autouse=True)
def no_errors(page):
    """After each test: nothing went wrong in the console, and nobody outside was asked."""
    page.errors.clear()
    page.requests.clear()
    yield
    assert [e for e in page.errors if not any(one in e for one in OF_MLFLOW)] == []
    outside = [one for one in page.requests if one.startswith("http") and "127.0.0.1" not in one]
    assert outside == []


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    named = os.environ.get("PICTURES")
    return Path(named) if named else tmp_path_factory.mktemp("pictures")


def rows(page):
    return page.value(
        "[...document.querySelectorAll('.ag-row a')]"
        ".filter(a => a.href.includes('/runs/')).map(a => a.innerText)"
    )


def follow(page, words):
    """Open a link of a description: MLflow opens it in a new tab, the test in the same one."""
    links = "[...document.querySelectorAll('a')]"
    page.open(page.until(f"{links}.find(a => a.innerText == {words!r}).href"))


def test_the_list_shows_the_study_and_below_it_its_searches(shown, page, pictures):
    address, experiment, _ = shown
    page.open(f"{address}#/experiments/{experiment}/runs?{views.TRAINING}")
    page.until("document.querySelectorAll('.ag-row').length > 1")
    assert set(rows(page)) == {"tracked"}
    page.value("document.querySelector('.ag-row button').click()")
    page.says("outer-0")
    assert {"refit", "final", "outer-0", "outer-1", "outer-2"} <= set(rows(page))
    page.picture(pictures / "list.png")


def test_the_description_leads_to_all_trials_sorted_by_loss(shown, page, pictures):
    address, experiment, _ = shown
    page.open(f"{address}#/experiments/{experiment}/runs?{views.TRAINING}")
    page.says("their trials by inner loss")
    follow(page, "their trials by inner loss")
    page.until("document.querySelectorAll('.ag-row').length > 8")
    client = MlflowClient(tracking_uri=address)
    chosen = "tags.`autoreg.role` = 'trial'"
    best = client.search_runs([experiment], chosen, order_by=["metrics.val_loss ASC"])
    assert rows(page)[:3] == [one.info.run_name for one in best[:3]]
    page.picture(pictures / "trials.png")


def test_the_study_tells_its_verdict_and_leads_to_its_charts(shown, tracked, page, pictures):
    address, experiment, parents = shown
    page.open(address + views.run_page(experiment, parents["plain"]))
    assert page.says(f"{tracked[0].verdict.nested.value:.3f}")
    page.says("its charts")
    page.picture(pictures / "study.png")
    follow(page, "its charts")
    page.until(r"/Trials\s*\(3\)/.test(document.body.innerText)")
    page.until("document.querySelectorAll('.js-plotly-plot').length >= 2")
    page.picture(pictures / "charts.png")


def test_a_saved_view_shows_the_columns_that_matter_first(shown, page, pictures):
    address, experiment, _ = shown
    page.open(address + views.view_page(experiment, "autoreg-trials"))
    page.until("document.querySelectorAll('.ag-header-cell').length > 6")
    page.says("val_loss")
    heads = page.value(
        "[...document.querySelectorAll('.ag-header-cell')].sort((a, b) =>"
        " a.getBoundingClientRect().x - b.getBoundingClientRect().x).map(h => h.innerText.trim())"
    )
    places = [heads.index(name) for name in ("technique", "val_loss", "train_loss", "gap")]
    assert places == sorted(places)
    page.says(f"{min(2 * TRIALS, 100) - TRIALS + 8} matching runs")
    page.picture(pictures / "view.png")


def test_the_report_opens_inside_mlflow(shown, tracked, page, pictures):
    address, experiment, parents = shown
    place = f"#/experiments/{experiment}/runs/{parents['plain']}/artifacts/report.html"
    page.open(f"{address}{place}?{views.TRAINING}")
    page.until("document.querySelector('iframe').src.startsWith('blob:')")
    text = page.value("fetch(document.querySelector('iframe').src).then(r => r.text())")
    assert text == tracked[0].report.read_text()
    page.picture(pictures / "report.png")


def test_hostile_names_stay_names(shown, page, pictures):
    address, experiment, parents = shown
    page.open(address + views.run_page(experiment, parents["hostile"]))
    page.says("Show more")
    page.value(
        "[...document.querySelectorAll('button, a')].find(b => b.innerText == 'Show more').click()"
    )
    page.says("Filters for the list of runs")
    assert page.says("<script>alert(2)</script>")
    assert page.value("document.querySelectorAll('img[onerror], svg[onload]').length") == 0
    page.picture(pictures / "hostile.png")


def test_the_browser_notices_planted_faults(page, tmp_path):
    fault = "<script>console.error('loud'); nothing.at.all</script><p>hello"
    (tmp_path / "fault.html").write_text(fault)
    page.open((tmp_path / "fault.html").as_uri())
    page.says("hello")
    heard = " ".join(page.errors)
    page.errors.clear()
    assert "loud" in heard
    assert "nothing is not defined" in heard
