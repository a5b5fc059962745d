"""Reading a safetensors file by read(), not by mapping it: one that is cut off meanwhile is an error then, not a signal.

The package safetensors can do so from 0.8 on. Here an older one will do, for nothing is asked of it.
"""

import json
import math
import os
from collections.abc import Mapping
from io import BufferedReader
from typing import Any, NoReturn

import numpy as np

from fusedoptim.core.storage import Array, Dtype, alike, bits
from fusedoptim.numerics.formats import BFLOAT16, dtype_name
from fusedoptim.saved.convert import ALSO

Like = tuple[tuple[int, ...], Dtype]  # the shape and dtype of an array
DTYPES: dict[str, Dtype] = {
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "BF16": BFLOAT16,
    "F16": np.dtype(np.float16),
    "I16": np.dtype(np.int16),
    "U8": np.dtype(np.uint8),
}
METADATA = "__metadata__"


def read_header(file: BufferedReader, longest: int) -> tuple[dict[str, str], dict[str, Any]]:
    """The metadata, and what is told of each tensor. One that is too long is not parsed: it takes 30 times its size of memory."""
    size = int.from_bytes(file.read(8), "little")
    if size > longest:
        raise ValueError(f"its header of {size} bytes is too long to be of this optimizer")
    try:
        header = json.loads(file.read(size).decode(), object_pairs_hook=unique)
    except (RecursionError, ValueError) as error:
        _broken(f"its header cannot be read, {error}")
    if not isinstance(header, dict):
        _broken("its header is no JSON object")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _broken(f"its {METADATA} is not of strings")
    return metadata, header


def check_places(file: BufferedReader, stored: Mapping[str, Any], likes: Mapping[str, Like]) -> list[str]:
    """The names in the order of a file that has arrays of these shapes and dtypes, one after the other, and nothing else."""
    for name, (own_shape, own_dtype) in likes.items():
        entry = stored[name]
        if not isinstance(entry, dict) or not entry.keys() >= {"dtype", "shape", "data_offsets"}:
            _broken(f"{name} has no dtype, shape and data_offsets")
        dtype, shape = DTYPES.get(entry["dtype"], entry["dtype"]), tuple(entry["shape"])
        is_alike = isinstance(dtype, np.dtype) and alike(dtype, own_dtype)
        if shape != own_shape or not is_alike:
            also = "" if is_alike else ALSO
            given = dtype_name(dtype) if isinstance(dtype, np.dtype) else dtype
            words = f"{dtype_name(own_dtype)} of shape {own_shape}, got {given} of {shape}"
            raise ValueError(f"{name} must be {words}{also}")
    begin, end = file.tell(), 0
    order = sorted(likes, key=lambda name: stored[name]["data_offsets"])
    for name in order:
        shape, dtype = likes[name]
        start, end = end, end + math.prod(shape) * dtype.itemsize
        if stored[name]["data_offsets"] != [start, end]:
            _broken(f"{name} must be at {[start, end]}, got {stored[name]['data_offsets']}")
    if os.fstat(file.fileno()).st_size != begin + end:
        _broken(f"it must have {begin + end} bytes")
    return order


def read_arrays(file: BufferedReader, stored: Mapping[str, Any], likes: Mapping[str, Like]) -> dict[str, Array]:
    """The arrays of such a file."""
    arrays = {name: np.empty(*likes[name]) for name in check_places(file, stored, likes)}
    for name, array in arrays.items():
        read_into(file, array, name)
    return arrays


def read_into(file: BufferedReader, array: Array, name: str) -> None:
    if file.readinto(bits(array).data) != array.nbytes:
        _broken(f"it ends within {name}")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What an object of JSON becomes."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice in it")
    return found


def _broken(why: str) -> NoReturn:
    raise ValueError(f"it is not a whole safetensors file: {why}")
