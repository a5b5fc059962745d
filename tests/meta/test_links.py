"""Links from one Markdown file of the repository to another lead somewhere, as a code host follows them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .. import ROOT

FILES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("bench/*.md"), *ROOT.glob("csrc/*.md"), *(ROOT / "docs").rglob("*.md"))
    if "_build" not in path.parts
)
FENCED = re.compile(r"^(`{3,}).*?^\1$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]*)(?:#([^)\s]+))?\)")

pytestmark = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="only a part of the repository is here")


def prose(path: Path) -> str:
    return re.sub(r"`[^`\n]+`", "`code`", FENCED.sub("", path.read_text()))


def anchors(path: Path) -> Iterator[str]:
    """The headings, as GitHub and MyST name them."""
    for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", path.read_text()), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def found_in(path: Path) -> Iterator[str]:
    """What is wrong with the links of a file."""
    for name, anchor in LINK.findall(prose(path)):
        target = path.parent / name if name else path
        if not target.exists():
            yield f"{name} does not exist"
        elif anchor and anchor not in anchors(target):
            yield f"{name} has no heading {anchor}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    assert not list(found_in(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_only_sphinx_knows_is_not_in_the_text(path: Path) -> None:
    """A code host would show it as it is written: roles, directives, links without a text. docs/conf.py has other ways.

    And a formula without the quotes of $`…`$ would lose the backslash before a comma or an underscore: it is Markdown's.
    """
    text = re.sub(r"\$`[^`]+`\$", "formula", FENCED.sub("", path.read_text()))
    found = re.findall(r"\{\w+\}`[^`\n]+`|\[\]\(\S+\)|^\.\. \w+::", text, re.MULTILINE)
    found += re.findall(r"\$[^$\n]*\\[^a-zA-Z\s][^$\n]*\$", re.sub(r"`[^`\n]+`", "code", text))
    if path.name != "api.md":  # which says so
        found += re.findall(r"^(?:```|:::)\{.+", path.read_text(), re.MULTILINE)
    assert not found


def test_wrong_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One thing\n\n[a](none.md) [b](#one-thing) [c](#two) [d](page.md#one-thing) `[e](code.md)`\n")
    assert list(found_in(page)) == ["none.md does not exist", " has no heading two"]
