"""The compiled module is built with what limits the damage of a bug: readelf tells."""

import re
import shutil
import subprocess
from itertools import islice

import pytest

import fusedoptim as fo


@pytest.fixture(scope="module")
def elf() -> str:
    if not shutil.which("readelf"):
        pytest.skip("readelf is not installed")
    command = ["readelf", "--wide", "--segments", "--dynamic", "--dyn-syms", "--notes", fo._core.__file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Program Headers" not in done.stdout:
        pytest.skip("not an ELF file")
    return done.stdout


def test_relocations_are_read_only(elf: str) -> None:
    assert re.search(r"^ +GNU_RELRO ", elf, re.MULTILINE)
    assert re.search(r"\(FLAGS(_1)?\).*\b(BIND_)?NOW\b", elf)  # all symbols are bound at load
    assert "TEXTREL" not in elf


def test_no_memory_is_writable_and_executable(elf: str) -> None:
    segments = re.findall(r"^ +(LOAD|GNU_STACK) +(?:0x\w+ +){5}([RWE ]{3}) ", elf, re.MULTILINE)
    assert {"LOAD", "GNU_STACK"} == {kind for kind, _ in segments}, "readelf was misread"
    assert not [segment for segment in segments if "W" in segment[1] and "E" in segment[1]]
    assert ("GNU_STACK", "RW ") in segments


def test_the_stack_is_guarded(elf: str) -> None:
    assert "__stack_chk_fail" in elf


def test_targets_of_jumps_are_marked(elf: str) -> None:
    """A CPU that checks indirect jumps takes no others. The note that turns the check on needs a C library with marks."""
    if not shutil.which("objdump"):
        pytest.skip("objdump is not installed")
    (start,) = re.findall(r"([0-9a-f]+) +\d+ FUNC .* PyInit__core$", elf, re.MULTILINE)
    command = ["objdump", "--disassemble", "--no-show-raw-insn", f"--start-address=0x{start}", fo._core.__file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        listing = "".join(islice(process.stdout or (), 16))  # the beginning of it: all would take seconds
        process.kill()
    assert re.search(r":\t(endbr64|bti|paciasp)", listing)


def test_one_symbol_is_to_be_called(elf: str) -> None:
    """What is visible can be replaced from outside; data of pybind11's types is, and one function of the standard library."""
    functions = re.findall(r"FUNC +GLOBAL +DEFAULT +\d+ (\S+)$", elf, re.MULTILINE)
    assert [name for name in functions if "St9once_flag" not in name] == ["PyInit__core"]


def test_libraries_are_those_of_the_system_or_the_wheel(elf: str) -> None:
    """None is looked for where somebody else may put one."""
    for path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", elf):
        assert path.startswith("$ORIGIN/"), path
