"""A guard without noise: the instructions of each kernel for one element, compared with those in instructions.json.

For AVX2, callgrind counts what runs (it knows no AVX-512); for AVX-512, the instructions of the vector loops are
counted in the disassembly. A kernel that needs more than before is slower, whatever the machine does at the time.
"""

import json
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
RECORD = HERE / "instructions.json"
BUILD = HERE.parent / "build" / "instructions"
NEEDED = ("cmake", "ninja", "c++", "valgrind", "objdump", "c++filt")
N = 2**16  # elements; counted with twice as many too, so that all cancels that is not for each element
FLOATS = 16  # in a full vector
SLACK = 0.002  # of what callgrind counts, and of one instruction at least: the loops around the loop, and the start


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def build() -> str:
    """Builds the kernels with the flags of the package, and tells with what."""
    pybind11 = run(sys.executable, "-m", "pybind11", "--cmakedir").strip()
    options = [f"-Dpybind11_DIR={pybind11}", f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
    shutil.rmtree(BUILD / "CMakeFiles", ignore_errors=True)  # with the objects of files that are no more
    run("cmake", "-G", "Ninja", "-S", HERE.parent, "-B", BUILD, *options)
    run("cmake", "--build", BUILD, "--target", "count", "kernels_avx512")
    (found,) = BUILD.glob("CMakeFiles/*/CMakeCXXCompiler.cmake")
    values = [re.search(f'CMAKE_CXX_COMPILER_{key} "(.+?)"', found.read_text()) for key in ("ID", "VERSION")]
    return " ".join(value[1] for value in values if value)


def executed() -> Iterator[tuple[str, float]]:
    """What callgrind counts for a kernel of the AVX2 path."""
    count = BUILD / "count"
    for kernel in run(count).split():
        once, twice = (
            int(re.findall(r"Collected : (\d+)", run(*callgrind, count, kernel, str(n)))[0])
            for callgrind in [("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")]
            for n in (N, 2 * N)
        )
        yield kernel, round((twice - once) / N, 3)


def disassembled() -> dict[str, float]:
    """The instructions an element in the innermost vector loops of each float32 function of the AVX-512 path.

    Those of all forms of a function are added up.
    """
    counts: dict[str, float] = {}
    functions = "loop|measure|pass|prepare|finish|square_sum|add_slots"
    for object_file in sorted((BUILD / "CMakeFiles" / "kernels_avx512.dir").rglob("*.o")):
        text = run("objdump", "--disassemble", "--demangle", "--no-show-raw-insn", object_file)
        for symbol, body in re.findall(r"^\w+ <(.+)>:\n((?:.+\n)*)", text, re.MULTILINE):
            what = re.match(
                rf".* \(anonymous namespace\)::({functions})<float\b(?:, \(anonymous namespace\)::(\w+))?", symbol
            )
            if what and (what[2] or what[1] not in ("measure", "pass")):  # the driver's of these names have no loop
                name = " ".join(filter(None, what.groups()))
                counts[name] = round(counts.get(name, 0) + sum(vector_loops(body)), 4)
    return counts


def vector_loops(body: str) -> Iterator[float]:
    """Instructions an element of each innermost loop over full vectors."""
    lines = [re.match(r"\s*(\w+):\t(\S+)\s*(.*)", line) for line in body.splitlines()]
    code = [(int(line[1], 16), line[2], line[3]) for line in lines if line]
    begin = 0
    for k, (address, operation, operands) in enumerate(code):
        target = re.match(r"([0-9a-f]+) <", operands) if operation.startswith("j") else None
        if target is None or int(target[1], 16) > address:
            continue
        loop = [each for each in code[: k + 1] if each[0] >= int(target[1], 16)]
        if int(target[1], 16) < begin or not any("%zmm" in args for _, _, args in loop):
            continue
        begin = address  # a loop around this one is none
        places: dict[str, set[str]] = {}  # of one array, more than one in a loop that is unrolled
        for _, _, args in loop:
            for offset, array in re.findall(r"(-?\w*)\((%[^)]+)\)", args):
                places.setdefault(array, set()).add(offset)
        yield len(loop) / FLOATS / max(map(len, places.values()))


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a kernel needs more than recorded")
    parser.add_argument("--write", action="store_true", help="record what was counted")
    args = parser.parse_args()
    if absent := [tool for tool in NEEDED if shutil.which(tool) is None]:
        print(f"instructions are not counted: no {', '.join(absent)} here")
        return 0 if args.check else 1
    compiler = build()
    counted = {"avx2, executed": dict(executed()), "avx512, disassembled": disassembled()}
    loops = counted["avx512, disassembled"]
    del loops["loop TrafficRead"]  # which has nothing to do
    if scalar := [loop for loop, count in loops.items() if count == 0]:
        print(f"not in vectors: {', '.join(scalar)}")
        return 1
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if args.write:
        RECORD.write_text(json.dumps(record | {compiler: counted}, indent=1) + "\n")
        print(f"recorded for {compiler}")
    elif compiler not in record:
        print(f"nothing is recorded for {compiler}, only for {', '.join(record)}")
    elif args.check:
        return compare(record[compiler], counted)
    else:
        print(json.dumps(counted, indent=1))
    return 0


def compare(record: dict[str, dict[str, float]], counted: dict[str, dict[str, float]]) -> int:
    slower = faster = 0
    for path, slack in zip(counted, (SLACK, 0), strict=True):
        for kernel in record[path].keys() | counted[path].keys():
            before, now = record[path].get(kernel), counted[path].get(kernel)
            if before is None or now is None or abs(now - before) > slack * max(before, 1):
                print(f"{path}: {kernel} needs {now} instructions an element, recorded are {before}")
                slower += before is None or now is None or now > before
                faster += before is not None and now is not None and now < before
    if slower + faster == 0:
        print("every kernel needs the instructions that are recorded")
    else:
        print("if that is meant: python bench/instructions.py --write")
    return int(slower > 0)


if __name__ == "__main__":
    raise SystemExit(main())
