"""Sphinx settings. Warnings are errors: `nox -s docs`."""

import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

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

KINDS = {"class": r"\w+", "method": r"\w+\.\w+", "function": r"kernels\.\w+"}


def signatures_become_objects(app: Sphinx, name: str, source: list[str]) -> None:
    """Blocks that are marked as signatures, which a code host shows as Python, can be referred to and are in the index."""
    for kind, called in KINDS.items():
        block = re.compile(rf"^```python signature\n((?:fo\.{called}\(.*\)\n)+)```$", re.MULTILINE)
        source[0] = block.sub(
            lambda found, kind=kind: f"```{{py:{kind}}} {found[1].replace('fo.', 'fusedoptim.')}```", source[0]
        )


def formulas_lose_their_quotes(app: Sphinx, name: str, source: list[str]) -> None:
    """Without them a code host would take a backslash for Markdown's."""
    source[0] = re.sub(r"\$`([^`]+)`\$", r"$\1$", source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", signatures_become_objects)
    app.connect("source-read", formulas_lose_their_quotes)
