"""What describes the project agrees with itself."""

import re
import tomllib

import pytest

from .. import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(not README.exists(), reason="only a part of the repository is here")


def test_pypi_gets_links_that_it_can_resolve() -> None:
    """PyPI has none of the files that README.md links to."""
    shown = README.read_text()
    for each in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        shown = re.sub(each["pattern"], each["replacement"], shown)
    links = re.findall(r"\]\(([^)\s]+)\)", shown)
    assert len(links) > 20
    assert not [link for link in links if not link.startswith(("https://", "#"))]


def test_the_citation_has_the_version_and_the_addresses() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    project = PROJECT["project"]
    for line in (
        f"version: {project['version']}",
        f"license: {project['license']}",
        f"repository-code: {project['urls']['Source']}",
        f"url: {project['urls']['Documentation']}",
    ):
        assert f"\n{line}\n" in citation
