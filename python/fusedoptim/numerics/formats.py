"""Numbers in fewer bits than a step computes in, in NumPy's integers: what the kernels load and store, to the bit.

A *stored* array is a bfloat16 or float16 one, or a pair: a bfloat16 weight and the int16 rest that makes it an exact
float32, or the codes of a state and the scale of each block of 256.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
BLOCK = 256
_NAN, _INFINITY = np.uint32(0x7FC00000), np.uint32(0x7F800000)
_MANTISSA, _CUT = 3, 20  # bits of a code, and those of a float32 below them

Bits = NDArray[np.uint32]
Numbers = NDArray[np.float32]
Random = tuple[int, int, int]  # what random bits are of: a seed, the step, and the number of the tensor


def bfloat16(array: NDArray[Any]) -> NDArray[Any]:
    """The same memory as bfloat16, which NumPy itself does not have.

    An array of the package ml_dtypes says by itself that it is one, and need not come through here.

    Parameters
    ----------
    array : array of 16 bits a number
        As ``tensor.view(torch.uint16).numpy()``, of a tensor of torch.

    Returns
    -------
    array
        A view, with a field ``"bfloat16"`` that has the 16 bits: the upper half of a float32.

    Raises
    ------
    TypeError
        where it has numbers of another size.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = fo.bfloat16(np.array([0x3F80, 0xC040], np.uint16))  # 1 and -3
    >>> fo.kernels.sgd(w, fo.bfloat16(np.array([0x3F80, 0x3F80], np.uint16)), lr=0.5)
    >>> [hex(number) for number in w["bfloat16"]]  # 0.5 and -3.5
    ['0x3f00', '0xc060']
    """
    if getattr(getattr(array, "dtype", None), "itemsize", 0) != 2:
        raise TypeError(
            f"array must be an array of 16 bits a number, got {getattr(array, 'dtype', type(array).__name__)}"
        )
    return array.view(BFLOAT16)


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """Whether it is ours, or that of the package ml_dtypes."""
    return dtype == BFLOAT16 or dtype.name == "bfloat16"


def dtype_name(dtype: np.dtype[Any]) -> str:
    return "bfloat16" if is_bfloat16(dtype) else str(dtype)


# -- random bits ---------------------------------------------------------------------------------------------------


def _mixed(z: int) -> int:
    """SplitMix64: Steele, Lea & Flood 2014."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def random_bits(n: int, seed: int, t: int, tensor: int, word: int = 0, first: int = 0) -> Bits:
    """32 bits for each of n elements of a tensor at step t, from element `first` on: the same whoever asks, and when."""
    golden = 0x9E3779B97F4A7C15
    z = _mixed((_mixed((_mixed((seed + golden) % 2**64) + golden * t) % 2**64) + golden * (tensor + 1)) % 2**64)
    x = np.arange(first, first + n, dtype=np.uint64).astype(np.uint32) ^ np.uint32(z % 2**32)
    x ^= x >> 16
    x *= np.uint32(0x21F0AAAD)
    x ^= np.uint32(((z >> 32) + word) % 2**32)
    x ^= x >> 15
    x *= np.uint32(0xD35A2D97)
    return np.asarray(x ^ x >> 15)


