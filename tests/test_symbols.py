"""Code for a wide instruction set shares no symbol with the rest.

Of a weak symbol that is in several object files the linker keeps any one; if that is the one compiled for AVX-512, every
other CPU stops at an illegal instruction.
"""

import re
import shutil
import subprocess
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


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_no_weak_symbol(level: str, tmp_path: Path) -> None:
    for tool in ("g++", "nm"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    if not CMAKE.exists():
        pytest.skip("the source tree is not here")
    machine = subprocess.run(["g++", "-dumpmachine"], capture_output=True, text=True, check=True).stdout
    if level != "baseline" and not machine.startswith("x86_64"):
        pytest.skip(f"{level} is not an instruction set of {machine.strip()}")
    output = tmp_path / "kernels.o"
    command = ["g++", "-std=c++17", "-fPIC", "-fvisibility=hidden", f"-DFUSEDOPTIM_ISA={level}", *kernel_flags()[level]]
    subprocess.run([*command, "-c", SOURCE / "csrc" / "kernels.cpp", "-o", output], check=True)
    listing = subprocess.run(["nm", "-C", output], capture_output=True, text=True, check=True).stdout
    symbols = [(kind, name) for kind, name in re.findall(r"^[0-9a-f ]{16} (\w) (.*)$", listing, re.MULTILINE)]
    assert any(name == f"fusedoptim::table_{level}" for _, name in symbols), "nm was misread"
    assert not [symbol for symbol in symbols if symbol[0] in "WwVvu"]
    assert [name for kind, name in symbols if kind.isupper() and kind != "U"] == [f"fusedoptim::table_{level}"]
