"""Code for a wide instruction set shares no symbol with the rest.

Of a weak symbol that is in several object files the linker keeps any one; if that is the one compiled for AVX-512, every
other CPU stops at an illegal instruction.
"""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1]
CMAKE = SOURCE / "CMakeLists.txt"


def kernel_flags() -> dict[str, list[str]]:
    """The flags of each instruction set, from the build file."""
    text = re.sub(r"#.*", "", CMAKE.read_text())
    common = re.search(r"target_compile_options\(\s*kernels_\$\{isa\}\s+PRIVATE\s+(.*?)\$\{ARGN\}", text, re.DOTALL)
    assert common
    added = re.findall(r"^\s*add_kernels\(\s*(\w+)([^)]*)\)", text, re.MULTILINE)
    return {isa: [*common[1].split(), *flags.split()] for isa, flags in added}


def test_flags() -> None:
    if not CMAKE.exists():
        pytest.skip("the source tree is not here")
    flags = kernel_flags()
    assert {"baseline", "avx2", "avx512"} <= set(flags)
    for own in flags.values():
        assert {"-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"} <= set(own)
        assert not {"-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-fassociative-math"} & set(own)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The kernels compiled for each instruction set, side by side: each takes its time."""
    for tool in ("g++", "nm"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    if not CMAKE.exists():
        pytest.skip("the source tree is not here")
    machine = subprocess.run(["g++", "-dumpmachine"], capture_output=True, text=True, check=True).stdout
    folder = tmp_path_factory.mktemp("kernels")

    def compiled(level: str) -> Path:
        output = folder / f"{level}.o"
        command = ["g++", "-std=c++17", "-fPIC", "-fvisibility=hidden", f"-DFUSEDOPTIM_ISA={level}"]
        source = SOURCE / "csrc" / "kernels.cpp"
        subprocess.run([*command, *kernel_flags()[level], "-c", source, "-o", output], check=True)
        return output

    levels = ["baseline", "avx2", "avx512"] if machine.startswith("x86_64") else ["baseline"]
    with ThreadPoolExecutor() as pool:
        return dict(zip(levels, pool.map(compiled, levels), strict=True))


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_no_weak_symbol(level: str, objects: dict[str, Path]) -> None:
    if level not in objects:
        pytest.skip(f"{level} is not an instruction set of this machine")
    listing = subprocess.run(["nm", "-C", objects[level]], capture_output=True, text=True, check=True).stdout
    symbols = [(kind, name) for kind, name in re.findall(r"^[0-9a-f ]{16} (\w) (.*)$", listing, re.MULTILINE)]
    assert any(name == f"fusedoptim::table_{level}" for _, name in symbols), "nm was misread"
    assert not [symbol for symbol in symbols if symbol[0] in "WwVvu"]
    assert [name for kind, name in symbols if kind.isupper() and kind != "U"] == [f"fusedoptim::table_{level}"]
