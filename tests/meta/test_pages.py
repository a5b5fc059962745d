"""Pages of the documentation name tests that exist."""

import re

import pytest

from .. import ROOT, TESTS

DOCS = ROOT / "docs"
NAMED = re.compile(r"`(test_\w+\.py)(?:::(\w+))?`")  # without its room: the names of files are unique

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not here")


def test_every_test_that_a_page_names_exists() -> None:
    named = [(page.name, *found) for page in DOCS.glob("*.md") for found in NAMED.findall(page.read_text())]
    assert len(named) > 40
    for page, name, test in named:
        files = list(TESTS.glob(f"*/{name}"))
        assert len(files) == 1, f"{page} names {name}, and there are {files}"
        assert f"\ndef {test}(" in files[0].read_text() or not test, f"{page}: {name} has no {test}"


def test_every_fault_names_what_shows_it() -> None:
    lines = [line for line in (DOCS / "faults.md").read_text().splitlines() if line.startswith("|")]
    rows = [line for line in lines if not re.match(r"\|(---|\s*fault)", line)]
    assert len(rows) > 20
    for row in rows:
        assert NAMED.search(row.split("|")[3]), f"no test in {row}"
