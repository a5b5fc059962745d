"""Formulas as MathML, made when the documentation is built: browsers show it without a script, and read it aloud."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator


def inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def display(self: HTML5Translator, node: nodes.math_block) -> None:
    formula = node.astext()
    if r"\\" in formula and r"\begin{aligned}" not in formula:
        formula = rf"\begin{{aligned}}{formula}\end{{aligned}}"
    formula = formula.replace("{aligned}", "{align*}")  # the library's word
    self.body.append(f'<div class="formula">{convert(formula, display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True}