def sixteen(place: int, n: int, random: Random) -> Bits:
    """The bits that an array is stored with: 0 is the weight, 1 the first state, and so on. Three share a word."""
    shift = np.uint32((16, 0, 8)[place % 3])
    return random_bits(n, *random, word=place // 3) >> shift & np.uint32(0xFFFF)


# -- 16 bits -------------------------------------------------------------------------------------------------------


def load_bfloat16(h: NDArray[Any]) -> Numbers:
    return np.asarray(h.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def to_bfloat16(x: Numbers, random: Bits | None = None) -> NDArray[np.uint16]:
    """To nearest, ties to even; or up with the probability of what is cut off."""
    u = x.view(np.uint32)
    added = 0x7FFF + (u >> 16 & 1) if random is None else random
    return np.asarray(np.where(np.isnan(x), _NAN, u + added) >> 16, np.uint16)


def to_float16(x: Numbers, random: Bits | None = None) -> NDArray[np.uint16]:
    if random is None:
        with np.errstate(over="ignore"):
            nearest = x.astype(np.float16).view(np.uint16)
        return np.asarray(np.where(np.isnan(x), x.view(np.uint32) >> 16 & 0x8000 | 0x7E00, nearest), np.uint16)
    u = x.view(np.uint32)
    a = u & 0x7FFFFFFF
    units = np.where(a < 0x38800000, a, 0).view(np.float32) * np.float32(2**24)  # of the smallest half
    tiny = (units + (random >> 3).astype(np.float32) * np.float32(2**-13)).astype(np.int32)
    half = np.where(a < 0x38800000, tiny, a - 0x38000000 + (random >> 3) >> 13)
    half = np.where(a > _INFINITY, 0x7E00, np.where(a >= 0x47800000, 0x7C00, half))
    return np.asarray(u >> 16 & 0x8000 | half, np.uint16)


def load_split(high: NDArray[Any], low: NDArray[np.int16]) -> Numbers:
    return np.asarray((high.view(np.uint16).astype(np.uint32) << 16) + low.astype(np.uint32)).view(np.float32)


def to_split(x: Numbers) -> tuple[NDArray[np.uint16], NDArray[np.int16]]:
    """Ties away from zero: between two even ones the rest could not tell."""
    u = np.where(np.isnan(x), _NAN, x.view(np.uint32))
    return np.asarray(u + 0x8000 >> 16, np.uint16), np.asarray(u & 0xFFFF, np.uint16).view(np.int16)


# -- 8 bits --------------------------------------------------------------------------------------------------------


def _in_blocks(x: NDArray[Any]) -> NDArray[Any]:
    padded = np.zeros(-(-x.size // BLOCK) * BLOCK, x.dtype)
    padded[: x.size] = x.ravel()
    return padded.reshape(-1, BLOCK)


def to_codes(x: Numbers, exponent: int, random: Bits | None = None) -> tuple[NDArray[np.uint8], Numbers]:
    """Codes with 3 bits of mantissa and so many of exponent, and a power of two for each block. With 4 they have a sign."""
    u = _in_blocks(x).view(np.uint32)
    a = u & 0x7FFFFFFF
    most = a.max(axis=1, keepdims=True, initial=0)
    top = np.where(most >= _INFINITY, 255, np.maximum(most + 2**_CUT - 1 >> 23, 2**exponent))
    base = top - (2**exponent - 1) << 23
    up = 2 ** (_CUT - 1) - 1 + (a >> _CUT & 1) if random is None else _in_blocks(random) << _CUT - 16
    least = (a != 0) * (exponent == 5)  # what divides never becomes 0
    code = np.clip((a + up - base).view(np.int32) >> _CUT, least, 2 ** (exponent + _MANTISSA) - 1)
    code = np.where(top == 255, 0, code | ((u >> 31 << 7) * (exponent == 4)).astype(np.int32))
    scale = np.where(top == 255, _NAN, top << 23).astype(np.uint32).view(np.float32).ravel()
    quarters = code.astype(np.uint8).reshape(-1, 4, BLOCK // 4)  # byte 4 j + k is element j + 64 k
    return quarters.transpose(0, 2, 1).ravel(), scale


def load_codes(codes: NDArray[np.uint8], scale: Numbers, exponent: int) -> Numbers:
    """All numbers of the blocks, also those that only fill the last."""
    byte = codes.reshape(-1, BLOCK // 4, 4).transpose(0, 2, 1).reshape(-1, BLOCK).astype(np.uint32)
    code, sign = (byte & 0x7F, byte >> 7 << 31) if exponent == 4 else (byte, byte * 0)
    top = scale.view(np.uint32)[:, None]
    value = np.where(code == 0, 0, (code << _CUT) + ((top >> 23) - (2**exponent - 1) << 23) | sign)
    return np.where(top >= _INFINITY, _NAN, value).astype(np.uint32).view(np.float32).ravel()


# -- stored arrays -------------------------------------------------------------------------------------------------


def is_stored(array: Any) -> bool:
    return isinstance(array, tuple) or array.dtype == np.float16 or is_bfloat16(array.dtype)


def load(stored: Any, exponent: int = 4, like: NDArray[Any] | None = None) -> Numbers:
    """The float32 that a stored array means; that of codes, with so many bits of exponent, in the shape of another array."""
    if not isinstance(stored, tuple):
        return load_bfloat16(stored) if is_bfloat16(stored.dtype) else stored.astype(np.float32)
    first, second = stored
    if first.dtype != np.uint8:
        return load_split(first, second)
    assert like is not None
    return load_codes(first, second, exponent)[: like.size].reshape(like.shape)


def store(stored: Any, x: Numbers, exponent: int = 4, random: Bits | None = None) -> None:
    """Writes float32 into a stored array: 16 bits by `random` where it is given, 8 where they have no sign."""
    random = None if random is None else random.reshape(x.shape)
    if not isinstance(stored, tuple):
        stored.view(np.uint16)[...] = (to_bfloat16 if is_bfloat16(stored.dtype) else to_float16)(x, random)
        return
    first, second = stored
    if first.dtype == np.uint8:
        first[...], second[...] = to_codes(x, exponent, random if exponent == 5 else None)
    else:
        first.view(np.uint16)[...], second[...] = to_split(x)


@contextmanager
def loaded(arrays: Sequence[Any], exponents: Sequence[int | None], random: Random | None) -> Iterator[list[Any]]:
    """Arrays (w, g, state…) as what they mean, which are stored at the end; of each state the bits of its exponent."""
    numbers: list[Any] = []
    for array, exponent in zip(arrays, exponents, strict=False):
        like = numbers[0] if numbers else None
        numbers.append(load(array, exponent or 4, like).copy() if is_stored(array) else array)
    yield numbers
    for k, (array, exponent) in enumerate(zip(arrays, exponents, strict=False)):
        if k != 1 and is_stored(array):  # the gradient is only read
            bits = None if random is None else sixteen(max(k - 1, 0), numbers[k].size, random)
            store(array, numbers[k], exponent or 4, bits)
