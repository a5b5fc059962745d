"""Docstrings become Markdown that code hosts show."""

import importlib
from typing import Any

import pytest

from .. import ROOT


@pytest.fixture(scope="module")
def docstrings() -> Any:
    if not (ROOT / "docs").is_dir():
        pytest.skip("the documentation is not here")
    return importlib.import_module("docstrings")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r":math:`\beta_1` and ``lr``", r"$`\beta_1`$ and `lr`"),
        ("a formula of :math:`a +\n  b` in two lines", "a formula of $`a + b`$ in two lines"),
        (":class:`AdamW`", "[`AdamW`](AdamW.md)"),
        (":class:`~fusedoptim.Group`", "[`Group`](../groups.md)"),
        (":class:`~fusedoptim.schedules.warmup`", "[`schedules.warmup`](../schedules.md)"),
        (":meth:`step`", "[`step`](../api.md#optimizer)"),  # and not the schedule of that name
        (":meth:`Optimizer.save`", "[`Optimizer.save`](../api.md#optimizer)"),
        (":meth:`~ScheduleFreeSGD.averaged`", "[`ScheduleFreeSGD.averaged`](ScheduleFreeSGD.md#averaged)"),
        (".. math::\n\n    w^2\n\nwhere", "```math\nw^2\n```\n\nwhere"),
        (
            ".. math::\n\n    a &= b \\\\\n    c &= d\n",
            "```math\n\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned}\n```\n",
        ),
    ],
)
def test_markdown(docstrings: Any, written: str, shown: str) -> None:
    assert docstrings.markdown(written) == shown


def test_links_begin_where_the_page_is(docstrings: Any) -> None:
    assert (
        docstrings.markdown(":class:`Adam`, :meth:`step`", ".")
        == "[`Adam`](optimizers/Adam.md), [`step`](api.md#optimizer)"
    )


def test_sections_and_parameters(docstrings: Any) -> None:
    def told() -> None:
        """One line.

        More.

        Parameters
        ----------
        a, b : int
            Two
            lines.
        c
        d : float, default 1

        Notes
        -----
        *When.* Now
        and then.

        *Why.* So.
        """

    found = docstrings.sections(told)
    assert found[""] == "One line.\n\nMore."
    assert docstrings.parameters(found["Parameters"]) == [
        ("a, b", "int", "Two\nlines."),
        ("c", "", ""),
        ("d", "float, default 1", ""),
    ]
    assert docstrings.note(found["Notes"], "When") == "Now\nand then."
    assert docstrings.note(found["Notes"], "How") == ""
