"""Sphinx settings. Warnings are errors: `nox -s docs`."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
import pages

project = "fusedoptim"
author = "The fusedoptim developers"
copyright = "2026, The fusedoptim developers"
version = release = installed_version("fusedoptim")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = "fusedoptim"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings have them, in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

# The examples of the docstrings are run by pytest; here only those of the pages.
doctest_test_doctest_blocks = ""


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", lambda _: pages.write())
