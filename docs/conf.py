"""Sphinx settings. Warnings are errors: `nox -s docs`."""

import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
import embed_play

project = "fusedoptim"
author = "The fusedoptim developers"
copyright = "2026, The fusedoptim developers"
version = release = installed_version("fusedoptim")

extensions = [
    "mathml",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"fusedoptim {version}"
html_theme_options = {
    "source_repository": "https://github.com/fusedoptim/fusedoptim",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_math_renderer = "mathml"
copybutton_exclude = ".linenos, .gp, .go"  # the prompts, and what is printed

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings have them, in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

# The examples of the docstrings are run by pytest; here only those of the pages.
doctest_test_doctest_blocks = ""

SIGNATURES = re.compile(r"^```python signature\n((?:fo\..+\n)+)```$", re.MULTILINE)
EXAMPLES = re.compile(r"^```pycon$", re.MULTILINE)
CONTENTS = re.compile(r"^<!-- toctree(\n.*?)\n-->$", re.DOTALL | re.MULTILINE)
FORMULAS = re.compile(r"\$`([^`]+)`\$")


def objects(block: re.Match[str]) -> str:
    """A directive, which makes of signatures what can be referred to."""
    name = block[1].partition("(")[0]
    kind = "function" if name.startswith("fo.kernels.") else "class" if name.count(".") == 1 else "method"
    signatures = re.sub(r"^fo\.", "   fusedoptim.", block[1], flags=re.MULTILINE).lstrip()
    return f"```{{eval-rst}}\n.. py:{kind}:: {signatures}```"


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Pages are written for code hosts. Sphinx makes more of them, and has other quotes for formulas."""
    text = SIGNATURES.sub(objects, source[0])
    text = EXAMPLES.sub("```{doctest}", text)
    text = CONTENTS.sub(r"```{toctree}\1\n```", text)
    source[0] = FORMULAS.sub(r"$\1$", text)


def setup(app: Sphinx) -> None:
    app.connect("source-read", read)
    app.connect("html-page-context", embed_play.embed)
    app.connect("build-finished", embed_play.ship)
