"""Families of a user's own: an estimator of scikit-learn's kind, or a module of torch.

A family that is handed over in Python is known to its study by plain data: the import path of its
class (or function), and the parameters that are not its defaults. So a study's digest, ledger and
file say what was searched, a study is continued with the same family only, and one that is read
from a file makes the family anew where its path can be imported.

Why installed packages only: a study file is data, and to import a module is to run it. A path in a
file reaches what was installed on purpose, and makes nothing but estimators and modules of it.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module, metadata
from typing import Any

from autoreg.errors import SpecError

ESTIMATOR = ("get_params", "set_params", "fit")  # what makes an object an estimator
MADE, TUPLE, FOREIGN = {"path", "params"}, {"tuple"}, {"object", "hash"}  # keys of plain data


@dataclass(frozen=True)
class Between:
    """A dial from ``low`` to ``high``: whole numbers where both are, else real ones.

    ``log`` counts on a logarithmic scale. The first trial of its family has ``default``: left out,
    what the estimator or module has anyway, where it lies in between, else the middle.

    >>> Between(1e-3, 1e3, log=True)
    Between(low=0.001, high=1000.0, log=True, default=None)
    """

    low: float
    high: float
    log: bool = False
    default: float | None = None


@dataclass(frozen=True)
class Family:
    """A model family of one's own, and the dials that a search may turn.

    Args:
        maker: an estimator, or its class; for ``network=`` a subclass of ``torch.nn.Module`` or a
            function that makes modules: ``maker(n_inputs, n_outputs, **dials)``.
        dials: a parameter's name -> :class:`Between`, or a list of options.
        techniques: of a network: names, or name -> dial -> [low, high] as in a search space;
            early stopping and weight decay where it is left out.
        share: the least share of the trials of a search.

    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> Family(KNeighborsClassifier(weights="distance"), {"n_neighbors": Between(1, 30)}).document
    {'path': 'sklearn.neighbors.KNeighborsClassifier', 'params': {'weights': 'distance'}, \
'dials': {'n_neighbors': Between(low=1, high=30, log=False, default=None)}, 'share': 0.0}
    """

    maker: Any
    dials: Mapping[str, Between | Sequence[Any]] = field(default_factory=dict)
    techniques: Sequence[str] | Mapping[str, Any] | None = None
    share: float = 0.0

    @property
    def document(self) -> dict[str, Any]:
        """The family as a study file would say it."""
        path, params = identity(self.maker)
        told = {"path": path, "params": params, "dials": dict(self.dials), "share": self.share}
        return told if self.techniques is None else {**told, "techniques": self.techniques}


def as_family(value: Any) -> Family | None:
    """A family, or what makes one without dials, as a family; None for anything else."""
    if isinstance(value, Family):
        return value
    makes = isinstance(value, type | partial) or inspect.isroutine(value)
    return Family(value) if makes or is_estimator(type(value)) else None


# ---- from objects to plain data ------------------------------------------------------------------


def identity(maker: Any) -> tuple[str, dict[str, Any]]:
    """The import path of what makes models, and those of its parameters that are no defaults.

    Raises SpecError for what has no name of its own.

    >>> identity(partial(dict, width=3))
    ('builtins.dict', {'width': 3})
    """
    if isinstance(maker, partial):
        path, params = identity(maker.func)
        if maker.args:
            raise SpecError(f"{path}: name the arguments of its partial, for n_inputs comes first")
        return path, {**params, **{name: plain(value) for name, value in maker.keywords.items()}}
    if isinstance(maker, type) or inspect.isroutine(maker):
        return path_of(maker), {}
    if not is_estimator(type(maker)):
        raise SpecError(
            f"{path_of(type(maker))} is no estimator: it lacks {missing(type(maker))}; a network "
            f"is handed over as a class or a function, for each fit needs a fresh one"
        )
    return path_of(type(maker)), changed(maker)


def is_estimator(kind: type) -> bool:
    """Whether a class has what a search needs of an estimator."""
    return not missing(kind)


def missing(kind: type) -> str:
    """Which methods of an estimator a class lacks, in words."""
    return ", ".join(name for name in ESTIMATOR if not callable(getattr(kind, name, None)))


def path_of(thing: Any) -> str:
    """The import path of a class or function, by the shortest package that offers it.

    >>> from sklearn.svm import SVC
    >>> path_of(SVC)
    'sklearn.svm.SVC'
    """
    name, module = thing.__qualname__, thing.__module__ or "builtins"
    if "<lambda>" in name:
        raise SpecError("a lambda has no name by which a study could know it; write a `def`")
    parts = module.split(".")
    for end in range(1, len(parts)):
        package = ".".join(parts[:end])
        if vars(sys.modules[package]).get(name) is thing:
            return f"{package}.{name}"
    return f"{module}.{name}"


def changed(one: Any) -> dict[str, Any]:
    """The parameters of an estimator that are not those of its class, as plain data."""
    known = inspect.signature(type(one).__init__).parameters
    own = sorted(one.get_params(deep=False).items())
    told = {name: plain(value) for name, value in own}
    return {
        name: value
        for name, value in told.items()
        if name not in known or value != plain(known[name].default)
    }


def plain(value: Any) -> Any:
    """A parameter as data that JSON can hold; what has no such form is known by its hash.

    >>> from sklearn.linear_model import Ridge
    >>> plain({"base": Ridge(alpha=2.0), "sizes": (8, 8)})
    {'base': {'path': 'sklearn.linear_model.Ridge', 'params': {'alpha': 2.0}}, \
'sizes': {'tuple': [8, 8]}}
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return {"tuple": [plain(one) for one in value]}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, type) or inspect.isroutine(value):
        return {"object": path_of(value)}
    if callable(getattr(value, "get_params", None)):
        return {"path": path_of(type(value)), "params": changed(value)}
    return _by_hash(value)


