"""Threads of the program: one optimizer is stepped by one at a time, and several are independent. And lifetimes."""

import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import Case
from ..nests import arrays, bits, gradients, normal, snapshot

BUSY = "^another thread is inside a step of this optimizer"


def in_threads(*works: Callable[[], None]) -> None:
    """Begins all at once, and raises what any of them raised."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        barrier.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(run, work) for work in works]:
            future.result()


@pytest.fixture
def eager_switches() -> Iterator[None]:
    """Lets other threads run between almost any two bytecodes."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


class Schedule:
    """A learning rate that is asked for in the middle of a step, and there waits until another thread has tried."""

    def __init__(self) -> None:
        self.inside, self.go_on, self.waits = threading.Event(), threading.Event(), False

    def __call__(self, t: int) -> float:
        if self.waits:
            self.inside.set()
            assert self.go_on.wait(60)
        return 0.5


ENTRIES: dict[str, Callable[[fo.Optimizer], Any]] = {
    "step": lambda optimizer: optimizer.step(gradients(optimizer.params, 1)),
    "bind": lambda optimizer: optimizer.bind(gradients(optimizer.params, 1)),
    "stepping": lambda optimizer: optimizer.stepping().__enter__(),
    "update": lambda optimizer: optimizer.update("w", normal(1, 5)),
    "using_ema": lambda optimizer: optimizer.using_ema().__enter__(),
    "freeze": lambda optimizer: optimizer.freeze("w"),
    "add_group": lambda optimizer: optimizer.add_group({"params": normal(1, 2)}),
    "state_dict": lambda optimizer: optimizer.state_dict(),
    "load_state_dict": lambda optimizer: optimizer.load_state_dict({}),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_another_thread_is_refused_during_a_step(kind: Case, entry: str) -> None:
    schedule = Schedule()
    optimizer, twin = (kind.make({"w": normal(0, 5)}, lr=rate, ema=0.5) for rate in (schedule, 0.5))
    schedule.waits = True

    def step() -> None:
        optimizer.step(gradients(optimizer.params, 0))

    def intrude() -> None:
        assert schedule.inside.wait(60)
        try:
            with pytest.raises(RuntimeError, match=BUSY):
                ENTRIES[entry](optimizer)
        finally:
            schedule.go_on.set()

    in_threads(step, intrude)
    schedule.waits = False
    twin.step(gradients(twin.params, 0))
    assert snapshot(optimizer) == snapshot(twin)
    optimizer.step(gradients(optimizer.params, 1))
    assert optimizer.t == 2


@pytest.mark.parametrize("n", [10, fo._core.parallel_threshold + 1])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_weights_are_those_of_a_whole_number_of_steps(
    eager_switches: None, kind: Case, n: int, accumulate: int
) -> None:
    """As many as were counted, however the threads meet."""
    optimizer, twin = (kind.make({"w": normal(0, n)}, accumulate=accumulate, clip_norm=1.0) for _ in range(2))
    grads = {"w": normal(1, n)}
    taken = [0, 0]

    def train(k: int) -> None:
        for _ in range(60):
            with suppress(RuntimeError):  # busy
                optimizer.step(grads)
                taken[k] += 1

    in_threads(lambda: train(0), lambda: train(1))
    assert sum(taken) > 0
    for _ in range(sum(taken)):
        twin.step(grads)
    assert snapshot(optimizer) == snapshot(twin)


def test_two_threads_meet_inside_the_kernel(kind: Case) -> None:
    """The interpreter is free during a step, so a second one begins before the first has ended; it is refused."""
    optimizer = kind.make(np.zeros(1 << 20, np.float32), num_threads=1)
    g, refused = np.ones(1 << 20, np.float32), threading.Event()

    def train() -> None:
        for _ in range(10_000):
            if refused.is_set():
                return
            try:
                optimizer.step(g)
            except RuntimeError:
                refused.set()

    in_threads(train, train)
    assert refused.is_set()


def test_other_optimizers_in_parallel_have_the_bits_of_one_after_the_other(kind: Case) -> None:
    options: dict[str, Any] = {"accumulate": 2, "ema": 0.5, "clip_norm": 0.5, "nonfinite": "skip"}
    sizes = [10, 5000, fo._core.parallel_threshold + 1, 20_000]

    def make() -> list[fo.Optimizer]:
        return [kind.make({"w": normal(n, n), "b": normal(1, 3, dtype=np.float64)}, **options) for n in sizes]

    def train(optimizer: fo.Optimizer) -> None:
        for call in range(10):
            optimizer.step(gradients(optimizer.params, call), zero_grads=True)

    together, alone = make(), make()
    in_threads(*(lambda optimizer=optimizer: train(optimizer) for optimizer in together))
    for optimizer, wanted in zip(together, alone, strict=True):
        train(wanted)
        assert snapshot(optimizer) == snapshot(wanted)


def test_a_step_that_raises_lets_the_next_one_in(kind: Case) -> None:
    optimizer = kind.make({"w": normal(0, 3)})
    for bad in ({"w": None}, None, {}):
        with pytest.raises((TypeError, ValueError)):
            optimizer.step(bad)
    optimizer.step({"w": normal(1, 3)})
    assert optimizer.t == 1


# Lifetimes


def test_arrays_live_as_long_as_the_optimizer(kind: Case) -> None:
    """Also those the user has taken out of the nest, which ends its steps, or has frozen; and no longer."""
    params = {"a": normal(0, 1000), "b": normal(1, 1000)}
    optimizer = kind.make(params, accumulate=2, ema=0.5)
    optimizer.freeze("b")
    alive = [weakref.ref(array) for nest in (params, *optimizer.state.values()) for array in arrays(nest)]
    wanted = bits(params["b"])
    kept = weakref.ref(params["b"])
    nests = [(nest, dict(nest)) for nest in (optimizer.state, optimizer.params)]
    for nest, was in nests:
        nest.clear()
        was.clear()
    gc.collect()
    assert all(ref() is not None for ref in alive)
    with pytest.raises(ValueError, match=r'^params\["a"\] is gone'):
        optimizer.step({"a": normal(1, 1000), "b": None})
    assert bits(kept()) == wanted
    del optimizer
    gc.collect()
    assert not any(ref() is not None for ref in alive)


def test_gradients_are_not_kept(kind: Case) -> None:
    optimizer = kind.make(normal(0, 10))
    g = normal(1, 10)
    optimizer.step(g)
    alive = weakref.ref(g)
    del g
    gc.collect()
    assert alive() is None
