"""Code for a wide instruction set shares no symbol with the rest, and was compiled for equal bits: in the objects that ship.

Of a weak symbol that is in several object files the linker keeps any one; if that is the one compiled for AVX-512, every
other CPU stops at an illegal instruction. The stripped module has no such symbols any more, so this looks at the build tree
that `pip install` leaves behind, or at the one that FUSEDOPTIM_BUILD names.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import fusedoptim as fo

from .. import ROOT

NEEDED = {"-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"}
FORBIDDEN = {"-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-fassociative-math"}
OBJECT = re.compile(r"\bkernels_(\w+)\.dir/.*\.o(bj)?$")


def changed(path: Path) -> float:
    return path.stat().st_mtime


def is_current(tree: Path) -> bool:
    """Whether the sources are older: its module is linked after any of its objects."""
    configured, modules = tree / "CMakeFiles" / "cmake.check_cache", list(tree.glob("_core.*"))
    if not modules or not configured.exists() or changed(configured) < changed(ROOT / "CMakeLists.txt"):
        return False
    sources = [path for path in (ROOT / "csrc").rglob("*") if path.suffix in (".cpp", ".hpp")]
    return max(map(changed, modules)) > max(map(changed, sources))


def ships(tree: Path) -> bool:
    """Not one with sanitizers, say, whose symbols are others."""
    released = "CMAKE_BUILD_TYPE:STRING=Release\n" in (tree / "CMakeCache.txt").read_text()
    return released and (tree / "compile_commands.json").exists()


@pytest.fixture(scope="module")
def tree() -> Path:
    if not (ROOT / "csrc").is_dir():
        pytest.skip("the source tree is not here")
    if named := os.environ.get("FUSEDOPTIM_BUILD"):
        assert is_current(Path(named)), f"{named} is older than the sources: install again"
        return Path(named)
    trees = [cache.parent for cache in ROOT.glob("build/*/CMakeCache.txt")]
    current = [tree for tree in trees if ships(tree) and is_current(tree)]
    if not current:
        pytest.skip("no build tree is newer than the sources: pip install . leaves one in build/")
    return max(current, key=lambda tree: changed(tree / "CMakeCache.txt"))


@dataclass
class Object:
    """A file of compiled kernels."""

    isa: str
    path: Path
    flags: list[str]


@pytest.fixture(scope="module")
def objects(tree: Path) -> list[Object]:
    """Those that the tree builds now: files of other sources, since gone, may lie beside them."""
    commands = [shlex.split(entry["command"]) for entry in json.loads((tree / "compile_commands.json").read_text())]
    outputs = [flags[flags.index("-o") + 1] for flags in commands]
    found = [(OBJECT.search(output), output, flags) for output, flags in zip(outputs, commands, strict=True)]
    objects = [Object(match[1], tree / output, flags) for match, output, flags in found if match]
    assert {each.isa for each in objects} >= set(fo.available_isas()), f"{tree} lacks objects"
    return objects


def test_flags(objects: list[Object]) -> None:
    for each in objects:
        assert set(each.flags) >= NEEDED, each.path
        assert not FORBIDDEN & set(each.flags), each.path
        assert [flag for flag in each.flags if flag.startswith("-O")][-1] in ("-O2", "-O3"), each.path


def defined(path: Path) -> Iterator[tuple[str, str]]:
    """Kind and name of each symbol that others may see."""
    listing = subprocess.run(["nm", "-C", path], capture_output=True, text=True, check=True).stdout
    symbols = re.findall(r"^[0-9a-f ]{16} (\w) (.*)$", listing, re.MULTILINE)
    return ((kind, name) for kind, name in symbols if kind in "wvu" or (kind.isupper() and kind != "U"))


def test_no_weak_symbol(objects: list[Object]) -> None:
    """All that an object gives to others bears the name of its instruction set."""
    if not shutil.which("nm"):
        pytest.skip("nm is not installed")
    for each in objects:
        symbols = list(defined(each.path))
        assert symbols, f"nm was misread: {each.path}"
        for kind, name in symbols:
            assert kind not in "WwVvu", f"{each.path}: {name}"
            assert name.startswith("fusedoptim::") and each.isa in re.split(r"\W|_", name), f"{each.path}: {name}"


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm, of binutils")
def test_a_module_shows_nothing_but_its_entry() -> None:
    """Symbols of the C++ library that it showed would take the place of those that a library loaded later brings."""
    module = fo._core.__file__
    found = subprocess.run(["nm", "-D", "--defined-only", module], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in found.splitlines()] == ["PyInit__core"]
