"""What mkdocs is told beyond the pages in docs/: the reference, made from the package itself."""

import inspect
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mkdocs.structure.files import File

import autoreg
from autoreg.spec import read_space, read_study, shipped
from autoreg.techniques import catalogue
from docs_site import figures

RESULTS = sorted((Path(__file__).parents[1] / "benchmarks" / "results").glob("*.md"))
DRAWN = os.environ.get("AUTOREG_FIGURES") != "no"  # pictures of effects take minutes


def on_config(config):
    """Add the generated pages to the navigation."""
    techniques = [f"reference/techniques/{key}.md" for key in catalogue()]
    reference = ["reference/python.md", "reference/shipped.md", {"Techniques": techniques}]
    config.nav.append({"Measured": [f"results/{path.name}" for path in RESULTS]})
    config.nav.append({"Reference": reference})
    return config


def on_files(files, config):
    """Add the generated pages and pictures."""
    made = {
        **{f"results/{path.name}": path.read_text() for path in RESULTS},
        "reference/python.md": python_page(),
        "reference/shipped.md": shipped_page(),
        **{f"figures/{name}.svg": draw() for name, draw in figures.SCHEMES.items()},
    }
    for key, kind in catalogue().items():
        picture = figures.effect(kind) if DRAWN else None
        made[f"reference/techniques/{key}.md"] = technique_page(kind, picture is not None)
        if picture is not None:
            made[f"reference/techniques/{key}.svg"] = picture
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown, **_):
    """Links to benchmark results lead to the site's copies, or where there are none to nothing."""

    def linked(found):
        words, name = found.groups()
        return f"[{words}](results/{name})" if name in {one.name for one in RESULTS} else words

    return re.sub(r"\[([^]]*)\]\(\.\./benchmarks/results/([^)#]*)\)", linked, markdown)


def technique_page(kind, pictured):
    """One technique: what it does, where it acts, its dials, its source, its effect."""
    first, _, more = inspect.cleandoc(kind.__doc__).partition("\n")
    lines = [f"# {kind.key}", "", first, "", more.strip(), ""]
    lines += [
        f"For **{' and '.join(kind.families)}** models; tasks: {', '.join(kind.tasks)}. Acts on "
        f"{', '.join(f'`{seam}`' for seam in sorted(kind.seams())) or 'nothing'}.",
        "",
    ]
    if kind.dials:
        lines += ["| dial | range | what it does |", "|---|---|---|"]
        lines += [f"| `{dial.name}` | {dial.words()} | {dial.about} |" for dial in kind.dials]
    if pictured:
        lines += ["", "## Its effect", "", f"![The effect of {kind.key}]({kind.key}.svg)", ""]
        lines += [figures.CAPTIONS[figures.drawn_as(kind)]]
    lines += ["", "## Source", "", *(f"* {one}" for one in kind.references)]
    return "\n".join(lines) + "\n"


def python_page():
    """The public names of the package, from their docstrings."""
    lines = ["# Python", ""]
    for name in autoreg.__all__:
        if name.startswith("_"):
            continue
        one = getattr(autoreg, name)
        head = f"{name}{inspect.signature(one)}"
        lines += [f"## {name}", "", "```python", head, "```", ""]
        lines += ["```text", inspect.getdoc(one) or "", "```", ""]
        if inspect.isclass(one):
            for key, member in vars(one).items():
                if not key.startswith("_") and inspect.getdoc(member) and callable(member):
                    lines += [f"* `{name}.{key}{inspect.signature(member)}`: "]
                    lines[-1] += inspect.getdoc(member).splitlines()[0]
            lines.append("")
    return "\n".join(lines)


def shipped_page():
    """The shipped studies and search spaces."""
    lines = ["# Studies and spaces that ship", "", "| study | question |", "|---|---|"]
    studies = (read_study(name) for name in shipped("studies"))
    lines += [f"| `{one.study}` | {' '.join(one.question.split())} |" for one in studies]
    lines += ["", "| space | what it is for |", "|---|---|"]
    spaces = (read_space(name) for name in shipped("search_spaces"))
    lines += [f"| `{one.space}` | {' '.join(one.about.split())} |" for one in spaces]
    return "\n".join(lines) + "\n"
