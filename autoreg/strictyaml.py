"""Strict YAML: a document and the line of every key in it, or an error that names the line.

Why strict: PyYAML reads YAML 1.1, where ``off`` is a boolean, ``1:30`` is ninety, ``1e-3`` is text
and a repeated key wins without a word. A study file must mean what it looks like.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from autoreg.errors import SpecError

Where = tuple[str | int, ...]


def parse(path: Path) -> tuple[dict[str, Any], dict[Where, int]]:
    """The document in a file, and the line of every key and list item in it.

    Raises SpecError, naming file and line, for what is no mapping in plain YAML.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "some.yaml"
    >>> _ = path.write_text("folds:\\n  outer: 3\\n")
    >>> parse(path)
    ({'folds': {'outer': 3}}, {('folds',): 1, ('folds', 'outer'): 2})
    """
    try:
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if not isinstance(node, yaml.MappingNode):
                raise SpecError(f"{path}: the file must be a mapping of `key: value` lines")
            lines: dict[Where, int] = {}
            _walk(node, (), lines, path)
            return loader.construct_document(node), lines
        finally:
            loader.dispose()
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(f"{path}:{line}: a control character stands here; delete it") from error
    except RecursionError as error:
        raise SpecError(f"{path}: is nested too deeply, or an alias contains itself") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{path}:{line}: not valid YAML: {error.problem}") from error


class _Loader(yaml.SafeLoader):
    """YAML 1.2 in the points where PyYAML's 1.1 bites: only true/false are booleans, 1e-3 is
    a number, dates, 1:30 and 017 are text, a repeated key is an error. Tags are refused."""

    def fetch_tag(self) -> None:
        problem = "tags such as !!int are not supported; write the value alone"
        raise yaml.scanner.ScannerError(None, None, problem, self.get_mark())


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9]\d*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?$|^[-+]?\.(?:inf|nan)$"),
    list("-+0123456789."),
)


def _walk(node: yaml.Node, where: Where, lines: dict[Where, int], path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*where, str(key.value))
            if place in lines:
                raise SpecError(
                    f"{path}:{key.start_mark.line + 1}: {key.value} is given twice "
                    f"(first in line {lines[place]}); keep one"
                )
            lines[place] = key.start_mark.line + 1
            _walk(value, place, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            lines[(*where, position)] = item.start_mark.line + 1
            _walk(item, (*where, position), lines, path)
