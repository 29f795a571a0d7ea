"""Who may import whom: the import graph is the data-flow graph. A checker, tested on faults."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "autoreg"

# A room imports only rooms above it.
ROOMS = [
    "errors",
    "disk",
    "home",
    "child",
    "progress",
    "strictyaml",
    "mistakes",
    "data_spec",
    "deciding",
    "dials",
    "own",
    "own_spec",
    "spec",
    "metrics",
    "hooks",
    "techniques",
    "moments",
    "data",
    "garbage",
    "statistics",
    "resampling",
    "learned",
    "preprocess",
    "order",
    "splitters",
    "sealed",
    "folds",
    "candidate",
    "offers",
    "space",
    "storage",
    "forward",
    "model",
    "calibration",
    "batch",
    "engines",
    "tuner",
    "trial",
    "ledger",
    "lease",
    "clock",
    "pruning",
    "scoring",
    "attempt",
    "search",
    "select",
    "verdict",
    "budget",
    "judge",
    "final",
    "certificate",
    "noninterference",
    "rehearsal",
    "evidence",
    "coefficients",
    "importance",
    "attribution",
    "alarm",
    "findings",
    "checks",
    "state",
    "knowledge",
    "prepared",
    "info_sheet",
    "advice",
    "report",
    "tracking",
    "result",
    "fleet",
    "comparison",
    "programs",
    "export",
    "starter",
    "inspection",
    "study",
    "estimators",
    "verification",
    "ablation",
    "schedule",
    "watch",
    "__init__",
    "bars",
    "cli",
    "__main__",
]

TORCH_ROOMS = [
    "convolution",
    "draws",
    "embedding",
    "fitting",
    "front",
    "loop_module",
    "loop_network",
    "network",
    "pack",
    "scaling",
    "slopes",
    "trainable",
    "training",
]
# Foreign packages and the only places that may import them. `lazily` means inside functions.
OWNERS = {
    "onnx": {"programs/onnx_graph"},
    "narwhals": {"data/border"},
    "numba": {"engines/path", "engines/philox", "engines/pack/kernels"},
    "llvmlite": {"engines/pack/kernels"},
    "torch": {f"engines/{name}" for name in TORCH_ROOMS},
    "mlflow": {"tracking", "watch"},
    "sqlalchemy": {"fleet", "tracking", "watch"},
    "optuna": {"export", "importance", "tuner"},
    "yaml": {"strictyaml"},
    "typer": {"cli"},
    "rich": {"bars", "cli"},
    "cronsim": {"schedule"},
    "distributed": {"engines/spread"},
    "jinja2": {"report"},
    "matplotlib": {"report"},
}
LAZY_OWNERS = {"torch": {"hooks", "techniques"}}
# Rooms that format what others computed.
FORBIDDEN = {"report": {"sklearn", "scipy"}, "tracking": {"sklearn", "scipy"}}
STRANGERS = ("techniques", "metrics", "checks")


def violations(module: str, source: str) -> Iterator[str]:
    """What is wrong with the imports of a module such as ``engines/loop``."""
    room, _, inside = module.partition("/")
    tree = ast.parse(source)
    top = set(map(id, _at_import(tree)))
    for node in ast.walk(tree):
        for name in _imported(node):
            package, *rest = name.split(".")
            if package == "autoreg" and rest:
                yield from _own(module, room, inside, rest)
            elif package == "":
                yield f"{module} imports {name}, relative to itself"
            elif package in FORBIDDEN.get(room, ()):
                yield f"{module} imports {package}: it formats and never computes"
            elif package in OWNERS and not _may(module, package, lazily=id(node) not in top):
                yield f"{module} imports {package}"


def modules() -> dict[str, str]:
    """The source of every module of the package, by its name."""
    return {
        str(path.relative_to(PACKAGE).with_suffix("")).removesuffix("/__init__"): path.read_text()
        for path in PACKAGE.rglob("*.py")
    }


def _own(module: str, room: str, inside: str, rest: list[str]) -> Iterator[str]:
    if rest[0] == room:
        if room in STRANGERS and inside not in ("", "base") and rest[1:] != ["base"]:
            yield f"{module} knows its sibling {'.'.join(rest)}"
    elif rest[0] not in ROOMS:
        yield f"{module} imports {rest[0]}, which is no room"
    elif ROOMS.index(rest[0]) > ROOMS.index(room):
        yield f"{module} imports {rest[0]}, a room below it"


def _may(module: str, package: str, *, lazily: bool) -> bool:
    owners = OWNERS[package] | (LAZY_OWNERS.get(package, set()) if lazily else set())
    return any(module == owner or module.startswith(f"{owner}/") for owner in owners)


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when the module is imported: no function bodies, no type-checking blocks."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _at_import(child)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.module == "autoreg" and not node.level:
            names = [alias.name for alias in node.names if alias.name != "__version__"]
            return [f"autoreg.{name}" for name in names]
        return ["." * node.level + (node.module or "")]
    if isinstance(node, ast.Call) and _name(node) in {"import_module", "__import__"}:
        return [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return []


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]
