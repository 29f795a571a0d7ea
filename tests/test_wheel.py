"""The wheel works without the repository: built, installed into a clean environment, asked."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A clean environment with the wheel; the dependencies are lent by the running one."""
    place = tmp_path_factory.mktemp("clean")
    venv.create(place / "env", with_pip=False)
    programs = place / "env" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", wheel],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    asked = [programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.check_output(asked, text=True).strip())
    # Appended behind the environment's own folder, so that the wheel's autoreg comes first.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def ask(installed, program, *arguments):
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [installed / program, *arguments],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    for needed in (
        "autoreg/py.typed",
        "autoreg/studies/breast_cancer.yaml",
        "autoreg/search_spaces/linear_and_network.yaml",
        "autoreg/report/report.html.jinja",
        "autoreg/report/report.css",
    ):
        assert needed in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"autoreg"}


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    sources = [path for path in (ROOT / "autoreg").rglob("*") if path.is_file()]
    kept = [path for path in sources if path.parent.name != "__pycache__"]
    assert {str(path.relative_to(ROOT)) for path in kept} <= names
    for folder in ("studies", "search_spaces"):
        assert {f"autoreg/{folder}/{path.name}" for path in (ROOT / folder).glob("*.yaml")} <= names


def test_it_is_the_wheel_that_answers(installed):
    where = ask(installed, "python", "-c", "import autoreg; print(autoreg.__file__)").strip()
    assert Path(where).is_relative_to(installed.parent)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (["studies"], "breast_cancer\t"),
        (["spaces"], "quick\t"),
        (["techniques"], "dropout\tnetwork\t"),
        (["--version"], "autoreg 0."),
        (["validate", "wine"], "178 rows"),
    ],
)
def test_the_commands_work_without_the_repository(installed, command, found):
    assert found in ask(installed, "autoreg", *command)


def test_the_module_is_the_command(installed):
    assert ask(installed, "python", "-m", "autoreg", "--version") == ask(
        installed, "autoreg", "--version"
    )
