"""Laws over the whole tree, found by walking its folders: nothing here is listed by hand."""

import ast
import copy
import inspect
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from import_law import PACKAGE, modules, violations
from jsonschema import Draft202012Validator

import autoreg
from autoreg.candidate import (
    ARCHITECTURE,
    ARCHITECTURES,
    FAMILY_TASKS,
    Candidate,
    candidate,
)
from autoreg.engines import engine_for
from autoreg.errors import SpaceError, SpecError
from autoreg.space import Space
from autoreg.spec import json_schema, read_space, read_study, shipped, study_from
from autoreg.strictyaml import parse
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
        ("search", "import autoreg.study as conductor", "a room below it"),
        ("search", "from .study import run_study", "relative to itself"),
        ("search", "from . import study", "relative to itself"),
        ("search", "from autoreg import run_study", "no room"),
        ("search", "from importlib import import_module\nimport_module('mlflow')", "mlflow"),
        ("search", "class A:\n    if True:\n        import torch", "imports torch"),
        ("metrics/auc", "from autoreg.metrics import log_loss", "knows its sibling"),
        ("techniques/dropout", "class A:\n    import torch", "imports torch"),
        ("report/page", "def f():\n    from scipy import stats", "never computes"),
    ],
)
def test_the_import_law_catches_planted_faults(module, source, fault):
    assert any(fault in one for one in violations(module, source))


def test_a_technique_may_import_torch_inside_a_hook():
    assert list(violations("techniques/dropout", "def f():\n    import torch")) == []


HEAVY = ["torch", "mlflow", "pandas", "optuna", "sklearn", "scipy", "matplotlib", "numpy"]


@pytest.mark.parametrize(
    "command", ["--help", "--version", "run --help", "techniques", "spaces", "studies", "schema"]
)
def test_what_needs_no_data_answers_at_once(command):
    code = (
        "import sys\nfrom autoreg.cli import app\n"
        f"try:\n    app({command.split()!r})\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout


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
    assert set(kind.families) <= set(ARCHITECTURES)
    assert set(kind.tasks) <= set(TASKS)
    assert kind.rank >= 0
    assert bool(kind.seams()) == (kind.key != "none")
    for family in kind.families:
        for task in set(kind.tasks) & set(FAMILY_TASKS.get(family, TASKS)):
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
    assert pickle.loads(pickle.dumps(one)) == one == copy.deepcopy(one) == copy.copy(one)
    with pytest.raises(AttributeError, match="frozen"):
        one.rank = 9
    whole = candidate(kind.families[0], [one], {})
    assert Candidate.from_data(json.loads(json.dumps(whole.to_data()))) == whole


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
    assert (dial.unit(dial.low), dial.unit(dial.high)) == (0, 1)
    weak, strong = (dial.low, dial.high) if dial.stronger == "up" else (dial.high, dial.low)
    assert (dial.strength(weak), dial.strength(strong)) == (0, 1)
    assert dial.unit(dial.at(0.3)) == pytest.approx(0.3, abs=0.05 if dial.integer else 1e-5)
    assert dial.off is None or not dial.low < dial.off < dial.high
    if "network" in kind.families and dial is kind.dials[0]:
        assert dial.off is not None, "a stacked model needs the value that does nothing"
    with pytest.raises(SpaceError, match="never widens"):
        dial.narrowed([dial.low / 2 - 1, dial.high])


@pytest.mark.parametrize(
    "dial",
    [
        Range("rate", 0.1, 0.5, default=0.2, off=0.0),
        Range("rate", 0.1, 0.5, default=0.7, off=0.0, about="x"),
        Range("rate", 0.5, 0.1, default=0.3, off=0.0, about="x"),
        Range("rate", 0.1, 0.5, default=0.2, off=0.3, about="x"),
        Range("rate", 0.0, 0.5, default=0.2, off=0.0, log=True, about="x"),
        Range("rate", 0.1, 0.5, default=0.2, about="x"),
        Choice("way", ("a",), default="a", about="x"),
        Choice("way", ("a", "b"), default="c", about="x"),
    ],
)
def test_the_law_of_dials_catches_planted_faults(dial):
    members = {"families": ("network",), "dials": (dial,), "__module__": "x.odd"}
    with pytest.raises(AssertionError):
        test_a_dial_is_sane(type("Odd", (Technique,), members), dial)


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
    tasks = {key: kind.tasks for key, kind in catalogue().items()} | FAMILY_TASKS
    assert all(task not in tasks[key] for key in space.left_out)


def test_the_shipped_spaces_offer_the_whole_catalogue():
    offered = set()
    for name in ("linear", "cocktail", "ratings"):
        parts = Space.build(read_space(name), "regression"), Space.build(read_space(name), "binary")
        offered |= {
            one.kind.key for part in parts for offers in part.families.values() for one in offers
        }
    assert offered == set(catalogue())


@pytest.mark.parametrize("name", shipped("studies"))
def test_a_shipped_study_asks_a_question_and_is_ready_to_run(name):
    spec = read_study(name)
    assert spec.study == name
    assert spec.question.endswith("?")
    ready = prepare(name)
    assert ready.spec.trials >= len(ready.bench.space.design())


SCHEMAS = {kind: Draft202012Validator(json_schema(kind)) for kind in ("study", "space")}
SHIPPED = [("study", path.name, parse(path)[0]) for path in shipped("studies").values()] + [
    ("space", path.name, parse(path)[0]) for path in shipped("search_spaces").values()
]
SPELLINGS = [
    ("study", "no held-out rows", {"study": "s", "held_out": "none"}),
    ("study", "counts", {"study": "s", "data": {"task": "count"}}),
    ("study", "a separator", {"study": "s", "data": {"feature_groups": "_"}}),
    ("study", "groups", {"study": "s", "data": {"feature_groups": {"a": ["x", "y*"]}}}),
    ("study", "constraints", {"study": "s", "linear": {"non_negative": "all", "at_most": 2}}),
    ("study", "a space in place", {"study": "s", "space": SHIPPED[-1][2]}),
]


@pytest.mark.parametrize(("kind", "name", "document"), SHIPPED + SPELLINGS)
def test_editors_accept_what_autoreg_accepts(kind, name, document):
    assert list(SCHEMAS[kind].iter_errors(document)) == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"study": "s", "trails": 3},
        {"study": "s", "trials": 0},
        {"study": "s", "trials": "many"},
        {"study": "s", "trials": True},
        {"study": "s", "held_out": "some"},
        {"study": "s", "held_out": 1.5},
        {"study": "s", "sampler": "cmaes"},
        {"study": "s", "folds": {"outr": 3}},
        {"study": "s", "space": {"space": "x", "families": {}}},
        {"study": "a b"},
        {"study": "s", "data": {"drop": "a"}},
        {"study": "s", "data": {"feature_groups": {"a": "x"}}},
        {"study": "s", "data": {"task": "counts"}},
        {"study": "s", "linear": {"loss": "absolute"}},
    ],
)
def test_editors_refuse_what_autoreg_refuses(document):
    assert not SCHEMAS["study"].is_valid(document)
    with pytest.raises(SpecError):
        study_from(document)


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


