"""Ranks as threads, and what one process does with the same gradients."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

import fusedoptim as fo
from fusedoptim.core import tree
from fusedoptim.distributed import Sharded
from fusedoptim.distributed.threads import Board, Threads

from ..bits import assert_same_bits
from ..nests import arrays

BUCKET = 100_000  # bytes: several for the nests here


def in_threads(size: int, job: Callable[[Threads], Any], timeout: float | None = 30) -> list[Any]:
    """What each rank's job returns; where some raise, the first error that is not of waiting for them."""
    board, made, errors = Board(size), [None] * size, []

    def run(rank: int) -> None:
        try:
            made[rank] = job(Threads(board, rank, timeout))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
            board.is_closed = True

    threads = [threading.Thread(target=run, args=(rank,), name=f"rank {rank}") for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise min(errors, key=lambda error: isinstance(error, TimeoutError))
    return made


def outcomes(size: int, job: Callable[[Threads], Any]) -> list[BaseException | None]:
    """The error that each rank's job ends in, which must be an error on all or none."""

    def run(transport: Threads) -> BaseException | None:
        try:
            job(transport)
        except Exception as error:  # noqa: BLE001
            return error
        return None

    return in_threads(size, run)


def some_params(seed: int = 0) -> dict[str, Any]:
    """Tensors that are cut, that are not, both dtypes, no axis and no elements."""
    rng = np.random.default_rng(seed)

    def a(*shape: int, dtype: Any = np.float32) -> np.ndarray:
        return np.asarray(rng.normal(size=shape), dtype)

    deep = [a(4096), a(4097), a(1)]
    some = {"w": a(3, 5000), "b": a(7), "table": a(999, 24), "scale": a(), "deep": deep, "none": a(0), "big": a(60001)}
    return some | {"double": a(9001, dtype=np.float64), "small": a(2, 3, dtype=np.float64)}


def some_matrices() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"a": (130, 70), "b": (33, 400), "c": (64, 64), "d": (5, 9), "e": (200, 3)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def gradient(params: Any, minibatch: int, step: int) -> Any:
    """Of one minibatch, of very different sizes from tensor to tensor."""
    rng = np.random.default_rng([minibatch, step])
    return tree.map_leaves(
        lambda w: np.asarray(rng.normal(size=w.shape) * 10.0 ** rng.integers(-3, 3), w.dtype), params
    )


def sum_in_tree(parts: list[np.ndarray]) -> np.ndarray:
    if len(parts) == 1:
        return parts[0]
    half = 1
    while 2 * half < len(parts):
        half *= 2
    return sum_in_tree(parts[:half]) + sum_in_tree(parts[half:])


def mean_gradient(params: Any, minibatches: int, ranks: int, step: int) -> Any:
    """Each rank sums a block of minibatches in a tree, and what they have is summed in one."""
    each = zip(*(arrays(gradient(params, k, step)) for k in range(minibatches)), strict=True)
    here = minibatches // ranks
    means = []
    for parts in each:
        sums = [sum_in_tree(list(parts[r * here : (r + 1) * here])) for r in range(ranks)]
        means.append(np.asarray(sum_in_tree(sums) / parts[0].dtype.type(minibatches), parts[0].dtype))
    return tree.build(tree.skeleton(params), iter(means))


def stepped_alone(
    make: Callable[..., fo.Optimizer], params: Any, minibatches: int, ranks: int, steps: int = 3, **keywords: Any
) -> fo.Optimizer:
    """One process that steps on the mean."""
    optimizer = make(tree.map_leaves(np.copy, params), **keywords)
    for step in range(steps):
        optimizer.step(mean_gradient(params, minibatches, ranks, step))
    return optimizer


def stepped(
    transport: Any, make: Any, params: Any, minibatches: int | None = None, steps: int = 3, **keywords: Any
) -> Sharded:
    """A rank's share of the same."""
    keywords = {"bucket_bytes": BUCKET} | keywords
    optimizer = Sharded(make, params, transport, minibatches=minibatches, **keywords)
    train(optimizer, params, steps)
    return optimizer


def train(optimizer: Sharded, params: Any, steps: int = 3, first: int = 0) -> None:
    for step in range(first, first + steps):
        for k in optimizer.share(range(optimizer.minibatches)):
            optimizer.step(gradient(params, k, step))


def assert_same(sharded: Sharded, plain: fo.Optimizer) -> None:
    """Weights on all ranks, and on rank 0 the states."""
    paths = sharded._holdings.paths
    for path, got, wanted in zip(paths, arrays(sharded.params), arrays(plain.params), strict=True):
        assert_same_bits(got, wanted, f"params{path}")
    assert (sharded.t, sharded.skipped, sharded.last_grad_norm) == (plain.t, plain.skipped, plain.last_grad_norm)
    state = sharded.gather_state()
    if state is None:
        return
    assert list(state) == list(plain.state)
    for name, nest in state.items():
        for path, got, wanted in zip(paths, arrays(nest), arrays(plain.state[name]), strict=True):
            assert_same_bits(got, wanted, name + path)
