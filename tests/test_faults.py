"""docs/faults.md names tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "faults.md"


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")
def test_every_fault_names_tests_that_exist() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    rows = [row for row in rows if not re.match(r"\|(---|\s*fault)", row)]
    assert len(rows) > 20
    for row in rows:
        nodes = re.findall(r"`(test_\w+\.py)::(\w+)`", row.split("|")[3])
        assert nodes, f"no test in {row}"
        for file, name in nodes:
            assert re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.MULTILINE), f"no {file}::{name}"