def asserts(node):
    """Whether something in a test can fail: an assert, or a call that promises one."""
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
    names = [ast.unparse(call.func).rpartition(".")[2] for call in calls]
    return (
        any(isinstance(one, ast.Assert) for one in ast.walk(node))
        or any(name == "raises" or name.startswith(("assert_", "check_")) for name in names)
        or any(keyword.arg == "check" for call in calls for keyword in call.keywords)
    )


def test_every_test_can_fail():
    blind = [
        f"{path.name}: {node.name}"
        for path in Path(__file__).parent.glob("test_*.py")
        for node in functions(path)
        if node.name.startswith("test_") and not asserts(node)
    ]
    assert blind == []


@pytest.mark.parametrize(
    ("body", "sees"),
    [
        ("assert x", True),
        ("with pytest.raises(E): f()", True),
        ("np.testing.assert_allclose(a, b)", True),
        ("check_refused(x)", True),
        ("subprocess.run(x, check=True)", True),
        ("check = raises", False),
        ("f()", False),
    ],
)
def test_a_test_that_cannot_fail_is_caught(body, sees):
    assert asserts(ast.parse(body)) == sees


def test_no_room_swallows_an_exception():
    silent = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and isinstance(node.body[0], ast.Pass):
                silent.append(f"{path.name}:{node.lineno}")
    assert silent == []


def overreach(source):
    """Where the conductor names a technique, or computes with losses and scores itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in set(catalogue()):
            yield f"names {node.value}"
        sums = isinstance(node, ast.Call) and ast.unparse(node.func) in {"sum", "np.mean"}
        if (sums or isinstance(node, ast.BinOp | ast.AugAssign)) and any(
            word in ast.unparse(node) for word in ("loss", "score")
        ):
            yield f"computes {ast.unparse(node)}"


def test_the_conductor_knows_no_technique_and_computes_no_loss():
    assert list(overreach((PACKAGE / "study.py").read_text())) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("if one.key == 'ridge': pass", "names ridge"),
        ("gap = a.loss - b.loss", "computes a.loss - b.loss"),
        ("total += fold.score", "computes total += fold.score"),
        ("mean = sum(t.loss for t in trials)", "computes sum"),
    ],
)
def test_an_overreaching_conductor_is_caught(source, fault):
    assert any(fault in one for one in overreach(source))


@pytest.mark.parametrize("name", [one for one in autoreg.__all__ if not one.startswith("_")])
def test_a_public_name_is_documented_with_an_example(name):
    assert inspect.getdoc(getattr(autoreg, name))
    # Results are only ever handed out by `run_study`, whose example holds one.
    shown = "run_study" if name == "StudyResult" else name
    assert ">>> " in inspect.getdoc(getattr(autoreg, shown))


def test_ranges_and_choices_are_the_only_dials():
    assert all(isinstance(dial, Range | Choice) for _, dial in DIALS)
