"""Nests of random arrays, and what is done to all arrays of a nest."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import fusedoptim as fo


def normal(seed: int, *shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def mixed() -> dict[str, Any]:
    """Both dtypes, and arrays of no axis and of no elements."""
    return {"w": normal(0, 3, 4), "layers": [normal(1), normal(2, 5000, dtype=np.float64)], "none": normal(3, 0)}


def nests(dtype: Any = np.float32) -> dict[str, Any]:
    """Of all kinds."""

    def a(*shape: int, other: Any = dtype) -> np.ndarray:
        return normal(len(shape), *shape, dtype=other)

    each = {"a": a(5), "b": a(6, other=np.float64), "c": a(7, other=np.float32), "d": a(2), "e": a(other=np.float64)}
    return {
        "one array": a(3, 4),
        "0-d": a(),
        "zero-size": a(0, 5),
        "dict": {"w": a(3, 4), "b": a(4)},
        "list": [a(3), a(2, 2)],
        "tuple": (a(3), a(2, 2)),
        "nested": {"layers": [{"w": a(3, 4), "b": a(4)}, {"w": a(4, 2), "b": a(2)}], "scale": a(), 7: (a(0), a(1))},
        "empty dict": {},
        "empty list": [],
        "empty inside": {"w": a(3), "none": {}, "nor": ([], ())},
        "mixed dtypes": each,
    }


def arrays(nest: Any) -> list[np.ndarray]:
    return fo.core.tree.leaves(fo.core.tree.skeleton(nest), nest, "nest")


def gradients(nest: Any, step: int) -> Any:
    """A nest of the same shape, different for each step and array."""
    seeds = iter(range(1000 * step, 1000 * step + 1000))
    return fo.core.tree.map_leaves(lambda w: normal(next(seeds), *w.shape, dtype=w.dtype), nest)


def copied(nest: Any) -> Any:
    """Unlike deepcopy, this gives an array its own memory even if the nest has it twice, or in an arena."""
    return fo.core.tree.map_leaves(np.copy, nest)


def bits(*nests: Any) -> list[bytes]:
    return [array.tobytes() for nest in nests for array in arrays(nest)]


def snapshot(optimizer: fo.Optimizer) -> tuple[Any, ...]:
    """All that a step may change, to the bit."""
    state = [bits(nest) for nest in optimizer.state.values()]
    return bits(optimizer.params), state, optimizer.t, optimizer.skipped, optimizer.accumulated


@contextmanager
def unchanged(optimizer: fo.Optimizer) -> Iterator[None]:
    """What is done inside changes nothing of it."""
    before, numbers = snapshot(optimizer), repr(optimizer.groups)
    yield
    assert (snapshot(optimizer), repr(optimizer.groups)) == (before, numbers)
