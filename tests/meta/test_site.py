"""The documentation as it is built: its links lead somewhere, its search finds, and it needs no network."""

import json
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from .. import ROOT

SITE = ROOT / "docs" / "_build" / "html"
PAGES = sorted(SITE.rglob("*.html"))
LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}

pytestmark = pytest.mark.skipif(not PAGES, reason="the documentation is not built: nox -s docs")


class Page(HTMLParser):
    """The anchors of a page, what it links to, what it loads, and its formulas."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids, self.links, self.loaded, self.formulas, self.in_math = {""}, [], [], [], 0
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if LOADED.get(tag) in found and found.get("rel") not in ("canonical", "index", "search", "next", "prev"):
            self.loaded.append(found[LOADED[tag]])
        if tag == "math":
            self.in_math += 1
            self.formulas.append("")

    def handle_endtag(self, tag: str) -> None:
        self.in_math -= tag == "math"

    def handle_data(self, data: str) -> None:
        if self.in_math:
            self.formulas[-1] += data


read = cache(Page)


def is_elsewhere(link: str) -> bool:
    return bool(urlsplit(link).scheme or urlsplit(link).netloc)


def dead_links(path: Path) -> Iterator[str]:
    for link in (*read(path).links, *read(path).loaded):
        target = urlsplit(link)
        file = (path.parent / unquote(target.path)).resolve() if target.path else path
        file = file / "index.html" if file.is_dir() else file
        anchors = read(file).ids if file.suffix == ".html" and file.exists() else {target.fragment}
        if not is_elsewhere(link) and not (file.exists() and unquote(target.fragment) in anchors):
            yield link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(SITE)))
def test_links_lead_somewhere(path: Path) -> None:
    assert not list(dead_links(path))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(SITE)))
def test_nothing_is_loaded_from_the_network(path: Path) -> None:
    assert not [link for link in read(path).loaded if is_elsewhere(link) and not link.startswith("data:")]


def test_no_style_loads_from_the_network() -> None:
    for path in SITE.rglob("*.css"):
        assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", path.read_text()), path


def test_formulas_are_formulas() -> None:
    """No command of TeX was left over as text."""
    formulas = [formula for path in PAGES for formula in read(path).formulas]
    assert len(formulas) > 300
    assert not [formula for formula in formulas if re.search(r"[\\&]", formula)]


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("clip_norm", "whole-step"),
        ("ema", "whole-step"),
        ("accumulate", "accumulate"),
        ("resume", "checkpoints"),
        ("resume", "recipes"),
        ("learning rate", "schedules"),
        ("docker", "threads"),
        ("docker", "recipes"),
        ("torch", "coming-from"),
        ("keras", "coming-from"),
        ("adam", "optimizers/Adam"),
    ],
)
def test_search_finds(words: str, page: str) -> None:
    """By a title, which ranks before what a text mentions."""
    english = pytest.importorskip("sphinx.search.en").SearchEnglish({})  # the index has the stems of words
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", (SITE / "searchindex.js").read_text())[1])
    number = index["docnames"].index(page)
    for word in words.split():
        found = index["titleterms"][english.stem(word)]
        assert number in (found if isinstance(found, list) else [found])
