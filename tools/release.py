"""The part of a release's checklist that reads the repository and the wheel: `nox -s release` walks all of it.

`release.py source` looks at the repository, `release.py wheel FILE` at a wheel, and `release.py owner` says what is left.
"""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[1]

OWNER = """\
What is left is for the owner of the project, and cannot be taken back:

1. Once, before the first release: on PyPI, under "Publishing", add the workflow wheels.yml of this repository with the
   environment "pypi" as a trusted publisher of fusedoptim; in the repository's settings, make the environment "pypi".
2. git tag -s v{version} -m "fusedoptim {version}" && git push origin v{version}
   The workflow "Wheels" builds and tests every wheel and the sdist, and publishes them if nothing failed.
3. In a new environment: pip install 'fusedoptim[demo]=={version}' && fusedoptim doctor && fusedoptim demo
4. Make a release of the tag, with the section of CHANGELOG.md.
"""


def version(root: Path = ROOT) -> str:
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def wrong_in_source(root: Path = ROOT) -> Iterator[str]:
    """What keeps this state of the repository from being a release."""
    changelog = (root / "CHANGELOG.md").read_text()
    unreleased, newest, *_ = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    if unreleased.strip() != "[Unreleased]":
        yield "CHANGELOG.md has unreleased changes: give them a version and a date"
    if not re.match(rf"\[{re.escape(version(root))}\] - \d{{4}}-\d\d-\d\d\n", newest):
        yield f"the newest section of CHANGELOG.md must be [{version(root)}] with a date, got {newest.splitlines()[0]}"
    citation = root / "CITATION.cff"
    if citation.exists() and not re.search(
        rf"^version: [\"']?{re.escape(version(root))}[\"']?$", citation.read_text(), re.MULTILINE
    ):
        yield f"CITATION.cff must have the version {version(root)}"
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        if page.exists() and "no release yet" in page.read_text():
            yield f"{page.relative_to(root)} says that there is no release yet"


def wrong_in_git() -> Iterator[str]:
    if git("status", "--porcelain"):
        yield "the working tree has changes that are not committed"
    if git("tag", "--list", f"v{version()}"):
        yield f"there is a tag v{version()} already: raise the version in pyproject.toml"


def wrong_in_wheel(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        metadata = Parser().parsestr(wheel.read(next(n for n in names if n.endswith(".dist-info/METADATA"))).decode())
        sboms = [json.loads(wheel.read(name)) for name in names if name.endswith("/sboms/fusedoptim.cdx.json")]
    if metadata["Version"] != version():
        yield f"the wheel's version must be {version()}, got {metadata['Version']}"
    if not any("/licenses/LICENSE" in name for name in names):
        yield "the wheel lacks the licence"
    if not sboms:
        yield "the wheel lacks an SBOM"
    for sbom in sboms:
        parts = {part["name"]: part["version"] for part in sbom["components"]}
        if not re.match(r"\d+\.\d+", parts.get("pybind11", "")):
            yield f"the SBOM must name pybind11 and its version, got {parts}"
        if sbom["metadata"]["component"]["version"] != version():
            yield f"the SBOM must be of {version()}, got {sbom['metadata']['component']['version']}"


def git(*command: str) -> str:
    return subprocess.run(["git", *command], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    if what == "owner":
        print(OWNER.format(version=version()))
        raise SystemExit
    wrong = [*wrong_in_source(), *wrong_in_git()] if what == "source" else list(wrong_in_wheel(Path(*paths)))
    raise SystemExit("\n".join(wrong) or 0)
