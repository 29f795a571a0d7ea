"""The documentation is true: its examples run, its commands exist, its pages are all there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from autoreg.cli import app
from autoreg.spec import shipped

ROOT = Path(__file__).parents[1]
RUN = [ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page, language):
    return [code for kind, code in BLOCK.findall(page.read_text()) if kind == language]


EXAMPLES = [page for page in RUN if blocks(page, "python")]


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "example"}
    for number, code in enumerate(blocks(page, "python")):
        exec(compile(code, f"{page.name}, example {number + 1}", "exec"), scope)
    assert len(scope) > 2


def test_enough_pages_have_examples():
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_exist(page):
    known = {
        one.name or one.callback.__name__.replace("_", "-") for one in app.registered_commands
    } | {one.name for one in app.registered_groups}
    shell = "\n".join(blocks(page, "sh"))
    asked = set(re.findall(r"^\s*autoreg ([a-z][a-z-]*)", shell, re.MULTILINE))
    assert asked <= known


def test_a_page_that_shows_a_study_shows_it_as_it_ships():
    studies = {path.stem: path.read_text() for path in shipped("studies").values()}
    shown = [code for page in RUN for code in blocks(page, "yaml") if "question: >-" in code]
    assert len(shown) >= 6
    for code in shown:
        name = re.search(r"^study: (\w+)$", code, re.MULTILINE).group(1)
        assert code == studies[name]


def test_every_page_is_in_the_navigation():
    class Loader(yaml.SafeLoader):
        """Reads the site's configuration."""

    def names(part):
        if isinstance(part, str):
            return [part]
        values = part.values() if isinstance(part, dict) else part
        return [name for one in values for name in names(one)]

    nav = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert set(names(nav)) == pages


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", tmp_path],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "AUTOREG_FIGURES": "no"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    page = (tmp_path / "reference" / "techniques" / "elastic_net.html").read_text()
    assert "Zou &amp; Hastie 2005" in page
    # Nothing is fetched from elsewhere when a page is looked at.
    fetched = re.findall(r'(?:src|rel="stylesheet" href)="(https?://[^"]+)"', page)
    assert fetched == []
