"""Docstrings as Markdown: numpydoc's sections, and of reStructuredText what these docstrings use."""

import inspect
import posixpath
import re
from functools import partial
from textwrap import dedent

import fusedoptim as fo

# Where else than on a page of its own what a docstring refers to is explained.
PLACES = {
    "Common": "api.md#keywords-of-every-optimizer",
    "Group": "groups.md",
    "Optimizer": "api.md#optimizer",
    "RowGrad": "rows.md",
    "schedules": "schedules.md",
}


def sections(thing: object) -> dict[str, str]:
    """The text of each section by its heading; what comes before the first has none."""
    summary, *others = re.split(r"^(\w+)\n-{3,}\n", str(inspect.getdoc(thing)), flags=re.MULTILINE)
    return {"": summary.strip()} | dict(zip(others[::2], map(str.strip, others[1::2]), strict=True))


def parameters(section: str) -> list[tuple[str, str, str]]:
    """Name, type with default, and description of each argument."""
    found = re.findall(r"^(\S.*?)(?: : (.+))?$\n?((?:(?: {4}.*)?(?:\n|$))*)", section, re.MULTILINE)
    return [(name, kind, dedent(text).strip()) for name, kind, text in found if name]


def note(notes: str, heading: str) -> str:
    """The paragraph of the notes that begins with ``*heading.*``."""
    found = re.search(rf"^\*{heading}\.\* (.+(?:\n.+)*)", notes, re.MULTILINE)
    return found[1] if found else ""


def markdown(text: str, folder: str = "optimizers") -> str:
    """What code hosts and Sphinx both show, for a page in this folder of the documentation."""
    text = re.sub(r"^\.\. math::\n\n((?:    .*\n?|\n(?=    ))+)", _display, text, flags=re.MULTILINE)
    text = re.sub(r":math:`([^`]+)`", lambda found: f"$`{' '.join(found[1].split())}`$", text)
    text = re.sub(r":(\w+):`~?([^`]+)`", partial(_link, folder=folder), text)
    return re.sub(r"(?<!`)``([^`]+)``(?!`)", r"`\1`", text)


def _display(found: re.Match[str]) -> str:
    formula = dedent(found[1]).strip()
    if r"\\" in formula or "&" in formula:
        formula = f"\\begin{{aligned}}\n{formula}\n\\end{{aligned}}"
    return f"```math\n{formula}\n```\n"


def _link(found: re.Match[str], folder: str) -> str:
    name = found[2].removeprefix("fusedoptim.")
    first, _, rest = name.partition(".")
    if found[1] == "meth" and not rest:
        place = PLACES["Optimizer"]
    elif first in fo.schedules.__all__:
        place = PLACES["schedules"]
    elif first in PLACES:
        place = PLACES[first]
    else:
        place = f"optimizers/{first}.md{'#' * bool(rest)}{rest}"
    return f"[`{name}`]({posixpath.relpath(place, folder)})"
