"""The numbers that arrays begin with: a block of them, repeated.

So the reference has to compute one block alone, whatever the size.
"""

from collections.abc import Callable, Iterator

from fusedoptim.reference import Array

BLOCK = 65521  # a prime, so that no stride of a kernel falls in step with it


def fill(block: Array, *arrays: Array) -> None:
    for part, values in _parts(block, arrays):
        part[...] = values


def holds(block: Array, *arrays: Array, same: Callable[[Array, Array], bool]) -> bool:
    """Whether the arrays consist of repetitions of the block."""
    return all(same(part, values) for part, values in _parts(block, arrays))


def _parts(block: Array, arrays: tuple[Array, ...]) -> Iterator[tuple[Array, Array]]:
    """All arrays part by part, each with what is there if the block is repeated."""
    block = block.reshape(-1)
    for array in arrays:
        flat = array.reshape(-1)
        for start in range(0, flat.size, block.size):
            part = flat[start : start + block.size]
            yield part, block[: part.size]
