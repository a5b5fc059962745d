"""Who does which share, and when, changes no bit: threads that come late, in a program of a few rules without Python."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .. import ROOT, TESTS

SOURCES = ROOT / "csrc"
RULES = ("adafactor", "adam", "lamb", "rowwise_adam")  # with passes over lines, with none, of a tensor and of rows
FLAGS = ("-std=c++17", "-O1", "-fno-math-errno", "-ffp-contract=off", "-pthread", "-Wno-psabi")
COMMON = ("crowd.cpp", "cut.cpp", "elementary.cpp", "isa.cpp", "pool.cpp", "shares.cpp", "threads.cpp")

# One instruction set is enough; the others are there, without rules.
OTHERS = """
#include "table.hpp"
#define EMPTY(isa) namespace fusedoptim::isa { extern const Table table; const Table table = {#isa, nullptr, 0, {}}; }
EMPTY(avx2)
EMPTY(avx512)
"""


def compiled(folder: Path, name: str, source: Path, *flags: str) -> Path:
    command = ["g++", *FLAGS, *flags, "-I", SOURCES, "-I", folder, "-c", source, "-o", folder / f"{name}.o"]
    subprocess.run(command, check=True)
    return folder / f"{name}.o"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What prints digests, with threads as they are and with late ones."""
    if not shutil.which("g++") or not SOURCES.exists():
        pytest.skip("g++ is not installed, or the source tree is not here")
    folder = tmp_path_factory.mktemp("late")
    (folder / "units.hpp").write_text(f"#define FUSEDOPTIM_UNITS(EACH) {' '.join(f'EACH({rule})' for rule in RULES)}\n")
    template = (SOURCES / "kernel" / "unit.cpp.in").read_text()
    for rule in RULES:
        structs = re.findall(r"^struct (\w+)", (SOURCES / "rules" / f"{rule}.hpp").read_text(), re.MULTILINE)
        unit = template.replace("@name@", rule).replace("@structs@", ", ".join(structs))
        (folder / f"{rule}.cpp").write_text(unit)
    (folder / "others.cpp").write_text(OTHERS)
    kernel = ("-DFUSEDOPTIM_ISA=baseline", "-DFUSEDOPTIM_SIGNATURES", "-fopenmp-simd", "-Wno-unknown-pragmas")
    late = ("-include", str(TESTS / "late.hpp"))
    jobs = [
        *((rule, folder / f"{rule}.cpp", *kernel) for rule in RULES),
        *((name, SOURCES / "kernel" / f"{name}.cpp", *kernel) for name in ("drive", "helpers")),
        *((name, SOURCES / name) for name in COMMON),
        ("others", folder / "others.cpp"),
        ("digests", TESTS / "digests.cpp"),
        ("run", SOURCES / "run.cpp"),
        ("late", SOURCES / "run.cpp", *late),
    ]
    with ThreadPoolExecutor(2) as pool:
        *objects, run, late_run = pool.map(lambda job: compiled(folder, *job), jobs)
    for name, last in (("plain", run), ("with_late", late_run)):
        subprocess.run(["g++", "-pthread", *objects, last, "-o", folder / name], check=True)
    return folder / "plain", folder / "with_late"


def printed(program: Path, threads: int) -> list[str]:
    return subprocess.run([program, "baseline", str(threads)], check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )


def test_threads_that_come_late(programs: tuple[Path, Path]) -> None:
    plain, late = programs
    wanted = printed(plain, 1)
    assert {line.split()[0] for line in wanted if line} >= set(RULES)
    for threads in (2, 3):
        assert printed(plain, threads) == wanted
        assert printed(late, threads) == wanted
