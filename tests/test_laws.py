"""Laws over the whole tree, found by walking its folders: nothing here is listed by hand."""

import ast
import copy
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from import_law import PACKAGE, modules, violations

import autoreg
from autoreg.engines import engine_for
from autoreg.errors import SpaceError
from autoreg.space import ARCHITECTURE, Candidate, Space, candidate
from autoreg.spec import json_schema, read_space, read_study, shipped
from autoreg.study import prepare
from autoreg.techniques import catalogue
from autoreg.techniques.base import TASKS, Choice, Range, Technique

KINDS = list(catalogue().values())
DIALS = [(kind, dial) for kind in KINDS for dial in kind.dials]
SHAPE = {dial.name: dial.default for dial in ARCHITECTURE}


# ---- imports ---------------------------------------------------------------------------------


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_flow_one_way_and_foreign_packages_stay_in_their_rooms(module):
    assert list(violations(module, modules()[module])) == []


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("search", "from autoreg.study import run_study", "a room below it"),
        ("search", "def f():\n    from autoreg import judge", "a room below it"),
        ("select", "import mlflow", "imports mlflow"),
        ("report/page", "import torch", "imports torch"),
        ("techniques/ridge", "from autoreg.techniques.lasso import Lasso", "knows its sibling"),
        ("techniques/dropout", "import torch", "imports torch"),
        ("engines/loop", "from autoreg.helpers import x", "no room"),
        ("spec", "from optuna import create_study", "imports optuna"),
    ],
)
def test_the_import_law_catches_planted_faults(module, source, fault):
    assert any(fault in one for one in violations(module, source))


def test_a_technique_may_import_torch_inside_a_hook():
    assert list(violations("techniques/dropout", "def f():\n    import torch")) == []