def call(params: Mapping[str, Any]) -> str:
    """Parameters as plain data, in the words of a call.

    >>> call({"base": {"path": "sklearn.linear_model.Ridge", "params": {"alpha": 2.0}}, "n": 3})
    'base=Ridge(alpha=2.0), n=3'
    """

    def said(value: Any) -> str:
        if isinstance(value, Mapping) and "path" in value and set(value) <= MADE:
            return f"{value['path'].rpartition('.')[2]}({call(value.get('params', {}))})"
        return repr(value)

    return ", ".join(f"{name}={said(value)}" for name, value in params.items())


def _by_hash(value: Any) -> Any:
    import joblib
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    return {"object": path_of(type(value)), "hash": joblib.hash(value)}


# ---- and back ------------------------------------------------------------------------------------


def built(value: Any) -> Any:
    """What plain data stand for: the inverse of :func:`plain`.

    Raises SpecError naming what cannot be made from a file.

    >>> built({"path": "sklearn.linear_model.Ridge", "params": {"alpha": 2.0}})
    Ridge(alpha=2.0)
    """
    if isinstance(value, list):
        return [built(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if "object" in value and set(value) <= FOREIGN:
        raise SpecError(f"{value['object']} cannot be made from a file; hand the family over again")
    if set(value) == TUPLE:
        return tuple(built(one) for one in value["tuple"])
    if "path" not in value or not set(value) <= MADE:
        return {name: built(one) for name, one in value.items()}
    path, kind = value["path"], imported(value["path"])
    if not callable(getattr(kind, "get_params", None)):
        raise SpecError(f"{path} is no estimator: it lacks get_params")
    return called(kind, built(value.get("params", {})), path)


def called(kind: Callable[..., Any], params: Mapping[str, Any], path: str) -> Any:
    """An object of a class with some parameters; SpecError in the words of what is wrong."""
    try:
        return kind(**params)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{path} cannot be made with {dict(params)}: {error}") from error


def imported(path: str) -> type:
    """The class of an import path in a study file.

    Raises SpecError where it belongs to no installed package, or is no class.

    >>> imported("sklearn.svm.SVC").__name__
    'SVC'
    """
    module, _, name = path.rpartition(".")
    top = path.partition(".")[0]
    if top not in installed():
        raise SpecError(
            f"{path}: {top} is no installed package, and a study file makes objects of installed "
            f"packages only; install it, or hand the family over in Python"
        )
    try:
        found = vars(import_module(module)).get(name)
    except ImportError as error:
        raise SpecError(f"{path}: cannot be imported ({error})") from error
    if not isinstance(found, type):
        kinds = [key for key, one in vars(sys.modules[module]).items() if isinstance(one, type)]
        raise SpecError(f"{path}: {module} has no class {name}{nearest(name, kinds)}")
    return found


@cache
def installed() -> frozenset[str]:
    """The names that installed packages can be imported by."""
    named = {name for name in metadata.packages_distributions() if name.isidentifier()}
    # Of a package that is installed in place only the name of the distribution is known.
    own = {one.name.replace("-", "_") for one in metadata.distributions() if one.name}
    return frozenset(named | own)


def nearest(name: str, known: Sequence[str]) -> str:
    """The nearest of some names as a question; empty where none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def unknown_dials(maker: Any, params: Mapping[str, Any], dials: Sequence[str]) -> Iterator[str]:
    """Dials that a function or class of modules does not take by name, after its two sizes."""
    own = maker.func if isinstance(maker, partial) else maker
    taken = list(inspect.signature(own).parameters.values())
    if any(one.kind is one.VAR_KEYWORD for one in taken):
        return
    names = [one.name for one in taken[2:] if one.name not in params]
    yield from (dial for dial in dials if dial not in names)
