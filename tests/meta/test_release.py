"""The checklist of a release finds what is wrong in the repository."""

import importlib.util
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

import fusedoptim as fo

from .. import ROOT

PATH = ROOT / "tools" / "release.py"
pytestmark = pytest.mark.skipif(not PATH.exists(), reason="the tools are not here")
HEADINGS = "## [Unreleased]\n\n## [{version}] - 2026-11-27\n"


@pytest.fixture
def release() -> Any:
    spec = importlib.util.spec_from_file_location("release", PATH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(release: Any, tmp_path: Path) -> Path:
    """As much of a repository as is looked at, with nothing wrong."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n" + HEADINGS.format(version=release.version()))
    (tmp_path / "CITATION.cff").write_text(f"title: fusedoptim\nversion: {release.version()}\n")
    (tmp_path / "docs").mkdir()
    for page in ("README.md", "docs/installing.md"):
        (tmp_path / page).write_text("pip install fusedoptim\n")
    return tmp_path


def test_the_module_has_the_version_of_the_project(release: Any) -> None:
    assert release.version() == fo.__version__


def test_the_changelog_has_a_section_of_this_version() -> None:
    assert f"\n## [{fo.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_nothing_is_wrong(release: Any, source: Path) -> None:
    assert not list(release.wrong_in_source(source))


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("CHANGELOG.md", "[Unreleased]\n", "[Unreleased]\n\n- One more.\n", "unreleased changes"),
        ("CHANGELOG.md", " - 2026-11-27", "", "with a date, got"),
        ("CHANGELOG.md", f"[{fo.__version__}]", "[0.0.9]", r"must be \[.*\] with a date, got \[0.0.9\]"),
        ("CITATION.cff", f"version: {fo.__version__}", "version: 0.0.9", "CITATION.cff must have the version"),
        ("README.md", "pip", "There is no release yet: pip", "README.md says"),
        ("docs/installing.md", "pip", "There is no release yet: pip", "docs/installing.md says"),
    ],
)
def test_what_is_wrong_is_told(release: Any, source: Path, name: str, old: str, new: str, told: str) -> None:
    text = (source / name).read_text()
    assert old in text
    (source / name).write_text(text.replace(old, new))
    (wrong,) = release.wrong_in_source(source)
    assert re.search(told, wrong)


def sbom(version: str, **parts: str) -> str:
    components = [{"name": name, "version": version} for name, version in parts.items()]
    return json.dumps({"metadata": {"component": {"version": version}}, "components": components})


@pytest.mark.parametrize(
    ("version", "text", "told"),
    [
        (fo.__version__, sbom(fo.__version__, pybind11="3.1.0"), ""),
        ("0.0.9", sbom(fo.__version__, pybind11="3.1.0"), "version must be"),
        (fo.__version__, "", "lacks an SBOM"),
        (fo.__version__, sbom(fo.__version__), "must name pybind11"),
        (fo.__version__, sbom(fo.__version__, pybind11=""), "must name pybind11"),
        (fo.__version__, sbom("0.0.9", pybind11="3.1.0"), "SBOM must be of"),
    ],
)
def test_wheels(release: Any, tmp_path: Path, version: str, text: str, told: str) -> None:
    info = f"fusedoptim-{version}.dist-info"
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.4\nName: fusedoptim\nVersion: {version}\n")
        wheel.writestr(f"{info}/licenses/LICENSE", "MIT")
        if text:
            wheel.writestr(f"{info}/sboms/fusedoptim.cdx.json", text)
    wrong = list(release.wrong_in_wheel(tmp_path / "a.whl"))
    assert (told in wrong[0] and len(wrong) == 1) if told else not wrong