HEAVY = ["torch", "mlflow", "pandas", "optuna", "sklearn", "scipy", "matplotlib", "numpy"]


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["run", "--help"], ["schema"]])
def test_help_answers_at_once(command):
    code = (
        "import sys\nfrom autoreg.cli import app\n"
        f"try:\n    app({command!r})\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_a_linear_study_is_read_without_torch():
    code = "import sys, autoreg.search, autoreg.judge; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


# ---- techniques ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_a_technique_explains_itself(kind):
    first = inspect.cleandoc(kind.__doc__).splitlines()[0]
    module = sys.modules[kind.__module__]
    assert module.__doc__.splitlines()[0] == first
    assert first.endswith(".") or first.endswith(").")
    assert kind.references
    assert all(any(c.isdigit() for c in reference) for reference in kind.references)
    assert kind.key == Path(module.__file__).stem


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_a_technique_acts_for_families_and_tasks_that_an_engine_accepts(kind):
    assert set(kind.families) <= {"linear", "network"}
    assert set(kind.tasks) <= set(TASKS)
    assert kind.rank >= 0
    assert bool(kind.seams()) == (kind.key != "none")
    for family in kind.families:
        for task in kind.tasks:
            one = candidate(family, [default(kind)], SHAPE if family == "network" else {})
            assert engine_for([one], task).refuses(one, task) is None
    for task in set(TASKS) - set(kind.tasks):
        one = candidate(kind.families[0], [default(kind)], {})
        with pytest.raises(SpaceError, match=kind.key):
            engine_for([one], task)


def default(kind):
    return kind(**{dial.name: dial.default for dial in kind.dials if not dial.path})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_a_chosen_technique_is_frozen_equal_hashable_and_survives_a_journey(kind):
    one, twin = default(kind), default(kind)
    assert one == twin
    assert hash(one) == hash(twin)
    assert pickle.loads(pickle.dumps(one)) == one == copy.deepcopy(one)
    with pytest.raises(AttributeError, match="frozen"):
        one.rank = 9
    whole = candidate(kind.families[0], [one], {})
    assert Candidate.from_data(whole.to_data()) == whole


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_unknown_dials_and_values_outside_are_refused(kind):
    with pytest.raises(SpaceError, match="no dial"):
        kind(nonsense=1)
    for dial in kind.dials:
        outside = "nonsense" if isinstance(dial, Choice) else 10 * dial.high + 1
        with pytest.raises(SpaceError, match="outside"):
            kind(**{dial.name: outside})


@pytest.mark.parametrize(("kind", "dial"), DIALS, ids=lambda x: getattr(x, "name", None) or x.key)
def test_a_dial_is_sane(kind, dial):
    assert dial.about
    assert dial.contains(dial.default)
    if isinstance(dial, Choice):
        assert len(set(dial.options)) == len(dial.options) > 1
        assert [dial.at(dial.unit(option)) for option in dial.options] == list(dial.options)
        return
    assert dial.low < dial.high
    assert dial.low > 0 or not dial.log
    assert (dial.at(0), dial.at(1)) == (dial.low, dial.high)
    assert dial.unit(dial.at(0.3)) == pytest.approx(0.3, abs=0.05 if dial.integer else 1e-5)
    assert dial.off is None or not dial.low < dial.off < dial.high
    if "network" in kind.families and dial is kind.dials[0]:
        assert dial.off is not None, "a stacked model needs the value that does nothing"
    with pytest.raises(SpaceError, match="never widens"):
        dial.narrowed([dial.low / 2 - 1, dial.high])


def test_a_misspelt_seam_is_an_error_at_import():
    with pytest.raises(TypeError, match="hiden is no seam"):
        type("Odd", (Technique,), {"hiden": lambda self: None, "__module__": "x.odd"})


# ---- spaces and studies ----------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", shipped("search_spaces"))
def test_a_shipped_space_is_built_and_its_design_encodes_to_itself(name, task):
    spec = read_space(name)
    assert spec.space == name
    assert spec.about
    space = Space.build(spec, task)
    for one in space.design():
        assert space.decode(one.family, space.encode(one)) == one
        assert engine_for([one], task).refuses(one, task) is None
    assert all(task not in catalogue()[key].tasks for key in space.left_out)


def test_the_default_space_offers_the_whole_catalogue():
    space = Space.build(read_space("linear_and_network"), "binary")
    offered = {offer.kind.key for offers in space.families.values() for offer in offers}
    assert offered == set(catalogue())


@pytest.mark.parametrize("name", shipped("studies"))
def test_a_shipped_study_asks_a_question_and_is_ready_to_run(name):
    spec = read_study(name)
    assert spec.study == name
    assert spec.question.endswith("?")
    ready = prepare(name)
    assert ready.spec.trials >= len(ready.bench.space.design())


def test_the_schema_knows_every_key_of_the_models():
    for kind in ("study", "space"):
        schema = json_schema(kind)
        assert schema["additionalProperties"] is False
        assert "seed" in json_schema("study")["properties"]


# ---- the shape of the tree -------------------------------------------------------------------


def functions(path):
    tree = ast.parse(path.read_text())
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def test_rooms_stay_small():
    files = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path.name: n for path, n in files.items() if n > 400} == {}
    long = [
        f"{path.name}:{node.lineno} {node.name}"
        for path in files
        for node in functions(path)
        if node.end_lineno - node.lineno >= 60
    ]
    assert long == []


def test_every_test_can_fail():
    blind = []
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in functions(path):
            told = ast.dump(node)
            sees = any(word in told for word in ("Assert(", "raises", "assert_", "check"))
            if node.name.startswith("test_") and not sees:
                blind.append(f"{path.name}: {node.name}")
    assert blind == []


def test_no_room_swallows_an_exception():
    silent = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and isinstance(node.body[0], ast.Pass):
                silent.append(f"{path.name}:{node.lineno}")
    assert silent == []


def test_the_conductor_knows_no_technique():
    names = {
        node.value
        for node in ast.walk(ast.parse((PACKAGE / "study.py").read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert names.isdisjoint(catalogue())


@pytest.mark.parametrize("name", [one for one in autoreg.__all__ if not one.startswith("_")])
def test_a_public_name_is_documented(name):
    assert inspect.getdoc(getattr(autoreg, name))


def test_ranges_and_choices_are_the_only_dials():
    assert all(isinstance(dial, Range | Choice) for _, dial in DIALS)
