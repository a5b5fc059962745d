"""What a hundred steps of every rule come to, as digests: the bits that docs/determinism.md promises.

``python -m tests.digests`` adds those that digests.json lacks. ``--replace`` makes all of them anew, which breaks the promise
to every run that was begun before.
"""

import hashlib
import inspect
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import fusedoptim as fo
from fusedoptim.numerics import formats

from .bits import flushed
from .cases import CASES, DTYPES

FILE = Path(__file__).with_name("digests.json")
STEPS = 100

OMITTED = {"muon": "its matrix products are those of NumPy's BLAS"}

# The keywords of the optimizer, and those of each step.
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "clip_norm, maximize, grad_scale": ({"clip_norm": 0.5, "maximize": True}, {"grad_scale": 3.0}),
    "accumulate, ema, zero_grads": ({"accumulate": 3, "ema": 0.9}, {"zero_grads": True}),
    "weight_decay, clip_value": ({"weight_decay": 0.1, "clip_value": 0.25}, {}),
    "no bias_correction": ({"bias_correction": False}, {}),
    "many elements": ({"clip_norm": 0.5}, {}),
    "rows of a table": ({}, {}),
    "bfloat16 split": ({}, {}),
    "bfloat16 at random": ({"rounding": "stochastic", "state_dtype": "bfloat16", "seed": 3}, {}),
    "float16": ({"accumulate": 3, "ema": 0.9}, {}),
    "states of 8 bits": ({"state_dtype": "float8"}, {}),
}

SHAPES = [(7, 5, 3), (67,), (33, 31), ()]  # vectors of all widths, and what remains
MANY = [(181, 182), (129,)]  # above the size from which threads share a step
TABLE = [(31, 5)]
OF_MANY = {"adam", "lamb", "adafactor", "window_sgd", "rowwise_adam"}  # an element, norms, a matrix, a ring, rows


def rules() -> list[str]:
    return sorted(fo.Optimizer.registry.keys() - OMITTED.keys())


def options(rule: str, dtype: type) -> Iterator[str]:
    """Those that the optimizer takes."""
    takes = inspect.signature(make_of(rule)[0]).parameters.keys() | fo.Common.__annotations__.keys()
    narrow = fo._core.narrow_states if dtype is np.float32 else {}
    with_states = [name for name, states in narrow.items() if states]
    only = {"many elements": OF_MANY, "rows of a table": fo._core.rules_of_rows, "states of 8 bits": with_states}
    only |= {"bfloat16 split": narrow, "bfloat16 at random": with_states, "float16": narrow}
    for name, (keywords, _) in OPTIONS.items():
        if keywords.keys() <= takes and rule in only.get(name, [rule]):
            yield name


def make_of(rule: str) -> tuple[type[fo.Optimizer], dict[str, Any]]:
    """What makes an optimizer use a rule: what a row of the table says, or its own optimizer with the defaults.

    A row says it too where the defaults would leave out some of the powers, exponentials and logarithms.
    """
    rows = [case for case in CASES if case.digest is not None and case.rule == rule]
    return next(((row.stand_in or row.optimizer, row.digest) for row in rows), (fo.Optimizer.registry[rule], {}))


def digest(rule: str, dtype: type, option: str, num_threads: int = 1) -> str:
    """Of weights and states after the last step."""
    make, own = make_of(rule)
    keywords, step = OPTIONS[option]
    shapes = {"many elements": MANY, "rows of a table": TABLE}.get(option, SHAPES)
    half = HALVES.get(option, np.copy)
    weights = [half(w) for w in copies(0, dtype, shapes)]
    optimizer = make(weights, **own | keywords, num_threads=num_threads)
    assert optimizer.rule == rule
    for t in range(1, STEPS + 1):
        grads = row_grads(t, dtype) if shapes is TABLE else [half(g) for g in copies(t, dtype, shapes)]
        optimizer.step(grads, **step)
    found = hashlib.sha256()
    for nest in (weights, *(optimizer.state[name] for name in sorted(optimizer.state))):
        for array in nest:
            found.update(canonical(array))
    return found.hexdigest()


def to_bfloat16(x: np.ndarray) -> np.ndarray:
    return formats.bfloat16(formats.to_bfloat16(x))


def to_float16(x: np.ndarray) -> np.ndarray:
    return np.array(x, np.float16)


# What weights and gradients are.
HALVES = {"bfloat16 split": to_bfloat16, "bfloat16 at random": to_bfloat16, "float16": to_float16}


def copies(seed: int, dtype: type, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """To be written to."""
    return [array.copy() for array in numbers(seed, dtype, *shapes)]


def row_grads(t: int, dtype: type) -> list[fo.RowGrad]:
    """Of eight rows, some of them twice."""
    rows = 5 * ((t + np.arange(8) ** 2) % 6)
    (values,) = numbers(t, dtype, (len(rows), *TABLE[0][1:]))
    return [fo.RowGrad(rows, values)]


@cache
def numbers(seed: int, dtype: type, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    """In (-2, 2), of many magnitudes, some of them 0: a hash of seed and index, and so the same wherever NumPy runs."""
    sizes = [int(np.prod(shape, dtype=int)) for shape in shapes]
    x = np.arange(sum(sizes), dtype=np.uint64) + np.uint64(seed << 32)
    for _ in range(3):
        x = (x ^ (x >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    mantissa = (x >> np.uint64(40)).astype(np.int64) - 2**23
    exponent = -22 - (x & np.uint64(15)).astype(np.int32)
    flat = np.ldexp(np.where(x & np.uint64(0x1F0) == 0, 0, mantissa).astype(np.float64), exponent).astype(dtype)
    return [part.reshape(shape) for part, shape in zip(np.split(flat, np.cumsum(sizes)[:-1]), shapes, strict=True)]


def canonical(array: np.ndarray) -> bytes:
    """Little-endian, with zeros for subnormal numbers and one NaN for all: what lies beyond is not promised."""
    if array.dtype not in DTYPES:  # bits
        return array.view("<u2" if array.itemsize == 2 else array.dtype).tobytes()
    plain = np.where(np.isnan(array), np.nan, flushed(array))
    return plain.astype(array.dtype.newbyteorder("<")).tobytes()


def completed(committed: dict[str, Any]) -> dict[str, Any]:
    """All digests; those there are as they are."""
    return {
        rule: {
            dtype.__name__: {
                option: committed.get(rule, {}).get(dtype.__name__, {}).get(option) or digest(rule, dtype, option)
                for option in options(rule, dtype)
            }
            for dtype in DTYPES
        }
        for rule in rules()
    }


def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(completed({} if "--replace" in sys.argv[1:] else committed()), indent=1) + "\n")
