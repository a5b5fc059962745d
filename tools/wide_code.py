"""Looks for code of a wide instruction set outside of the objects that are compiled for it: wide_code.py <link map>.

The map is the linker's, of the compiled module as it is installed: -Wl,-Map=<file>. It tells from which object each
piece of the code is, which after inlining and link-time optimisation no name does. What runs at import (.init_array) is
code outside of those objects, or the check fails too.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fusedoptim._core

# Encoded with VEX or EVEX, which a CPU without AVX does not know.
WIDE_NAMES = re.compile(
    r"(v[a-z]\w*|k[a-z]+[bwdq]|(andn|bextr|blsi|blsmsk|blsr|bzhi|mulx|pdep|pext|rorx|s[ah][rl]x)[lq]?) "
)
WIDE = ("kernels_avx2.dir", "kernels_avx512.dir")


def wide_ranges(link_map: str) -> list[range]:
    """The addresses that the linker gave to the code of those objects."""
    piece = r"^ \.text\S*\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+)$"
    found = [(int(begin, 16), int(size, 16), name) for begin, size, name in re.findall(piece, link_map, re.MULTILINE)]
    return [range(begin, begin + size) for begin, size, name in found if size and any(wide in name for wide in WIDE)]


def wide_instructions(module: Path) -> Iterator[tuple[int, str]]:
    """Where they are, and what."""
    listing = subprocess.run(
        ["objdump", "--disassemble", "--no-show-raw-insn", module], capture_output=True, text=True, check=True
    ).stdout
    for line in listing.splitlines():
        address, _, text = line.partition(":\t")
        if WIDE_NAMES.match(text):
            yield int(address, 16), text.strip()


def initialisers(module: Path) -> list[int]:
    """The addresses that .init_array has, from its relocations."""
    listing = subprocess.run(["readelf", "-W", "-S", "-r", module], capture_output=True, text=True, check=True).stdout
    section = re.search(r"\.init_array\s+INIT_ARRAY\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", listing)
    if section is None:
        return []
    begin, size = (int(number, 16) for number in section.groups())
    relative = re.findall(r"^([0-9a-f]+)\s+[0-9a-f]+ R_\w+_RELATIVE\s+([0-9a-f]+)$", listing, re.MULTILINE)
    return [int(to, 16) for at, to in relative if begin <= int(at, 16) < begin + size]


def main() -> int:
    module = Path(fusedoptim._core.__file__)
    ranges = wide_ranges(Path(sys.argv[1]).read_text())

    def is_chosen(address: int) -> bool:
        return any(address in part for part in ranges)

    wide = list(wide_instructions(module))
    outside = [each for each in wide if not is_chosen(each[0])]
    first = initialisers(module)
    misplaced = [address for address in first if is_chosen(address)]
    print(f"{len(wide)} wide instructions in {len(ranges)} pieces of code, {len(first)} initialisers")
    if len(wide) < 1000 or not first:
        print("the map, the listing or the sections were misread")
        return 1
    for address, text in outside:
        print(f"{address:x}: {text}")
    for address in misplaced:
        print(f"{address:x}: runs at import")
    return int(bool(outside or misplaced))


if __name__ == "__main__":
    raise SystemExit(main())
