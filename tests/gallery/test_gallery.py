"""The command, and the pages that show its figures."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fusedoptim.cli.gallery import CLAIMS

from .. import ROOT
from ..clients.test_cli import need, run

PAGES = ROOT / "docs" / "gallery"
documented = pytest.mark.skipif(not PAGES.is_dir(), reason="the documentation is not here")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With what the command has written."""
    need("matplotlib", "rich", "sklearn")
    folder = tmp_path_factory.mktemp("gallery") / "figures"
    done = run("gallery", "--out", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"8 figures, each as SVG and PNG: {folder}\n"
    return folder


def test_all_figures_are_written(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {f"{name}.{kind}" for name in CLAIMS for kind in ("svg", "png")}
    for name in CLAIMS:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert ElementTree.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")
        assert 10_000 < (folder / f"{name}.svg").stat().st_size < 150_000


@pytest.mark.parametrize("package", ["matplotlib", "rich", "sklearn"])
def test_missing_extra(package: str) -> None:
    need("matplotlib", "rich", "sklearn")
    done = run("gallery", absent=(package,))
    assert done.returncode == 1
    assert done.stderr == f"{package} is not installed; run: pip install 'fusedoptim[demo]'\n"


@pytest.mark.parametrize("args", ["gallery --out nowhere/figures", "gallery --out /dev/null", "gallery figures"])
def test_bad_arguments(args: str) -> None:
    done = run(*args.split())
    assert done.returncode == 2
    assert "usage:" in done.stderr and "Traceback" not in done.stderr


@documented
def test_every_claim_has_a_page() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {"index", *CLAIMS}
    assert all(f"({name}.md)" in (PAGES / "index.md").read_text() for name in CLAIMS)


@documented
@pytest.mark.parametrize("name", CLAIMS)
def test_a_page_has_a_formula_and_a_figure_that_is_told_in_words(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text()
    assert page.count("```math\n") == 1
    ((words, figure),) = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", page)
    assert len(words) > 60
    assert figure == f"{name}.svg"
    assert ElementTree.parse(PAGES / figure).getroot().tag.endswith("svg")
    assert (PAGES / figure).stat().st_size < 150_000


@documented
@pytest.mark.parametrize("name", CLAIMS)
def test_the_lines_of_a_page_run(name: str) -> None:
    """And hold what they assert."""
    if name == "overfitting":
        need("sklearn")
    (code,) = re.findall(r"^```python\n(.*?)^```$", (PAGES / f"{name}.md").read_text(), re.DOTALL | re.MULTILINE)
    assert code.splitlines()[-1].lstrip().startswith("assert ")
    exec(compile(code, f"{name}.md", "exec"), {})  # noqa: S102 - code of this repository
