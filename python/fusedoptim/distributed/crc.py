"""The CRC-32 of what lies one after the other, from those of the parts: as zlib's crc32_combine, which Python does not show.

A byte of zeros that is appended multiplies the remainder by x^8; a matrix of bits does that for any power of two of them.
"""

from functools import cache

POLYNOMIAL = 0xEDB88320


def combined(first: int, second: int, length_of_second: int) -> int:
    """Of two parts."""
    for k in range(length_of_second.bit_length()):
        if length_of_second >> k & 1:
            first = _times(_appends(k), first)
    return first ^ second


@cache
def _appends(k: int) -> tuple[int, ...]:
    """What 2^k bytes of zeros do to each bit."""
    if k > 0:
        half = _appends(k - 1)
        return tuple(_times(half, column) for column in half)
    bit = (POLYNOMIAL, *(1 << n for n in range(31)))
    for _ in range(3):  # squared three times, eight bits
        bit = tuple(_times(bit, column) for column in bit)
    return bit


def _times(matrix: tuple[int, ...], vector: int) -> int:
    total = 0
    for column in matrix:
        if vector & 1:
            total ^= column
        vector >>= 1
    return total
